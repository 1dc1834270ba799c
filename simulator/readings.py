"""The readouts of sequences, kept by content: a sweep that moves no readout works it out once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from pulsed.simulator.acquisition import readout_field, readout_spans
from pulsed.simulator.chip import Chip
from pulsed.simulator.readout import Response, respond
from pulsed.simulator.sequence import Sequence

KEPT = 64 << 20
"""Bytes of responses that are kept, with what was integrated of them; one of five qubits and 800 samples takes 1 MB."""


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
                z, lo = readout_field(self._chip, sequence, start, stop)
                found.append(Reading(start, stop, respond(self._chip, z, lo)))
            self._kept[key] = found
        self._kept.move_to_end(key)
        self._measure(key)
        while self._total > self._limit and len(self._kept) > 1:
            self._total -= self._sizes.pop(self._kept.popitem(last=False)[0])
        return found

    def _measure(self, key: tuple[object, ...]) -> None:
        size = sum(reading.response.nbytes for reading in self._kept[key])
        self._total += size - self._sizes.get(key, 0)
        self._sizes[key] = size
