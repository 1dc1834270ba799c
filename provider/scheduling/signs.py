"""The sign of each qubit's Z over time, and what is left of the ZZ of a pair."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Container, Iterable, Mapping, Sequence

from pulsed.provider.scheduling.timeline import IdleTime, TimedStep

Couplings = Mapping[int, Mapping[int, float]]
"""For each qubit the always-on ZZ with each neighbour, in turns per dt."""

UNDER_DRIVE = 2 / math.pi
"""Part of a turn about z that is left while the qubit turns about x by a quarter: the mean of the cosine."""


_ECHOED = frozenset({"ecr", "rzz"})
"""Gates made of cross resonance, in whose middle the control is flipped."""


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


class Signs:
    """What the qubits of one straight piece do.

    Attributes:
        flips: for each qubit when its sign changes, sorted: in the middle of an x, and of the echo of a control.
        cuts: when something that does not commute with ZZ begins or ends, sorted.
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
        self.tones: dict[int, list[tuple[int, int, int]]] = {}
        for step in sorted(steps, key=lambda step: step.start):
            if step.name == "barrier":
                continue
            for q in step.qubits:
                self.begins.setdefault(q, step.start)
            if step.name in _ECHOED:
                control, target = step.qubits
                if step.name != "ecr" and step.qubits not in directed:
                    control, target = target, control
                self.tones.setdefault(control, []).append((target, step.start, step.end))
                insort(self.flips.setdefault(control, []), (step.start + step.end) / 2)
            if step.name == "x":
                insort(self.flips.setdefault(step.qubits[0], []), (step.start + step.end) / 2)
            elif step.name not in ("rz", "delay"):
                for q in step.qubits:
                    cuts = self.cuts.setdefault(q, [])
                    insort(cuts, step.start)
                    insort(cuts, step.end)

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
            theirs, cuts = self.flips.get(other, ()), self.cuts.get(other, ())
            angles = integrals(flips, theirs, cuts, start, window.end)
            total += (math.pi / 2 * rate) ** 2 * sum(angle * angle for angle in angles)
        return total

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
