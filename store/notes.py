"""Notes: functions on one connection, within the transaction that the caller has opened."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, func, insert, select

from pulsed.model.errors import IncompatibleError, InvalidValueError, NotFoundError
from pulsed.model.notes import MOST_NOTES, Note
from pulsed.store.tables import calibration_set, note, run

_encode = msgspec.msgpack.Encoder().encode
_read = msgspec.msgpack.Decoder(Note).decode


def add(connection: Connection, rack: str, new: Note, *, known: bool) -> None:
    """Store a note.

    Unless the caller ``known`` what it is about, that has to be a run or a calibration set of the store. Raises
    :class:`NotFoundError`, and :class:`InvalidValueError` when there are too many about this.
    """
    if not known and not _is_there(connection, rack, new.about):
        raise NotFoundError(
            "there is nothing of this name to write a note about", subject=f"rack {rack}", value=new.about,
            legal="a qubit (Q0), a pair (Q0-Q1), the id of a run or of a calibration set",
        )  # fmt: skip
    of_this = select(func.count()).where(note.c.rack == rack, note.c.about == new.about)
    if (number := connection.execute(of_this).scalar() or 0) >= MOST_NOTES:
        raise InvalidValueError("has too many notes", subject=new.about, value=number, legal=f"up to {MOST_NOTES}")
    last = connection.execute(select(func.max(note.c.number)).where(note.c.rack == rack)).scalar() or 0
    connection.execute(insert(note), {"rack": rack, "number": last + 1, "about": new.about, "note": _encode(new)})


def find(connection: Connection, rack: str, about: str | None, limit: int) -> list[Note]:
    """Return the newest notes first, of one thing or of all."""
    wanted = select(note.c.note).where(note.c.rack == rack)
    if about is not None:
        wanted = wanted.where(note.c.about == about)
    try:
        return [_read(row) for (row,) in connection.execute(wanted.order_by(note.c.number.desc()).limit(limit))]
    except msgspec.MsgspecError as error:
        raise IncompatibleError(f"a note in the store that this version does not read: {error}") from error


def _is_there(connection: Connection, rack: str, about: str) -> bool:
    runs = select(run.c.number).where(run.c.run_id == about, run.c.rack == rack)
    sets = select(calibration_set.c.number).where(
        calibration_set.c.calibration_id == about, calibration_set.c.rack == rack
    )
    return any(connection.execute(one).first() is not None for one in (runs, sets))
