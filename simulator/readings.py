"""The readouts of sequences, kept by content: a sweep that moves no readout works it out once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from pulsed.simulator.acquisition import readout_field, readout_spans
from pulsed.simulator.chip import Chip
from pulsed.simulator.readout import Response, respond
from pulsed.simulator.sequence import Sequence

KEPT = 32 << 20
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
        found = self._kept.get(key)
        if found is None:
            found = []
            for start, stop in readout_spans(self._chip, sequence, bursts):
                z, lo = readout_field(self._chip, sequence, start, stop)
                found.append(Reading(start, stop, respond(self._chip, z, lo)))
            self._kept[key] = found
        self._kept.move_to_end(key)
        while self.nbytes > self._limit and len(self._kept) > 1:
            self._kept.popitem(last=False)
        return found
