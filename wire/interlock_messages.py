"""Messages about interlocks; they came with revision 1."""

from __future__ import annotations

from pulsed.model.interlock_status import InterlockStatus
from pulsed.wire.base import Reply, Request


class RearmInterlock(Request, frozen=True, tag="interlock.rearm"):
    """Arm an interlock again that has tripped. Answered by :class:`InterlocksReply` when it is durable."""

    name: str
    reason: str


class InterlocksReply(Reply, frozen=True, tag="interlocks.reply"):
    """All interlocks."""

    interlocks: tuple[InterlockStatus, ...]
