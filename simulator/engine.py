"""The chip behind the instruments: plays a sequence and returns what the digitizer gets."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from pulsed.model.errors import ConfigError, InvalidValueError
from pulsed.simulator import drift, noise
from pulsed.simulator.acquisition import Acquisition
from pulsed.simulator.chip import Chip
from pulsed.simulator.evolution import Cluster, Free
from pulsed.simulator.exact import cluster_of
from pulsed.simulator.feedback import Branching
from pulsed.simulator.hamiltonian import TWO_PI_PER_NS, moved, zz_rate
from pulsed.simulator.measurement import Measurement, clear
from pulsed.simulator.plan import Plan, plan, reference_of
from pulsed.simulator.pulses import Pulses
from pulsed.simulator.readings import Readings
from pulsed.simulator.report import ClusterReport, DroppedZz, Report
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
from pulsed.simulator.step import Pulse
from pulsed.simulator.trajectories import SimulationLimitError, Trajectories

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

MAX_VECTOR = 10
"""Most transmons in one state vector: beyond six these are trajectories, beyond ten matrix product states."""

_BLOCKS = {1: 32, 2: 32, 3: 16, 4: 8, 5: 4, 6: 4, 7: 64, 8: 64, 9: 32, 10: 16} | dict.fromkeys(range(11, 17), 64)
"""Members of a state's batch, each for a block of shots: of the slow noise; from seven transmons on, trajectories."""

_WIDE_BLOCKS = 32
"""The same for more: with bonds of 64 they take 200 MB."""

_SETTLING = 16
"""Members of a batch of matrix product states that finds what a shot leaves to the next."""


class Engine:
    """Physics of one chip. The same seed and stream give the same shots, whatever ran before.

    Args:
        chip: its true parameters.
        seed: of all random streams.

    """

    def __init__(self, chip: Chip, seed: int = 0) -> None:
        self.designed = chip
        self.chip = chip
        self.drift = chip.drift
        self.moment = 0.0
        self.seed = seed
        self._flux: dict[int, float] = {}
        self._biased = chip
        self._pulses = Pulses(chip)
        self._readings = Readings(chip)
        self._free: dict[float, Free] = {}
        self._let_drift(0.0)

    def play(self, sequence: Sequence, shots: int, stream: tuple[int, ...], mode: Mode) -> Outcome:
        """Play a sequence ``shots`` times.

        Args:
            sequence: what the instruments hold.
            shots: repetitions, at ``sequence.period``.
            stream: names the random stream (job, circuit, block of shots).
            mode: what the digitizer is asked for.

        Raises:
            InvalidValueError: the sequence does not fit its period, or no shots.
            SimulationLimitError: more entanglement, or wider overlapping pulses, than can be followed.

        """
        if shots < 1:
            raise InvalidValueError("nothing to play", subject="shots", value=shots, legal=">= 1")
        outcome = self._play(sequence, shots, stream, mode)
        self._let_drift(min(self.moment + shots * sequence.period * 1e-9 * self.drift.factor, drift.LATEST))
        return outcome

    def set_drift(self, changes: dict[str, object]) -> dict[str, object]:
        """Change what drifts (keys of :class:`Drift`) and the moment (``time``, seconds); return both as they are now.

        Raises:
            ConfigError: names the key, the bad value and the legal ones; nothing is changed.

        """
        changes = dict(changes)
        moment = changes.pop("time", self.moment)
        found = drift.read_drift(changes, replace(self.designed, drift=self.drift))
        if not isinstance(moment, int | float) or isinstance(moment, bool) or not 0 <= moment <= drift.LATEST:
            legal = f"0 to {drift.LATEST:g} s"
            raise ConfigError("the moment is out of range", subject="drift.time", value=moment, legal=legal)
        self.drift = found
        self._let_drift(float(moment))
        return {**asdict(self.drift), "time": self.moment}

    def _let_drift(self, moment: float) -> None:
        """Bring the chip to a moment of its drift. A sequence keeps the state that it starts with."""
        self.moment = moment
        chip = drift.at(self._biased, self.drift, moment)
        if chip != self.chip:
            self.chip = chip
            self._pulses.take(chip)
            self._readings.take(chip)
            self._free.clear()

    def _bias(self, lines: tuple[Line, ...]) -> None:
        """Bring the couplers to where the direct currents and offsets of their lines have them."""
        flux = {}
        for line in lines:
            wire = self.designed.wire(line.name)
            coupler = None if wire.flux is None else self.designed.couplings[wire.flux].coupler
            if wire.flux is not None and coupler is not None:
                flux[wire.flux] = wire.quanta(line.bias) + (line.offset[0] * coupler.flux if line.on else 0.0)
        if flux != self._flux:
            self._flux, self._biased = flux, self.designed
            for index, quanta in flux.items():
                self._biased = moved(self._biased, index, quanta)
            self._let_drift(self.moment)

    def _play(self, sequence: Sequence, shots: int, stream: tuple[int, ...], mode: Mode) -> Outcome:
        self._bias(sequence.lines)
        reference = reference_of(self.chip, sequence.lines)
        plan = self._plan(sequence, reference)
        if sequence.conditions is not None:
            branching = Branching(self, sequence, plan, reference)
            branches, outcome = branching.play(shots, stream, mode)
            return replace(outcome, report=Report(branches.report(), self._dropped(plan, reference)))
        clear(plan.measurements, shots)
        initial = self._initial(sequence, plan, reference)
        clusters = []
        for index in range(len(plan.clusters)):
            clusters.append(self._run(plan, index, shots, (*stream, index), initial, reference))
        report = Report(tuple(clusters), self._dropped(plan, reference))
        rng = noise.generator(self.seed, *stream, 1 << 20)
        outcome = Acquisition(self.chip, sequence, plan.measurements, shots, rng, mode).outcome()
        return replace(outcome, report=report)

    def predict(self, sequence: Sequence) -> Prediction:
        """Return the truth about a sequence: joint populations before the last readout, quasi-static noise averaged."""
        self._bias(sequence.lines)
        reference = reference_of(self.chip, sequence.lines)
        plan = self._plan(sequence, reference)
        if sequence.conditions is not None:
            return Branching(self, sequence, plan, reference).predict()
        initial = self._initial(sequence, plan, reference)
        last = next((m for m in reversed(plan.measurements) if m.response.measured), None)
        joint: NDArray[np.float64] = np.ones(1)
        order: list[int] = []
        for qubits, pulses, ends in zip(plan.clusters, plan.pulses, plan.ends, strict=True):
            measured = () if last is None else tuple(q for q in last.response.measured if q in qubits)
            if last is None or not measured:
                continue
            rng = noise.generator(0, *qubits)
            spread = noise.detunings(self.chip, _blocks(len(qubits)), rng)
            cluster = self._cluster(qubits, initial, spread, reference, ends=ends)
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

    def warm_up(self) -> None:
        """Compile or load every kernel, so that no later call has to: half a second, on a new machine ten.

        Plays a pulse on one transmon, then one that drives a pair, then one after a wait, and reads out, in every mode;
        then a map acts on a state vector. No random stream depends on it.
        """
        first, wires = self.chip.qubits[0], self.chip.wires
        drive = next(i for i, w in enumerate(wires) if w.qubit == 0)
        readout = next(i for i, w in enumerate(wires) if w.reads)
        lines = tuple(Line(w.name, first.readout_frequency if w.reads else first.frequency) for w in wires)
        other = next((c.qubits[1] for c in self.chip.couplings if c.qubits[0] == 0), 0)
        far = self.chip.qubits[other].frequency - first.frequency
        rows = [(readout, 4000, 1, 0.2, 0.0, 0.0), (drive, 0, 0, 0.05, 0.0, 0.0)]
        rows += [(drive, 100, 1, 0.5, 0.0, far), (drive, 3500, 0, 0.05, 0.0, 0.0)]
        envelopes = (np.ones(16, complex), np.ones(400, complex))
        kernel = Kernel(0.0, np.full(400, 1 / 400, complex))
        window = Window(4000 + self.chip.amplifier.delay, 400, (kernel,))
        modes: tuple[Mode, ...] = ("integrated", "raw", "averaged")
        for count, mode in enumerate(modes):
            bursts = np.array(rows[: count + 2], BURST)
            self._play(Sequence(lines, bursts, envelopes, (b"warm 1", b"warm 2"), (window,), 1_000_000), 64, (0,), mode)
        state = Trajectories.product([np.array([1.0, 0.0, 0.0])], 1, noise.generator(0))
        state.apply((0,), np.eye(9, dtype=complex)[None])

    def truth(self) -> dict[str, object]:
        """Return the chip's dressed values as they are now, SI units: what a calibration should find."""
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
        pairs: list[dict[str, object]] = [
            {"qubits": list(c.qubits), "j": c.j, "zz": zz_rate(self.chip, *c.qubits)} for c in self.chip.couplings
        ]
        for pair, coupling in zip(pairs, self.chip.couplings, strict=True):
            if coupling.coupler is not None:
                pair["coupler"] = asdict(coupling.coupler)
        wires = [{"name": w.name, "qubit": w.qubit, "gain": w.gain, "phase": w.phase} for w in self.chip.wires]
        return {
            "name": self.chip.name,
            "time": self.moment,
            "qubits": qubits,
            "couplings": pairs,
            "lines": wires,
            "delay": self.chip.amplifier.delay,
        }

    def _cluster(
        self,
        qubits: tuple[int, ...],
        initial: NDArray[np.float64],
        detunings: NDArray[np.float64],
        reference: float,
        stream: tuple[int, ...] = (),
        ends: dict[int, float] | None = None,
    ) -> Cluster:
        rng = noise.generator(self.seed, *stream, 1 << 21, *qubits) if len(qubits) > MAX_EXACT else None
        free = self._free_at(reference)
        return cluster_of(free, qubits, initial, detunings, rng, len(qubits) > MAX_VECTOR, ends)

    def _free_at(self, reference: float) -> Free:
        found = self._free.get(reference)
        if found is None:
            if len(self._free) > 16:
                self._free.clear()
            found = self._free[reference] = Free(self.chip, reference)
        return found

    def _plan(self, sequence: Sequence, reference: float) -> Plan:
        return plan(self.chip, sequence, reference, self._pulses, self._readings)

    def _dropped(self, plan: Plan, reference: float) -> tuple[DroppedZz, ...]:
        """Return the coupled qubits in different states, of which one is driven."""
        zz = self._free_at(reference).zz
        owner = {q: index for index, members in enumerate(plan.clusters) for q in members}
        driven = {q for members, ends in zip(plan.clusters, plan.ends, strict=True) if ends for q in members}
        return tuple(
            DroppedZz(c.qubits, float(zz[min(c.qubits), max(c.qubits)][1, 1] / TWO_PI_PER_NS))
            for c in self.chip.couplings
            if driven & set(c.qubits) and (owner.get(c.qubits[0]) != owner.get(c.qubits[1]))
        )

    def _initial(self, sequence: Sequence, plan: Plan, reference: float) -> NDArray[np.float64]:
        """Return (qubits, 3) populations at a shot's start: what the shot before left, relaxed until the period ends.

        Shots are given the mean of what their predecessors leave (the fixed point of the period), not each its own.
        """
        initial = self.thermal(reference)
        for qubits, pulses, ends in zip(plan.clusters, plan.pulses, plan.ends, strict=True):
            for _ in range(4):
                batch = 1 if len(qubits) <= MAX_EXACT else _blocks(len(qubits))
                batch = min(batch, _SETTLING) if len(qubits) > MAX_VECTOR else batch
                still = np.zeros((batch, len(self.chip.qubits)))
                cluster = self._cluster(qubits, initial, still, reference, ends=ends)
                cluster.walk(pulses, plan.measurements, cluster.pass_unread)
                final = cluster.final(sequence.period)
                change = float(np.abs(final - initial[list(qubits)]).max())
                initial[list(qubits)] = final
                slowest = max(self.chip.qubits[q].t1 for q in qubits)
                left = math.exp(-sequence.period * 1e-9 / slowest)
                if change * left < 2e-4:
                    break
        return initial

    def begin(
        self,
        qubits: tuple[int, ...],
        ends: dict[int, float],
        shots: int,
        stream: tuple[int, ...],
        initial: NDArray[np.float64],
        reference: float,
    ) -> tuple[Cluster, NDArray[np.int64], np.random.Generator]:
        """Return one cluster at the start of its shots, each shot's member of its batch, and the source of draws."""
        rng = noise.generator(self.seed, *stream)
        blocks = min(_blocks(len(qubits)) if ends else 1, shots)
        spread = noise.detunings(self.chip, blocks, rng)
        cluster = self._cluster(qubits, initial, spread, reference, stream, ends)
        return cluster, np.arange(shots) * blocks // shots, rng

    def reached(self, sequence: Sequence, reference: float) -> list[tuple[tuple[int, ...], int]]:
        """Return what each burst of a sequence acts on by itself, and when that has ended."""
        return self._pulses.reached(sequence, reference)

    def find(self, sequence: Sequence, reference: float) -> list[Pulse]:
        """Return the pulses of all bursts of a sequence, in the frame at ``reference`` (Hz)."""
        return self._pulses.find(sequence, reference)

    def thermal(self, reference: float) -> NDArray[np.float64]:
        """Return (qubits, 3) populations in equilibrium."""
        return np.array([idle.thermal for idle in self._free_at(reference).idles])

    def _run(
        self,
        plan: Plan,
        index: int,
        shots: int,
        stream: tuple[int, ...],
        initial: NDArray[np.float64],
        reference: float,
    ) -> ClusterReport:
        """Take one cluster through the shot and fill the measurements of its qubits; return how."""
        qubits, pulses, ends = plan.clusters[index], plan.pulses[index], plan.ends[index]
        cluster, owner, rng = self.begin(qubits, ends, shots, stream, initial, reference)
        mine = [m for m in plan.measurements if cluster.measured(m)]

        def read(measurement: Measurement) -> None:
            nonlocal owner
            if not cluster.measured(measurement):
                return
            last = measurement is mine[-1]
            owner = cluster.read(measurement, owner, rng, collapse=not last)

        if mine:
            before = [p for p in pulses if p.start < mine[-1].stop]
            cluster.walk(before, plan.measurements, read)
        return cluster.report()


def _blocks(qubits: int) -> int:
    return _BLOCKS.get(qubits, _WIDE_BLOCKS)
