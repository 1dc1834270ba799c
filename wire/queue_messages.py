"""Messages about the queue as a whole; they came with revision 1."""

from __future__ import annotations

from pulsed.model.queue import QueueControl, QueueEntry, QueueMode, UserShare
from pulsed.wire.base import Reply, Request


class GetQueue(Request, frozen=True, tag="queue"):
    """The queue in order, its mode, and who has used how much. Answered by :class:`QueueReply`."""

    limit: int = 100
    """Jobs at most."""


class SetQueue(Request, frozen=True, tag="queue.set"):
    """Begin another mode of the queue. Answered by :class:`QueueReply` when it is durable."""

    mode: QueueMode
    reason: str = ""
    stop: bool = False
    """Whether the job on the rack is cancelled at the same time, so that the outputs go off."""


class QueueReply(Reply, frozen=True, tag="queue.reply"):
    """The queue."""

    control: QueueControl
    entries: tuple[QueueEntry, ...]
    total: int
    """How many jobs there are in it."""
    users: tuple[UserShare, ...]
    stopped: str = ""
    """The job that was cancelled, when :class:`SetQueue` said to stop."""
