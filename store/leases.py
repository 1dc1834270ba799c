"""The lease: one daemon owns a rack at a time, and a daemon that was replaced cannot write any more.

Each take raises the fencing number. A write reads it first, in its own transaction: a process that slept
through its lease and wakes up finds another number and writes nothing.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from pulsed.model.rack_address import RackAddress
from pulsed.store.engine import Prepared
from pulsed.store.errors import LeaseError, LeaseLostError
from pulsed.store.tables import lease, rack_address

_ROW = select(lease).where(lease.c.rack == bindparam("r")).with_for_update()
# FOR SHARE holds off a taker on PostgreSQL until the write is in; SQLite has one writer at a time anyway.
_FENCE = Prepared(select(lease.c.fence).where(lease.c.rack == bindparam("r")).with_for_update(read=True))
_SET = update(lease).where(lease.c.rack == bindparam("r"))


def take(connection: Connection, rack: str, holder: str, now: float, seconds: float) -> int:
    """Take the lease of ``rack`` until ``now + seconds`` and return its fencing number.

    The holder itself may take it again. Raises :class:`LeaseError` while another one's has not expired.
    """
    row = connection.execute(_ROW, {"r": rack}).one_or_none()
    if row is None:
        try:
            connection.execute(insert(lease).values(rack=rack, holder=holder, fence=1, expires=now + seconds))
        except IntegrityError as error:
            raise LeaseError("another daemon took the rack at the same moment", subject=f"rack {rack}") from error
        return 1
    if row.holder != holder and row.expires > now:
        raise LeaseError(
            f"another daemon owns the rack for {row.expires - now:.1f} s more", subject=f"rack {rack}", value=row.holder
        )
    fence: int = row.fence + 1
    connection.execute(_SET.values(holder=holder, fence=fence, expires=now + seconds), {"r": rack})
    return fence


def check(connection: Connection, rack: str, fence: int) -> None:
    """Raise :class:`LeaseLostError` unless ``fence`` is still the number of ``rack``."""
    row = _FENCE.run(connection, {"r": rack}).fetchone()
    found = None if row is None else row[0]
    if found != fence:
        raise LeaseLostError(
            "another daemon owns the rack now, nothing was written", subject=f"rack {rack}", value=fence, legal=found
        )


def extend(connection: Connection, rack: str, until: float) -> None:
    """Let the lease of ``rack`` end at ``until`` (Unix time). The caller has checked that it is ours."""
    connection.execute(_SET.values(expires=until), {"r": rack})


def announce(connection: Connection, rack: str, url: str, server_key: str) -> None:
    """Write down where the daemon of ``rack`` listens and its public key."""
    connection.execute(delete(rack_address).where(rack_address.c.rack == rack))
    connection.execute(insert(rack_address).values(rack=rack, url=url, server_key=server_key))


def addresses(connection: Connection, now: float) -> list[RackAddress]:
    """Return where the daemons of all racks are that have ever been announced, by name."""
    query = select(rack_address, lease.c.expires).join(lease, lease.c.rack == rack_address.c.rack)
    rows = connection.execute(query.order_by(rack_address.c.rack))
    return [RackAddress(row.rack, row.url, row.server_key, row.expires > now) for row in rows]
