"""Clusters as density matrices: the map of each pulse is computed once, and then only applied.

The phase of a pulse is a frame rotation before it and its inverse after it; the latter, the wait that follows and the
rotation of the next pulse are one map. Detunings and neighbouring waits are multiplied into the pulse's map where that
is cheaper than applying them to the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import is_

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.dynamics.hamiltonian import LEVELS, TWO_PI_PER_NS
from pulsed.simulator.dynamics.hermitian import COHERENCES, SIZE, after_unitaries, turn, waits
from pulsed.simulator.dynamics.propagators import wait_and_pulse
from pulsed.simulator.dynamics.pulse_map import PlacedPulse, PulseMap
from pulsed.simulator.dynamics.state import DensityMatrix, Rest, sampled
from pulsed.simulator.dynamics.superoperators import small_unitaries
from pulsed.simulator.engine.evolution import ZZ_STEP, Cluster
from pulsed.simulator.engine.free_evolution import FreeEvolution
from pulsed.simulator.readout.measurement import MeasuredQubit, Measurement

Real = NDArray[np.float64]

KEPT = 64 << 20
"""Bytes of a cluster's maps."""

MOST_WAITS = 1024
"""Waits of a cluster that are kept, of up to 21 kB each."""

PULSES_AT_ONCE = 1024
"""Pulses on a single transmon that are prepared together; each kind takes up to 21 kB."""


@dataclass(frozen=True)
class _Train:
    """Pulses on a single transmon from ``clock`` on: each kind of map with the wait before it, and which is whose."""

    pulses: list[PlacedPulse]
    clock: int
    frame: float
    kinds: list[tuple[PulseMap, int]]
    which: NDArray[np.int64]
    angles: Real


class ExactCluster(Cluster):
    """A batch of density matrices of some transmons.

    Args:
        free: the chip without pulses.
        qubits: of this cluster.
        populations: (chip qubits, 3) at the start.
        detunings: (batch, chip qubits) Hz.
        ends: the middle of each qubit's last pulse, where no other will be played: from there on nothing measured
            depends on pair energies.
        joint: (3**qubits,) populations at the start, where the qubits are not each by itself then.

    """

    def __init__(
        self,
        free: FreeEvolution,
        qubits: tuple[int, ...],
        populations: Real,
        detunings: Real,
        ends: Mapping[int, float] | None = None,
        joint: Real | None = None,
    ) -> None:
        if joint is None:
            state = DensityMatrix.product([populations[q] for q in qubits], len(detunings))
        else:
            state = DensityMatrix.diagonal(joint, len(qubits), len(detunings))
        super().__init__(free, qubits, detunings, state)
        self._ends = ends
        self._trains: list[_Train] = free.trains
        self.frame = dict.fromkeys(qubits, 0.0)
        self._maps: dict[tuple[int, int], tuple[PulseMap, Real]] = {}
        self._waits: dict[tuple[int, int], Real] = {}
        self._bytes = 0

    @property
    def density(self) -> DensityMatrix:
        """The state."""
        assert isinstance(self.state, DensityMatrix)
        return self.state

    def wait(self, until: int) -> None:
        """Let all qubits idle until ``until``: exactly, but for a short wait, of which ZZ is applied in halves."""
        latest = max(self.clock.values())
        if not any(self._matters(pair) for pair in self.zz_clock):
            self._advance(until)
            return
        if until - latest < ZZ_STEP:
            super().wait(until)
            return
        super().wait(latest)
        rests = [Rest(self._idles[q].rates, self._factors(q, until)) for q in self.qubits]
        energies = {(self.qubits.index(a), self.qubits.index(b)): self._zz[a, b] for a, b in self.zz_clock}
        self.density.rest(rests, energies, until - latest)
        self.clock = dict.fromkeys(self.qubits, until)
        self.zz_clock = dict.fromkeys(self.zz_clock, float(until))

    def play(self, pulse: PlacedPulse) -> None:
        """Let a pulse act."""
        start = self._approach(pulse)
        locals_ = [self._local(q, start, self.frame[q] - pulse.phase) for q in pulse.qubits]
        sites = tuple(self.qubits.index(q) for q in pulse.qubits)
        if len(sites) == 1:
            self.density.apply(sites, self._map(pulse) @ locals_[0])
        else:
            self._play_joint(pulse, sites, locals_)
        self.frame.update(dict.fromkeys(pulse.qubits, pulse.phase))
        self._leave(pulse)

    def branch(self, members: NDArray[np.int64]) -> Cluster:
        """Return a separate cluster with some ``members`` of the batch, for shots that branch off here."""
        other = super().branch(members)
        assert isinstance(other, ExactCluster)
        other.frame = dict(self.frame)
        other.forget_maps()
        return other

    def joined_with(self, others: list[Cluster]) -> Cluster:
        """Return a cluster with the members of this one, then those of others that are synchronous with it."""
        whole = super().joined_with(others)
        assert isinstance(whole, ExactCluster)
        whole.frame = dict(self.frame)
        whole.forget_maps()
        return whole

    def synchronous_with(self, other: Cluster) -> bool:
        """Return whether clocks, frames and photons agree, so that all that follows acts on both alike."""
        assert isinstance(other, ExactCluster)
        return self.frame == other.frame and super().synchronous_with(other)

    def read(
        self, measurement: Measurement, owner: NDArray[np.int64], rng: np.random.Generator, collapse: bool
    ) -> tuple[NDArray[np.int64], list[MeasuredQubit]]:
        """Sample a readout in every shot and, if ``collapse``, leave the state that each shot found."""
        found = super().read(measurement, owner, rng, collapse)
        if collapse:
            self.forget_maps()
        return found

    def last(self, measurement: Measurement) -> Real:
        """Return (batch, 3**k) populations that a readout finds after which nothing follows.

        After the last pulse populations decay independently of coherences.
        """
        qubits = self.measured(measurement)
        if self._ends is None or any(self._ends.get(q, 0.0) > self.clock[q] for q in qubits):
            return self.reach(measurement)
        joint = self.density.populations(tuple(self.qubits.index(q) for q in qubits))
        for axis, qubit in enumerate(qubits):
            decay = self._idles[qubit].populations(max(0, measurement.start - self.clock[qubit]))
            shape = (-1, LEVELS, LEVELS ** (len(qubits) - 1 - axis))
            joint = np.matmul(decay, joint.reshape(shape)).reshape(joint.shape)
        return joint

    def _draw(
        self, measurement: Measurement, owner: NDArray[np.int64], rng: np.random.Generator, collapse: bool
    ) -> NDArray[np.int64]:
        """Return (shots,) joint levels that a readout finds when it starts; without ``collapse`` nothing follows."""
        return sampled(self.reach(measurement) if collapse else self.last(measurement), owner, rng)

    def forget_maps(self) -> None:
        """Drop the maps: the members have changed."""
        self._maps, self._waits, self._bytes = {}, {}, 0

    def _play_joint(self, pulse: PlacedPulse, sites: tuple[int, ...], locals_: list[Real]) -> None:
        """Play a pulse on a pair or on three, each after its own wait, in the order with the fewest multiplications."""
        columns = self.density.columns(sites)
        one_by_one = len(sites) > 2 or columns < SIZE**2
        if one_by_one:
            for site, local in zip(sites, locals_, strict=True):
                self.density.idle(site, local)
        if len(sites) > 2 or columns == 1:
            detunings = self._shifts(pulse)
            if detunings.any():
                self.density.conjugate(sites, small_unitaries(pulse.map.moments, detunings))
            self.density.apply(sites, pulse.map.real[None])
            return
        maps = self._map(pulse)
        if not one_by_one:
            maps = _after_locals(maps, locals_[0], locals_[1])
        self.density.apply(sites, maps)

    def _play_all(self, pulses: list[PlacedPulse]) -> None:
        if len(self.qubits) > 1:
            super()._play_all(pulses)
            return
        first = 0
        while first < len(pulses) and self.photons.act(self.qubits[0], pulses[first].start):
            self.play(pulses[first])
            first += 1
        for part in range(first, len(pulses), PULSES_AT_ONCE):
            self._follow(pulses[part : part + PULSES_AT_ONCE])

    def _follow(self, pulses: list[PlacedPulse]) -> None:
        """Play pulses on a single transmon: each kind of pulse, with the wait before it, is computed once."""
        (qubit,) = self.qubits
        train = self._train(pulses, self.clock[qubit], self.frame[qubit])
        detunings, idle = self.detunings[:, qubit], self._idles[qubit]
        maps = np.empty((len(train.kinds), len(detunings), SIZE, SIZE))
        for out, (pulse_map, gap) in zip(maps, train.kinds, strict=True):
            decay, factors = idle.populations(gap), idle.factors(gap, detunings)
            wait_and_pulse(pulse_map.real, pulse_map.moments[0], detunings * TWO_PI_PER_NS, decay, factors, out)
        self.density.follow(maps, train.which, train.angles)
        self.clock[qubit], self.frame[qubit] = pulses[-1].stop, pulses[-1].phase

    def _train(self, pulses: list[PlacedPulse], clock: int, frame: float) -> _Train:
        """Return pulses on a single transmon, prepared; the last ones are kept."""
        for train in self._trains:
            same = len(train.pulses) == len(pulses) and all(map(is_, train.pulses, pulses))
            if same and (train.clock, train.frame) == (clock, frame):
                return train
        _, starts, ends, phases, pulse_maps = zip(*pulses, strict=True)
        gaps = np.maximum(np.array(starts) - np.array([clock, *ends[:-1]]), 0)
        ids = list(map(id, pulse_maps))
        numbers = {pulse_map: k for k, pulse_map in enumerate(dict.fromkeys(ids))}
        kinds = np.array(list(map(numbers.__getitem__, ids)))
        _, first, which = np.unique(kinds * (gaps.max() + 1) + gaps, return_index=True, return_inverse=True)
        each = [(pulse_maps[i], int(gaps[i])) for i in first.tolist()]
        angles = np.array([frame, *phases[:-1]]) - np.array(phases)
        train = _Train(pulses, clock, frame, each, which.ravel(), angles)
        self._trains[:] = [train]
        return train

    def _map(self, pulse: PlacedPulse) -> Real:
        """Return the (batch or 1, m^2, m^2) map of a pulse at phase 0 under the detunings that it sees."""
        ringing = any(self.photons.act(q, pulse.start) for q in pulse.qubits)
        detunings = self._shifts(pulse)
        key = (id(pulse.map), pulse.qubits[0])
        found = self._maps.get(key)
        if found is not None and not ringing:
            return found[1]
        maps = self._detuned(pulse.map, detunings)
        if not ringing:
            if self._bytes > KEPT:
                self.forget_maps()
            self._maps[key] = pulse.map, maps
            self._bytes += maps.nbytes
        return maps

    def _detuned(self, pulse_map: PulseMap, detunings: Real) -> Real:
        if not detunings.any():
            return pulse_map.real[None]
        return after_unitaries(pulse_map.real, small_unitaries(pulse_map.moments, detunings))

    def _matters(self, pair: tuple[int, int]) -> bool:
        """Return whether a later pulse can reveal the energy of a pair."""
        return self._ends is None or self.zz_clock[pair] < max(self._ends.get(q, 0.0) for q in pair)

    def _couple(self, pair: tuple[int, int], until: float) -> None:
        if self._matters(pair):
            super()._couple(pair, until)
        else:
            self.zz_clock[pair] = max(until, self.zz_clock[pair])

    def _idle(self, qubit: int, until: int) -> None:
        if until > self.clock[qubit] or self.frame[qubit]:
            self.density.idle(self.qubits.index(qubit), self._local(qubit, until, self.frame[qubit]))
        self.clock[qubit], self.frame[qubit] = max(until, self.clock[qubit]), 0.0

    def _transfer(self, qubit: int, populations: Real) -> None:
        """Apply a (3, 3) map to the populations of a qubit without coherence."""
        nothing = np.zeros((1, len(COHERENCES)), complex)
        self.density.idle(self.qubits.index(qubit), waits(populations, nothing))

    def _local(self, qubit: int, until: int, angle: float) -> Real:
        """Return the (batch or 1, 9, 9) map of a qubit's wait from its clock on and of a turn; waits are kept."""
        gap = max(0, until - self.clock[qubit])
        if gap == 0:
            return turn(angle)[None]
        key, ringing = (qubit, gap), self.photons.act(qubit, self.clock[qubit])
        found = None if ringing else self._waits.get(key)
        if found is None:
            found = waits(self._idles[qubit].populations(gap), self._factors(qubit, until))
            if not ringing and len(self._waits) < MOST_WAITS:
                self._waits[key] = found
        return np.asarray(np.matmul(found, turn(angle)))

    def _factors(self, qubit: int, until: int) -> NDArray[np.complex128]:
        """Return (batch, 3): what a qubit's coherences are multiplied by from its clock on."""
        start = self.clock[qubit]
        factors = self._idles[qubit].factors(until - start, self.detunings[:, qubit])
        if self.photons.act(qubit, start):
            factors = factors * self.photons.factors(qubit, start, until)[:, [1, 2, 5]]
        return factors


def _after_locals(maps: Real, first: Real, second: Real) -> Real:
    """Return maps (batch, 81, 81) of two transmons after one (batch, 9, 9) of each."""
    out = np.matmul(maps.reshape(len(maps), SIZE**3, SIZE), second)
    out = np.matmul(first.transpose(0, 2, 1)[:, None], out.reshape(len(out), SIZE**2, SIZE, SIZE))
    return np.asarray(out.reshape(len(out), SIZE**2, SIZE**2))
