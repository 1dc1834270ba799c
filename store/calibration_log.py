"""Which set became active when, by whom and why, and what that changed; tags of sets.

Functions on one connection, within the transaction that the caller has opened. What is written for a set that comes
active is what differs from the set before, so a log and the history of one value are read without the sets.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, and_, bindparam, insert, select, update

from pulsed.model.calibration import CalibrationSet, LogEntry, PastValue
from pulsed.model.errors import ConflictError, NotFoundError
from pulsed.store import calibrations
from pulsed.store.calibrations import ACTIVE, encode, read_value
from pulsed.store.tables import (
    calibration_commit,
    calibration_current,
    calibration_history,
    calibration_set,
    calibration_tag,
)

_NAMED = 12
"""Names that one error lists."""

_sets, _current, _tags = calibration_set.c, calibration_current.c, calibration_tag.c
_commits, _history = calibration_commit.c, calibration_history.c
_read_names = msgspec.msgpack.Decoder(tuple[str, ...]).decode

_same_set = and_(_current.rack == _sets.rack, _current.calibration == _sets.number)
_LAST = (
    select(_current.number, _current.since)
    .where(_current.rack == bindparam("r"))
    .order_by(_current.number.desc())
    .limit(1)
)
_LOG = (
    select(_current.since, _sets.calibration_id, _sets.number, _commits.by, _commits.why, _commits.changed)
    .join(calibration_set, _same_set)
    .join(calibration_commit, and_(_commits.rack == _current.rack, _commits.number == _current.number))
    .where(_current.rack == bindparam("r"))
    .order_by(_current.number.desc())
    .limit(bindparam("limit"))
)
_LOG_OF = _LOG.join(
    calibration_history, and_(_history.rack == _current.rack, _history.number == _current.number)
).where(_history.name == bindparam("name"))
_HISTORY = (
    select(_current.since, _history.value, _sets.calibration_id)
    .select_from(calibration_history)
    .join(calibration_current, and_(_current.rack == _history.rack, _current.number == _history.number))
    .join(calibration_set, _same_set)
    .where(_history.name == bindparam("name"), _history.rack == bindparam("r"), _history.value.is_not(None))
    .order_by(_history.number.desc())
    .limit(bindparam("limit"))
)
_TAGGED = (
    select(_sets.calibration_id)
    .join(calibration_tag, and_(_tags.rack == _sets.rack, _tags.calibration == _sets.number))
    .where(_tags.tag == bindparam("t"), _tags.rack == bindparam("r"))
)


def activate(connection: Connection, rack: str, calibration_id: str, by: str, why: str, now: float) -> None:
    """Make a stored set the active one from ``now`` on. Raises :class:`NotFoundError`.

    A clock that went back does not reorder history: the set counts from the last change at the earliest.
    """
    row = calibrations.row_of(connection, rack, calibration_id)
    new, old = calibrations.get(connection, rack, calibration_id), calibrations.current(connection, rack)
    changed = new.changed(CalibrationSet(rack, {}, "") if old is None else old)
    last = connection.execute(_LAST, {"r": rack}).one_or_none()
    number, since = (1, now) if last is None else (last.number + 1, max(now, last.since))
    key = {"rack": rack, "number": number}
    connection.execute(insert(calibration_current), {**key, "since": since, "calibration": row.number})
    connection.execute(insert(calibration_commit), {**key, "by": by, "why": why, "changed": encode(changed)})
    if changed:
        values = {name: encode(new.values[name]) if name in new.values else None for name in changed}
        rows = [{**key, "name": name, "value": value} for name, value in values.items()]
        connection.execute(insert(calibration_history), rows)


def commit(
    connection: Connection, rack: str, calibration_id: str, expected: str | None, by: str, why: str, now: float
) -> CalibrationSet:
    """Make a stored set the active one if ``expected`` is, and return it. One that is active already is left so.

    Raises :class:`NotFoundError`, and :class:`ConflictError` that names what changed since ``expected``.
    """
    new = calibrations.get(connection, rack, calibration_id)
    found = connection.execute(ACTIVE, {"r": rack}).scalar()
    if found == calibration_id:
        return new
    if found != expected:
        raise ConflictError(
            "another calibration set became active in the meantime: look at what it changed and try again",
            subject=f"rack {rack}", value=_difference(connection, rack, expected, found),
            legal=f"expected={found!r}",
        )  # fmt: skip
    activate(connection, rack, calibration_id, by, why, now)
    return new


def _difference(connection: Connection, rack: str, expected: str | None, found: str | None) -> str:
    """Say what differs between the set that was expected to be active and the one that is."""
    if expected is None or found is None:
        return str(expected)
    names = calibrations.get(connection, rack, found).changed(calibrations.get(connection, rack, expected))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"changed: {', '.join(names[:_NAMED])}{more}" if names else f"{found} instead of {expected}"


def log(connection: Connection, rack: str, limit: int, name: str | None) -> list[LogEntry]:
    """Return the sets that became active, the newest first, or those of them that changed ``name``."""
    statement = _LOG if name is None else _LOG_OF
    rows = connection.execute(statement, {"r": rack, "limit": limit, "name": name}).all()
    tags = _tags_of(connection, rack, {row.number for row in rows})
    return [
        LogEntry(row.calibration_id, row.since, row.by, row.why, _read_names(row.changed), tags.get(row.number, ()))
        for row in rows
    ]


def _tags_of(connection: Connection, rack: str, numbers: Iterable[int]) -> dict[int, tuple[str, ...]]:
    wanted = select(_tags.calibration, _tags.tag).where(_tags.calibration.in_(list(numbers)), _tags.rack == rack)
    found: dict[int, tuple[str, ...]] = {}
    for number, tag in connection.execute(wanted.order_by(_tags.tag)):
        found[number] = (*found.get(number, ()), tag)
    return found


def history(connection: Connection, rack: str, name: str, limit: int) -> list[PastValue]:
    """Return the values that ``name`` has had, the newest first."""
    rows = connection.execute(_HISTORY, {"r": rack, "name": name, "limit": limit})
    return [PastValue(since, read_value(value), calibration_id) for since, value, calibration_id in rows]


def tag(connection: Connection, rack: str, calibration_id: str, name: str, move: bool) -> None:
    """Give a stored set a name. Raises :class:`NotFoundError`, and :class:`ConflictError` for a name that is taken.

    With ``move`` the name is taken from the set that has it.
    """
    number = calibrations.row_of(connection, rack, calibration_id).number
    taken = connection.execute(_TAGGED, {"r": rack, "t": name}).scalar()
    if taken is None:
        connection.execute(insert(calibration_tag), {"rack": rack, "tag": name, "calibration": number})
    elif taken != calibration_id and not move:
        raise ConflictError("this tag names another set: move it or take another", subject=f"tag {name}", value=taken)
    else:
        mine = and_(_tags.tag == name, _tags.rack == rack)
        connection.execute(update(calibration_tag).where(mine).values(calibration=number))


def tagged(connection: Connection, rack: str, name: str) -> CalibrationSet:
    """Return the set with this tag. Raises :class:`NotFoundError`."""
    calibration_id = connection.execute(_TAGGED, {"r": rack, "t": name}).scalar()
    if calibration_id is None:
        known = select(_tags.tag).where(_tags.rack == rack).order_by(_tags.tag).limit(_NAMED)
        legal = ", ".join(connection.execute(known).scalars()) or "none is tagged"
        raise NotFoundError("no calibration set has this tag", subject=f"rack {rack}", value=name, legal=legal)
    return calibrations.get(connection, rack, calibration_id)
