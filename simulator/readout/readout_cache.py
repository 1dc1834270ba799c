"""Readout cache: readouts of sequences, kept by content, so a sweep that changes no readout computes it once.

The same holds for a sweep that moves a readout of a single tone: the response is the same, later, times a phase factor.
"""

from __future__ import annotations

import cmath
import math
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.dynamics.lines import mixed
from pulsed.simulator.dynamics.pulse_account import accounted
from pulsed.simulator.dynamics.sequence import PulseSequence
from pulsed.simulator.readout.acquisition import measured_spans, readout_field, readout_spans
from pulsed.simulator.readout.jumps import hazards
from pulsed.simulator.readout.measurement import Choices, MeasuredSpan
from pulsed.simulator.readout.response import Response, respond

KEPT = 64 << 20
"""Bytes of responses that are kept, with what was integrated of them; one of five qubits and 800 samples takes 1 MB."""


BASES = 64
"""Readouts of single tones that are kept, whatever time they begin at."""

CLEAN = 1e-9
"""Image and leakage of a mixer below which a tone is a single one; an LSB is 5e-4."""


@dataclass(frozen=True)
class CachedReadout:
    """One readout at the chip: when, in samples, what the resonators do, and what measures when."""

    start: int
    stop: int
    response: Response
    spans: list[MeasuredSpan]
    choices: Choices | None = None


class ReadoutCache:
    """Finds the readouts of a sequence on a chip."""

    def __init__(self, chip: Chip, limit: int = KEPT) -> None:
        self._limit = limit
        self.take(chip)

    def take(self, chip: Chip) -> None:
        """Go on with the chip as it is now."""
        self._chip = chip
        self._kept: OrderedDict[tuple[object, ...], list[CachedReadout]] = OrderedDict()
        self._sizes: dict[tuple[object, ...], int] = {}
        self._bases: OrderedDict[tuple[object, ...], Response] = OrderedDict()
        self._total = 0

    @property
    def nbytes(self) -> int:
        """Memory in bytes of what is kept."""
        return sum(readout.response.nbytes for readouts in self._kept.values() for readout in readouts)

    def find(self, sequence: PulseSequence) -> list[CachedReadout]:
        """Return the readouts of a sequence, in order of time."""
        reads = np.array([self._chip.wire(line.name).reads for line in sequence.lines], dtype=bool)
        mine = reads[sequence.bursts["line"]]
        bursts = sequence.bursts[mine]
        conditions = np.zeros(len(bursts), np.int64) if sequence.conditions is None else sequence.conditions[mine]
        keys = tuple(sequence.keys[i] for i in bursts["envelope"].tolist())
        content = bursts.copy()
        content["envelope"] = 0
        lines = tuple((i, sequence.lines[i]) for i in np.flatnonzero(reads).tolist())
        waiting = conditions.tobytes() if conditions.any() else b""
        key = (lines, content.tobytes(), keys, tuple((w.start, w.length) for w in sequence.windows), waiting)
        if self._kept:  # what was used last has grown since
            self._measure(next(reversed(self._kept)))
        found = self._kept.get(key)
        if found is None:
            found, taken = [], 0
            on = np.array([line.on for line in sequence.lines], dtype=bool)
            for start, stop in readout_spans(self._chip, sequence, bursts):
                inside = (bursts["start"] >= start) & (bursts["start"] < stop)
                mine, waits = bursts[inside], conditions[inside]
                response = self._response(sequence, mine, start, stop)
                spans = measured_spans(self._chip, sequence, mine, waits, response.measured, start, stop)
                choices = (
                    self._choices(sequence, mine, waits, (start, stop), response.measured) if waits.any() else None
                )
                found.append(CachedReadout(start, stop, response, spans, choices))
                taken += int(on[mine["line"]].sum())
            accounted(taken, int(on[bursts["line"]].sum()), "readout pulses")
            self._kept[key] = found
        self._kept.move_to_end(key)
        self._measure(key)
        while self._total > self._limit and len(self._kept) > 1:
            self._total -= self._sizes.pop(self._kept.popitem(last=False)[0])
        return found

    def _choices(
        self,
        sequence: PulseSequence,
        bursts: NDArray[np.void],
        waits: NDArray[np.int64],
        span: tuple[int, int],
        measured: tuple[int, ...],
    ) -> Choices:
        """Return what the resonators do when some of the conditions ``waits`` (bursts,) do not hold."""
        chip, conditions = self._chip, tuple(np.unique(waits[waits != 0]).tolist())
        known: dict[tuple[bool, ...], Response] = {}

        def response(held: tuple[bool, ...]) -> Response:
            if held not in known:
                true = [0, *(c for c, holds in zip(conditions, held, strict=True) if holds)]
                played = replace(sequence, bursts=bursts[np.isin(waits, true)], conditions=None)
                known[held] = respond(chip, *readout_field(chip, played, *span), measured)
            return known[held]

        starts = tuple(int(bursts["start"][waits == condition].min()) for condition in conditions)
        return Choices(conditions, starts, response)

    def _response(self, sequence: PulseSequence, bursts: NDArray[np.void], start: int, stop: int) -> Response:
        """Return what the resonators do from ``start`` to ``stop``; of a single tone, from what they do at 0."""
        mine = bursts.copy()
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

    def _single(self, sequence: PulseSequence, bursts: NDArray[np.void]) -> bool:
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
        size = sum(readout.response.nbytes for readout in self._kept[key])
        self._total += size - self._sizes.get(key, 0)
        self._sizes[key] = size
