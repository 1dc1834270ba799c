"""Shots that go different ways: what is played in a shot depends on bits that were measured in it.

The shot is cut where a readout with such bits ends. Up to there every cluster goes its way; then the digitizer's
windows are taken, and the shots of a cluster part by the values of those bits that matter to it. A bit matters to the
clusters that any of its pulses reaches, by crosstalk too. Once a bit has nothing more to decide, shots that it parted
go on together: their states stay apart, as members of one batch, until a readout leaves them the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator import noise
from pulsed.simulator.acquisition import Acquisition
from pulsed.simulator.chip import Chip
from pulsed.simulator.evolution import Cluster
from pulsed.simulator.fork import Fork, Stage
from pulsed.simulator.measurement import Measurement, clear
from pulsed.simulator.plan import Plan
from pulsed.simulator.readout import Jumps
from pulsed.simulator.report import ClusterReport
from pulsed.simulator.sequence import Mode, Outcome, Prediction, Sequence
from pulsed.simulator.step import Pulse

TRIALS = 1024
"""Shots that tell what a shot leaves to the next, and what a prediction is the mean of."""

_TRIAL_STREAM = 1 << 22


@dataclass
class Way:
    """Some shots of a cluster that have gone the same way: ``owner`` is each one's member of the cluster's batch."""

    cluster: Cluster
    shots: NDArray[np.int64]
    owner: NDArray[np.int64]
    known: dict[int, bool]


class Branches:
    """All clusters of a sequence on their ways.

    Args:
        fork: what they play.
        ways: each cluster with all shots.
        rngs: one source of draws for each.
        to_the_end: follow the shots after the last readout, too.
        watched: a readout of which :attr:`seen` gets each cluster's populations when it starts, (shots, 3**k).

    """

    def __init__(
        self,
        fork: Fork,
        ways: list[Way],
        rngs: list[np.random.Generator],
        to_the_end: bool = False,
        watched: Measurement | None = None,
    ) -> None:
        self.ways = [[way] for way in ways]
        self._fork = fork
        self._rngs = rngs
        self._to_the_end = to_the_end
        self._watched = watched
        self.seen: dict[int, NDArray[np.float64]] = {}
        measured = [[m for s in fork.stages for m in s.measurements if w.cluster.measured(m)] for w in ways]
        self._last = [own[-1] if own else None for own in measured]
        self._shots = len(ways[0].shots) if ways else 0

    def follow(self, acquisition: Acquisition) -> None:
        """Go through all stages."""
        for stage in self._fork.stages:
            for which, ways in enumerate(self.ways):
                for way in ways:
                    self._advance(which, way, stage)
            acquisition.take(stage.windows)
            if stage.bits:
                for which in range(len(self.ways)):
                    self._unite(which, stage)
            for bit in stage.bits:
                self._part(bit, acquisition.bit(bit), stage.stop)

    def measured(self, which: int) -> tuple[int, ...]:
        """Return the qubits of a cluster whose populations were seen."""
        assert self._watched is not None
        return self.ways[which][0].cluster.measured(self._watched)

    def final(self, until: int) -> dict[int, NDArray[np.float64]]:
        """Return the mean (3,) populations of each qubit at ``until``, over all shots."""
        out: dict[int, NDArray[np.float64]] = {}
        for ways in self.ways:
            for way in ways:
                weights = np.bincount(way.owner) / self._shots
                for qubit, populations in zip(way.cluster.qubits, way.cluster.final(until, weights), strict=True):
                    out[qubit] = out.get(qubit, 0.0) + populations
        return out

    def report(self) -> tuple[ClusterReport, ...]:
        """Return how each cluster was followed: its ways together, the worst of them."""
        out = []
        for ways in self.ways:
            reports = [way.cluster.report() for way in ways]
            worst = max(reports, key=lambda r: r.discarded_weight)
            out.append(replace(worst, members=sum(r.members for r in reports)))
        return tuple(out)

    def _advance(self, which: int, way: Way, stage: Stage) -> None:
        last, cluster = self._last[which], way.cluster
        over = last is None or stage.start >= last.stop
        if over and not self._to_the_end:
            return
        pulses = self._fork.pulses(way.known, cluster.qubits, stage)
        if not self._to_the_end and last is not None:
            pulses = [p for p in pulses if p.start < last.stop]

        def read(measurement: Measurement) -> None:
            qubits = cluster.measured(measurement)
            if not qubits:
                return
            if measurement is self._watched:
                self._look(which, way, cluster.reach(measurement))
            shadow = _shadow(measurement, len(way.shots))
            collapse = self._to_the_end or measurement is not last
            way.owner = cluster.read(shadow, way.owner, self._rngs[which], collapse=collapse)
            _keep(shadow, measurement, qubits, way.shots)

        cluster.walk(pulses, list(stage.measurements), read)

    def _unite(self, which: int, stage: Stage) -> None:
        """Let shots of a cluster go on together that nothing to come tells apart but their states."""
        ways, last = self.ways[which], self._last[which]
        if len(ways) == 1 or (not self._to_the_end and (last is None or last.stop <= stage.stop)):
            return
        groups: dict[tuple[tuple[int, bool], ...], list[Way]] = {}
        for way in ways:
            way.known = self._fork.remembered(way.known, way.cluster.qubits, stage.stop)
            way.cluster.wait(int(stage.stop))
            groups.setdefault(tuple(sorted(way.known.items())), []).append(way)
        self.ways[which] = [way for group in groups.values() for way in _united(group)]

    def _look(self, which: int, way: Way, populations: NDArray[np.float64]) -> None:
        if which not in self.seen:
            self.seen[which] = np.zeros((self._shots, populations.shape[1]))
        self.seen[which][way.shots] = populations[way.owner]

    def _part(self, bit: int, values: NDArray[np.bool_], stop: float) -> None:
        """Let the shots part by a bit, in the clusters where it matters."""
        for which, ways in enumerate(self.ways):
            qubits = ways[0].cluster.qubits
            if not self._fork.matters(bit, qubits):
                continue
            parted = []
            for way in ways:
                for value in (False, True):
                    mine = values[way.shots] == value
                    if not mine.any():
                        continue
                    known = {**way.known, bit: value}
                    self._fork.check_past(way.known, known, qubits, stop)
                    members, member = np.unique(way.owner[mine], return_inverse=True)
                    cluster = way.cluster.branch(members)
                    parted.append(Way(cluster, way.shots[mine], member.ravel().astype(np.int64), known))
            self.ways[which] = parted


def _united(ways: list[Way]) -> list[Way]:
    """Return ways with the same pulses ahead as one; as they are, where a pulse or photons still tell them apart."""
    first, *others = (way.cluster for way in ways)
    if not others or not all(first.keeps_time_with(other) for other in others):
        return ways
    sizes = [way.cluster.members for way in ways]
    offsets = np.cumsum([0, *sizes[:-1]])
    shots = np.concatenate([way.shots for way in ways])
    owner = np.concatenate([way.owner + offset for way, offset in zip(ways, offsets, strict=True)])
    order = np.argsort(shots)
    return [Way(first.with_members_of(others), shots[order], owner[order], ways[0].known)]


def _shadow(measurement: Measurement, shots: int) -> Measurement:
    """Return a readout for some of the shots."""
    measured, nothing = len(measurement.response.measured), np.zeros(0, dtype=np.int64)
    return replace(measurement, levels=np.zeros((shots, measured), np.int64), jumps=[Jumps(*[nothing] * 4)] * measured)


def _keep(shadow: Measurement, measurement: Measurement, qubits: tuple[int, ...], shots: NDArray[np.int64]) -> None:
    """Write what some shots did into the readout of all."""
    for qubit in qubits:
        i = measurement.response.measured.index(qubit)
        measurement.levels[shots, i] = shadow.levels[:, i]
        old, new = measurement.jumps[i], shadow.jumps[i]
        columns = zip(
            (old.shots, old.times, old.before, old.after),
            (shots[new.shots], new.times, new.before, new.after),
            strict=True,
        )
        measurement.jumps[i] = Jumps(*(np.concatenate(column) for column in columns))


class Host(Protocol):
    """The engine: what begins a shot and knows the pulses."""

    seed: int
    chip: Chip

    def begin(
        self,
        qubits: tuple[int, ...],
        ends: dict[int, float],
        shots: int,
        stream: tuple[int, ...],
        initial: NDArray[np.float64],
        reference: float,
    ) -> tuple[Cluster, NDArray[np.int64], np.random.Generator]:
        """Return one cluster at the start of its shots."""

    def find(self, sequence: Sequence, reference: float) -> list[Pulse]:
        """Return the pulses of all bursts of a sequence."""

    def reached(self, sequence: Sequence, reference: float) -> list[tuple[tuple[int, ...], int]]:
        """Return what each burst of a sequence acts on by itself, and when that has ended."""

    def thermal(self, reference: float) -> NDArray[np.float64]:
        """Return (qubits, 3) populations in equilibrium."""


class Branching:
    """Plays a sequence with conditions. ``plan`` is that of all its bursts, ``reference`` the frame (Hz)."""

    def __init__(self, host: Host, sequence: Sequence, plan: Plan, reference: float) -> None:
        self._host = host
        self._sequence = sequence
        self._plan = plan
        self._reference = reference
        self._fork = Fork(
            sequence,
            host.chip,
            plan.measurements,
            lambda found: host.find(found, reference),
            lambda found: host.reached(found, reference),
        )

    def play(self, shots: int, stream: tuple[int, ...], mode: Mode) -> tuple[Branches, Outcome]:
        """Play the shots and record them."""
        initial = self.initial()
        branches, acquisition = self._follow(shots, stream, mode, initial)
        return branches, acquisition.outcome()

    def initial(self) -> NDArray[np.float64]:
        """Return (qubits, 3) populations at a shot's start: what the shot before left, relaxed until the period ends.

        What a shot leaves depends on what it measures, so this is the mean over a number of shots.
        """
        initial = self._host.thermal(self._reference)
        for _ in range(4):
            branches, _ = self._follow(TRIALS, (_TRIAL_STREAM,), "integrated", initial, to_the_end=True)
            final = branches.final(self._sequence.period)
            change = max((float(np.abs(final[q] - initial[q]).max()) for q in final), default=0.0)
            for qubit, populations in final.items():
                initial[qubit] = populations
            slowest = max((self._host.chip.qubits[q].t1 for q in final), default=1.0)
            if change * np.exp(-self._sequence.period * 1e-9 / slowest) < 2e-4:
                break
        return initial

    def predict(self) -> Prediction:
        """Return the populations before the last readout, the mean over a number of shots."""
        initial = self.initial()
        last = next((m for m in reversed(self._plan.measurements) if m.response.measured), None)
        branches, _ = self._follow(TRIALS, (_TRIAL_STREAM + 1,), "integrated", initial, watched=last)
        order = [q for which in branches.seen for q in branches.measured(which)]
        total = np.zeros(3 ** len(order))
        for shot in range(TRIALS):
            joint: NDArray[np.float64] = np.ones(1)
            for seen in branches.seen.values():
                joint = np.multiply.outer(joint, seen[shot]).ravel()
            total += joint / TRIALS
        shaped = total.reshape((3,) * len(order))
        return Prediction(tuple(sorted(order)), shaped.transpose(np.argsort(order)) if order else shaped, initial)

    def _follow(
        self,
        shots: int,
        stream: tuple[int, ...],
        mode: Mode,
        initial: NDArray[np.float64],
        to_the_end: bool = False,
        watched: Measurement | None = None,
    ) -> tuple[Branches, Acquisition]:
        host, plan = self._host, self._plan
        clear(plan.measurements, shots)
        ways, rngs = [], []
        for index, (qubits, ends) in enumerate(zip(plan.clusters, plan.ends, strict=True)):
            begun = host.begin(qubits, ends, shots, (*stream, index), initial, self._reference)
            ways.append(Way(begun[0], np.arange(shots), begun[1], {}))
            rngs.append(begun[2])
        branches = Branches(self._fork, ways, rngs, to_the_end, watched)
        rng = noise.generator(host.seed, *stream, 1 << 20)
        acquisition = Acquisition(host.chip, self._sequence, plan.measurements, shots, rng, mode)
        branches.follow(acquisition)
        return branches, acquisition
