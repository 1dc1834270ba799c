"""Branching: the pulses of a shot depend on bits that were measured in it.

The shot is divided into stages where readouts with such bits end. Up to there each cluster evolves by itself; then the
digitizer's windows are taken, and the shots of a cluster are grouped by the values of the bits that it depends on:
those whose conditional pulses reach it, crosstalk included. Once no later pulse depends on a bit, the groups that it
separated are united: their states stay members of one batch until a readout makes them equal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.dynamics import noise
from pulsed.simulator.dynamics.hamiltonian import LEVELS
from pulsed.simulator.dynamics.report import ClusterReport
from pulsed.simulator.dynamics.sequence import AcquiredData, Mode, Prediction, PulseSequence
from pulsed.simulator.dynamics.state import DensityMatrix
from pulsed.simulator.engine.branch_plan import BranchPlan
from pulsed.simulator.engine.chip_model import ChipModel
from pulsed.simulator.engine.evolution import Cluster
from pulsed.simulator.engine.grouping import distinct
from pulsed.simulator.engine.plan import SequencePlan
from pulsed.simulator.engine.steady_state import InitialPopulations
from pulsed.simulator.readout.acquisition import Acquisition
from pulsed.simulator.readout.measurement import Measurement, clear, stretches_of

FEW = 0.1
"""Part of a difference that remains after a period; up to this, one period after the other is simulated."""

QUIET = 4e-3
"""Part of a difference that remains after a period, up to which shots begin with what one without slow noise leaves. A
long wait may change that by a half with the noise, a circuit of gates by a hundredth: by 2e-3 and 4e-5 here."""

SETTLED = 2e-4
"""Error allowed in a population at a shot's start."""

TRIALS, LEAST_TRIALS = 1024, 64
"""Shots from which initial populations and predictions are estimated, and the fewest."""

SAMPLED = 5e-5
"""Standard error of an initial population that is small enough to take fewer shots."""

_TRIAL_STREAM = 1 << 22

KEPT_BEGINNING = 4 << 20
"""Bytes of the largest state that is kept."""


@dataclass
class ShotGroup:
    """Shots of a cluster with the same bits so far: ``owner`` is each shot's member of the cluster's batch."""

    cluster: Cluster
    shots: NDArray[np.int64]
    owner: NDArray[np.int64]
    known: dict[int, bool]
    begun: float = -math.inf
    """The pulses that start before this time have been played."""


class BranchedClusters:
    """All clusters of a sequence with their groups of shots.

    Args:
        branch_plan: the pulses.
        groups: of each cluster, one with all shots.
        rngs: one source of draws for each.
        to_the_end: follow the shots after the last readout, too.
        watched: a readout of which :attr:`seen` gets each cluster's populations when it starts, (shots, 3**k).

    """

    def __init__(
        self,
        branch_plan: BranchPlan,
        groups: list[ShotGroup],
        rngs: list[np.random.Generator],
        to_the_end: bool = False,
        watched: Measurement | None = None,
    ) -> None:
        self.groups = [[group] for group in groups]
        self._branch_plan = branch_plan
        self._rngs = rngs
        self._to_the_end = to_the_end
        self._watched = watched
        self.seen: dict[int, NDArray[np.float64]] = {}
        # Each cluster's last readout, and the stage that it is in.
        measured = [
            [(n, m) for n, s in enumerate(branch_plan.stages) for m in s.measurements if group.cluster.measured(m)]
            for group in groups
        ]
        self._last = [own[-1] if own else (-1, None) for own in measured]
        self._shots = len(groups[0].shots) if groups else 0

    def follow(self, acquisition: Acquisition) -> None:
        """Go through all stages."""
        for number, stage in enumerate(self._branch_plan.stages):
            for which, groups in enumerate(self.groups):
                for group in groups:
                    self._advance(which, group, number)
            acquisition.take(stage.windows)
            if stage.bits:
                for which in range(len(self.groups)):
                    self._unite(which, number)
            for bit in stage.bits:
                self._divide(bit, acquisition.bit(bit), stage.stop)

    def measured(self, which: int) -> tuple[int, ...]:
        """Return the qubits of a cluster whose populations were seen."""
        assert self._watched is not None
        return self.groups[which][0].cluster.measured(self._watched)

    def final(self, until: int) -> dict[int, NDArray[np.float64]]:
        """Return the mean (3,) populations of each qubit at ``until``, over all shots."""
        out: dict[int, NDArray[np.float64]] = {}
        for groups in self.groups:
            for group in groups:
                weights = np.bincount(group.owner) / self._shots
                for qubit, populations in zip(group.cluster.qubits, group.cluster.final(until, weights), strict=True):
                    out[qubit] = out.get(qubit, 0.0) + populations
        return out

    def report(self) -> tuple[ClusterReport, ...]:
        """Return how each cluster was simulated: the worst of its groups."""
        out = []
        for groups in self.groups:
            reports = [group.cluster.report() for group in groups]
            worst = max(reports, key=lambda r: r.discarded_weight)
            out.append(replace(worst, members=sum(r.members for r in reports)))
        return tuple(out)

    def _advance(self, which: int, group: ShotGroup, number: int) -> None:
        (until, last), cluster, stage = self._last[which], group.cluster, self._branch_plan.stages[number]
        if number > until and not self._to_the_end:
            return
        pulses = self._branch_plan.pulses(group.known, cluster.qubits, stage)
        if number == 0:
            pulses = [p for p in pulses if p.start >= group.begun]
        if not self._to_the_end and last is not None:
            pulses = [p for p in pulses if p.start < last.start]

        def read(measurement: Measurement) -> None:
            if not cluster.measured(measurement):
                return
            if measurement is self._watched:
                self._look(which, group, cluster.reach(measurement))
            if not measurement.made(group.known):
                return
            collapse = self._to_the_end or measurement is not last
            group.owner, found = cluster.read(measurement, group.owner, self._rngs[which], collapse=collapse)
            measurement.keep(found, group.shots)

        cluster.walk(pulses, list(stage.measurements), read)

    def _unite(self, which: int, number: int) -> None:
        """Unite groups of shots that differ only in their states, not in what will act on them."""
        groups, stage = self.groups[which], self._branch_plan.stages[number]
        if len(groups) == 1 or (not self._to_the_end and self._last[which][0] <= number):
            return
        alike: dict[tuple[tuple[int, bool], ...], list[ShotGroup]] = {}
        for group in groups:
            group.known = self._branch_plan.remembered(group.known, group.cluster.qubits, stage.stop)
            group.cluster.wait(stage.settled)
            alike.setdefault(tuple(sorted(group.known.items())), []).append(group)
        self.groups[which] = [group for together in alike.values() for group in _united(together)]

    def _look(self, which: int, group: ShotGroup, populations: NDArray[np.float64]) -> None:
        if which not in self.seen:
            self.seen[which] = np.zeros((self._shots, populations.shape[1]))
        self.seen[which][group.shots] = populations[group.owner]

    def _divide(self, bit: int, values: NDArray[np.bool_], stop: float) -> None:
        """Divide the shots by a bit, in the clusters that depend on it."""
        for which, groups in enumerate(self.groups):
            qubits = groups[0].cluster.qubits
            if not self._branch_plan.matters(bit, qubits):
                continue
            divided = []
            for group in groups:
                for value in (False, True):
                    mine = values[group.shots] == value
                    if not mine.any():
                        continue
                    known = {**group.known, bit: value}
                    self._branch_plan.check_past(group.known, known, qubits, stop)
                    own = group.owner[mine]
                    first, member = distinct(own)
                    divided.append(ShotGroup(group.cluster.branch(own[first]), group.shots[mine], member, known))
            self.groups[which] = divided


def _united(groups: list[ShotGroup]) -> list[ShotGroup]:
    """Return groups with the same pulses ahead as one, or unchanged where a pulse or photons still distinguish them."""
    first, *others = (group.cluster for group in groups)
    if not others or not all(first.synchronous_with(other) for other in others):
        return groups
    sizes = [group.cluster.members for group in groups]
    offsets = np.cumsum([0, *sizes[:-1]])
    shots = np.concatenate([group.shots for group in groups])
    owner = np.concatenate([group.owner + offset for group, offset in zip(groups, offsets, strict=True)])
    order = np.argsort(shots)
    return [ShotGroup(first.joined_with(others), shots[order], owner[order], groups[0].known)]


class Branching:
    """Plays a sequence with conditions, as often as wanted.

    The slow noise is drawn by what is played, not by when: what comes before the first readout is followed once.

    Args:
        model: the chip.
        sequence: with conditions.
        plan: that of all its bursts.
        content: a hash of the sequence.

    """

    def __init__(
        self, model: ChipModel, sequence: PulseSequence, plan: SequencePlan, content: tuple[int, ...] = ()
    ) -> None:
        self._model = model
        self._sequence = sequence
        self._content = content
        self._begun: dict[tuple[int, int], Cluster] = {}
        """By cluster and members, what the first readout begins with."""
        self.plan = plan
        states = [8 * model.batch(len(qubits)) * LEVELS ** (2 * len(qubits)) for qubits in plan.clusters]
        room = sum(size for size in states if size <= KEPT_BEGINNING)
        self._trials, self._still = TRIALS, False
        self._branch_plan = BranchPlan(sequence, model.chip, plan.measurements, model.pulses, model.reached)
        readouts = sum(stretch.response.nbytes for stretch in stretches_of(plan.measurements))
        self.nbytes = room + readouts + self._branch_plan.nbytes
        """Memory of the sequence, what its readouts do and, at most, what they begin with and what is played."""

    def play(
        self, shots: int, stream: tuple[int, ...], mode: Mode, initial: InitialPopulations
    ) -> tuple[BranchedClusters, AcquiredData]:
        """Play the shots, which begin with ``initial``, and record them."""
        try:
            branches, acquisition = self._follow(shots, stream, mode, initial, again=bool(self._content))
            return branches, acquisition.outcome()
        finally:  # what is of these shots alone does not stay
            clear(self.plan.measurements, 0)
            self._branch_plan.forget()

    def initial(self) -> InitialPopulations:
        """Return populations at a shot's start: what the shot before left, relaxed until the period ends.

        What a shot leaves depends on what it measures, so this is the mean over a number of shots. In each qubit it is
        affine, with a slope that shots which begin in 0 and shots which begin in 1 tell: from there one comes at once
        to what the next shots leave as it is, however little a period changes. Where a period leaves next to nothing,
        none is simulated, and where it leaves little, few shots are enough, and the slow noise is left out as it always
        is where nothing depends on a bit.
        """
        start = self._model.thermal()
        if not self._model.chip.effects.memory:
            return InitialPopulations(start)
        t1 = max((self._model.chip.qubits[q].t1 for qubits in self.plan.clusters for q in qubits), default=1.0)
        left = math.exp(-self._sequence.period * 1e-9 / t1)
        if left < SETTLED:
            return InitialPopulations(start)
        self._trials = int(np.clip((0.5 * left / SAMPLED) ** 2, LEAST_TRIALS, TRIALS))
        self._still = left <= QUIET
        image = self._left_by(start)
        while float(np.abs(image - start).max()) * left > SETTLED:
            if left > FEW:
                return InitialPopulations(self._at_rest(start, image))
            start, image = image, self._left_by(image)
        return InitialPopulations(image)

    def _at_rest(self, start: NDArray[np.float64], image: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (qubits, 3) populations that a period leaves as they are; ``image`` is what it makes of ``start``."""
        low, high = (self._left_by(np.tile(np.eye(LEVELS)[level], (len(start), 1))) for level in (0, 1))
        gap = 1 - np.clip(high[:, 1] - low[:, 1], -1.0, 1.0 - 1e-6)
        for again in (True, False):
            start = np.clip(start + (image - start) / gap[:, None], 0.0, 1.0)
            start /= start.sum(axis=1, keepdims=True)
            image = self._left_by(start) if again else image  # what others have become may matter to a qubit
        return start

    def _left_by(self, start: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (qubits, 3) mean populations one period after some at a shot's start; those of the idle stay."""
        branches, _ = self._follow(
            self._trials, (_TRIAL_STREAM,), "integrated", InitialPopulations(start), to_the_end=True, still=self._still
        )
        out = start.copy()
        for qubit, populations in branches.final(self._sequence.period).items():
            out[qubit] = populations
        return out

    def predict(self) -> Prediction:
        """Return the populations before the last readout, the mean over a number of shots."""
        initial = self.initial()
        last = next((m for m in reversed(self.plan.measurements) if m.places), None)
        branches, _ = self._follow(TRIALS, (_TRIAL_STREAM + 1,), "integrated", initial, watched=last)
        order = [q for which in branches.seen for q in branches.measured(which)]
        total = np.zeros(3 ** len(order))
        for shot in range(TRIALS):
            joint: NDArray[np.float64] = np.ones(1)
            for seen in branches.seen.values():
                joint = np.multiply.outer(joint, seen[shot]).ravel()
            total += joint / TRIALS
        shaped = total.reshape((3,) * len(order))
        return Prediction(
            tuple(sorted(order)), shaped.transpose(np.argsort(order)) if order else shaped, initial.populations
        )

    def _follow(
        self,
        shots: int,
        stream: tuple[int, ...],
        mode: Mode,
        initial: InitialPopulations,
        to_the_end: bool = False,
        watched: Measurement | None = None,
        still: bool = False,
        again: bool = False,
    ) -> tuple[BranchedClusters, Acquisition]:
        model, plan = self._model, self.plan
        clear(plan.measurements, shots)
        groups, rngs = [], []
        for index, (qubits, ends) in enumerate(zip(plan.clusters, plan.ends, strict=True)):
            content = (*self._content, index) if again else ()
            cluster, owner, rng = model.begin(qubits, ends, shots, (*stream, index), initial, still, content)
            group = ShotGroup(cluster, np.arange(shots), owner, {})
            if again:
                self._go_ahead(index, group)
            groups.append(group)
            rngs.append(rng)
        branches = BranchedClusters(self._branch_plan, groups, rngs, to_the_end, watched)
        rng = noise.generator(model.seed, *stream, 1 << 20)
        acquisition = Acquisition(model.chip, self._sequence, stretches_of(plan.measurements), shots, rng, mode)
        branches.follow(acquisition)
        return branches, acquisition

    def _go_ahead(self, index: int, group: ShotGroup) -> None:
        """Take a density matrix up to its first readout, which is followed once for all runs."""
        cluster, stage = group.cluster, self._branch_plan.stages[0]
        first = next((m for m in stage.measurements if cluster.measured(m)), None)
        if first is None or not isinstance(cluster.state, DensityMatrix):
            return
        key = index, cluster.members
        found = self._begun.get(key)
        if found is None:
            pulses = self._branch_plan.pulses({}, cluster.qubits, stage)
            cluster.walk([p for p in pulses if p.start < first.start], [], lambda _: None)
            if cluster.state.bytes_of(cluster.members) > KEPT_BEGINNING:
                group.begun = first.start
                return
            found = self._begun[key] = cluster
            while len(self._begun) > len(self.plan.clusters):
                del self._begun[next(iter(self._begun))]
        group.cluster, group.begun = found.branch(np.arange(found.members)), first.start
