"""The sign of each qubit's Z over time, and what is left of the ZZ of a pair."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from pulsed.provider.scheduling.timeline import IdleTime, TimedStep

Couplings = Mapping[int, Mapping[int, float]]
"""For each qubit the always-on ZZ with each neighbour, in turns per dt."""

UNDER_DRIVE = 2 / math.pi
"""Part of a turn about z that is left while the qubit turns about x by a quarter: the mean of the cosine."""


_ECHOED = frozenset({"ecr", "rzz"})
"""Gates made of cross resonance, in whose middle the control is flipped."""
_QUARTERS = frozenset({"ecr", "sx"})
"""Gates that turn a qubit about x by a quarter: the target, of the former."""


def between(times: Sequence[float], start: float, end: float) -> Sequence[float]:
    """Return those of sorted ``times`` that are within an interval, its ends left out."""
    return times[bisect_right(times, start) : bisect_left(times, end)]


def integrals(
    first: Sequence[float], second: Sequence[float], cuts: Sequence[float], start: float, end: float
) -> list[float]:
    """Return the integral of the product of two signs from each cut to the next.

    Args:
        first: when the sign of one changes, sorted.
        second: when the other's does.
        cuts: sorted times.
        start: of what is integrated.
        end: of it.

    """
    marks = [(t, True) for t in between(first, start, end)]
    marks += [(t, True) for t in between(second, start, end)]
    marks += [(t, False) for t in between(cuts, start, end)]
    marks.sort()
    found, total, sign, last = [], 0.0, 1.0, start
    for time, flips in marks:
        total += sign * (time - last)
        last = time
        if flips:
            sign = -sign
        else:
            found.append(total)
            total = 0.0
    found.append(total + sign * (end - last))
    return found


def in_a_quarter_turn(flips: Sequence[float], turn: tuple[int, int], start: float, end: float) -> tuple[float, float]:
    """Return what is left of a sign during a quarter turn of the other qubit about x: along its z, and along its y.

    While the other qubit turns evenly by θ, its Z is cos θ·Z + sin θ·Y of the time at which the turn began.

    Args:
        flips: when the sign changes, sorted.
        turn: when the quarter turn begins and ends.
        start: of what is integrated, within the turn.
        end: of it.

    """
    speed = math.pi / 2 / (turn[1] - turn[0])
    along_z, along_y, sign = 0.0, 0.0, 1.0
    for one, two in pairwise((start, *between(flips, start, end), end)):
        before, after = speed * (one - turn[0]), speed * (two - turn[0])
        along_z += sign * (math.sin(after) - math.sin(before))
        along_y += sign * (math.cos(before) - math.cos(after))
        sign = -sign
    return along_z / speed, along_y / speed


class Signs:
    """What the qubits of one straight piece do.

    Attributes:
        flips: for each qubit when its sign changes, sorted: in the middle of an x, and of the echo of a control.
        cuts: when something that does not commute with ZZ begins or ends, sorted. A control's Z is but flipped.
        quarters: (start, end) of what turns the qubit about x by a quarter, by the start.
        begins: when the qubit first does anything; before that it is in 0, and shifts nobody.
        tones: for each control (target, start, end) of its cross-resonance gates.
        frequencies: of the qubits, Hz, as far as they are known.

    Args:
        steps: the piece, with the starts of its operations.
        couplings: the chip's.
        active: qubits that have begun before it.
        frequencies: of the qubits, Hz.
        directed: pairs (control, target) that play cross resonance in this direction.


    """

    def __init__(
        self,
        steps: Iterable[TimedStep],
        couplings: Couplings,
        active: Iterable[int] = (),
        frequencies: Mapping[int, float] | None = None,
        directed: Container[tuple[int, ...]] = (),
    ) -> None:
        self.couplings = couplings
        self.frequencies = frequencies or {}
        self.flips: dict[int, list[float]] = {}
        self.cuts: dict[int, list[float]] = {}
        self.begins: dict[int, float] = dict.fromkeys(active, -math.inf)
        self.quarters: dict[int, dict[float, tuple[int, int]]] = {}
        self.tones: dict[int, list[tuple[int, int, int]]] = {}
        for step in sorted(steps, key=lambda step: step.start):
            if step.name == "barrier":
                continue
            for q in step.qubits:
                self.begins.setdefault(q, step.start)
            turned = step.qubits
            if step.name in _ECHOED:
                control, target = step.qubits
                if step.name != "ecr" and step.qubits not in directed:
                    control, target = target, control
                self.tones.setdefault(control, []).append((target, step.start, step.end))
                insort(self.flips.setdefault(control, []), (step.start + step.end) / 2)
                turned = (target,)
            if step.name == "x":
                insort(self.flips.setdefault(step.qubits[0], []), (step.start + step.end) / 2)
            elif step.name not in ("rz", "delay"):
                for q in turned:
                    cuts = self.cuts.setdefault(q, [])
                    insort(cuts, step.start)
                    insort(cuts, step.end)
                    if step.name in _QUARTERS:
                        self.quarters.setdefault(q, {})[step.start] = step.start, step.end

    def neighbours(self, qubit: int, start: float, end: float) -> list[tuple[int, float, float]]:
        """Return each neighbour that is not at rest in 0, with the turns per dt, and from when on it is not."""
        return [
            (other, rate, max(start, begin))
            for other, rate in self.couplings.get(qubit, {}).items()
            if (begin := self.begins.get(other, math.inf)) < end
        ]

    def left_over(self, window: IdleTime, flips: Sequence[float]) -> float:
        """Return the squared angles (rad²) by which ZZ turns a qubit and its neighbours during a window."""
        total = 0.0
        for other, rate, start in self.neighbours(window.qubit, window.start, window.end):
            angles = self._unbalanced(other, flips, start, window.end)
            total += (math.pi / 2 * rate) ** 2 * sum(angle * angle for angle in angles)
        return total

    def _unbalanced(self, other: int, flips: Sequence[float], start: float, end: float) -> Iterator[float]:
        """Yield for how long ZZ with a neighbour acts in one sense, for each part in which it does so by itself."""
        theirs = self.flips.get(other, ())
        for one, two in pairwise((start, *between(self.cuts.get(other, ()), start, end), end)):
            turn = self._quarter(other, one)
            if turn is None:
                yield from integrals(flips, theirs, (), one, two)
            else:
                yield from in_a_quarter_turn(flips, turn, one, two)

    def _quarter(self, qubit: int, time: float) -> tuple[int, int] | None:
        """Return the quarter turn in which a qubit is just after ``time``."""
        cuts = self.cuts.get(qubit, ())
        latest = bisect_right(cuts, time)
        turn = self.quarters.get(qubit, {}).get(cuts[latest - 1]) if latest else None
        return turn if turn is not None and turn[1] > time else None

    def turn(self, qubit: int, start: float, end: float, flips: Sequence[float] = (), partner: int = -1) -> float:
        """Return the angle of the virtual z that undoes what neighbours turn a qubit by, an even number of flips in it.

        ``partner``: a neighbour of which the gate takes care.
        """
        total = 0.0
        for other, rate, begin in self.neighbours(qubit, start, end):
            if other != partner:
                (signed,) = integrals(flips, (), (), start, end)
                if begin > start:
                    signed -= integrals(flips, (), (), start, begin)[0]
                total += math.pi * rate * signed
        return total
