"""One cluster of transmons through a whole shot: idle, pulses, always-on ZZ, measurements that collapse it."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.dynamics.hamiltonian import LEVELS
from pulsed.simulator.dynamics.mps import MatrixProducts
from pulsed.simulator.dynamics.pulse_map import PlacedPulse, PulseMap
from pulsed.simulator.dynamics.report import ClusterReport
from pulsed.simulator.dynamics.state import DensityMatrix
from pulsed.simulator.dynamics.superoperators import small_unitaries
from pulsed.simulator.dynamics.trajectories import Trajectories, check_branches
from pulsed.simulator.engine.free_evolution import FreeEvolution
from pulsed.simulator.engine.grouping import distinct, joint
from pulsed.simulator.readout.jumps import sample_jumps, transfer
from pulsed.simulator.readout.measurement import MeasuredQubit, Measurement
from pulsed.simulator.readout.residual_photons import ClusterPhotons

ZZ_STEP = 2000.0
"""Longest idle (ns) of coupled transmons in one step: decay and ZZ do not commute, the error is of order
(ZZ_STEP/T1)^2."""

MARK_DIGITS = 9
"""Members of a batch count as equal when their fingerprints agree to this many digits."""

MOST_BYTES = 2 << 30
"""Bytes of a batch of density matrices that readouts may split it into; copies take twice as much meanwhile."""

Complex = NDArray[np.complex128]

State = DensityMatrix | Trajectories | MatrixProducts


class Cluster:
    """The joint state of some qubits, each with its own clock; ZZ is applied in halves around each pulse (Strang).

    Args:
        free: the chip without pulses.
        qubits: of this cluster.
        detunings: (batch, chip qubits) Hz.
        state: where they start.

    Attributes:
        clock: time (ns) up to which each qubit has been followed.
        zz_clock: the same of each coupled pair's ZZ.
        realisation: (batch,) which draw of the slow noise each member has.
        photons: what readouts have left in the resonators.

    """

    def __init__(
        self,
        free: FreeEvolution,
        qubits: tuple[int, ...],
        detunings: NDArray[np.float64],
        state: State,
    ) -> None:
        self._chip = free.chip
        self.qubits = qubits
        self._idles = free.idles
        self._zz = free.zz
        self.detunings = detunings
        self.realisation = np.arange(len(detunings))
        self.state: State = state
        self.photons = ClusterPhotons(free.chip)
        self.clock = dict.fromkeys(qubits, 0)
        self.zz_clock = dict.fromkeys(free.pairs(qubits), 0.0)

    def _idle(self, qubit: int, until: int) -> None:
        assert not isinstance(self.state, DensityMatrix)
        if until > self.clock[qubit]:
            self.state.apply((self.qubits.index(qubit),), self._waited(qubit, until))
        self.clock[qubit] = max(until, self.clock[qubit])

    def _transfer(self, qubit: int, populations: NDArray[np.float64]) -> None:
        """Apply a (3, 3) map to the populations of a qubit without coherence."""
        assert not isinstance(self.state, DensityMatrix)
        maps = np.zeros((1, LEVELS**2, LEVELS**2), complex)
        diagonal = np.arange(LEVELS) * (LEVELS + 1)
        maps[0, diagonal[:, None], diagonal[None, :]] = populations
        self.state.apply((self.qubits.index(qubit),), maps)

    def _waited(self, qubit: int, until: int) -> NDArray[Any]:
        """Return the (batch, 9, 9) map of a qubit's wait from its clock on."""
        start = self.clock[qubit]
        maps = self._idles[qubit].superoperator(until - start, self.detunings[:, qubit])
        if self.photons.act(qubit, start):
            maps = self.photons.factors(qubit, start, until)[:, :, None] * maps
        return maps

    def _shifts(self, pulse: PlacedPulse) -> NDArray[np.float64]:
        """Return (batch, sites) detunings in Hz that a pulse sees."""
        detunings = self.detunings[:, list(pulse.qubits)]
        for site, qubit in enumerate(pulse.qubits):
            if self.photons.act(qubit, pulse.start):
                detunings[:, site] += self.photons.during_pulse(qubit, pulse.start, pulse.stop)
        return detunings

    def _couple(self, pair: tuple[int, int], until: float) -> None:
        duration = until - self.zz_clock[pair]
        if duration > 0:
            a, b = (self.qubits.index(q) for q in pair)
            self.state.shift(a, b, self._zz[pair], duration)
        self.zz_clock[pair] = max(until, self.zz_clock[pair])

    def wait(self, until: int) -> None:
        """Let all qubits idle until ``until``; coupled ones in steps, as decay and ZZ do not commute."""
        start = min(self.clock.values())
        if self.zz_clock and until - start > ZZ_STEP:
            for edge in np.linspace(start, until, int(np.ceil((until - start) / ZZ_STEP)) + 1)[1:-1]:
                self._advance(int(edge))
        self._advance(until)

    def _advance(self, until: int) -> None:
        previous = min(self.clock.values())
        for pair in self.zz_clock:
            self._couple(pair, max(self.zz_clock[pair], 0.5 * (previous + until)))
        for qubit in self.qubits:
            self._idle(qubit, until)
        for pair in self.zz_clock:
            self._couple(pair, until)

    def walk(
        self, pulses: list[PlacedPulse], measurements: list[Measurement], act: Callable[[Measurement], None]
    ) -> None:
        """Go through pulses (by the middle of their time) and readouts; ``act`` handles a readout.

        A pulse goes before a readout if it starts before: on the qubits that are read it must, and on others, which may
        still be driven when the readout starts, it makes no difference.
        """
        waiting = [m for m in measurements if self.measured(m)]
        starts = np.array([p.start for p in pulses])
        stage = np.searchsorted([m.start for m in waiting], starts, side="right")
        for k in range(len(waiting) + 1):
            mine = np.flatnonzero(stage == k).tolist()
            if mine:
                self._play_all([pulses[i] for i in mine] if len(mine) < len(pulses) else pulses)
            if k < len(waiting):
                act(waiting[k])

    def _play_all(self, pulses: list[PlacedPulse]) -> None:
        starts = np.array([p.start for p in pulses])
        horizons = np.minimum.accumulate(starts[::-1])[::-1]
        for pulse, horizon in zip(pulses, horizons.tolist(), strict=True):
            if self.zz_clock and horizon - min(self.clock.values()) > ZZ_STEP:
                self.wait(horizon)
            self.play(pulse)

    def play(self, pulse: PlacedPulse) -> None:
        """Let a pulse act."""
        assert not isinstance(self.state, DensityMatrix)
        start = self._approach(pulse)
        sites = tuple(self.qubits.index(q) for q in pulse.qubits)
        pulse_map = pulse.map
        if len(sites) == 1:
            before = self._waited(pulse.qubits[0], start)
            detunings = self._shifts(pulse)
            maps = pulse_map.turned(pulse.phase, pulse_map.superoperator @ _detuned(pulse_map, detunings))
            self.state.apply(sites, maps @ before)
        else:
            for qubit in pulse.qubits:
                self._idle(qubit, start)
            detunings = self._shifts(pulse)
            small = small_unitaries(pulse_map.moments, detunings)
            self.state.apply_unitaries(sites, pulse_map.turned_operators(pulse.phase, small))
            if len(sites) > 2:
                self.state.jump(sites, pulse_map.turned_operators(pulse.phase, pulse_map.kraus))
            else:
                self.state.apply(sites, pulse_map.turned(pulse.phase, pulse_map.superoperator)[None])
        self._leave(pulse)

    def _approach(self, pulse: PlacedPulse) -> int:
        """Let pair energies act up to a pulse; return when it begins.

        A qubit whose clock is past that, because a readout rings down, has no coherence: only the others wait.
        """
        start = pulse.start
        middle = 0.5 * (pulse.start + pulse.stop)
        for pair in self.zz_clock:
            if pair[0] in pulse.qubits and pair[1] in pulse.qubits:
                self._couple(pair, start)
            elif pair[0] in pulse.qubits or pair[1] in pulse.qubits:
                self._couple(pair, middle)
        return start

    def _leave(self, pulse: PlacedPulse) -> None:
        for qubit in pulse.qubits:
            self.clock[qubit] = pulse.stop
        if len(pulse.qubits) > 1:
            inside = [pair for pair in self.zz_clock if pair[0] in pulse.qubits and pair[1] in pulse.qubits]
            self.zz_clock.update(dict.fromkeys(inside, float(pulse.stop)))

    def measured(self, measurement: Measurement) -> tuple[int, ...]:
        """Return which of this cluster's qubits a readout measures."""
        return tuple(q for q in measurement.measured if q in self.qubits)

    def reach(self, measurement: Measurement) -> NDArray[np.float64]:
        """Idle until a readout starts; return (batch, 3**k) joint populations of the qubits it measures."""
        self.wait(measurement.start)
        sites = tuple(self.qubits.index(q) for q in self.measured(measurement))
        return self.state.populations(sites)

    def pass_unread(self, measurement: Measurement) -> None:
        """Let a readout dephase its qubits and discard the result."""
        for qubit in self.measured(measurement):
            site = self.qubits.index(qubit)
            i = measurement.stretch.response.measured.index(qubit)
            self._idle(qubit, measurement.start)
            self.state.dephase(site)
            self._transfer(qubit, transfer(self._chip, measurement.stretch.response, i, measurement.samples))
            self.clock[qubit] = max(self.clock[qubit], measurement.stop)
            # All levels leave nearly the same number of photons, so that their mean stands for each.
            photons = self.state.populations((site,)) @ measurement.photons(i)
            self.photons.leave(qubit, photons, measurement.stop)

    def read(
        self,
        measurement: Measurement,
        owner: NDArray[np.int64],
        rng: np.random.Generator,
        collapse: bool,
    ) -> tuple[NDArray[np.int64], list[MeasuredQubit]]:
        """Sample a readout in every shot and, if ``collapse``, leave the state that each shot found.

        Args:
            measurement: the readout.
            owner: (shots,) member of the batch that each shot belongs to.
            rng: source of the draws.
            collapse: whether anything follows.

        Returns:
            (shots,) the new owners, and what was found of this cluster's qubits.

        Raises:
            SimulationLimitError: more branches than fit.

        """
        qubits = self.measured(measurement)
        sites = tuple(self.qubits.index(q) for q in qubits)
        before = self._draw(measurement, owner, rng, collapse)
        final, found = jumped(self._chip, measurement, qubits, before, rng)
        if not collapse:
            return owner, found
        after = np.ravel_multi_index(tuple(final.T), (LEVELS,) * len(qubits))
        # When every qubit is in a known level, only the slow noise still distinguishes shots.
        whole = len(qubits) == len(self.qubits)
        first, new_owner = distinct(joint(self.realisation[owner], after) if whole else joint(owner, before, after))
        groups = np.stack([owner[first], before[first], after[first]])
        if isinstance(self.state, DensityMatrix):  # other states look themselves
            check_branches(len(self.qubits), groups.shape[1], self.state.bytes_of(1), MOST_BYTES)
        self.state = self.state.collapsed(sites, groups[0], groups[1], groups[2])
        self.detunings = self.detunings[groups[0]]
        self.realisation = self.realisation[groups[0]]
        self.photons.keep(groups[0])
        left = np.unravel_index(groups[2], (LEVELS,) * len(qubits))
        for k, qubit in enumerate(qubits):
            photons = measurement.photons(found[k].place)[left[k]]
            self.photons.leave(qubit, photons, measurement.stop)
            self.clock[qubit] = measurement.stop
        return new_owner if whole else self._joined(new_owner), found

    def _joined(self, owner: NDArray[np.int64]) -> NDArray[np.int64]:
        """Merge members that a readout has left equal, whatever was found before; return the new owners."""
        if not isinstance(self.state, DensityMatrix):
            return owner
        ringing = [r.photons for r in self.photons.left.values()]
        marks = np.column_stack([self.realisation, *np.round(self.state.marks().T, MARK_DIGITS), *ringing])
        _, first, which = np.unique(marks, axis=0, return_index=True, return_inverse=True)
        if len(first) < len(marks):
            self.keep(first)
        return np.asarray(which.ravel()[owner], dtype=np.int64) if len(first) < len(marks) else owner

    def keep(self, members: NDArray[np.int64]) -> None:
        """Go on with some members of the batch."""
        nothing = np.zeros(len(members), dtype=np.int64)
        self.state = self.state.collapsed((), members, nothing, nothing)
        self.detunings, self.realisation = self.detunings[members], self.realisation[members]
        self.photons.keep(members)

    def last(self, measurement: Measurement) -> NDArray[np.float64]:
        """Return (batch, 3**k) joint populations that a readout finds after which nothing follows."""
        return self.reach(measurement)

    def _draw(
        self, measurement: Measurement, owner: NDArray[np.int64], rng: np.random.Generator, collapse: bool
    ) -> NDArray[np.int64]:
        """Return (shots,) joint levels that a readout finds when it starts; without ``collapse`` nothing follows."""
        self.wait(measurement.start)
        return self.state.sample(tuple(self.qubits.index(q) for q in self.measured(measurement)), owner, rng)

    def branch(self, members: NDArray[np.int64]) -> Cluster:
        """Return a separate cluster with some ``members`` of the batch, for shots that branch off here."""
        other = copy(self)
        other.photons = self.photons.copy()
        other.clock, other.zz_clock = dict(self.clock), dict(self.zz_clock)
        other.keep(members)
        return other

    @property
    def members(self) -> int:
        """How many members the batch has."""
        return len(self.detunings)

    def synchronous_with(self, other: Cluster) -> bool:
        """Return whether clocks and photons agree, so that all that follows acts on both alike."""
        photons = [c.photons.origins(c.clock) for c in (self, other)]
        return (self.clock, self.zz_clock, photons[0]) == (other.clock, other.zz_clock, photons[1])

    def joined_with(self, others: list[Cluster]) -> Cluster:
        """Return a cluster with the members of this one, then those of others that are synchronous with it."""
        every, whole = [self, *others], copy(self)
        whole.state = _merged([c.state for c in every])
        whole.detunings = np.concatenate([c.detunings for c in every])
        whole.realisation = np.concatenate([c.realisation for c in every])
        whole.photons = self.photons.joined([c.photons for c in others], self.clock)
        whole.clock, whole.zz_clock = dict(self.clock), dict(self.zz_clock)
        return whole

    def report(self) -> ClusterReport:
        """Return how the state has been followed so far."""
        if isinstance(self.state, MatrixProducts):
            line = self.state.line
            worst = float(line.discarded.max())
            return ClusterReport(self.qubits, "matrix product states", len(line.discarded), line.widest, worst)
        method = "density matrix" if isinstance(self.state, DensityMatrix) else "state vectors"
        return ClusterReport(self.qubits, method, len(self.detunings))

    def final(
        self, until: int, weights: NDArray[np.float64] | None = None, together: bool = False
    ) -> NDArray[np.float64]:
        """Return (qubits, 3) mean populations of each qubit at ``until``, where its free decay has taken them.

        ``weights`` (batch,) are those of the members; all weigh the same without. ``together``: return (1, 3**qubits)
        of them all.
        """
        if together:
            joint = self.state.populations(tuple(range(len(self.qubits)))).mean(axis=0)
            for site, qubit in enumerate(self.qubits):
                decay = self._idles[qubit].populations(until - self.clock[qubit])
                joint = np.matmul(decay, joint.reshape(LEVELS**site, LEVELS, -1))
            return np.asarray(joint.reshape(1, -1))
        out = []
        for site, qubit in enumerate(self.qubits):
            every = self.state.populations((site,))
            p = every.mean(axis=0) if weights is None else weights @ every
            out.append(self._idles[qubit].populations(until - self.clock[qubit]) @ p)
        return np.array(out)


def jumped(
    chip: Chip, measurement: Measurement, qubits: tuple[int, ...], before: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], list[MeasuredQubit]]:
    """Let a readout make its qubits jump; return (shots, k) levels at its end, and what it found.

    Args:
        chip: as it is now.
        measurement: the readout.
        qubits: those of one cluster that it measures.
        before: (shots,) their joint level when it starts, the first qubit's slowest.
        rng: source of the draws.

    """
    levels = np.array(np.unravel_index(before, (LEVELS,) * len(qubits))).T
    final = np.empty_like(levels)
    response, found = measurement.stretch.response, []
    for k, qubit in enumerate(qubits):
        i, own = response.measured.index(qubit), np.ascontiguousarray(levels[:, k])
        final[:, k], jumps = sample_jumps(chip, response, i, own, rng, measurement.samples)
        found.append(MeasuredQubit(i, own, jumps))
    return final, found


def _merged(states: list[State]) -> State:
    first = states[0]
    if isinstance(first, DensityMatrix):
        return DensityMatrix.merged([s for s in states if isinstance(s, DensityMatrix)])
    if isinstance(first, Trajectories):
        return Trajectories.merged([s for s in states if isinstance(s, Trajectories)])
    return MatrixProducts.merged([s for s in states if isinstance(s, MatrixProducts)])


def _detuned(pulse_map: PulseMap, detunings: NDArray[np.float64]) -> Complex:
    """Return the (batch, m^2, m^2) map of quasi-static detunings (batch, sites) under a pulse."""
    small = small_unitaries(pulse_map.moments, detunings)
    size = small.shape[1] ** 2
    maps: Complex = np.einsum("bij,bkl->bikjl", small, small.conj()).reshape(-1, size, size)
    return maps
