"""Readout cache: readouts of sequences, kept by content, so a sweep that changes no readout computes it once.

The same holds for a sweep that moves a readout of a single tone: the response is the same, later, times a phase factor.
"""

from __future__ import annotations

import cmath
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

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

UNITED = 16
"""Readouts of several lines at the same time that are kept as one."""

CLEAN = 1e-9
"""Image and leakage of a mixer below which a tone is a single one; an LSB is 5e-4."""


@dataclass(frozen=True)
class CachedReadout:
    """One readout at the chip: when, in samples, what the resonators do, and what measures when.

    ``parts``: as of :class:`Stretch`.
    """

    start: int
    stop: int
    response: Response
    spans: list[MeasuredSpan]
    choices: Choices | None
    parts: Mapping[int, tuple[slice, Response]]


class ReadoutCache:
    """Finds the readouts of a sequence on a chip."""

    def __init__(self, chip: Chip, limit: int = KEPT) -> None:
        self._limit = limit
        self.take(chip)

    def take(self, chip: Chip) -> None:
        """Go on with the chip as it is now."""
        self._chip = chip
        self._sections = [chip.section(number) for number in range(len(chip.sections))]
        self._kept: OrderedDict[tuple[object, ...], list[CachedReadout]] = OrderedDict()
        self._sizes: dict[tuple[object, ...], int] = {}
        self._bases: OrderedDict[tuple[object, ...], Response] = OrderedDict()
        self._united: OrderedDict[tuple[int, ...], tuple[Sequence[object], list[CachedReadout]]] = OrderedDict()
        self._total = 0

    @property
    def nbytes(self) -> int:
        """Memory in bytes of what is kept."""
        return sum(readout.response.nbytes for readouts in self._kept.values() for readout in readouts)

    def find(self, sequence: PulseSequence) -> list[CachedReadout]:
        """Return the readouts of a sequence, in order of time."""
        if len(self._sections) == 1:
            return self._find(sequence, 0)
        found = []
        for number in range(len(self._sections)):
            windows = tuple(window for window in sequence.windows if window.section == number)
            found.append(self._find(replace(sequence, windows=windows), number))
        key = tuple(map(id, found))
        _, united = self._united.get(key, ((), None))
        if united is None:
            united = _united([readout for own in found for readout in own])
            self._united[key] = found, united  # with what the key tells apart, so that no other gets its identity
            while len(self._united) > UNITED:
                self._united.popitem(last=False)
        return united

    def _find(self, sequence: PulseSequence, number: int) -> list[CachedReadout]:
        """Return the readouts on the line of one section; ``sequence`` has its windows alone."""
        (name, qubits), chip = self._chip.sections[number], self._sections[number]
        reads = np.array([line.name == name for line in sequence.lines], dtype=bool)
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
            for start, stop in readout_spans(chip, sequence, bursts):
                inside = (bursts["start"] >= start) & (bursts["start"] < stop)
                mine, waits = bursts[inside], conditions[inside]
                response = self._response(chip, sequence, mine, start, stop)
                spans = measured_spans(chip, sequence, mine, waits, response.measured, start, stop)
                choices = None
                if waits.any():
                    choices = _choices(chip, qubits, sequence, (mine, waits), (start, stop), response.measured)
                response = _on_chip(response, qubits)
                found.append(CachedReadout(start, stop, response, spans, choices, {number: (slice(None), response)}))
                taken += int(on[mine["line"]].sum())
            accounted(taken, int(on[bursts["line"]].sum()), "readout pulses")
            self._kept[key] = found
        self._kept.move_to_end(key)
        self._measure(key)
        while self._total > self._limit and len(self._kept) > 1:
            self._total -= self._sizes.pop(self._kept.popitem(last=False)[0])
        return found

    def _response(
        self, chip: Chip, sequence: PulseSequence, bursts: NDArray[np.void], start: int, stop: int
    ) -> Response:
        """Return what the resonators of a section do from ``start`` to ``stop``.

        Of a single tone, from what they do at 0.
        """
        mine = bursts.copy()
        if not _single(chip, sequence, mine):
            return respond(chip, *readout_field(chip, sequence, start, stop))
        frequency, phase = float(mine["frequency"][0]), float(mine["phase"][0])
        mine["start"] -= start
        mine["phase"] -= phase
        content = mine.copy()
        content["envelope"] = 0
        envelopes = tuple(sequence.keys[i] for i in mine["envelope"].tolist())
        key = (sequence.lines[mine["line"][0]], content.tobytes(), envelopes, stop - start)
        base = self._bases.get(key)
        if base is None:
            z, lo = readout_field(chip, replace(sequence, bursts=mine), 0, stop - start)
            base = self._bases[key] = respond(chip, z, lo)
            for i in range(len(base.measured)):
                hazards(chip, base, i)
            while len(self._bases) > BASES:
                self._bases.popitem(last=False)
        self._bases.move_to_end(key)
        return base.turned(cmath.exp(1j * (phase - 2 * math.pi * math.fmod(frequency * 1e-9 * start, 1.0))))

    def _measure(self, key: tuple[object, ...]) -> None:
        size = sum(readout.response.nbytes for readout in self._kept[key])
        self._total += size - self._sizes.get(key, 0)
        self._sizes[key] = size


def _united(readouts: list[CachedReadout]) -> list[CachedReadout]:
    """Return readouts in order of time, those of several lines at the same time as one: a state is read at once."""
    found = []
    for (start, stop, alone), group in groupby(
        sorted(readouts, key=lambda one: (one.start, one.stop, one.choices is not None)),
        lambda one: (one.start, one.stop, one.choices is not None),
    ):
        same = list(group)
        if alone or len(same) == 1:
            found += same
            continue
        parts, spans, first = {}, [], 0
        for one in same:
            ((section, (_, response)),) = one.parts.items()
            parts[section] = slice(first, first + len(response.measured)), response
            spans += [span._replace(place=first + span.place) for span in one.spans]
            first += len(response.measured)
        responses = [one.response for one in same]
        whole = Response(
            tuple(q for response in responses for q in response.measured),
            np.concatenate([response.alpha for response in responses]),
            np.concatenate([response.decay for response in responses]),
            np.concatenate([response.scale for response in responses]),
            np.zeros(stop - start, complex),
        )
        found.append(CachedReadout(start, stop, whole, spans, None, parts))
    return found


def _on_chip(response: Response, qubits: tuple[int, ...]) -> Response:
    """Return the response of a section, whose qubits are these, with the numbers that they have on the chip."""
    measured = tuple(qubits[i] for i in response.measured)
    return response if measured == response.measured else replace(response, measured=measured)


def _choices(
    chip: Chip,
    qubits: tuple[int, ...],
    sequence: PulseSequence,
    waiting: tuple[NDArray[np.void], NDArray[np.int64]],
    span: tuple[int, int],
    measured: tuple[int, ...],
) -> Choices:
    """Return what the resonators of a section do when some of the conditions do not hold that its bursts wait for.

    ``waiting``: bursts and, of each, its condition; ``qubits``: those of the section.
    """
    bursts, waits = waiting
    conditions = tuple(np.unique(waits[waits != 0]).tolist())
    known: dict[tuple[bool, ...], Response] = {}

    def response(held: tuple[bool, ...]) -> Response:
        if held not in known:
            true = [0, *(c for c, holds in zip(conditions, held, strict=True) if holds)]
            played = replace(sequence, bursts=bursts[np.isin(waits, true)], conditions=None)
            known[held] = _on_chip(respond(chip, *readout_field(chip, played, *span), measured), qubits)
        return known[held]

    starts = tuple(int(bursts["start"][waits == condition].min()) for condition in conditions)
    return Choices(conditions, starts, response)


def _single(chip: Chip, sequence: PulseSequence, bursts: NDArray[np.void]) -> bool:
    """Return whether bursts are parts of one tone, and nothing else comes through the readout line of a section."""
    if len(set(bursts["frequency"].tolist())) != 1 or len(set(bursts["line"].tolist())) != 1:
        return False
    (name, _), *_ = chip.sections
    for line in sequence.lines:
        if line.name == name and line.on:
            _, image, leakage = mixed(chip.wire(name), line.correction, line.offset)
            if max(abs(image), abs(leakage)) > CLEAN:
                return False
    return True
