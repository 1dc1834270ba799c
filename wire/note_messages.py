"""Messages about notes; they came with revision 1."""

from __future__ import annotations

from pulsed.model.notes import Note
from pulsed.wire.base import DaemonEvent, Reply, Request


class AddNote(Request, frozen=True, tag="note.add"):
    """Write something down about a qubit, a pair, a run or a set. Answered by :class:`NotesReply` with that note."""

    about: str
    text: str


class GetNotes(Request, frozen=True, tag="notes"):
    """The notes about one thing, or about all, the newest first. Answered by :class:`NotesReply`."""

    about: str | None = None
    limit: int = 100


class NotesReply(Reply, frozen=True, tag="notes.reply"):
    """Notes."""

    notes: tuple[Note, ...]


class NoteAdded(DaemonEvent, frozen=True, tag="note.added"):
    """Somebody wrote something down."""

    note: Note
