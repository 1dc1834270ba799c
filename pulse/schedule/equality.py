"""When two orders of a block's parts are the same program."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from pulsed.pulse.channels import Channel


class BlockPart(Protocol):
    """A part of a block: an instruction or a block."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels in use."""


def same_up_to_commuting(first: Sequence[BlockPart], second: Sequence[BlockPart]) -> bool:
    """Return whether two orders differ only in parts without a common channel.

    Each part of ``first`` in turn must be equal to the part of ``second`` that comes next on all of its channels.
    """
    waiting: dict[Channel | None, deque[int]] = {}
    for index, part in enumerate(second):
        for channel in part.channels or (None,):
            waiting.setdefault(channel, deque()).append(index)
    for part in first:
        queues = [waiting.get(channel) for channel in part.channels or (None,)]
        if any(not queue for queue in queues):
            return False
        # if the earliest of them is equal it is the next on all of the part's channels, as these are its own
        if second[min(queue[0] for queue in queues if queue)] != part:
            return False
        for queue in queues:
            if queue:
                queue.popleft()
    return True
