"""Drive pulses of a sequence: which segments they make, and the cached propagator of each."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pulsed.model.errors import PulsedError
from pulsed.simulator.chip import Chip
from pulsed.simulator.clusters import Reach, Segment, reach, segments
from pulsed.simulator.hamiltonian import LEVELS, TWO_PI_PER_NS, static
from pulsed.simulator.lines import TAIL, low_pass, mixed
from pulsed.simulator.propagators import propagate
from pulsed.simulator.sequence import Line, Sequence
from pulsed.simulator.superoperators import jump_operators, of_unitary

Complex = NDArray[np.complex128]

CACHE_BYTES = 64 << 20
"""Bound of the propagator cache; a pair's entry is 110 kB, a transmon's 2 kB."""

PAIR_STRIDE = 8
"""Samples per step of the dissipation integral under a pair's pulse; a transmon's pulse takes every sample."""


class SimulationLimitError(PulsedError):
    """A sequence beyond what the simulated chip can follow exactly."""

    code = "simulation_limit"


@dataclass(frozen=True)
class Step:
    """The effect of one segment in the frame of its first burst's phase.

    Attributes:
        superoperator: (m^2, m^2), dissipation included.
        unitary: (m, m), dissipation left out.
        moments: (sites, m, m) for the quasi-static detuning.
        excitations: (m,) number of excitations of each kept label.

    """

    superoperator: Complex
    unitary: Complex
    moments: Complex
    excitations: NDArray[np.float64]

    def turned(self, phase: float) -> Complex:
        """Return the superoperator with the segment's first burst at ``phase``."""
        p = np.exp(1j * phase * self.excitations)
        turn = np.kron(p, p.conj())
        out: Complex = turn[:, None] * self.superoperator * turn.conj()[None, :]
        return out

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self.superoperator.nbytes + self.unitary.nbytes + self.moments.nbytes + self.excitations.nbytes


@dataclass(frozen=True)
class Pulse:
    """One segment placed in time: ``stop`` includes the ringing of the line."""

    qubits: tuple[int, ...]
    start: int
    stop: int
    phase: float
    step: Step


class Pulses:
    """Turns bursts into pulses; keeps propagators by the content of what they are made of."""

    def __init__(self, chip: Chip, cache_bytes: int = CACHE_BYTES) -> None:
        self.chip = chip
        self._steps: OrderedDict[tuple[object, ...], Step] = OrderedDict()
        self._bytes = 0
        self._limit = cache_bytes
        self._reach: dict[tuple[object, ...], Reach] = {}
        crosstalk = np.array(chip.crosstalk)
        self._gain = crosstalk * np.array([q.drive_rate for q in chip.qubits])
        self._jumps: dict[tuple[int, ...], NDArray[np.float64]] = {}

    def find(self, sequence: Sequence, reference: float, tail: int = TAIL) -> list[Pulse]:
        """Return the pulses of a sequence, by the middle of their time.

        Args:
            sequence: what the instruments play.
            reference: frequency of the frame (Hz).
            tail: samples that the last burst on a qubit may ring on.

        """
        tones = [self._tone(sequence, line) for line in sequence.lines]
        items = []
        for index, burst in enumerate(sequence.bursts):
            tone = tones[burst["line"]]
            if tone is None:
                continue
            envelope = sequence.envelopes[burst["envelope"]]
            found = self._reach_of(sequence, index, tone)
            start, end = int(burst["start"]), int(burst["start"]) + len(envelope)
            items.append((start, end, found.main, index))
            items += [(start, end, (q,), index) for q in found.crosstalk]
        return [self._pulse(sequence, s, reference) for s in segments(items, tail)]

    def _tone(self, sequence: Sequence, line: Line) -> tuple[int, complex] | None:
        """Return the qubit a drive line reaches and its mixer's direct gain; None for others and those off."""
        wire = self.chip.wire(line.name)
        if wire.qubit is None or not line.on:
            return None
        return wire.qubit, mixed(wire, line.correction, line.offset)[0]

    def _reach_of(self, sequence: Sequence, index: int, tone: tuple[int, complex]) -> Reach:
        burst = sequence.bursts[index]
        line = sequence.lines[burst["line"]]
        amplitude, frequency = float(burst["amplitude"]), float(burst["frequency"])
        key = (line.name, line.lo_frequency, sequence.keys[burst["envelope"]], amplitude, frequency)
        found = self._reach.get(key)
        if found is None:
            envelope = sequence.envelopes[burst["envelope"]] * amplitude
            rates = np.abs(self._gain[:, tone[0]])
            found = reach(self.chip, tone[0], envelope, line.lo_frequency + frequency, rates)
            if len(self._reach) > 20_000:
                self._reach.clear()
            self._reach[key] = found
        return found

    def _pulse(self, sequence: Sequence, segment: Segment, reference: float) -> Pulse:
        if len(segment.qubits) > 2:
            raise SimulationLimitError(
                "pulses that couple more than two transmons overlap",
                subject=f"qubits {', '.join(map(str, segment.qubits))}",
                value=f"{len(segment.qubits)} transmons from {segment.start} to {segment.end} ns",
                legal="at most 2",
            )
        bursts = sorted(segment.bursts, key=lambda i: (sequence.bursts[i]["start"], sequence.bursts[i]["line"]))
        phases = [self._phase(sequence, i, reference) for i in bursts]
        parts: list[object] = [segment.qubits, segment.tail, segment.end - segment.start, reference]
        for i, phase in zip(bursts, phases, strict=True):
            b = sequence.bursts[i]
            line = sequence.lines[b["line"]]
            relative = round((phase - phases[0]) % (2 * math.pi), 9) % round(2 * math.pi, 9)
            parts.append((line, sequence.keys[b["envelope"]], float(b["amplitude"]), float(b["frequency"])))
            parts.append((int(b["start"]) - segment.start, relative))
        key = tuple(parts)
        step = self._steps.get(key)
        if step is None:
            relatives = [phase - phases[0] for phase in phases]
            step = self._keep(key, self._step(sequence, segment, bursts, relatives, reference))
        else:
            self._steps.move_to_end(key)
        return Pulse(segment.qubits, segment.start, segment.end + segment.tail, phases[0], step)

    def _phase(self, sequence: Sequence, index: int, reference: float) -> float:
        """Return the phase (rad) of a burst's first sample in the frame at ``reference``."""
        b = sequence.bursts[index]
        frequency = float(b["frequency"]) + sequence.lines[b["line"]].lo_frequency - reference
        return float(b["phase"]) - 2 * math.pi * math.fmod(frequency * 1e-9 * int(b["start"]), 1.0)

    def _keep(self, key: tuple[object, ...], step: Step) -> Step:
        self._steps[key] = step
        self._bytes += step.nbytes
        while self._bytes > self._limit and len(self._steps) > 1:
            self._bytes -= self._steps.popitem(last=False)[1].nbytes
        return step

    def _step(
        self, sequence: Sequence, segment: Segment, bursts: list[int], phases: list[float], reference: float
    ) -> Step:
        drives = self._drives(sequence, segment, bursts, phases, reference)
        controls = {q for q in segment.qubits if self._is_control(sequence, segment, q)}
        levels = tuple(LEVELS + (q in controls) for q in segment.qubits)
        return self.step(segment.qubits, levels, drives, reference)

    def _is_control(self, sequence: Sequence, segment: Segment, qubit: int) -> bool:
        """Return whether a tone for a partner leaves this qubit's line."""
        if len(segment.qubits) == 1:
            return False
        (other,) = set(segment.qubits) - {qubit}
        for i in segment.bursts:
            line = sequence.lines[sequence.bursts[i]["line"]]
            if self.chip.wire(line.name).qubit == qubit:
                carrier = line.lo_frequency + float(sequence.bursts[i]["frequency"])
                near = abs(carrier - self.chip.qubits[other].frequency)
                if near < abs(carrier - self.chip.qubits[qubit].frequency):
                    return True
        return False

    def _drives(
        self, sequence: Sequence, segment: Segment, bursts: list[int], phases: list[float], reference: float
    ) -> Complex:
        """Return (samples, sites) drives in rad/ns in the frame at ``reference``."""
        length = segment.end + segment.tail - segment.start
        drives = np.zeros((length, len(segment.qubits)), complex)
        for i, phase in zip(bursts, phases, strict=True):
            b = sequence.bursts[i]
            line = sequence.lines[b["line"]]
            wire = self.chip.wire(line.name)
            assert wire.qubit is not None  # only drive lines make segments
            direct = mixed(wire, line.correction, line.offset)[0]
            first = int(b["start"]) - segment.start
            envelope = sequence.envelopes[b["envelope"]]
            frequency = float(b["frequency"])
            n = np.arange(len(envelope))
            samples = float(b["amplitude"]) * direct * envelope * np.exp(-2e-9j * np.pi * frequency * n)
            tail = min(TAIL, length - first - len(envelope))
            field = low_pass(samples, wire.bandwidth, frequency, tail) * np.exp(1j * phase)
            split = line.lo_frequency - reference
            if split:
                field = field * np.exp(-2e-9j * np.pi * split * (np.arange(len(field)) + 0.5))
            for site, q in enumerate(segment.qubits):
                gain = self._gain[q, wire.qubit] * TWO_PI_PER_NS
                drives[first : first + len(field), site] += gain * field
        return drives

    def step(self, qubits: tuple[int, ...], levels: tuple[int, ...], drives: Complex, reference: float) -> Step:
        """Propagate a transmon or a pair under ``drives`` (samples, sites), rad/ns in the frame at ``reference``."""
        system = static(self.chip, qubits, levels, reference)
        stride = 1 if len(qubits) == 1 else PAIR_STRIDE
        unitary, moments, generator = propagate(
            system.energies,
            system.lowering,
            system.numbers,
            np.ascontiguousarray(drives),
            self._jump_operators(qubits, levels).astype(complex),
            system.keep,
            stride,
        )
        kept = np.ascontiguousarray(unitary[np.ix_(system.keep, system.keep)])
        excitations = system.numbers.sum(axis=0)[system.keep]
        return Step(of_unitary(kept, generator), kept, moments, excitations)

    def _jump_operators(self, qubits: tuple[int, ...], levels: tuple[int, ...]) -> NDArray[np.float64]:
        key = (*qubits, -1, *levels)
        found = self._jumps.get(key)
        if found is None:
            parts = []
            for site, q in enumerate(qubits):
                for op in jump_operators(self.chip.qubits[q], levels[site]):
                    full = np.eye(1)
                    for other, size in enumerate(levels):
                        full = np.kron(full, op if other == site else np.eye(size))
                    parts.append(full)
            found = self._jumps[key] = np.array(parts)
        return found
