"""Messages about sessions and batches; they came with revision 1."""

from __future__ import annotations

from pulsed.model.session import SessionInfo, SessionMode
from pulsed.wire.base import DaemonEvent, Reply, Request


class OpenSession(Request, frozen=True, tag="session.open"):
    """Open a session or a batch. Answered by :class:`SessionReply` when it is durable.

    The same id again gives the same session.
    """

    session_id: str
    mode: SessionMode
    max_time: float | None = None
    """Seconds; None for the longest."""
    backend: str | None = None
    start: float | None = None
    """Unix time from which on it is booked; None: it begins with its first job."""


class CloseSession(Request, frozen=True, tag="session.close"):
    """Take no more jobs into a session, and with ``cancel`` cancel those it has. Answered by :class:`SessionReply`."""

    session_id: str
    cancel: bool = False


class GetSession(Request, frozen=True, tag="session"):
    """What is known of one session. Answered by :class:`SessionReply`."""

    session_id: str
    """Or its beginning, where no other begins like that."""


class GetSessions(Request, frozen=True, tag="sessions"):
    """The newest sessions, or all that have not ended. Answered by :class:`SessionsReply`."""

    ended: bool = False
    """With those that have ended."""
    limit: int = 100


class SessionReply(Reply, frozen=True, tag="session.reply"):
    """One session."""

    session: SessionInfo


class SessionsReply(Reply, frozen=True, tag="sessions.reply"):
    """Some sessions."""

    sessions: tuple[SessionInfo, ...]


class SessionChanged(DaemonEvent, frozen=True, tag="session.changed"):
    """A session was opened, holds the rack, takes no more jobs, or has ended."""

    session: SessionInfo
