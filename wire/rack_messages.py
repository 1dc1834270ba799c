"""Messages about the other racks of the daemon's database; they came with revision 1."""

from __future__ import annotations

from pulsed.model.rack_address import RackAddress
from pulsed.wire.base import Reply, Request


class GetRacks(Request, frozen=True, tag="racks"):
    """Where the racks are that share the daemon's database. Answered by :class:`RacksReply`."""


class RacksReply(Reply, frozen=True, tag="racks.reply"):
    """All racks of the database by name, the daemon's own included."""

    racks: tuple[RackAddress, ...]
