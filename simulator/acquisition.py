"""From readout bursts to what the digitizer returns: records, averages and integrals of each shot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pulsed.model.errors import InvalidValueError
from pulsed.simulator.chip import Chip
from pulsed.simulator.evolution import Measurement
from pulsed.simulator.lines import low_pass, mixed
from pulsed.simulator.readout import Jumps, Response, digitize, integrals, integrate, trajectories
from pulsed.simulator.sequence import Mode, Outcome, Sequence, Window

Complex = NDArray[np.complex128]

RING_DOWN = 4
"""Samples after a readout burst in which the line still rings."""

_RAW_BLOCK = 256
"""Shots of raw records drawn at a time."""


def readout_spans(chip: Chip, sequence: Sequence) -> list[tuple[int, int]]:
    """Return (start, stop) of each readout at the chip: readout bursts and windows that touch, joined."""
    spans = []
    for burst in sequence.bursts:
        line = sequence.lines[burst["line"]]
        if chip.wire(line.name).reads and line.on:
            start = int(burst["start"])
            spans.append((start, start + len(sequence.envelopes[burst["envelope"]]) + RING_DOWN))
    for window in sequence.windows:
        start = window.start - chip.amplifier.delay
        spans.append((start, start + window.length))
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def readout_field(chip: Chip, sequence: Sequence, start: int, stop: int) -> tuple[Complex, float]:
    """Return the samples at the chip, (stop - start,), behind mixer and line, and the readout LO (Hz)."""
    z = np.zeros(stop - start, complex)
    lo = float(np.mean([q.readout_frequency for q in chip.qubits]))
    for index, line in enumerate(sequence.lines):
        wire = chip.wire(line.name)
        if not wire.reads:
            continue
        lo = line.lo_frequency
        if not line.on:
            continue
        played = np.zeros_like(z)
        for burst in sequence.bursts[sequence.bursts["line"] == index]:
            envelope = sequence.envelopes[burst["envelope"]]
            first = int(burst["start"]) - start
            if not 0 <= first < len(z):
                continue
            t = (int(burst["start"]) + np.arange(len(envelope))) * 1e-9
            tone = np.exp(1j * (float(burst["phase"]) - 2 * np.pi * float(burst["frequency"]) * t))
            played[first : first + len(envelope)] += float(burst["amplitude"]) * envelope * tone
        direct, image, leakage = mixed(wire, line.correction, line.offset)
        z += low_pass(direct * played + image * played.conj() + leakage, wire.bandwidth, 0.0, 1)[:-1]
    return z, lo


class Acquisition:
    """What the digitizer gets of one run, once every shot's levels and jumps are known."""

    def __init__(
        self,
        chip: Chip,
        sequence: Sequence,
        measurements: list[Measurement],
        shots: int,
        rng: np.random.Generator,
    ) -> None:
        self._amplifier = chip.amplifier
        self._shots = shots
        self._rng = rng
        self._pairs = [(w, self._owner(w, measurements)) for w in sequence.windows]

    def integrated(self) -> Outcome:
        """Return the integrals from the sufficient statistic, or from records when one of them could clip."""
        if any(self._may_clip(m.response) for _, m in self._pairs):
            return self._integrated_from_records()
        parts: list[Complex] = [np.zeros((self._shots, 0), complex)]
        for window, measurement in self._pairs:
            if window.kernels:
                sums = integrals(measurement.response, self._weights(window, measurement), self._amplifier)
                values = integrate(measurement.response, sums, measurement.levels, measurement.jumps, self._rng)
                parts.append(values)
        return Outcome(integrated=np.concatenate(parts, axis=1).astype(np.complex64))

    def records(self, mode: Mode) -> Outcome:
        """Return the records of all shots (``raw``) or their mean (``averaged``), in ADC codes."""
        samples = sum(w.length for w, _ in self._pairs)
        raw = np.empty((self._shots if mode == "raw" else 0, samples, 2), dtype=np.int16)
        total = np.zeros((samples, 2))
        overrange, column = False, 0
        for window, measurement in self._pairs:
            stop = column + window.length
            for part in self._blocks():
                codes, over = self._codes(window, measurement, part)
                overrange |= over
                if mode == "raw":
                    raw[part, column:stop] = codes
                else:
                    total[column:stop] += codes.sum(axis=0)
            column = stop
        if mode == "raw":
            return Outcome(raw=raw, overrange=overrange)
        return Outcome(averaged=total / self._shots, overrange=overrange)

    def _owner(self, window: Window, measurements: list[Measurement]) -> Measurement:
        """Return the readout that a window lies in; the spans were made to hold every window."""
        start = window.start - self._amplifier.delay
        for measurement in measurements:
            if measurement.start <= start and start + window.length <= measurement.stop:
                return measurement
        raise InvalidValueError(
            "an acquisition window lies outside the shot", subject="window", value=f"{window.start} ns"
        )

    def _first(self, window: Window, measurement: Measurement) -> int:
        return window.start - self._amplifier.delay - measurement.start

    def _weights(self, window: Window, measurement: Measurement) -> Complex:
        """Return (kernels, samples) weights of a window's kernels along a readout's samples."""
        first = self._first(window, measurement)
        t = (window.start + np.arange(window.length)) * 1e-9
        out = np.zeros((len(window.kernels), measurement.stop - measurement.start), complex)
        for k, kernel in enumerate(window.kernels):
            out[k, first : first + window.length] = kernel.weights * np.exp(2j * np.pi * kernel.frequency * t)
        return out

    def _blocks(self) -> list[slice]:
        return [slice(low, min(low + _RAW_BLOCK, self._shots)) for low in range(0, self._shots, _RAW_BLOCK)]

    def _codes(self, window: Window, measurement: Measurement, part: slice) -> tuple[NDArray[np.int16], bool]:
        jumps = [_slice_jumps(j, part) for j in measurement.jumps]
        means = trajectories(measurement.response, measurement.levels[part], jumps)
        first = self._first(window, measurement)
        return digitize(means[:, first : first + window.length], self._amplifier, self._rng)

    def _integrated_from_records(self) -> Outcome:
        parts, overrange = [], False
        for window, measurement in self._pairs:
            first = self._first(window, measurement)
            weights = self._weights(window, measurement)[:, first : first + window.length].T
            blocks = []
            for part in self._blocks():
                codes, over = self._codes(window, measurement, part)
                blocks.append((codes[..., 0] + 1j * codes[..., 1]) @ weights / self._amplifier.full_scale)
                overrange |= over
            parts.append(np.concatenate(blocks))
        return Outcome(integrated=np.concatenate(parts, axis=1).astype(np.complex64), overrange=overrange)

    def _may_clip(self, response: Response) -> bool:
        """Return whether a record could leave the ADC's range: six standard deviations from the largest mean."""
        largest = np.abs(response.background)
        for i in range(len(response.measured)):
            largest = largest + response.scale[i] * np.abs(response.alpha[i]).max(axis=0)[1:]
        return bool(largest.max(initial=0.0) + 6 * self._amplifier.noise_lsb / self._amplifier.full_scale > 1)


def _slice_jumps(jump: Jumps, part: slice) -> Jumps:
    mine = (jump.shots >= part.start) & (jump.shots < part.stop)
    return Jumps(jump.shots[mine] - part.start, jump.times[mine], jump.before[mine], jump.after[mine])
