"""One cluster of transmons through a whole shot: idle, pulses, always-on ZZ, measurements that collapse it."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip import Chip
from pulsed.simulator.hamiltonian import LEVELS, zz
from pulsed.simulator.measurement import Measurement
from pulsed.simulator.mps import MatrixProducts
from pulsed.simulator.readout import sample_jumps
from pulsed.simulator.report import ClusterReport
from pulsed.simulator.residual import Residual
from pulsed.simulator.state import DensityMatrix
from pulsed.simulator.step import Pulse, Step
from pulsed.simulator.superoperators import Idle, small_unitaries
from pulsed.simulator.trajectories import Trajectories, check_branches

ZZ_STEP = 2000.0
"""Longest idle (ns) of coupled transmons in one step: decay and ZZ do not commute, the error is of order
(ZZ_STEP/T1)^2."""

MARK_DIGITS = 9
"""Members of a batch are alike when their marks are the same to so many digits."""

MOST_BYTES = 2 << 30
"""Bytes of a batch of density matrices that readouts may split it into; copies take twice as much meanwhile."""

Complex = NDArray[np.complex128]

State = DensityMatrix | Trajectories | MatrixProducts


class Free:
    """What evolution without pulses needs: idle maps and pair shifts, in the frame at ``reference`` (Hz)."""

    def __init__(self, chip: Chip, reference: float) -> None:
        self.chip = chip
        self.idles = [Idle(q, reference) for q in chip.qubits]
        pairs = [(min(c.qubits), max(c.qubits)) for c in chip.couplings]
        self.zz = {pair: zz(chip, *pair) for pair in pairs}

        self.trains: list[Any] = []
        """The last train of pulses on one transmon, prepared: several clusters play the same in turn."""

    def pairs(self, qubits: tuple[int, ...]) -> list[tuple[int, int]]:
        """Return the coupled pairs among some qubits."""
        return [pair for pair in self.zz if set(pair) <= set(qubits)]


class Cluster:
    """The joint state of some qubits, each with its own clock; ZZ is applied in halves around each pulse (Strang).

    Args:
        free: the chip without pulses.
        qubits: of this cluster.
        detunings: (batch, chip qubits) Hz.
        state: where they start.

    """

    def __init__(
        self,
        free: Free,
        qubits: tuple[int, ...],
        detunings: NDArray[np.float64],
        state: State,
    ) -> None:
        self._chip = free.chip
        self.qubits = qubits
        self._idles = free.idles
        self._zz = free.zz
        self._detunings = detunings
        self._realisation = np.arange(len(detunings))
        self.state: State = state
        self._residual: dict[int, Residual] = {}
        self._clock = dict.fromkeys(qubits, 0)
        self._pairs = dict.fromkeys(free.pairs(qubits), 0.0)

    def _idle(self, qubit: int, until: int) -> None:
        assert not isinstance(self.state, DensityMatrix)
        if until > self._clock[qubit]:
            self.state.apply((self.qubits.index(qubit),), self._waited(qubit, until))
        self._clock[qubit] = max(until, self._clock[qubit])

    def _waited(self, qubit: int, until: int) -> NDArray[Any]:
        """Return the (batch, 9, 9) map of a qubit's wait from its clock on."""
        start = self._clock[qubit]
        maps = self._idles[qubit].superoperator(until - start, self._detunings[:, qubit])
        if self._rings(qubit, start):
            maps = self._residual[qubit].factors(start, until)[:, :, None] * maps
        return maps

    def _rings(self, qubit: int, time: int) -> bool:
        """Return whether a readout's photons are still there at ``time``."""
        if qubit not in self._residual:
            return False
        if not self._residual[qubit].lasts(time):
            del self._residual[qubit]
            return False
        return True

    def _shifts(self, pulse: Pulse) -> NDArray[np.float64]:
        """Return (batch, sites) detunings in Hz that a pulse sees."""
        detunings = self._detunings[:, list(pulse.qubits)]
        for site, qubit in enumerate(pulse.qubits):
            if self._rings(qubit, pulse.start):
                detunings[:, site] += self._residual[qubit].detuning(pulse.start, pulse.stop)
                self._residual[qubit].restart(0.5 * (pulse.start + pulse.stop))
        return detunings

    def _couple(self, pair: tuple[int, int], until: float) -> None:
        duration = until - self._pairs[pair]
        if duration > 0:
            a, b = (self.qubits.index(q) for q in pair)
            self.state.shift(a, b, self._zz[pair], duration)
        self._pairs[pair] = max(until, self._pairs[pair])

    def wait(self, until: int) -> None:
        """Let all qubits idle until ``until``; coupled ones in steps, as decay and ZZ do not commute."""
        start = min(self._clock.values())
        if self._pairs and until - start > ZZ_STEP:
            for edge in np.linspace(start, until, int(np.ceil((until - start) / ZZ_STEP)) + 1)[1:-1]:
                self._advance(int(edge))
        self._advance(until)

    def _advance(self, until: int) -> None:
        previous = min(self._clock.values())
        for pair in self._pairs:
            self._couple(pair, max(self._pairs[pair], 0.5 * (previous + until)))
        for qubit in self.qubits:
            self._idle(qubit, until)
        for pair in self._pairs:
            self._couple(pair, until)

    def walk(self, pulses: list[Pulse], measurements: list[Measurement], act: Callable[[Measurement], None]) -> None:
        """Go through pulses (by the middle of their time) and readouts; ``act`` handles a readout.

        A pulse goes after the readouts of its own qubits that started before it.
        """
        waiting = [m for m in measurements if self.measured(m)]
        following = [next((i for i, p in enumerate(pulses) if p.start >= m.start), len(pulses)) for m in waiting]
        edges = [0, *following, len(pulses)]
        for k, (first, last) in enumerate(pairwise(edges)):
            if k:
                act(waiting[k - 1])
            self._play_all(pulses[first:last])

    def _play_all(self, pulses: list[Pulse]) -> None:
        starts = np.array([p.start for p in pulses])
        horizons = np.minimum.accumulate(starts[::-1])[::-1]
        for pulse, horizon in zip(pulses, horizons.tolist(), strict=True):
            if self._pairs and horizon - min(self._clock.values()) > ZZ_STEP:
                self.wait(horizon)
            self.play(pulse)

    def play(self, pulse: Pulse) -> None:
        """Let a pulse act."""
        assert not isinstance(self.state, DensityMatrix)
        start = self._approach(pulse)
        sites = tuple(self.qubits.index(q) for q in pulse.qubits)
        step = pulse.step
        if len(sites) == 1:
            before = self._waited(pulse.qubits[0], start)
            detunings = self._shifts(pulse)
            maps = step.turned(pulse.phase, step.superoperator @ _detuned(step, detunings))
            self.state.apply(sites, maps @ before)
        else:
            for qubit in pulse.qubits:
                self._idle(qubit, start)
            detunings = self._shifts(pulse)
            small = small_unitaries(step.moments, detunings)
            self.state.apply_unitaries(sites, step.turned_operators(pulse.phase, small))
            if len(sites) > 2:
                self.state.jump(sites, step.turned_operators(pulse.phase, step.kraus))
            else:
                self.state.apply(sites, step.turned(pulse.phase, step.superoperator)[None])
        self._leave(pulse)

    def _approach(self, pulse: Pulse) -> int:
        """Let pair energies act up to a pulse; return when it can begin."""
        start = max(pulse.start, *(self._clock[q] for q in pulse.qubits))
        middle = 0.5 * (pulse.start + pulse.stop)
        for pair in self._pairs:
            if pair[0] in pulse.qubits and pair[1] in pulse.qubits:
                self._couple(pair, start)
            elif pair[0] in pulse.qubits or pair[1] in pulse.qubits:
                self._couple(pair, middle)
        return start

    def _leave(self, pulse: Pulse) -> None:
        for qubit in pulse.qubits:
            self._clock[qubit] = pulse.stop
        if len(pulse.qubits) > 1:
            inside = [pair for pair in self._pairs if pair[0] in pulse.qubits and pair[1] in pulse.qubits]
            self._pairs.update(dict.fromkeys(inside, float(pulse.stop)))

    def measured(self, measurement: Measurement) -> tuple[int, ...]:
        """Return which of this cluster's qubits a readout measures."""
        return tuple(q for q in measurement.response.measured if q in self.qubits)

    def reach(self, measurement: Measurement) -> NDArray[np.float64]:
        """Idle until a readout starts; return (batch, 3**k) joint populations of the qubits it measures."""
        self.wait(measurement.start)
        sites = tuple(self.qubits.index(q) for q in self.measured(measurement))
        return self.state.populations(sites)

    def pass_unread(self, measurement: Measurement) -> None:
        """Let a readout dephase its qubits, nobody looking at the result."""
        for qubit in self.measured(measurement):
            site = self.qubits.index(qubit)
            self.state.dephase(site)
            self._idle(qubit, measurement.stop)
            # All levels leave nearly the same number of photons, so that their mean stands for each.
            i = measurement.response.measured.index(qubit)
            photons = self.state.populations((site,)) @ measurement.response.photons[i]
            self._residual[qubit] = Residual(self._chip.qubits[qubit], photons, measurement.stop)

    def read(
        self,
        measurement: Measurement,
        owner: NDArray[np.int64],
        rng: np.random.Generator,
        collapse: bool,
    ) -> NDArray[np.int64]:
        """Sample a readout in every shot and, if ``collapse``, leave the state that each shot found.

        Args:
            measurement: filled with this cluster's levels and jumps.
            owner: (shots,) member of the batch that each shot belongs to.
            rng: source of the draws.
            collapse: whether anything follows.

        Returns:
            (shots,) the new owners.

        Raises:
            SimulationLimitError: more branches than fit.

        """
        qubits = self.measured(measurement)
        sites = tuple(self.qubits.index(q) for q in qubits)
        before = self._draw(measurement, owner, rng, collapse)
        levels = np.array(np.unravel_index(before, (LEVELS,) * len(qubits))).T
        final = np.empty_like(levels)
        for k, qubit in enumerate(qubits):
            i = measurement.response.measured.index(qubit)
            measurement.levels[:, i] = levels[:, k]
            final[:, k], measurement.jumps[i] = sample_jumps(
                self._chip, measurement.response, i, np.ascontiguousarray(levels[:, k]), rng
            )
        if not collapse:
            return owner
        after = np.ravel_multi_index(tuple(final.T), (LEVELS,) * len(qubits))
        whence = np.stack([owner, before, after])
        # When every qubit is in a known level, nothing is left of a shot's way but its slow noise.
        key = np.stack([self._realisation[owner], after]) if len(qubits) == len(self.qubits) else whence
        _, first, new_owner = np.unique(key, axis=1, return_index=True, return_inverse=True)
        groups = whence[:, first]
        if isinstance(self.state, DensityMatrix):  # other states look themselves
            check_branches(len(self.qubits), groups.shape[1], self.state.bytes_of(1), MOST_BYTES)
        self.state = self.state.collapsed(sites, groups[0], groups[1], groups[2])
        self._detunings = self._detunings[groups[0]]
        self._realisation = self._realisation[groups[0]]
        for residual in self._residual.values():
            residual.photons = residual.photons[groups[0]]
        left = np.unravel_index(groups[2], (LEVELS,) * len(qubits))
        for k, qubit in enumerate(qubits):
            i = measurement.response.measured.index(qubit)
            photons = measurement.response.photons[i, left[k]]
            self._residual[qubit] = Residual(self._chip.qubits[qubit], photons, measurement.stop)
            self._clock[qubit] = measurement.stop
        new_owner = np.asarray(new_owner, dtype=np.int64).ravel()
        return new_owner if len(qubits) == len(self.qubits) else self._joined(new_owner)

    def _joined(self, owner: NDArray[np.int64]) -> NDArray[np.int64]:
        """Let members that a readout has left alike be one, whatever was found before; return the new owners."""
        if not isinstance(self.state, DensityMatrix):
            return owner
        ringing = [r.photons for r in self._residual.values()]
        marks = np.column_stack([self._realisation, *np.round(self.state.marks().T, MARK_DIGITS), *ringing])
        _, first, which = np.unique(marks, axis=0, return_index=True, return_inverse=True)
        if len(first) < len(marks):
            self._keep(first)
        return np.asarray(which.ravel()[owner], dtype=np.int64) if len(first) < len(marks) else owner

    def _keep(self, members: NDArray[np.int64]) -> None:
        """Go on with some members of the batch."""
        nothing = np.zeros(len(members), dtype=np.int64)
        self.state = self.state.collapsed((), members, nothing, nothing)
        self._detunings, self._realisation = self._detunings[members], self._realisation[members]
        for residual in self._residual.values():
            residual.photons = residual.photons[members]

    def _draw(
        self, measurement: Measurement, owner: NDArray[np.int64], rng: np.random.Generator, collapse: bool
    ) -> NDArray[np.int64]:
        """Return (shots,) joint levels that a readout finds when it starts; without ``collapse`` nothing follows."""
        self.wait(measurement.start)
        return self.state.sample(tuple(self.qubits.index(q) for q in self.measured(measurement)), owner, rng)

    def branch(self, members: NDArray[np.int64]) -> Cluster:
        """Return a cluster of its own with some ``members`` of the batch, for shots that go another way from here."""
        other = copy(self)
        other._residual = {qubit: copy(residual) for qubit, residual in self._residual.items()}
        other._clock, other._pairs = dict(self._clock), dict(self._pairs)
        other._keep(members)
        return other

    @property
    def members(self) -> int:
        """How many members the batch has."""
        return len(self._detunings)

    def keeps_time_with(self, other: Cluster) -> bool:
        """Return whether everything that acts on either from here on acts on both alike."""
        rings = [{q: r.origin for q, r in c._residual.items() if c._rings_still(q)} for c in (self, other)]
        return (self._clock, self._pairs, rings[0]) == (other._clock, other._pairs, rings[1])

    def with_members_of(self, others: list[Cluster]) -> Cluster:
        """Return a cluster with the members of this one, then those of others that keep time with it."""
        every, whole = [self, *others], copy(self)
        whole.state = _merged([c.state for c in every])
        whole._detunings = np.concatenate([c._detunings for c in every])
        whole._realisation = np.concatenate([c._realisation for c in every])
        whole._residual = {}
        for qubit in (q for q in self._residual if self._rings_still(q)):
            photons = np.concatenate([c._residual[qubit].photons for c in every])
            whole._residual[qubit] = Residual(self._chip.qubits[qubit], photons, self._residual[qubit].origin)
        whole._clock, whole._pairs = dict(self._clock), dict(self._pairs)
        return whole

    def _rings_still(self, qubit: int) -> bool:
        return self._residual[qubit].lasts(self._clock[qubit])

    def report(self) -> ClusterReport:
        """Return how the state has been followed so far."""
        if isinstance(self.state, MatrixProducts):
            line = self.state.line
            worst = float(line.discarded.max())
            return ClusterReport(self.qubits, "matrix product states", len(line.discarded), line.widest, worst)
        method = "density matrix" if isinstance(self.state, DensityMatrix) else "state vectors"
        return ClusterReport(self.qubits, method, len(self._detunings))

    def final(self, until: int, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return (qubits, 3) mean populations of each qubit at ``until``, where its free decay has taken them.

        ``weights`` (batch,) are those of the members; all weigh the same without.
        """
        out = []
        for site, qubit in enumerate(self.qubits):
            every = self.state.populations((site,))
            p = every.mean(axis=0) if weights is None else weights @ every
            out.append(self._idles[qubit].populations(until - self._clock[qubit]) @ p)
        return np.array(out)


def _merged(states: list[State]) -> State:
    first = states[0]
    if isinstance(first, DensityMatrix):
        return DensityMatrix.merged([s for s in states if isinstance(s, DensityMatrix)])
    if isinstance(first, Trajectories):
        return Trajectories.merged([s for s in states if isinstance(s, Trajectories)])
    return MatrixProducts.merged([s for s in states if isinstance(s, MatrixProducts)])


def _detuned(step: Step, detunings: NDArray[np.float64]) -> Complex:
    """Return the (batch, m^2, m^2) map of quasi-static detunings (batch, sites) in a step."""
    small = small_unitaries(step.moments, detunings)
    size = small.shape[1] ** 2
    maps: Complex = np.einsum("bij,bkl->bikjl", small, small.conj()).reshape(-1, size, size)
    return maps
