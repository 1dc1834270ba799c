"""From readout bursts to what the digitizer returns: records, averages and integrals of each shot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pulsed.model.errors import InvalidValueError
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.feedline import rippled
from pulsed.simulator.dynamics.lines import low_pass, mixed
from pulsed.simulator.dynamics.sequence import AcquiredData, Decision, Mode, PulseSequence, Window
from pulsed.simulator.readout.measurement import MeasuredSpan, Stretch
from pulsed.simulator.readout.records import digitize, integrals, integrate, trajectories
from pulsed.simulator.readout.residual_photons import GONE
from pulsed.simulator.readout.response import DRIVEN, Integrals, Response

Complex = NDArray[np.complex128]

RING_DOWN = 4
"""Samples after a readout burst in which the line still rings."""

KEPT_INTEGRALS = 4
"""Windows of one readout whose sums are kept."""

_RAW_BLOCK = 256
"""Shots of raw records drawn at a time."""


def readout_spans(chip: Chip, sequence: PulseSequence, bursts: NDArray[np.void]) -> list[tuple[int, int]]:
    """Return (start, stop) of each readout at the chip: ``bursts`` on readout lines and windows that touch, joined."""
    spans = []
    for burst in bursts:
        if sequence.lines[burst["line"]].on:
            spans.append(_span(chip, sequence, burst))
    for window in sequence.windows:
        start = window.start - chip.amplifier.delay
        spans.append((start, start + window.length))
    return _joined(spans)


def _span(chip: Chip, sequence: PulseSequence, burst: Any) -> tuple[int, int]:
    """Return (start, stop) of a readout burst at the chip, until it has rung down."""
    start, late = int(burst["start"]), chip.feedline.ripple_delay if chip.feedline.ripple else 0
    return start, start + len(sequence.envelopes[burst["envelope"]]) + RING_DOWN + late


def measured_spans(
    chip: Chip,
    sequence: PulseSequence,
    bursts: NDArray[np.void],
    conditions: NDArray[np.int64],
    measured: tuple[int, ...],
    start: int,
    stop: int,
) -> list[MeasuredSpan]:
    """Return each time that a qubit of ``measured`` is, between ``start`` and ``stop``.

    It is while there are bursts that by themselves drive its resonator; where none does, but all together, it is from
    beginning to end. ``conditions``: (bursts,) as :attr:`PulseSequence.conditions`.
    """
    tones: dict[int, dict[int, list[tuple[int, int]]]] = {}
    for burst, condition in zip(bursts, conditions.tolist(), strict=True):
        if sequence.lines[burst["line"]].on:
            driven = _photons(chip, sequence, burst) > DRIVEN
            for place in np.flatnonzero(driven[list(measured)]).tolist():
                tones.setdefault(place, {}).setdefault(condition, []).append(_span(chip, sequence, burst))
    always = {0: [(start, stop)]}
    return [
        MeasuredSpan(*span, place, condition)
        for place in range(len(measured))
        for condition, each in tones.get(place, always).items()
        for span in _joined(each)
    ]


def _photons(chip: Chip, sequence: PulseSequence, burst: Any) -> NDArray[np.float64]:
    """Return (qubits,) photons that a burst makes at most in each resonator.

    They are those of its peak, held, at the nearest of the frequencies between the resonator's for all levels and that
    without the qubit.
    """
    line = sequence.lines[burst["line"]]
    peak = abs(float(burst["amplitude"])) * float(np.abs(sequence.envelopes[burst["envelope"]]).max(initial=0.0))
    peak *= abs(mixed(chip.wire(line.name), line.correction, line.offset)[0])
    found = np.zeros(len(chip.qubits))
    for q, qubit in enumerate(chip.qubits):
        near = (*qubit.resonances(), qubit.bare_resonance)
        carrier = line.lo_frequency + float(burst["frequency"])
        away = max(0.0, min(near) - carrier, carrier - max(near))
        found[q] = (qubit.readout_drive * peak) ** 2 / (qubit.kappa**2 / 4 + away**2)
    return found


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans that touch as one, in order of time."""
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def readout_field(chip: Chip, sequence: PulseSequence, start: int, stop: int) -> tuple[Complex, float]:
    """Return the samples at the chip, (stop - start,), behind mixer and line, and the readout LO (Hz).

    ``chip``: a section, of which the readout line counts.
    """
    z = np.zeros(stop - start, complex)
    lo = float(np.mean([q.readout_frequency for q in chip.qubits]))
    (own, _), *_ = chip.sections
    for index, line in enumerate(sequence.lines):
        if line.name != own:
            continue
        wire = chip.wire(own)
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


def owner(window: Window, stretches: list[Stretch], delay: int) -> Stretch:
    """Return the readout that a window lies in, ``delay`` samples before; the spans were made to hold every window."""
    start = window.start - delay
    for stretch in stretches:
        if window.section in stretch.parts and stretch.start <= start and start + window.length <= stretch.stop:
            return stretch
    raise InvalidValueError("an acquisition window lies outside the shot", subject="window", value=f"{window.start} ns")


@dataclass(frozen=True)
class Leftover:
    """The field that an earlier readout has left in the resonator of a qubit when the next one begins.

    The field decays with the qubit's level at either end, half of the gap each; a jump later on leaves it as it was.
    """

    before: Stretch
    after: Stretch
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
        passed = np.exp(0.5 * self._gap * (rate[:, None] + rate))[old[part], new]
        left = np.empty(len(old), complex)
        for shots, response in self.before.responses:
            left[shots] = response.alpha[self.i, old[shots], -1]
        out: Complex = self.after.response.scale[self.j] * left[part] * passed
        return out

    def decays(self, samples: int, part: slice) -> Complex:
        """Return what is left of a field after each sample of the later readout, (shots, samples)."""
        every = self.after.response.decay[self.j][:, None] ** np.arange(1, samples + 1)
        out: Complex = every[self.after.levels[part, self.j]]
        return out

    def sums(self, window: Window, first: int, weights: Callable[[], Complex]) -> Complex:
        """Return the integral of a field that starts at 1 under a window's kernels in each shot, (shots, K).

        ``weights`` (K, samples) are those of the kernels, the ``first`` of them that of the window's; they are asked
        for once.
        """
        response, levels = self.after.response, self.after.levels[:, self.j]
        for before, offset, qubit, sums in response.fading:
            if (offset, qubit) == (first, self.j) and before.same(window):
                return sums[levels]
        along = weights()
        every = response.decay[self.j][:, None] ** np.arange(1, along.shape[1] + 1)
        found: Complex = every @ along.T
        response.fading.append((window, first, self.j, found))
        del response.fading[:-KEPT_INTEGRALS]
        return found[levels]


def leftovers(before: list[Stretch], after: Stretch) -> list[Leftover]:
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
        sequence: PulseSequence,
        stretches: list[Stretch],
        shots: int,
        rng: np.random.Generator,
        mode: Mode,
    ) -> None:
        self._amplifier = chip.amplifier
        self._shots = shots
        self._rng = rng
        self._mode = mode
        self._bits = sequence.bits
        self._told: dict[int, NDArray[np.bool_]] = {}
        self._pairs = [(w, owner(w, stretches, chip.amplifier.delay)) for w in sequence.windows]
        self._before = {id(s): leftovers(stretches[:k], s) for k, s in enumerate(stretches) if chip.feedline.carry}
        # Integrals come from the sufficient statistic, or from records when one of them could clip.
        self._drawn = mode == "integrated" and not any(self._may_clip(w, s) for w, s in self._pairs)
        samples = sum(w.length for w, _ in self._pairs)
        self._raw = np.empty((shots if mode == "raw" else 0, samples, 2), dtype=np.int16)
        self._total = np.zeros((samples, 2))
        self._values: list[NDArray[np.complex64]] = []
        self._column, self._clipped = 0, set[int]()

    def take(self, windows: int) -> None:
        """Record the first ``windows`` windows, of which the readouts must have been followed in every shot."""
        for window, stretch in self._pairs[len(self._values) : windows]:
            self._decide(window, stretch)
            if not self._drawn:
                values = self._recorded(window, stretch)
            elif window.kernels:
                values = np.empty((self._shots, len(window.kernels)), complex)
                own, responses = stretch.heard(window.section)
                for shots, response in responses:
                    sums = self._integrals(window, stretch, response)
                    jumps = [jump.among(shots) for jump in stretch.jumps[own]]
                    values[shots] = integrate(response, sums, stretch.levels[shots][:, own], jumps, self._rng)
                weights, first = partial(self._weights, window, stretch), self._first(window, stretch)
                for left in self._left(window, stretch):
                    values += left.fields(slice(None))[:, None] * left.sums(window, first, weights)
            else:
                values = np.zeros((self._shots, 0), complex)
            self._values.append(values.astype(np.complex64))

    def _decide(self, window: Window, stretch: Stretch) -> None:
        """Find out which tones of a readout are played in which shots, up to the end of a window.

        The bits that these wait for are there; those of later ones may not be.
        """
        choices = stretch.choices
        if choices is None:
            return
        end = window.start - self._amplifier.delay + window.length
        held = np.zeros((self._shots, len(choices.conditions)), np.bool_)
        for column, (condition, start) in enumerate(zip(choices.conditions, choices.starts, strict=True)):
            if start < end:
                held[:, column] = self.bit(abs(condition) - 1) == (condition > 0)
        combinations, which = np.unique(held, axis=0, return_inverse=True)
        stretch.responses = [
            (np.flatnonzero(which.ravel() == k), choices.response(tuple(one.tolist())))
            for k, one in enumerate(combinations)
        ]

    def bit(self, index: int) -> NDArray[np.bool_]:
        """Return a bit of the sequence in each shot, (shots,); its window must have been taken."""
        if index not in self._told:
            bit = self._bits[index]
            if isinstance(bit, Decision):
                holds = [self.bit(abs(term) - 1) == (term > 0) for term in bit.terms]
                self._told[index] = np.logical_and.reduce(holds)
            else:
                self._told[index] = bit.of(self._values[bit.window][:, bit.kernel])
        return self._told[index]

    def outcome(self) -> AcquiredData:
        """Take all windows and return what the digitizer gets."""
        self.take(len(self._pairs))
        if self._mode == "raw":
            return AcquiredData(raw=self._raw, clipped=frozenset(self._clipped))
        if self._mode == "averaged":
            return AcquiredData(averaged=self._total / self._shots, clipped=frozenset(self._clipped))
        nothing = np.zeros((self._shots, 0), np.complex64)
        integrated = np.concatenate([nothing, *self._values], axis=1)
        return AcquiredData(integrated, clipped=frozenset(self._clipped))

    def _first(self, window: Window, stretch: Stretch) -> int:
        return window.start - self._amplifier.delay - stretch.start

    def _weights(self, window: Window, stretch: Stretch) -> Complex:
        """Return (kernels, samples) weights of a window's kernels along a readout's samples."""
        return self._placed(window, self._first(window, stretch), stretch.stop - stretch.start)

    def _placed(self, window: Window, first: int, samples: int) -> Complex:
        t = (window.start + np.arange(window.length)) * 1e-9
        out = np.zeros((len(window.kernels), samples), complex)
        for k, kernel in enumerate(window.kernels):
            out[k, first : first + window.length] = kernel.weights * np.exp(2j * np.pi * kernel.frequency * t)
        return out

    def _integrals(self, window: Window, stretch: Stretch, response: Response) -> Integrals:
        """Return the sums of a readout under a window's kernels: those of the same readout at another time, turned."""
        first, start = self._first(window, stretch), stretch.start
        if response.base is None:
            return self._sums(response, window, first, stretch.stop - start)
        for before, offset, sums in response.kept:
            if offset == first and before.same(window):
                return sums
        early = replace(window, start=window.start - start)
        cycles = np.fmod(np.array([kernel.frequency for kernel in window.kernels]) * 1e-9 * start, 1.0)
        sums = self._sums(response.base, early, first, stretch.stop - start)
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

    def _codes(self, window: Window, stretch: Stretch, part: slice) -> tuple[NDArray[np.int16], bool]:
        numbers = np.arange(self._shots)[part]
        means = np.empty((len(numbers), stretch.stop - stretch.start), complex)
        columns, responses = stretch.heard(window.section)
        for shots, response in responses:
            own = numbers[np.isin(numbers, np.arange(self._shots)[shots])]
            jumps = [jump.among(own) for jump in stretch.jumps[columns]]
            means[own - part.start] = trajectories(response, stretch.levels[own][:, columns], jumps)
        for left in self._left(window, stretch):
            means += left.fields(part)[:, None] * left.decays(means.shape[1], part)
        first = self._first(window, stretch)
        return digitize(means[:, first : first + window.length], self._amplifier, self._rng)

    def _recorded(self, window: Window, stretch: Stretch) -> Complex:
        """Draw the records of a window, keep what the mode asks for, and return their integrals, (shots, kernels)."""
        first, stop = self._first(window, stretch), self._column + window.length
        weights = self._weights(window, stretch)[:, first : first + window.length].T
        values = np.zeros((self._shots, len(window.kernels)), complex)
        for part in self._blocks():
            codes, over = self._codes(window, stretch, part)
            if over:
                self._clipped.add(window.section)
            if self._mode == "raw":
                self._raw[part, self._column : stop] = codes
            elif self._mode == "averaged":
                self._total[self._column : stop] += codes.sum(axis=0)
            if self._mode == "integrated" or self._bits:
                values[part] = (codes[..., 0] + 1j * codes[..., 1]) @ weights / self._amplifier.full_scale
        self._column = stop
        return values

    def _left(self, window: Window, stretch: Stretch) -> list[Leftover]:
        """Return what earlier readouts have left on the line of a window."""
        _, response = stretch.parts[window.section]
        left = self._before.get(id(stretch), [])
        return [one for one in left if stretch.response.measured[one.j] in response.measured]

    def _may_clip(self, window: Window, stretch: Stretch) -> bool:
        """Return whether a record could leave the ADC's range: six standard deviations from the largest mean."""
        _, response = stretch.parts[window.section]
        largest = response.largest + sum(left.largest for left in self._left(window, stretch))
        return bool(largest + 6 * self._amplifier.noise_lsb / self._amplifier.full_scale > 1)


def _keep(response: Response, window: Window, first: int, sums: Integrals) -> Integrals:
    response.kept.append((window, first, sums))
    del response.kept[:-KEPT_INTEGRALS]
    return sums
