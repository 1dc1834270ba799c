"""Occupied intervals per channel: sorted lists of (start, stop) in dt, without overlap."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import TypeAlias

from pulsed.pulse.channels import Channel

Interval: TypeAlias = tuple[int, int]
TimeSlots: TypeAlias = dict[Channel, list[Interval]]


class Overlap(Exception):  # noqa: N818 - caught by the schedule, which knows what to say
    """Two intervals of one channel overlap."""

    def __init__(self, channel: Channel, new: Interval, old: Interval) -> None:
        self.channel = channel
        self.new = new
        self.old = old
        super().__init__(channel, new, old)


def place(slots: TimeSlots, channels: tuple[Channel, ...], new: Interval) -> None:
    """Add the interval ``new`` on ``channels``: O(1) at the end, else O(log n) to find and O(n) to move.

    An instruction of no duration may lie at either end of another, not inside it.

    Raises:
        Overlap: nothing was changed.

    """
    places = []
    for channel in channels:
        taken = slots.get(channel)
        if taken is None:
            continue
        index = len(taken)
        if taken[-1][1] > new[0]:
            index = bisect_right(taken, new)
            if index and taken[index - 1][1] > new[0]:
                raise Overlap(channel, new, taken[index - 1])
            if index < len(taken) and new[1] > taken[index][0]:
                raise Overlap(channel, new, taken[index])
        places.append((taken, index))
    for taken, index in places:
        taken.insert(index, new)
    if len(places) < len(channels):
        for channel in channels:
            slots.setdefault(channel, [new])


def merge(slots: TimeSlots, added: TimeSlots, shift: int) -> None:
    """Add all intervals of ``added``, later by ``shift``: linear in the channels concerned.

    Raises:
        Overlap: nothing was changed.

    """
    merged: TimeSlots = {}
    for channel, intervals in added.items():
        new = [(start + shift, stop + shift) for start, stop in intervals] if shift else list(intervals)
        taken = slots.get(channel)
        if taken:
            in_order = taken[-1][1] <= new[0][0]
            both = taken + new
            if not in_order:
                both.sort()
                _check(channel, both, set(new))
            new = both
        merged[channel] = new
    slots.update(merged)


def _check(channel: Channel, both: list[Interval], new: set[Interval]) -> None:
    for first, second in pairwise(both):
        if first[1] > second[0]:
            mine, other = (first, second) if first in new else (second, first)
            raise Overlap(channel, mine, other)
