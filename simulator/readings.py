"""The readouts of sequences, kept by content: a sweep that moves no readout works it out once.

Nor does one that moves a readout of a single tone: the resonators do the same later, all fields times a phase factor.
"""

from __future__ import annotations

import cmath
import math
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.acquisition import readout_field, readout_spans
from pulsed.simulator.chip import Chip
from pulsed.simulator.lines import mixed
from pulsed.simulator.readout import Response, hazards, respond
from pulsed.simulator.sequence import Sequence

KEPT = 64 << 20
"""Bytes of responses that are kept, with what was integrated of them; one of five qubits and 800 samples takes 1 MB."""


BASES = 64
"""Readouts of single tones that are kept apart from when they begin."""

CLEAN = 1e-9
"""Image and leakage of a mixer below which a tone is a single one; an LSB is 5e-4."""


@dataclass(frozen=True)
class Reading:
    """One readout at the chip: when, in samples, and what the resonators do."""

    start: int
    stop: int
    response: Response


class Readings:
    """Finds the readouts of a sequence on a chip."""

    def __init__(self, chip: Chip, limit: int = KEPT) -> None:
        self._limit = limit
        self.take(chip)

    def take(self, chip: Chip) -> None:
        """Go on with the chip as it is now."""
        self._chip = chip
        self._kept: OrderedDict[tuple[object, ...], list[Reading]] = OrderedDict()
        self._sizes: dict[tuple[object, ...], int] = {}
        self._bases: OrderedDict[tuple[object, ...], Response] = OrderedDict()
        self._total = 0

    @property
    def nbytes(self) -> int:
        """Memory in bytes of what is kept."""
        return sum(reading.response.nbytes for readings in self._kept.values() for reading in readings)

    def find(self, sequence: Sequence) -> list[Reading]:
        """Return the readouts of a sequence, in order of time."""
        reads = np.array([self._chip.wire(line.name).reads for line in sequence.lines], dtype=bool)
        bursts = sequence.bursts[reads[sequence.bursts["line"]]]
        keys = tuple(sequence.keys[i] for i in bursts["envelope"].tolist())
        content = bursts.copy()
        content["envelope"] = 0
        lines = tuple((i, sequence.lines[i]) for i in np.flatnonzero(reads).tolist())
        key = (lines, content.tobytes(), keys, tuple((w.start, w.length) for w in sequence.windows))
        if self._kept:  # what was used last has grown since
            self._measure(next(reversed(self._kept)))
        found = self._kept.get(key)
        if found is None:
            found = []
            for start, stop in readout_spans(self._chip, sequence, bursts):
                found.append(Reading(start, stop, self._response(sequence, bursts, start, stop)))
            self._kept[key] = found
        self._kept.move_to_end(key)
        self._measure(key)
        while self._total > self._limit and len(self._kept) > 1:
            self._total -= self._sizes.pop(self._kept.popitem(last=False)[0])
        return found

    def _response(self, sequence: Sequence, bursts: NDArray[np.void], start: int, stop: int) -> Response:
        """Return what the resonators do from ``start`` to ``stop``; of a single tone, from what they do at 0."""
        mine = bursts[(bursts["start"] >= start) & (bursts["start"] < stop)].copy()
        if not self._single(sequence, mine):
            return respond(self._chip, *readout_field(self._chip, sequence, start, stop))
        frequency, phase = float(mine["frequency"][0]), float(mine["phase"][0])
        mine["start"] -= start
        mine["phase"] -= phase
        content = mine.copy()
        content["envelope"] = 0
        envelopes = tuple(sequence.keys[i] for i in mine["envelope"].tolist())
        key = (sequence.lines[mine["line"][0]], content.tobytes(), envelopes, stop - start)
        base = self._bases.get(key)
        if base is None:
            z, lo = readout_field(self._chip, replace(sequence, bursts=mine), 0, stop - start)
            base = self._bases[key] = respond(self._chip, z, lo)
            for i in range(len(base.measured)):
                hazards(self._chip, base, i)
            while len(self._bases) > BASES:
                self._bases.popitem(last=False)
        self._bases.move_to_end(key)
        return base.turned(cmath.exp(1j * (phase - 2 * math.pi * math.fmod(frequency * 1e-9 * start, 1.0))))

    def _single(self, sequence: Sequence, bursts: NDArray[np.void]) -> bool:
        """Return whether bursts are parts of one tone, and nothing else comes through any readout line."""
        if len(set(bursts["frequency"].tolist())) != 1 or len(set(bursts["line"].tolist())) != 1:
            return False
        for line in sequence.lines:
            wire = self._chip.wire(line.name)
            if wire.reads and line.on:
                _, image, leakage = mixed(wire, line.correction, line.offset)
                if max(abs(image), abs(leakage)) > CLEAN:
                    return False
        return True

    def _measure(self, key: tuple[object, ...]) -> None:
        size = sum(reading.response.nbytes for reading in self._kept[key])
        self._total += size - self._sizes.get(key, 0)
        self._sizes[key] = size
