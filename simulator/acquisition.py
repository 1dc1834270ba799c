"""From readout bursts to what the digitizer returns: records, averages and integrals of each shot."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pulsed.model.errors import InvalidValueError
from pulsed.simulator.chip import Chip
from pulsed.simulator.feedline import rippled
from pulsed.simulator.lines import low_pass, mixed
from pulsed.simulator.measurement import Measurement
from pulsed.simulator.readout import Integrals, Jumps, Response, digitize, integrals, integrate, trajectories
from pulsed.simulator.residual import GONE
from pulsed.simulator.sequence import Mode, Outcome, Sequence, Window

Complex = NDArray[np.complex128]

RING_DOWN = 4
"""Samples after a readout burst in which the line still rings."""

KEPT_INTEGRALS = 4
"""Windows of one readout whose sums are kept."""

_RAW_BLOCK = 256
"""Shots of raw records drawn at a time."""


def readout_spans(chip: Chip, sequence: Sequence, bursts: NDArray[np.void]) -> list[tuple[int, int]]:
    """Return (start, stop) of each readout at the chip: ``bursts`` on readout lines and windows that touch, joined."""
    spans = []
    for burst in bursts:
        if sequence.lines[burst["line"]].on:
            start = int(burst["start"])
            late = chip.feedline.ripple_delay if chip.feedline.ripple else 0
            spans.append((start, start + len(sequence.envelopes[burst["envelope"]]) + RING_DOWN + late))
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
    return rippled(chip.feedline, z, lo), lo


def owner(window: Window, measurements: list[Measurement], delay: int) -> Measurement:
    """Return the readout that a window lies in, ``delay`` samples before; the spans were made to hold every window."""
    start = window.start - delay
    for measurement in measurements:
        if measurement.start <= start and start + window.length <= measurement.stop:
            return measurement
    raise InvalidValueError("an acquisition window lies outside the shot", subject="window", value=f"{window.start} ns")


@dataclass(frozen=True)
class Leftover:
    """What an earlier readout has left in the resonator of a measured qubit when the next one begins.

    The field decays with the qubit's level at either end, half of the gap each; a jump later on leaves it as it was.
    """

    before: Measurement
    after: Measurement
    i: int
    j: int
    """Index of the qubit in what the earlier one measured, and the later one."""

    @property
    def _gap(self) -> int:
        return self.after.start - self.before.stop

    @property
    def largest(self) -> float:
        """The largest field at the start, ADC full scales."""
        response = self.before.response
        left = np.sqrt(response.photons[self.i]) * np.abs(response.decay[self.i]) ** self._gap
        return float(self.after.response.scale[self.j] * left.max())

    def fields(self, part: slice) -> Complex:
        """Return the field of some shots at the start, (shots,), ADC full scales."""
        jumps, old = self.before.jumps[self.i], self.before.levels[:, self.i].copy()
        old[jumps.shots] = jumps.after  # in order of time, so the last one stays
        new = self.after.levels[part, self.j]
        rate = np.log(self.before.response.decay[self.i])
        passed = np.exp(0.5 * self._gap * (rate[old[part]] + rate[new]))
        out: Complex = self.after.response.scale[self.j] * self.before.response.alpha[self.i, old[part], -1] * passed
        return out

    def decays(self, samples: int, part: slice) -> Complex:
        """Return what is left of a field after each sample of the later readout, (shots, samples)."""
        every = self.after.response.decay[self.j][:, None] ** np.arange(1, samples + 1)
        out: Complex = every[self.after.levels[part, self.j]]
        return out

    def sums(self, weights: Complex) -> Complex:
        """Return the integral of a field that starts at 1 under kernels (K, samples) in each shot, (shots, K)."""
        every = self.after.response.decay[self.j][:, None] ** np.arange(1, weights.shape[1] + 1)
        out: Complex = (every @ weights.T)[self.after.levels[:, self.j]]
        return out


def leftovers(before: list[Measurement], after: Measurement) -> list[Leftover]:
    """Return what earlier readouts have left when one begins, of the qubits that both measure."""
    found = []
    for j, qubit in enumerate(after.response.measured):
        last = next((m for m in reversed(before) if qubit in m.response.measured), None)
        if last is None:
            continue
        i = last.response.measured.index(qubit)
        faded = np.abs(last.response.decay[i]).max() ** (2 * (after.start - last.stop))
        if last.response.photons[i].max() * faded > GONE:
            found.append(Leftover(last, after, i, j))
    return found


class Acquisition:
    """What the digitizer gets of one run, once every shot's levels and jumps are known."""

    def __init__(
        self,
        chip: Chip,
        sequence: Sequence,
        measurements: list[Measurement],
        shots: int,
        rng: np.random.Generator,
        mode: Mode,
    ) -> None:
        self._amplifier = chip.amplifier
        self._shots = shots
        self._rng = rng
        self._mode = mode
        self._bits = sequence.bits
        self._pairs = [(w, owner(w, measurements, chip.amplifier.delay)) for w in sequence.windows]
        self._before = {
            id(m): leftovers(measurements[:k], m) for k, m in enumerate(measurements) if chip.feedline.carry
        }
        # Integrals come from the sufficient statistic, or from records when one of them could clip.
        self._drawn = mode == "integrated" and not any(self._may_clip(m) for _, m in self._pairs)
        samples = sum(w.length for w, _ in self._pairs)
        self._raw = np.empty((shots if mode == "raw" else 0, samples, 2), dtype=np.int16)
        self._total = np.zeros((samples, 2))
        self._values: list[NDArray[np.complex64]] = []
        self._column, self._overrange = 0, False

    def take(self, windows: int) -> None:
        """Record the first ``windows`` windows, of which the readouts must have been followed in every shot."""
        for window, measurement in self._pairs[len(self._values) : windows]:
            if not self._drawn:
                values = self._recorded(window, measurement)
            elif window.kernels:
                sums = self._integrals(window, measurement)
                values = integrate(measurement.response, sums, measurement.levels, measurement.jumps, self._rng)
                for left in self._before.get(id(measurement), ()):
                    values += left.fields(slice(None))[:, None] * left.sums(self._weights(window, measurement))
            else:
                values = np.zeros((self._shots, 0), complex)
            self._values.append(values.astype(np.complex64))

    def bit(self, index: int) -> NDArray[np.bool_]:
        """Return a bit of the sequence in each shot, (shots,); its window must have been taken."""
        bit = self._bits[index]
        return bit.of(self._values[bit.window][:, bit.kernel])

    def outcome(self) -> Outcome:
        """Take all windows and return what the digitizer gets."""
        self.take(len(self._pairs))
        if self._mode == "raw":
            return Outcome(raw=self._raw, overrange=self._overrange)
        if self._mode == "averaged":
            return Outcome(averaged=self._total / self._shots, overrange=self._overrange)
        nothing = np.zeros((self._shots, 0), np.complex64)
        return Outcome(integrated=np.concatenate([nothing, *self._values], axis=1), overrange=self._overrange)

    def _first(self, window: Window, measurement: Measurement) -> int:
        return window.start - self._amplifier.delay - measurement.start

    def _weights(self, window: Window, measurement: Measurement) -> Complex:
        """Return (kernels, samples) weights of a window's kernels along a readout's samples."""
        return self._placed(window, self._first(window, measurement), measurement.stop - measurement.start)

    def _placed(self, window: Window, first: int, samples: int) -> Complex:
        t = (window.start + np.arange(window.length)) * 1e-9
        out = np.zeros((len(window.kernels), samples), complex)
        for k, kernel in enumerate(window.kernels):
            out[k, first : first + window.length] = kernel.weights * np.exp(2j * np.pi * kernel.frequency * t)
        return out

    def _integrals(self, window: Window, measurement: Measurement) -> Integrals:
        """Return the sums of a readout under a window's kernels: those of the same readout at another time, turned."""
        response, first, start = measurement.response, self._first(window, measurement), measurement.start
        if response.base is None:
            return self._sums(response, window, first, measurement.stop - start)
        for before, offset, sums in response.kept:
            if offset == first and before.same(window):
                return sums
        early = replace(window, start=window.start - start)
        cycles = np.fmod(np.array([kernel.frequency for kernel in window.kernels]) * 1e-9 * start, 1.0)
        sums = self._sums(response.base, early, first, measurement.stop - start)
        return _keep(response, window, first, sums.turned(response.turn, np.exp(2j * np.pi * cycles)))

    def _sums(self, response: Response, window: Window, first: int, samples: int) -> Integrals:
        """Return the sums of a response under a window's kernels, kept with the response by content."""
        for before, offset, sums in response.kept:
            if offset == first and before.same(window):
                return sums
        weights = self._placed(window, first, samples)
        return _keep(response, window, first, integrals(response, weights, self._amplifier))

    def _blocks(self) -> list[slice]:
        return [slice(low, min(low + _RAW_BLOCK, self._shots)) for low in range(0, self._shots, _RAW_BLOCK)]

    def _codes(self, window: Window, measurement: Measurement, part: slice) -> tuple[NDArray[np.int16], bool]:
        jumps = [_slice_jumps(j, part) for j in measurement.jumps]
        means = trajectories(measurement.response, measurement.levels[part], jumps)
        for left in self._before.get(id(measurement), ()):
            means += left.fields(part)[:, None] * left.decays(means.shape[1], part)
        first = self._first(window, measurement)
        return digitize(means[:, first : first + window.length], self._amplifier, self._rng)

    def _recorded(self, window: Window, measurement: Measurement) -> Complex:
        """Draw the records of a window, keep what the mode asks for, and return their integrals, (shots, kernels)."""
        first, stop = self._first(window, measurement), self._column + window.length
        weights = self._weights(window, measurement)[:, first : first + window.length].T
        values = np.zeros((self._shots, len(window.kernels)), complex)
        for part in self._blocks():
            codes, over = self._codes(window, measurement, part)
            self._overrange |= over
            if self._mode == "raw":
                self._raw[part, self._column : stop] = codes
            elif self._mode == "averaged":
                self._total[self._column : stop] += codes.sum(axis=0)
            if self._mode == "integrated" or self._bits:
                values[part] = (codes[..., 0] + 1j * codes[..., 1]) @ weights / self._amplifier.full_scale
        self._column = stop
        return values

    def _may_clip(self, measurement: Measurement) -> bool:
        """Return whether a record could leave the ADC's range: six standard deviations from the largest mean."""
        largest = measurement.response.largest + sum(left.largest for left in self._before.get(id(measurement), ()))
        return bool(largest + 6 * self._amplifier.noise_lsb / self._amplifier.full_scale > 1)


def _keep(response: Response, window: Window, first: int, sums: Integrals) -> Integrals:
    response.kept.append((window, first, sums))
    del response.kept[:-KEPT_INTEGRALS]
    return sums


def _slice_jumps(jump: Jumps, part: slice) -> Jumps:
    mine = (jump.shots >= part.start) & (jump.shots < part.stop)
    return Jumps(jump.shots[mine] - part.start, jump.times[mine], jump.before[mine], jump.after[mine])
