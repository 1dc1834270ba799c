"""The chip behind the instruments: plays a sequence and returns what the digitizer gets."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from pulsed.model.errors import ConfigError, InvalidValueError
from pulsed.simulator.chip import drift
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.drift_settings import read_drift
from pulsed.simulator.dynamics import noise
from pulsed.simulator.dynamics.hamiltonian import moved, zz_rate
from pulsed.simulator.dynamics.pulses import PulseMapCache
from pulsed.simulator.dynamics.report import ClusterReport, Report
from pulsed.simulator.dynamics.sequence import (
    BURST,
    AcquiredData,
    IntegrationKernel,
    LineSettings,
    Mode,
    Prediction,
    PulseSequence,
    Window,
)
from pulsed.simulator.dynamics.trajectories import Trajectories
from pulsed.simulator.engine.beginning import initial_populations
from pulsed.simulator.engine.branching import Branching
from pulsed.simulator.engine.chip_model import ChipModel
from pulsed.simulator.engine.evolution import Cluster
from pulsed.simulator.engine.free_evolution import FreeEvolution
from pulsed.simulator.engine.kept_results import Beginning, KeptResults, content_of
from pulsed.simulator.engine.large_cluster import LeakageError
from pulsed.simulator.engine.one_readout import draw, draws_of, final_populations, read_once
from pulsed.simulator.engine.plan import SequencePlan, measurements_in, reference_of
from pulsed.simulator.engine.steady_state import InitialPopulations
from pulsed.simulator.readout.acquisition import Acquisition
from pulsed.simulator.readout.measurement import Measurement, clear, stretches_of
from pulsed.simulator.readout.readout_cache import ReadoutCache


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
        self._pulse_maps = PulseMapCache(chip)
        self._readouts = ReadoutCache(chip)
        self._free: dict[float, FreeEvolution] = {}
        self._kept = KeptResults()
        self._let_drift(0.0)

    def play(self, sequence: PulseSequence, shots: int, stream: tuple[int, ...], mode: Mode) -> AcquiredData:
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
        """Change the drift (keys of :class:`Drift`) and its moment (``time``, seconds); return the new values of all.

        Raises:
            ConfigError: names the key, the bad value and the legal ones; nothing is changed.

        """
        changes = dict(changes)
        moment = changes.pop("time", self.moment)
        found = read_drift(changes, self.designed.wires, self.drift)
        if not isinstance(moment, int | float) or isinstance(moment, bool) or not 0 <= moment <= drift.LATEST:
            legal = f"0 to {drift.LATEST:g} s"
            raise ConfigError("the moment is out of range", subject="drift.time", value=moment, legal=legal)
        self.drift = found
        self._let_drift(float(moment))
        return {**asdict(self.drift), "time": self.moment}

    def _let_drift(self, moment: float) -> None:
        """Bring the chip to a moment of its drift. A sequence keeps the state that it starts with."""
        self.moment = moment
        chip = drift.chip_at(self._biased, self.drift, moment)
        if chip != self.chip:
            self.chip = chip
            self._pulse_maps.take(chip)
            self._readouts.take(chip)
            self._free.clear()
            self._kept.clear()

    def _bias(self, lines: tuple[LineSettings, ...]) -> None:
        """Set the couplers to the flux of the direct currents and offsets on their lines."""
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

    def _play(self, sequence: PulseSequence, shots: int, stream: tuple[int, ...], mode: Mode) -> AcquiredData:
        self._bias(sequence.lines)
        model = self.model(reference_of(self.chip, sequence.lines))
        if sequence.conditions is not None:
            content = content_of(sequence)
            branching = self._kept.find(
                (*content, self.seed), lambda: Branching(model, sequence, model.plan(sequence), content)
            )  # fmt: skip
            initial = self._kept.find(content, branching.initial)
            branches, outcome = branching.play(shots, stream, mode, initial)
            return replace(outcome, report=Report(branches.report(), model.dropped_zz(branching.plan)))
        content = content_of(sequence)
        plan, initial = self._planned(model, sequence, shots, content)
        clear(plan.measurements, shots)
        clusters = []
        for index in range(len(plan.clusters)):
            clusters.append(self._follow(model, plan, index, shots, (*stream, index), initial, content))
        report = Report(tuple(clusters), model.dropped_zz(plan))
        rng = noise.generator(self.seed, *stream, 1 << 20)
        outcome = Acquisition(self.chip, sequence, stretches_of(plan.measurements), shots, rng, mode).outcome()
        return replace(outcome, report=report)

    def _follow(
        self,
        model: ChipModel,
        plan: SequencePlan,
        index: int,
        shots: int,
        stream: tuple[int, ...],
        initial: InitialPopulations,
        content: tuple[int, int],
    ) -> ClusterReport:
        """Fill the measurements of one cluster; return how."""
        if read_once(plan, index):
            draws = draws_of(model, plan.clusters[index], shots)
            key = (*content, index, draws)
            with suppress(LeakageError):  # then trajectories show it
                final = self._kept.find(key, lambda: final_populations(model, plan, index, draws, initial, content))
                return draw(model, plan, index, final, shots, noise.generator(self.seed, *stream))
        return _run(model, plan, index, shots, stream, initial)

    def _planned(
        self, model: ChipModel, sequence: PulseSequence, shots: int, content: tuple[int, int]
    ) -> tuple[SequencePlan, InitialPopulations]:
        """Return what a sequence plays and where its shots begin; without pulses, where only draws are left to do."""
        known = self._kept.get(content)
        if known is not None:
            finals = [(*content, i, draws_of(model, q, shots)) for i, q in enumerate(known.plan.clusters)]
            if all(self._kept.get(key) is not None for key in finals):
                return replace(known.plan, measurements=measurements_in(sequence, self._readouts)), known.initial
        plan = model.plan(sequence)
        if known is None:
            bare = replace(plan, pulses=[[] for _ in plan.clusters], measurements=[])
            known = self._kept.find(content, lambda: Beginning(bare, initial_populations(model, sequence, plan)))
        return plan, known.initial

    def predict(self, sequence: PulseSequence) -> Prediction:
        """Return the truth about a sequence: joint populations before the last readout, quasi-static noise averaged."""
        self._bias(sequence.lines)
        model = self.model(reference_of(self.chip, sequence.lines))
        plan = model.plan(sequence)
        if sequence.conditions is not None:
            return Branching(model, sequence, plan).predict()
        initial = initial_populations(model, sequence, plan)
        last = next((m for m in reversed(plan.measurements) if m.places), None)
        joint: NDArray[np.float64] = np.ones(1)
        order: list[int] = []
        for qubits, pulses, ends in zip(plan.clusters, plan.pulses, plan.ends, strict=True):
            measured = () if last is None else tuple(q for q in last.measured if q in qubits)
            if last is None or not measured:
                continue
            rng = noise.generator(0, *qubits)
            spread = noise.detunings(self.chip, model.batch(len(qubits)), rng)
            cluster = model.cluster(qubits, initial, spread, ends=ends)
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
        return Prediction(
            tuple(sorted(order)), joint.transpose(np.argsort(order)) if order else joint, initial.populations
        )

    def warm_up(self) -> None:
        """Compile or load every kernel, so that no later call has to: half a second, on a new machine ten.

        Plays a pulse on one transmon, then one that drives a pair, then one after a wait, and reads out, in every mode;
        the last of these on three transmons, too; then a map acts on a state vector. No random stream depends on it.
        """
        first, wires = self.chip.qubits[0], self.chip.wires
        drive = next(i for i, w in enumerate(wires) if w.qubit == 0)
        readout = next(i for i, w in enumerate(wires) if w.reads)
        lines = tuple(LineSettings(w.name, first.readout_frequency if w.reads else first.frequency) for w in wires)
        other = next((c.qubits[1] for c in self.chip.couplings if c.qubits[0] == 0), 0)
        far = self.chip.qubits[other].frequency - first.frequency
        rows = [(readout, 4000, 1, 0.2, 0.0, 0.0), (drive, 0, 0, 0.05, 0.0, 0.0)]
        rows += [(drive, 100, 1, 0.5, 0.0, far), (drive, 3500, 0, 0.05, 0.0, 0.0)]
        envelopes = (np.ones(16, complex), np.ones(400, complex))
        kernel = IntegrationKernel(0.0, np.full(400, 1 / 400, complex))
        window = Window(4000 + self.chip.amplifier.delay, 400, (kernel,))
        modes: tuple[Mode, ...] = ("integrated", "raw", "averaged")
        for count, mode in enumerate(modes):
            bursts = np.array(rows[: count + 2], BURST)
            sequence = PulseSequence(lines, bursts, envelopes, (b"warm 1", b"warm 2"), (window,), 1_000_000)
            self._play(sequence, 64, (0,), mode)
        model = self.model(reference_of(self.chip, lines))
        pulses = [pulse for own in model.plan(sequence).pulses for pulse in own]
        several = tuple(sorted({*range(min(3, len(self.chip.qubits))), *(q for p in pulses for q in p.qubits)}))
        cluster = model.cluster(several, InitialPopulations(model.thermal()), np.zeros((1, len(self.chip.qubits))))
        cluster.walk(pulses, [], lambda _: None)
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

    def model(self, reference: float) -> ChipModel:
        """Return the chip as it is now in the frame at ``reference`` (Hz)."""
        free = self._free.get(reference)
        if free is None:
            if len(self._free) > 16:
                self._free.clear()
            free = self._free[reference] = FreeEvolution(self.chip, reference)
        return ChipModel(self.chip, self.seed, reference, free, self._pulse_maps, self._readouts)


def _run(
    model: ChipModel,
    plan: SequencePlan,
    index: int,
    shots: int,
    stream: tuple[int, ...],
    initial: InitialPopulations,
) -> ClusterReport:
    """Take one cluster through the shot and fill the measurements of its qubits; return how."""
    qubits, pulses, ends = plan.clusters[index], plan.pulses[index], plan.ends[index]
    cluster, owner, rng = model.begin(qubits, ends, shots, stream, initial)
    mine = [m for m in plan.measurements if cluster.measured(m)]

    def read(measurement: Measurement) -> None:
        nonlocal owner
        if not cluster.measured(measurement):
            return
        last = measurement is mine[-1]
        owner, found = cluster.read(measurement, owner, rng, collapse=not last)
        measurement.keep(found)

    if mine:
        before = [p for p in pulses if p.start < mine[-1].start]
        cluster.walk(before, plan.measurements, read)
    return cluster.report()
