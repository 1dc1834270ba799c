"""Who has used how much of a rack, and what holds its queue: functions on one connection, in a transaction."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, insert, select

from pulsed.model.interlock_status import TrippedInterlock
from pulsed.model.queue import QueueControl, UserUsage
from pulsed.store.engine import Prepared
from pulsed.store.tables import interlocks, job, payload, queue_control, usage

_encode = msgspec.msgpack.Encoder().encode
_decode_usage = msgspec.msgpack.Decoder(UserUsage).decode
_decode_control = msgspec.msgpack.Decoder(QueueControl).decode
_decode_tripped = msgspec.msgpack.Decoder(list[TrippedInterlock]).decode
_DELETE = Prepared(delete(usage).where(usage.c.user == bindparam("u"), usage.c.rack == bindparam("r")))
_INSERT = Prepared(insert(usage))


def put(connection: Connection, rack: str, kept: UserUsage) -> None:
    """Store what one user has used, in place of what there is."""
    _DELETE.run(connection, {"u": kept.user, "r": rack})
    _INSERT.run(connection, {"rack": rack, "user": kept.user, "info": _encode(kept)})


def everybody(connection: Connection, rack: str) -> list[UserUsage]:
    """Return what each user has used, by name."""
    query = select(usage.c.info).where(usage.c.rack == rack).order_by(usage.c.user)
    return [_decode_usage(data) for data in connection.execute(query).scalars()]


def put_control(connection: Connection, rack: str, control: QueueControl) -> None:
    """Store the mode of the queue, in place of what there is."""
    connection.execute(delete(queue_control).where(queue_control.c.rack == rack))
    connection.execute(insert(queue_control).values(rack=rack, info=_encode(control)))


def control(connection: Connection, rack: str) -> QueueControl:
    """Return the mode of the queue; open where none was stored."""
    found: bytes | None = connection.execute(
        select(queue_control.c.info).where(queue_control.c.rack == rack)
    ).scalar()  # fmt: skip
    return QueueControl() if found is None else _decode_control(found)


def put_tripped(connection: Connection, rack: str, tripped: Sequence[TrippedInterlock]) -> None:
    """Store which interlocks have tripped, in place of what there is."""
    connection.execute(delete(interlocks).where(interlocks.c.rack == rack))
    connection.execute(insert(interlocks).values(rack=rack, info=_encode(list(tripped))))


def tripped(connection: Connection, rack: str) -> list[TrippedInterlock]:
    """Return the interlocks that have tripped."""
    found: bytes | None = connection.execute(select(interlocks.c.info).where(interlocks.c.rack == rack)).scalar()
    return [] if found is None else _decode_tripped(found)


def payload_sizes(connection: Connection, rack: str, ended: list[str]) -> dict[str, int]:
    """Return the bytes of each submission whose job is in none of the states ``ended``."""
    query = (
        select(job.c.job_id, func.length(payload.c.data))
        .join(payload, (payload.c.number == job.c.number) & (payload.c.rack == job.c.rack))
        .where(job.c.rack == rack, job.c.state.not_in(ended))
    )  # fmt: skip
    return {job_id: int(size) for job_id, size in connection.execute(query).tuples()}
