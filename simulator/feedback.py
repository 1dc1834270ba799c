"""Shots that go different ways: what is played in a shot depends on bits that were measured in it.

The shot is cut where a readout with such bits ends. Up to there every cluster goes its way; then the digitizer's
windows are taken, and the shots of a cluster part by the values of those bits that matter to it. A bit matters to the
clusters that any of its pulses reaches, by crosstalk too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator import noise
from pulsed.simulator.acquisition import Acquisition, owner
from pulsed.simulator.chip import Chip
from pulsed.simulator.evolution import Cluster, Measurement, Plan, clear
from pulsed.simulator.pulses import Pulse
from pulsed.simulator.readout import Jumps
from pulsed.simulator.report import ClusterReport
from pulsed.simulator.sequence import Mode, Outcome, Prediction, Sequence
from pulsed.simulator.trajectories import SimulationLimitError

TRIALS = 1024
"""Shots that tell what a shot leaves to the next, and what a prediction is the mean of."""

_TRIAL_STREAM = 1 << 22

Find = Callable[[Sequence], list[Pulse]]
"""Returns the pulses of a sequence."""


@dataclass(frozen=True)
class Stage:
    """A part of the shot: ``measurements`` of which the last one ends it, at ``stop``, and tells ``bits``."""

    measurements: tuple[Measurement, ...]
    start: int
    stop: float
    bits: tuple[int, ...]
    windows: int
    """Windows of the sequence that are complete at the end."""


class Fork:
    """What a sequence plays, by what is known of its bits.

    Args:
        sequence: with conditions.
        chip: the chip.
        measurements: its readouts, in order of time.
        find: returns the pulses of a sequence.

    Raises:
        SimulationLimitError: a readout pulse waits for a bit, or a pulse waits for one of a readout that is still on.

    """

    def __init__(self, sequence: Sequence, chip: Chip, measurements: list[Measurement], find: Find) -> None:
        self.sequence = sequence
        self._chip = chip
        self._find = find
        self._known: dict[tuple[tuple[int, bool], ...], list[Pulse]] = {}
        owners = [owner(w, measurements, chip.amplifier.delay) for w in sequence.windows]
        self._waiting = {i: self._bursts_of(i) for i in range(len(sequence.bits))}
        used = [i for i, bursts in self._waiting.items() if len(bursts)]
        told = {i: next(k for k, m in enumerate(measurements) if m is owners[sequence.bits[i].window]) for i in used}
        self._check(told, measurements)
        ends = [-1, *sorted(set(told.values())), len(measurements) - 1]
        self.stages: list[Stage] = []
        for before, last in pairwise(ends):
            final = len(self.stages) == len(ends) - 2
            start = measurements[before].stop if before >= 0 else 0
            stop = np.inf if final else float(measurements[last].stop)
            own = tuple(measurements[before + 1 : last + 1])
            windows = sum(any(found is m for m in measurements[: last + 1]) for found in owners)
            bits = () if final else tuple(i for i in used if told[i] == last)
            self.stages.append(Stage(own, start, stop, bits, windows))
        self._reached = {i: self._reach(i) for i in used}

    def _bursts_of(self, bit: int) -> NDArray[np.int64]:
        """Return the bursts that a bit decides something about, by index."""
        conditions = self.sequence.conditions
        assert conditions is not None
        turned = [turn.bursts for turn in self.sequence.turns if abs(turn.condition) == bit + 1]
        found = np.concatenate([np.flatnonzero(np.abs(conditions) == bit + 1), *turned])
        return np.unique(found.astype(np.int64))

    def _check(self, told: Mapping[int, int], measurements: list[Measurement]) -> None:
        bursts = self.sequence.bursts
        for bit, k in told.items():
            for burst in bursts[self._waiting[bit]]:
                line = self.sequence.lines[burst["line"]].name
                if self._chip.wire(line).reads:
                    message, legal = "a readout pulse that waits for a bit cannot be followed", "pulses on other lines"
                elif burst["start"] < measurements[k].stop:
                    message = "a pulse waits for a bit of a readout that is still on at the chip"
                    legal = f"from {measurements[k].stop} ns"
                else:
                    continue
                raise SimulationLimitError(
                    message, subject=f"line {line}", value=f"a pulse at {burst['start']} ns", legal=legal
                )

    def _reach(self, bit: int) -> set[int]:
        """Return the qubits that the pulses of a bit reach."""
        bursts = self.sequence.bursts[self._waiting[bit]]
        found = self._find(replace(self.sequence, bursts=bursts, conditions=None, turns=()))
        return {q for pulse in found for q in pulse.qubits}

    def matters(self, bit: int, qubits: tuple[int, ...]) -> bool:
        """Return whether a bit decides about pulses of a cluster."""
        return bool(self._reached[bit] & set(qubits))

    def pulses(self, known: Mapping[int, bool], qubits: tuple[int, ...], stage: Stage) -> list[Pulse]:
        """Return the pulses of a cluster in a stage when some bits are known."""
        every = self._under(known)
        return [p for p in every if p.qubits[0] in qubits and stage.start <= p.start < stage.stop]

    def check_past(
        self, old: Mapping[int, bool], new: Mapping[int, bool], qubits: tuple[int, ...], stop: float
    ) -> None:
        """Refuse (SimulationLimitError) a bit that would change pulses which began before it was known."""
        before, after = (
            [p for p in self._under(known) if p.qubits[0] in qubits and p.start < stop] for known in (old, new)
        )
        if len(before) != len(after) or not all(map(_alike, before, after)):
            raise SimulationLimitError(
                "a pulse that waits for a bit overlaps one that began before the bit was measured",
                subject=f"qubits {', '.join(map(str, qubits))}",
                value=f"a pulse from before {stop:g} ns",
                legal="pulses that end before those that wait begin",
            )

    def _under(self, known: Mapping[int, bool]) -> list[Pulse]:
        key = tuple(sorted(known.items()))
        if key not in self._known:
            self._known[key] = self._find(self.sequence.under(known))
        return self._known[key]


def _alike(one: Pulse, other: Pulse) -> bool:
    same = (one.start, one.stop, one.qubits, one.phase) == (other.start, other.stop, other.qubits, other.phase)
    return same and (one.step is other.step or np.array_equal(one.step.unitary, other.step.unitary))


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
        pulses: list[Pulse],
        shots: int,
        stream: tuple[int, ...],
        initial: NDArray[np.float64],
        reference: float,
    ) -> tuple[Cluster, NDArray[np.int64], np.random.Generator]:
        """Return one cluster at the start of its shots."""

    def find(self, sequence: Sequence, reference: float) -> list[Pulse]:
        """Return the pulses of all bursts of a sequence."""

    def thermal(self, reference: float) -> NDArray[np.float64]:
        """Return (qubits, 3) populations in equilibrium."""


class Branching:
    """Plays a sequence with conditions. ``plan`` is that of all its bursts, ``reference`` the frame (Hz)."""

    def __init__(self, host: Host, sequence: Sequence, plan: Plan, reference: float) -> None:
        self._host = host
        self._sequence = sequence
        self._plan = plan
        self._reference = reference
        self._fork = Fork(sequence, host.chip, plan.measurements, lambda found: host.find(found, reference))

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
        for index, (qubits, pulses) in enumerate(zip(plan.clusters, plan.pulses, strict=True)):
            begun = host.begin(qubits, pulses, shots, (*stream, index), initial, self._reference)
            ways.append(Way(begun[0], np.arange(shots), begun[1], {}))
            rngs.append(begun[2])
        branches = Branches(self._fork, ways, rngs, to_the_end, watched)
        rng = noise.generator(host.seed, *stream, 1 << 20)
        acquisition = Acquisition(host.chip, self._sequence, plan.measurements, shots, rng, mode)
        branches.follow(acquisition)
        return branches, acquisition
