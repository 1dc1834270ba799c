"""Calibration sets: functions on one connection, within the transaction that the caller has opened.

A set is stored as what it changes of its parent. When the changes since the last set that was stored whole
outnumber the values, the set is stored whole again: what is written stays within twice what has changed, and
what is read for one set within twice its values, however many sets there are.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import BindParameter, Connection, Row, and_, bindparam, func, insert, select

from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.errors import IncompatibleError, InvalidValueError, NotFoundError, StoreError
from pulsed.store.tables import calibration_change, calibration_current, calibration_set

_sets, _changes, _current = calibration_set.c, calibration_change.c, calibration_current.c
encode = msgspec.msgpack.Encoder().encode
_read_head = msgspec.msgpack.Decoder(CalibrationSet).decode
read_value = msgspec.msgpack.Decoder(Value).decode

_RACK: BindParameter[str] = bindparam("r")
_BY_ID = select(calibration_set).where(_sets.rack == _RACK, _sets.calibration_id == bindparam("i"))
_LAST_SET = select(func.max(_sets.number)).where(_sets.rack == _RACK)
ACTIVE = (
    select(_sets.calibration_id)
    .join(calibration_current, and_(_current.rack == _sets.rack, _current.calibration == _sets.number))
    .where(_current.rack == _RACK)
    .order_by(_current.since.desc(), _current.number.desc())
    .limit(1)
)
_AS_OF = ACTIVE.where(_current.since <= bindparam("t"))

_chain = (
    select(_sets.number, _sets.parent, _sets.base)
    .where(_sets.rack == _RACK, _sets.number == bindparam("n"))
    .cte("chain", recursive=True)
)
_chain = _chain.union_all(
    select(_sets.number, _sets.parent, _sets.base).where(
        _sets.rack == _RACK, _sets.number == _chain.c.parent, _chain.c.number != _chain.c.base
    )
)
# A parent is stored before its children, so that the order of numbers is the order in which changes apply.
_VALUES = (
    select(_changes.name, _changes.value)
    .join(_chain, _chain.c.number == _changes.number)
    .where(_changes.rack == _RACK)
    .order_by(_changes.number)
)


def put(connection: Connection, rack: str, calibration: CalibrationSet, now: float) -> str:
    """Store a set, unless it is there already, and return its id.

    Raises :class:`InvalidValueError` for a set that would not come back with the same id.
    """
    calibration_id = calibration.calibration_id
    if connection.execute(_BY_ID, {"r": rack, "i": calibration_id}).one_or_none() is not None:
        return calibration_id
    encoded = {name: encode(value) for name, value in calibration.values.items()}
    head = encode(msgspec.structs.replace(calibration, values={}))
    _check(calibration_id, head, encoded)
    parent, changes = None, dict[str, bytes | None](encoded)
    if calibration.parent is not None:
        parent = connection.execute(_BY_ID, {"r": rack, "i": calibration.parent}).one_or_none()
    number: int = (connection.execute(_LAST_SET, {"r": rack}).scalar() or 0) + 1
    base, weight = number, len(encoded)
    if parent is not None:
        old = _stored_values(connection, rack, parent.number)
        differing: dict[str, bytes | None] = {n: v for n, v in encoded.items() if old.get(n) != v}
        differing.update(dict.fromkeys(old.keys() - encoded.keys()))
        heavier = parent.weight + max(1, len(differing))  # a set counts even when no value differs: it is read, too
        if 2 * heavier <= 3 * len(encoded):
            base, weight, changes = parent.base, heavier, differing
    row = {
        "rack": rack,
        "number": number,
        "calibration_id": calibration_id,
        "parent": None if parent is None else parent.number,
        "base": base,
        "weight": weight,
        "stored": now,
        "head": head,
    }
    connection.execute(insert(calibration_set), row)
    if changes:
        rows = [{"rack": rack, "number": number, "name": name, "value": value} for name, value in changes.items()]
        connection.execute(insert(calibration_change), rows)
    return calibration_id


def get(connection: Connection, rack: str, calibration_id: str) -> CalibrationSet:
    """Return the set with this id, whose content has been held against it.

    Raises :class:`NotFoundError`, and :class:`StoreError` for one that is damaged.
    """
    row = row_of(connection, rack, calibration_id)
    try:
        found = _build(row.head, _stored_values(connection, rack, row.number))
    except KeyError as error:
        raise _damaged(calibration_id, f"without {error}") from error
    if found.calibration_id != calibration_id:
        raise _damaged(calibration_id, f"the content of {found.calibration_id}")
    return found


def _damaged(calibration_id: str, value: str) -> StoreError:
    return StoreError(
        "the calibration set in the store is damaged: its content is not the one that its id was made of",
        subject=f"calibration set {calibration_id}", value=value, legal="a copy of the store from before",
    )  # fmt: skip


def row_of(connection: Connection, rack: str, calibration_id: str) -> Row[Any]:
    """Return the row of the set with this id. Raises :class:`NotFoundError`."""
    row = connection.execute(_BY_ID, {"r": rack, "i": calibration_id}).one_or_none()
    if row is None:
        raise NotFoundError("no such calibration set", subject=f"rack {rack}", value=calibration_id)
    return row


def current(connection: Connection, rack: str) -> CalibrationSet | None:
    """Return the active set, None when there was never one."""
    calibration_id = connection.execute(ACTIVE, {"r": rack}).scalar()
    return None if calibration_id is None else get(connection, rack, calibration_id)


def as_of(connection: Connection, rack: str, time: float) -> CalibrationSet | None:
    """Return the set that was active at ``time`` (Unix time), None before the first."""
    calibration_id = connection.execute(_AS_OF, {"r": rack, "t": time}).scalar()
    return None if calibration_id is None else get(connection, rack, calibration_id)


def _stored_values(connection: Connection, rack: str, number: int) -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    for name, value in connection.execute(_VALUES, {"r": rack, "n": number}):
        if value is None:
            del values[name]
        else:
            values[name] = value
    return values


def _build(head: bytes, values: dict[str, bytes]) -> CalibrationSet:
    try:
        decoded = {name: read_value(value) for name, value in values.items()}
        return msgspec.structs.replace(_read_head(head), values=decoded)
    except msgspec.MsgspecError as error:
        raise IncompatibleError(f"a calibration set in the store that this version does not read: {error}") from error


def _check(calibration_id: str, head: bytes, values: dict[str, bytes]) -> None:
    # The id hashes the text of the content, in which 5 and 5.0 differ, and NaN is no number.
    if _build(head, values).calibration_id == calibration_id:
        return
    raise InvalidValueError(
        "the set would not come back from the store as it is",
        subject=f"calibration set {calibration_id}",
        legal="values that are floats or tuples of floats",
    )
