"""Where the x pulses of a wait go: as few as make ZZ turn less than their own errors would."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pulsed.provider.scheduling.signs import Signs, between
from pulsed.provider.scheduling.timeline import IdleTime

NEAR = 60e6
"""Hz: an x on a qubit is disturbed by a tone for the neighbour's partner that is nearer, through crosstalk."""
_DISTURBED = 1e-2
"""Error of an x pulse during such a tone."""
_MOST = 8
"""Pulses of an even sequence that is tried on a wait as a whole."""
_STEPS = (16, 4)
"""dt by which pulses are moved, in turn."""
_ENOUGH = 1.0
"""Part of the error of a pulse: pulses are not moved to make ZZ turn less than that."""
_SWEEPS = 2
"""How often all waits are gone through: the first time some do not know their neighbours' pulses yet."""


@dataclass(frozen=True)
class Flip:
    """The x of a qubit.

    Its length in dt, its error beyond that of waiting as long, and its frequency in Hz, None where unknown.
    """

    length: int
    error: float
    frequency: float | None = None


def colours(signs: Signs) -> dict[int, int]:
    """Return a colour for each qubit, different for neighbours, as few as a greedy choice needs."""
    found: dict[int, int] = {}
    for q in sorted(signs.couplings):
        taken = {found.get(other) for other in signs.couplings[q]}
        found[q] = next(colour for colour in range(len(taken) + 1) if colour not in taken)
    return found


def choose_pulses(windows: Sequence[IdleTime], signs: Signs, flips: Mapping[int, Flip], grid: int) -> None:
    """Put x pulses into ``windows``, an even number into each, and their middles into ``signs``.

    Qubits of one colour come first, and those of the next see their pulses and keep apart from them. ``grid``: dt of
    which the time from a window's start to a pulse is a multiple.
    """
    colour = colours(signs)
    open_ = [one for one in windows if one.qubit in flips and one.end - one.start >= 2 * flips[one.qubit].length]
    open_.sort(key=lambda one: (colour.get(one.qubit, 0), one.start))
    todo = open_
    for _ in range(_SWEEPS):
        for window in todo:
            _Chooser(window, signs, flips, grid).choose()
        todo = _beside_others(open_, signs)


def _beside_others(windows: Sequence[IdleTime], signs: Signs) -> list[IdleTime]:
    """Return those of ``windows`` during which a coupled qubit waits, too: its pulses have changed since."""
    ends: dict[int, list[tuple[int, int]]] = {}
    for window in sorted(windows, key=lambda one: one.start):
        ends.setdefault(window.qubit, []).append((window.start, window.end))

    def waits(qubit: int, start: int, end: int) -> bool:
        own = ends.get(qubit, [])
        before = bisect_left(own, (end, 0))
        return before > 0 and own[before - 1][1] > start

    return [one for one in windows if any(waits(q, one.start, one.end) for q in signs.couplings.get(one.qubit, ()))]


class _Chooser:
    """Chooses the pulses of one window. Pulses are told by their starts, in dt from that of the window."""

    def __init__(self, window: IdleTime, signs: Signs, flips: Mapping[int, Flip], grid: int) -> None:
        self.window, self.signs, self.flip, self.grid = window, signs, flips[window.qubit], grid
        self.length = window.end - window.start
        mine = signs.flips.setdefault(window.qubit, [])
        for time in window.middles:  # of an earlier sweep
            mine.remove(time)
        window.pulses, window.width = [], self.flip.length
        neighbours = signs.neighbours(window.qubit, window.start, window.end)
        self.theirs = sorted(
            time for other, _, _ in neighbours for time in between(signs.flips.get(other, ()), window.start, window.end)
        )
        self.cuts = sorted(
            time
            for other, _, begin in neighbours
            for time in (begin, *between(signs.cuts.get(other, ()), window.start, window.end))
            if window.start < time < window.end
        )
        self.loud = self._loud({other for other, _, _ in neighbours})

    def _loud(self, neighbours: set[int]) -> list[tuple[int, int]]:
        """Return when a neighbour plays a tone that is near the qubit's frequency."""
        return [
            (start, end)
            for control in neighbours
            for target, start, end in self.signs.tones.get(control, ())
            if target != self.window.qubit and self._is_near(target)
        ]

    def _is_near(self, target: int) -> bool:
        mine, tone = self.flip.frequency, self.signs.frequencies.get(target)
        return mine is not None and tone is not None and abs(mine - tone) < NEAR

    def choose(self) -> None:
        """Set the pulses of the window that cost least."""
        best, least = [], self.signs.left_over(self.window, [])
        if least > 2 * self.flip.error:
            for times in self._candidates():
                starts = self._fitted(times)
                if starts is not None and (cost := self._cost(starts)) < least:
                    best, least = starts, cost
            best = self._refined(best, least)
        self.window.pulses = [self.window.start + start for start in best]
        for time in self.window.middles:
            insort(self.signs.flips[self.window.qubit], time)

    def _middles(self, starts: Sequence[int]) -> list[float]:
        return [self.window.start + start + self.flip.length / 2 for start in starts]

    def _cost(self, starts: Sequence[int]) -> float:
        """Return errors and squared angles (rad²) together."""
        middles, half = self._middles(starts), self.flip.length / 2
        cost = self.signs.left_over(self.window, middles) + self.flip.error * len(starts)
        for time in middles:
            cost += _DISTURBED * sum(start - half < time < end + half for start, end in self.loud)
            # a neighbour's pulse at the same time: what one of them does by crosstalk is not refocused
            cost += self.flip.error * len(between(self.theirs, time - 2 * half, time + 2 * half))
        return cost

    def _candidates(self) -> Iterator[list[float]]:
        """Yield middles of pulses, from the start of the window."""
        length, ends = float(self.length), self.flip.length / 2
        for count in range(2, _MOST + 1, 2):
            yield [length * (2 * k + 1) / (2 * count) for k in range(count)]
        yield [length / 2, length - ends]
        yield [ends, length / 2]
        marks = [0.0, *(cut - self.window.start for cut in self.cuts), length]
        echoes = sorted({*marks, *(time - self.window.start for time in self.theirs)})
        for bounds in (marks, echoes):
            parts = [(a, b) for a, b in pairwise(bounds) if b - a >= self.flip.length]
            if len(parts) > 1:
                yield from self._by_parts(parts, length - ends)

    def _by_parts(self, parts: Sequence[tuple[float, float]], last: float) -> Iterator[list[float]]:
        """Yield sequences that are balanced from each cut to the next; ``last``: for one that makes them even."""
        echoed = [time - self.window.start for time in self.theirs]
        centres = [[(a + b) / 2] for a, b in parts]
        quarters = [[a + (b - a) / 4, b - (b - a) / 4] for a, b in parts]
        mixed = [
            quarter if between(echoed, *part) else centre
            for part, centre, quarter in zip(parts, centres, quarters, strict=True)
        ]
        for each in (centres, quarters, mixed):
            times = [time for part in each for time in part]
            yield times if len(times) % 2 == 0 else [*times, last]

    def _fitted(self, times: Sequence[float]) -> list[int] | None:
        """Return starts of pulses about these times, on the grid and apart; None where there is no room."""
        length, found, free = self.flip.length, [], 0
        for time in sorted(times):
            start = max(math.ceil((time - length / 2) / self.grid - 0.5) * self.grid, free)
            found.append(start)
            free = start + length + -(start + length) % self.grid
        latest = (self.length - length) // self.grid * self.grid
        for k in reversed(range(len(found))):
            found[k] = min(found[k], latest)
            latest = (found[k] - length) // self.grid * self.grid
        return None if found[0] < 0 else found

    def _refined(self, starts: list[int], cost: float) -> list[int]:
        """Return the same pulses, each moved as long as that costs less and something worth it is left."""
        length, enough = self.flip.length, self.flip.error * (len(starts) + _ENOUGH)
        for step in _STEPS:
            step = -(-step // self.grid) * self.grid  # noqa: PLW2901 - on the grid
            moved = bool(starts)
            while moved and cost > enough:
                moved = False
                for k in range(len(starts)):
                    for to in (starts[k] - step, starts[k] + step):
                        low = starts[k - 1] + length if k else 0
                        high = starts[k + 1] - length if k + 1 < len(starts) else self.length - length
                        trial = [*starts[:k], to, *starts[k + 1 :]]
                        if low <= to <= high and (less := self._cost(trial)) < cost * (1 - 1e-9):
                            starts, cost, moved = trial, less, True
        return starts
