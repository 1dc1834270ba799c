"""The chip behind the instruments: plays a sequence and returns what the digitizer gets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pulsed.model.errors import InvalidValueError
from pulsed.simulator import noise
from pulsed.simulator.chip import Chip
from pulsed.simulator.clusters import union
from pulsed.simulator.evolution import Cluster, Measurement
from pulsed.simulator.hamiltonian import zz_rate
from pulsed.simulator.lines import low_pass, mixed
from pulsed.simulator.pulses import Pulse, Pulses, SimulationLimitError
from pulsed.simulator.readout import (
    Jumps,
    Response,
    digitize,
    integrals,
    integrate,
    respond,
    trajectories,
)
from pulsed.simulator.sequence import (
    BURST,
    Kernel,
    Line,
    Mode,
    Outcome,
    Prediction,
    Sequence,
    Window,
)
from pulsed.simulator.superoperators import Idle

__all__ = [
    "BURST",
    "Engine",
    "Kernel",
    "Line",
    "Outcome",
    "Prediction",
    "Sequence",
    "SimulationLimitError",
    "Window",
]

MAX_EXACT = 6
"""Most transmons in one density matrix."""

RING_DOWN = 4
"""Samples after a readout burst in which the line still rings."""

_BLOCKS = {1: 32, 2: 32, 3: 16, 4: 8}
_FEWEST_BLOCKS = 4

_RAW_BLOCK = 256
"""Shots of raw records drawn at a time."""


@dataclass(frozen=True)
class _Plan:
    """A sequence, worked out: clusters of qubits with their pulses, and the readouts in order of time."""

    clusters: list[tuple[int, ...]]
    pulses: list[list[Pulse]]
    measurements: list[Measurement]
    z: list[NDArray[np.complex128]]


class Engine:
    """Physics of one chip. The same seed and stream give the same shots, whatever ran before.

    Args:
        chip: its true parameters.
        seed: of all random streams.

    """

    def __init__(self, chip: Chip, seed: int = 0) -> None:
        self.chip = chip
        self.seed = seed
        self._pulses = Pulses(chip)
        self._idles: dict[float, list[Idle]] = {}

    def play(self, sequence: Sequence, shots: int, stream: tuple[int, ...], mode: Mode) -> Outcome:
        """Play a sequence ``shots`` times.

        Args:
            sequence: what the instruments hold.
            shots: repetitions, at ``sequence.period``.
            stream: names the random stream (job, circuit, block of shots).
            mode: what the digitizer is asked for.

        Raises:
            InvalidValueError: the sequence does not fit its period, or no shots.
            SimulationLimitError: more entangled qubits, or wider overlapping pulses, than can be followed.

        """
        if shots < 1:
            raise InvalidValueError("nothing to play", subject="shots", value=shots, legal=">= 1")
        reference = _reference(self.chip, sequence)
        plan = self._plan(sequence, reference)
        for measurement in plan.measurements:
            measured = len(measurement.response.measured)
            measurement.levels = np.zeros((shots, measured), dtype=np.int64)
            empty = np.zeros(0, dtype=np.int64)
            measurement.jumps = [Jumps(empty, empty, empty, empty) for _ in range(measured)]
        initial = self._initial(sequence, plan, reference)
        for index, (qubits, pulses) in enumerate(zip(plan.clusters, plan.pulses, strict=True)):
            self._run(plan, qubits, pulses, shots, (*stream, index), initial, reference)
        rng = noise.generator(self.seed, *stream, 1 << 20)
        if mode == "integrated":
            return self._integrated(sequence, plan, shots, rng)
        return self._records(sequence, plan, shots, rng, mode)

    def predict(self, sequence: Sequence) -> Prediction:
        """Return the truth about a sequence: joint populations before the last readout, quasi-static noise averaged."""
        reference = _reference(self.chip, sequence)
        plan = self._plan(sequence, reference)
        initial = self._initial(sequence, plan, reference)
        last = next((m for m in reversed(plan.measurements) if m.response.measured), None)
        joint: NDArray[np.float64] = np.ones(1)
        order: list[int] = []
        for qubits, pulses in zip(plan.clusters, plan.pulses, strict=True):
            measured = () if last is None else tuple(q for q in last.response.measured if q in qubits)
            if last is None or not measured:
                continue
            rng = noise.generator(0, *qubits)
            spread = noise.detunings(self.chip, _blocks(len(qubits)), rng)
            cluster = self._cluster(qubits, initial, spread, reference)
            found: list[NDArray[np.float64]] = []

            def look(
                measurement: Measurement,
                cluster: Cluster = cluster,
                found: list[NDArray[np.float64]] = found,
            ) -> None:
                if measurement is last:
                    found.append(cluster.reach(measurement).mean(axis=0))
                cluster.pass_unread(measurement)

            cluster.walk(pulses, plan.measurements, look)
            joint = np.multiply.outer(joint, found[0]).ravel()
            order += measured
        joint = joint.reshape((3,) * len(order))
        return Prediction(tuple(sorted(order)), joint.transpose(np.argsort(order)) if order else joint, initial)

    def truth(self) -> dict[str, object]:
        """Return the chip's dressed values, SI units: what a calibration should find."""
        qubits = [
            {
                "f01": q.frequency,
                "anharmonicity": q.anharmonicity,
                "t1": q.t1,
                "t2_echo": q.t2_echo,
                "t2_star": q.t2_star,
                "thermal": q.thermal,
                "drive_rate": q.drive_rate,
                "readout_frequency": q.readout_frequency,
                "readout_resonances": list(q.resonances()),
                "kappa": q.kappa,
                "chi": q.chi,
                "n_crit": q.n_crit,
            }
            for q in self.chip.qubits
        ]
        pairs = [{"qubits": list(c.qubits), "j": c.j, "zz": zz_rate(self.chip, *c.qubits)} for c in self.chip.couplings]
        return {"name": self.chip.name, "qubits": qubits, "couplings": pairs, "delay": self.chip.amplifier.delay}

    def _cluster(
        self,
        qubits: tuple[int, ...],
        initial: NDArray[np.float64],
        detunings: NDArray[np.float64],
        reference: float,
    ) -> Cluster:
        return Cluster(self.chip, qubits, self._idle(reference), initial, detunings)

    def _idle(self, reference: float) -> list[Idle]:
        found = self._idles.get(reference)
        if found is None:
            if len(self._idles) > 16:
                self._idles.clear()
            found = self._idles[reference] = [Idle(q, reference) for q in self.chip.qubits]
        return found

    def _plan(self, sequence: Sequence, reference: float) -> _Plan:
        pulses = self._pulses.find(sequence, reference)
        spans = _readout_spans(self.chip, sequence)
        measurements, fields = [], []
        for start, stop in spans:
            z, lo = _readout_field(self.chip, sequence, start, stop)
            measurements.append(Measurement(start, stop, respond(self.chip, z, lo)))
            fields.append(z)
        end = max([p.stop for p in pulses] + [stop for _, stop in spans], default=0)
        if end > sequence.period:
            raise InvalidValueError(
                "the sequence is longer than its repetition period",
                subject="period",
                value=f"{sequence.period} ns",
                legal=f">= {end} ns",
            )
        clusters = self._clusters(pulses, measurements)
        own = [[p for p in pulses if p.qubits[0] in c] for c in clusters]
        return _Plan(clusters, own, measurements, fields)

    def _clusters(self, pulses: list[Pulse], measurements: list[Measurement]) -> list[tuple[int, ...]]:
        """Return which qubits share a state: those that a pulse joins, and coupled ones that are both driven.

        A driven qubit beside one that nothing drives is left alone: the neighbour stays in its thermal state,
        whose ZZ is part of the dressed frequency but for the percent of shots in which it is excited.
        """
        driven = sorted({q for p in pulses for q in p.qubits})
        links = [(p.qubits[0], p.qubits[-1]) for p in pulses]
        links += [c.qubits for c in self.chip.couplings if set(c.qubits) <= set(driven)]
        active = sorted({*driven, *(q for m in measurements for q in m.response.measured)})
        out = [tuple(int(str(q)) for q in members) for members in union(active, links)]
        for members in out:
            if len(members) > MAX_EXACT:
                raise SimulationLimitError(
                    "too many qubits interact in one circuit",
                    subject=f"chip {self.chip.name}",
                    value=len(members),
                    legal=f"at most {MAX_EXACT}",
                )
        return out

    def _initial(self, sequence: Sequence, plan: _Plan, reference: float) -> NDArray[np.float64]:
        """Return (qubits, 3) populations at a shot's start: what the shot before left, relaxed until the period ends.

        Shots are given the mean of what their predecessors leave (the fixed point of the period), not each its own.
        """
        idles = self._idle(reference)
        initial = np.array([idle.thermal for idle in idles])
        for qubits, pulses in zip(plan.clusters, plan.pulses, strict=True):
            for _ in range(4):
                still = np.zeros((1, len(self.chip.qubits)))
                cluster = self._cluster(qubits, initial, still, reference)
                cluster.walk(pulses, plan.measurements, cluster.pass_unread)
                final = cluster.final(sequence.period)
                change = float(np.abs(final - initial[list(qubits)]).max())
                initial[list(qubits)] = final
                slowest = max(self.chip.qubits[q].t1 for q in qubits)
                left = math.exp(-sequence.period * 1e-9 / slowest)
                if change * left < 2e-4:
                    break
        return initial

    def _run(
        self,
        plan: _Plan,
        qubits: tuple[int, ...],
        pulses: list[Pulse],
        shots: int,
        stream: tuple[int, ...],
        initial: NDArray[np.float64],
        reference: float,
    ) -> None:
        """Take one cluster through the shot and fill the measurements of its qubits."""
        rng = noise.generator(self.seed, *stream)
        blocks = min(_blocks(len(qubits)) if pulses else 1, shots)
        spread = noise.detunings(self.chip, blocks, rng)
        cluster = self._cluster(qubits, initial, spread, reference)
        mine = [m for m in plan.measurements if cluster.measured(m)]
        owner = np.arange(shots) * blocks // shots

        def read(measurement: Measurement) -> None:
            nonlocal owner
            if not cluster.measured(measurement):
                return
            last = measurement is mine[-1]
            owner = cluster.read(measurement, owner, rng, collapse=not last)

        if mine:
            before = [p for p in pulses if p.start < mine[-1].stop]
            cluster.walk(before, plan.measurements, read)

    def _weights(self, window: Window, measurement: Measurement) -> NDArray[np.complex128]:
        """Return (kernels, samples) weights of a window's kernels along a readout's samples."""
        delay = self.chip.amplifier.delay
        first = window.start - delay - measurement.start
        t = (window.start + np.arange(window.length)) * 1e-9
        out = np.zeros((len(window.kernels), measurement.stop - measurement.start), complex)
        for k, kernel in enumerate(window.kernels):
            tone = np.exp(2j * np.pi * kernel.frequency * t)
            out[k, first : first + window.length] = kernel.weights * tone
        return out

    def _windows(self, sequence: Sequence, plan: _Plan) -> list[tuple[Window, Measurement]]:
        delay = self.chip.amplifier.delay
        out = []
        for window in sequence.windows:
            start = window.start - delay
            owner = next(m for m in plan.measurements if m.start <= start and start + window.length <= m.stop)
            out.append((window, owner))
        return out

    def _integrated(self, sequence: Sequence, plan: _Plan, shots: int, rng: np.random.Generator) -> Outcome:
        pairs = self._windows(sequence, plan)
        if any(_may_clip(self.chip, m.response) for _, m in pairs):
            return self._integrated_from_raw(sequence, plan, shots, rng)
        parts = []
        for measurement in plan.measurements:
            mine = [w for w, m in pairs if m is measurement and w.kernels]
            if not mine:
                continue
            weights = np.concatenate([self._weights(w, measurement) for w in mine])
            sums = integrals(measurement.response, weights, self.chip.amplifier)
            parts.append(integrate(measurement.response, sums, measurement.levels, measurement.jumps, rng))
        values = np.concatenate(parts, axis=1) if parts else np.zeros((shots, 0))
        return Outcome(integrated=values.astype(np.complex64))

    def _integrated_from_raw(self, sequence: Sequence, plan: _Plan, shots: int, rng: np.random.Generator) -> Outcome:
        full = self.chip.amplifier.full_scale
        parts, overrange = [], False
        for window, measurement in self._windows(sequence, plan):
            weights = self._weights(window, measurement)
            first = window.start - self.chip.amplifier.delay - measurement.start
            weights = weights[:, first : first + window.length].T
            blocks = []
            for low in range(0, shots, _RAW_BLOCK):
                codes, over = self._codes(window, measurement, slice(low, min(low + _RAW_BLOCK, shots)), rng)
                blocks.append((codes[..., 0] + 1j * codes[..., 1]) @ weights / full)
                overrange |= over
            parts.append(np.concatenate(blocks))
        return Outcome(integrated=np.concatenate(parts, axis=1).astype(np.complex64), overrange=overrange)

    def _codes(
        self, window: Window, measurement: Measurement, part: slice, rng: np.random.Generator
    ) -> tuple[NDArray[np.int16], bool]:
        jumps = [_slice_jumps(j, part) for j in measurement.jumps]
        means = trajectories(measurement.response, measurement.levels[part], jumps)
        first = window.start - self.chip.amplifier.delay - measurement.start
        return digitize(means[:, first : first + window.length], self.chip.amplifier, rng)

    def _records(self, sequence: Sequence, plan: _Plan, shots: int, rng: np.random.Generator, mode: Mode) -> Outcome:
        pairs = self._windows(sequence, plan)
        samples = sum(w.length for w in sequence.windows)
        raw = np.empty((shots if mode == "raw" else 0, samples, 2), dtype=np.int16)
        total = np.zeros((samples, 2))
        overrange, column = False, 0
        for window, measurement in pairs:
            for low in range(0, shots, _RAW_BLOCK):
                part = slice(low, min(low + _RAW_BLOCK, shots))
                codes, over = self._codes(window, measurement, part, rng)
                overrange |= over
                if mode == "raw":
                    raw[part, column : column + window.length] = codes
                else:
                    total[column : column + window.length] += codes.sum(axis=0)
            column += window.length
        if mode == "raw":
            return Outcome(raw=raw, overrange=overrange)
        return Outcome(averaged=total / shots, overrange=overrange)


def _blocks(qubits: int) -> int:
    return _BLOCKS.get(qubits, _FEWEST_BLOCKS)


def _reference(chip: Chip, sequence: Sequence) -> float:
    """Return the frame: the LO of the first drive line, in which held samples are constant."""
    for line in sequence.lines:
        if chip.wire(line.name).qubit is not None:
            return line.lo_frequency
    return chip.qubits[0].frequency


def _readout_spans(chip: Chip, sequence: Sequence) -> list[tuple[int, int]]:
    """Return (start, stop) of each readout at the chip: readout bursts and windows that touch, joined."""
    spans = []
    for burst in sequence.bursts:
        line = sequence.lines[burst["line"]]
        if chip.wire(line.name).qubit is None and line.on:
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


def _readout_field(chip: Chip, sequence: Sequence, start: int, stop: int) -> tuple[NDArray[np.complex128], float]:
    """Return the samples at the chip, (stop - start,), behind mixer and line, and the readout LO (Hz)."""
    z = np.zeros(stop - start, complex)
    lo = float(np.mean([q.readout_frequency for q in chip.qubits]))
    for index, line in enumerate(sequence.lines):
        wire = chip.wire(line.name)
        if wire.qubit is not None:
            continue
        lo = line.lo_frequency
        if not line.on:
            continue
        played = np.zeros_like(z)
        for burst in sequence.bursts[sequence.bursts["line"] == index]:
            envelope = sequence.envelopes[burst["envelope"]]
            first = int(burst["start"]) - start
            if not (first >= 0 and first + len(envelope) <= len(z)):
                continue
            t = (int(burst["start"]) + np.arange(len(envelope))) * 1e-9
            tone = np.exp(1j * (float(burst["phase"]) - 2 * np.pi * float(burst["frequency"]) * t))
            played[first : first + len(envelope)] += float(burst["amplitude"]) * envelope * tone
        direct, image, leakage = mixed(wire, line.correction, line.offset)
        z += _line_response(direct * played + image * played.conj() + leakage, wire.bandwidth)
    return z, lo


def _line_response(samples: NDArray[np.complex128], bandwidth: float) -> NDArray[np.complex128]:
    """Return samples behind the readout line's low-pass, whatever still rings at the end left out."""
    return low_pass(samples, bandwidth, 0.0, RING_DOWN)[: len(samples)]


def _may_clip(chip: Chip, response: Response) -> bool:
    """Return whether a record could leave the ADC's range: six standard deviations from the largest mean."""
    amplifier = chip.amplifier
    largest = np.abs(response.background)
    for i in range(len(response.measured)):
        field = np.abs(response.alpha[i]).max(axis=0)
        largest = largest + response.scale[i] * np.maximum(field[1:], field[:-1])
    return bool(largest.max(initial=0.0) + 6 * amplifier.noise_lsb / amplifier.full_scale > 1)


def _slice_jumps(jump: Jumps, part: slice) -> Jumps:
    mine = (jump.shots >= part.start) & (jump.shots < part.stop)
    return Jumps(jump.shots[mine] - part.start, jump.times[mine], jump.before[mine], jump.after[mine])
