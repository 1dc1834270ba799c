"""Records of measurements: functions on one connection, within the transaction that the caller has opened."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, bindparam, func, insert, select, update

from pulsed.model.calibration import RunRecord
from pulsed.model.errors import IncompatibleError
from pulsed.store.tables import run

_encode = msgspec.msgpack.Encoder().encode
_read = msgspec.msgpack.Decoder(RunRecord).decode
_BY_ID = select(run.c.number).where(run.c.run_id == bindparam("i"), run.c.rack == bindparam("r"))
_LAST = select(func.max(run.c.number)).where(run.c.rack == bindparam("r"))


def put(connection: Connection, rack: str, record: RunRecord) -> None:
    """Store a record, in place of an older one with its id."""
    row = {"routine": record.routine, "target": record.target, "record": _encode(record)}
    number = connection.execute(_BY_ID, {"r": rack, "i": record.run_id}).scalar()
    if number is not None:
        connection.execute(update(run).where(run.c.number == number, run.c.rack == rack).values(row))
        return
    number = (connection.execute(_LAST, {"r": rack}).scalar() or 0) + 1
    connection.execute(insert(run), {"rack": rack, "number": number, "run_id": record.run_id, **row})


def find(
    connection: Connection, rack: str, routine: str | None, target: str | None, limit: int, run_id: str | None = None
) -> list[RunRecord]:
    """Return the newest records first that fit every filter given."""
    wanted = select(run.c.record).where(run.c.rack == rack)
    if routine is not None:
        wanted = wanted.where(run.c.routine == routine)
    if target is not None:
        wanted = wanted.where(run.c.target == target)
    if run_id is not None:
        wanted = wanted.where(run.c.run_id == run_id)
    rows = connection.execute(wanted.order_by(run.c.number.desc()).limit(limit))
    try:
        return [_read(record) for (record,) in rows]
    except msgspec.MsgspecError as error:
        raise IncompatibleError(f"a record in the store that this version does not read: {error}") from error
