"""What the program of a sequencer plays and integrates, shot by shot, identical shots once. Times are ns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple


class ProgramError(Exception):
    """The sequencer stops: an instruction cannot be carried out, or not by this emulation."""


class Counted(NamedTuple):
    """A counter of triggers that is asked for: of ``address``, set to 0 at ``since`` after the shot's start."""

    address: int
    since: int


class Asked(NamedTuple):
    """From when to when since the shot's start a counter is asked for."""

    counter: Counted
    first: int
    last: int


@dataclass(frozen=True)
class PlayedBurst:
    """Waveforms ``i`` and ``q``, by index, at ``time`` since the shot's start."""

    time: int
    i: int
    q: int
    gain: tuple[int, int]
    phase: int
    """Of the oscillator at ``time``, in 1 / :data:`QUARTERS` turns."""
    frequency: int
    """Quarters of a Hz."""
    condition: tuple[tuple[Counted, bool], ...] = ()
    """Counters, and whether a trigger has come, of all that have to hold."""


@dataclass(frozen=True)
class Integral:
    """An acquisition at ``time`` since the shot's start; ``weights``: indices of those of I and Q, None: unweighed."""

    time: int
    acquisition: int
    bin: int
    weights: tuple[int, int] | None
    phase: int
    frequency: int
    step: int = 0
    """From the bin of one shot to that of the next."""


@dataclass(frozen=True)
class Shots:
    """``count`` shots that are alike but for their bins, each ``period`` long; the last one lasts until the end."""

    start: int
    bursts: tuple[PlayedBurst, ...]
    integrals: tuple[Integral, ...]
    marker: int
    count: int = 1
    period: int = 0
    asked: tuple[Asked, ...] = ()

    def split(self, at: int) -> tuple[Shots, Shots]:
        """Return the first ``at`` shots, and those after them."""
        later = tuple(replace(one, bin=one.bin + at * one.step) for one in self.integrals)
        rest = replace(self, start=self.start + at * self.period, integrals=later, count=self.count - at)
        return replace(self, count=at), rest

    def alike(self, other: Shots) -> bool:
        """Whether another one is the same but for its bins."""
        mine, theirs = (tuple(replace(one, bin=0, step=0) for one in shots.integrals) for shots in (self, other))
        return (self.bursts, mine, self.marker, self.asked) == (other.bursts, theirs, other.marker, other.asked)


def side_by_side(runs: Sequence[list[Shots]]) -> list[list[Shots]]:
    """Return the shots of several sequencers in groups of the same sizes.

    Raises :class:`ProgramError` unless all have as many shots, each with the same start and period.
    """
    ends = sorted({end for run in runs for end in accumulate(shots.count for shots in run)})
    found = []
    for run in runs:
        groups, at, left = [], 0, list(run)
        for end in ends:
            if not left:
                break
            first, count = left.pop(0), end - at
            if count < first.count:
                first, rest = first.split(count)
                left.insert(0, rest)
            groups.append(first)
            at = end
        found.append(groups)
    grids = [[(shots.start, shots.count, shots.period) for shots in groups] for groups in found]
    for number, grid in enumerate(grids):
        if grid != grids[0]:
            raise ProgramError(f"the shots of sequencer {number} are not those of sequencer 0, which is not emulated")
    return found


def merged(first: Shots, second: Shots) -> Shots | None:
    """Return two groups of shots as one where they are alike, evenly spaced, and so are their bins; else None."""
    if first.period != second.period or not first.alike(second):
        return None
    integrals = []
    for a, b in zip(first.integrals, second.integrals, strict=True):
        step = a.step if first.count > 1 else b.bin - a.bin
        if b.bin != a.bin + step * first.count or (second.count > 1 and b.step != step):
            return None
        integrals.append(replace(a, step=step))
    return replace(first, integrals=tuple(integrals), count=first.count + second.count)
