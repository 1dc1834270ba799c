"""The measurements of a sequence: stretches of readout samples, and which qubits are measured in them, when.

A stretch is a time in which the resonators' fields are computed without a break; within one, each qubit is measured
while tones drive its own resonator. So a tone that begins where that of another qubit ends, or in the middle of it,
measures its qubit from there on, and until then pulses may act on that qubit. When a qubit is measured more than once
in a stretch, the effect of pulses in between counts as one more jump at its next measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.readout.jumps import Jumps
from pulsed.simulator.readout.response import Response

Ints = NDArray[np.int64]


class MeasuredSpan(NamedTuple):
    """A time in which tones measure a qubit, samples of the shot.

    ``place``: of the qubit in what the stretch measures; ``condition``: of the tones, as that of a burst.
    """

    start: int
    stop: int
    place: int
    condition: int


@dataclass(frozen=True)
class Choices:
    """The conditions (as those of bursts) that tones of a stretch wait for, and what the resonators do without some.

    ``response`` takes which of ``conditions`` hold; its qubits and levels are those of the response to all tones. The
    first tone that waits for each begins at one of ``starts``, samples of the shot.
    """

    conditions: tuple[int, ...]
    starts: tuple[int, ...]
    response: Callable[[tuple[bool, ...]], Response]


@dataclass
class Stretch:
    """Readout samples without a break, what the resonators do meanwhile, and what the shots did.

    ``levels`` and ``jumps`` are filled measurement by measurement and cluster by cluster: (shots, measured) initial
    levels, jumps per qubit. ``response`` is that to all tones; when some wait for bits, which each shot has is in
    ``responses``, shots and response, once that is known. ``parts`` says for each section of the chip that is read
    which of the measured qubits are on its line, and what the resonators on it do; of several, no tone waits for a bit.
    """

    start: int
    stop: int
    response: Response
    choices: Choices | None = None
    responses: list[tuple[Ints | slice, Response]] = field(default_factory=list)
    levels: Ints = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    jumps: list[Jumps] = field(default_factory=list)
    parts: Mapping[int, tuple[slice, Response]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parts = self.parts or {0: (slice(None), self.response)}

    def heard(self, section: int) -> tuple[slice, list[tuple[Ints | slice, Response]]]:
        """Return which of the measured qubits a digitizer hears, and the response of their resonators by shots."""
        if len(self.parts) < 2:
            return slice(None), self.responses
        columns, response = self.parts[section]
        return columns, [(slice(None), response)]

    def clear(self, shots: int) -> None:
        """Make room for what so many shots do."""
        measured, nothing = len(self.response.measured), np.zeros(0, dtype=np.int64)
        self.levels = np.zeros((shots, measured), dtype=np.int64)
        self.jumps = [Jumps(nothing, nothing, nothing, nothing) for _ in range(measured)]
        self.responses = [(slice(None), self.response)]


@dataclass(frozen=True)
class MeasuredQubit:
    """What a measurement found of one qubit, the ``place``-th that is measured: levels (shots,) at its start, jumps."""

    place: int
    levels: Ints
    jumps: Jumps


@dataclass(frozen=True, eq=False)
class Measurement:
    """Qubits that are measured together from ``start`` to ``stop``, samples of the shot, within a stretch.

    Attributes:
        start: when the first tone begins that drives their resonators.
        stop: when the last one has ended.
        stretch: the samples that it is a part of.
        places: the qubits, by index into what the stretch measures.
        again: those of ``places`` that were measured in the stretch before.
        condition: as that of a burst: it is made in shots where this holds.

    """

    start: int
    stop: int
    stretch: Stretch
    places: tuple[int, ...]
    again: frozenset[int] = frozenset()
    condition: int = 0

    @property
    def measured(self) -> tuple[int, ...]:
        """The qubits."""
        return tuple(self.stretch.response.measured[i] for i in self.places)

    @property
    def samples(self) -> tuple[int, int]:
        """From which to which sample of the stretch."""
        return self.start - self.stretch.start, self.stop - self.stretch.start

    def made(self, known: Mapping[int, bool]) -> bool:
        """Return whether it is made in shots of which some bits are known, by index."""
        return not self.condition or known[abs(self.condition) - 1] == (self.condition > 0)

    def photons(self, place: int) -> NDArray[np.float64]:
        """Return (3,) photons that each level of a qubit leaves."""
        photons: NDArray[np.float64] = self.stretch.response.photons_at(self.samples[1])[place]
        return photons

    def keep(self, found: list[MeasuredQubit], shots: Ints | slice = slice(None)) -> None:
        """Write what some shots did, all of them if none are named, into the stretch.

        A qubit that is measured again may have changed its level since: that is a jump before those that follow.
        """
        stretch = self.stretch
        numbers = np.arange(len(stretch.levels))[shots]
        for one in found:
            i, new = one.place, one.jumps
            if i in self.again:
                left = stretch.levels[:, i].copy()
                left[stretch.jumps[i].shots] = stretch.jumps[i].after  # in order of time, so the last one stays
                moved = np.flatnonzero(left[shots] != one.levels)
                first = np.full(len(moved), self.samples[0], dtype=np.int64)
                between = Jumps(moved, first, left[shots][moved], one.levels[moved])
                stretch.jumps[i] = stretch.jumps[i].then(between.of(numbers))
            else:
                stretch.levels[shots, i] = one.levels
            stretch.jumps[i] = stretch.jumps[i].then(new.of(numbers))


def measurements_of(stretch: Stretch, spans: list[MeasuredSpan]) -> list[Measurement]:
    """Return the measurements of a stretch, in order of time.

    Args:
        stretch: the samples.
        spans: each time that a qubit is measured. Those that are alike are one measurement; without any there is still
            one, of nothing.

    """
    together: dict[tuple[int, int, int], list[int]] = {}
    for start, stop, place, condition in sorted(spans):
        together.setdefault((start, stop, condition), []).append(place)
    found: list[Measurement] = []
    seen: set[int] = set()
    for (start, stop, condition), places in together.items():
        again = frozenset(seen & set(places))
        found.append(Measurement(start, stop, stretch, tuple(places), again, condition))
        seen |= set(places)
    return found or [Measurement(stretch.start, stretch.stop, stretch, ())]


def stretches_of(measurements: list[Measurement]) -> list[Stretch]:
    """Return the stretches of some measurements, in order of time."""
    return list({id(m.stretch): m.stretch for m in measurements}.values())


def clear(measurements: list[Measurement], shots: int) -> None:
    """Make readouts ready for what so many shots do."""
    for stretch in stretches_of(measurements):
        stretch.clear(shots)
