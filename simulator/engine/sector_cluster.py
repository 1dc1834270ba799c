"""Clusters whose pulses are put together to one run of steps, and followed in sectors of few leaked transmons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.dynamics.hamiltonian import TWO_PI_PER_NS
from pulsed.simulator.dynamics.hermitian import SIZE, after_unitaries, waits
from pulsed.simulator.dynamics.mps import MatrixProducts
from pulsed.simulator.dynamics.propagators import wait_and_pulse
from pulsed.simulator.dynamics.pulse_map import PlacedPulse, PulseMap
from pulsed.simulator.dynamics.report import ClusterReport
from pulsed.simulator.dynamics.sectors import LOCAL, PAIR, PLACES, SHIFT, Layout, layout, run
from pulsed.simulator.dynamics.state import DensityMatrix, TensorFactor
from pulsed.simulator.dynamics.superoperators import small_unitaries
from pulsed.simulator.dynamics.trajectories import Trajectories
from pulsed.simulator.engine.evolution import ZZ_STEP, Cluster
from pulsed.simulator.engine.exact import ExactCluster
from pulsed.simulator.engine.free_evolution import FreeEvolution

Real = NDArray[np.float64]

LEFT_OUT = 5e-5
"""Chance of more leaked transmons than are followed; where it is larger, one more is followed."""

MOST_STEPS = 2048
"""Steps of one run."""

MOST_LEAKED = 2
"""Leaked transmons that are followed in sectors; if that leaves out too much, all of the matrix is."""


class _Kind(NamedTuple):
    """A wait of a transmon, and the pulse after it if there is one."""

    qubit: int
    gap: int
    pulse_map: PulseMap | None


@dataclass
class _Run:
    """Steps that are yet to act on the state; each is kind, transmon or pair, map, value, leakage.

    A map is the index of what it does among all of its kind: ``kinds`` of one transmon, ``maps`` of a pair. ``pulses``
    are what the steps are made of, ``begin`` restores where they begin.
    """

    begin: Callable[[], None]
    pulses: list[PlacedPulse] = field(default_factory=list)
    steps: list[tuple[int, int, int]] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    leaks: list[float] = field(default_factory=list)
    both: float = 0.0
    kinds: dict[tuple[int, int, int], tuple[int, _Kind]] = field(default_factory=dict)
    maps: dict[tuple[int, tuple[int, ...]], tuple[int, PlacedPulse]] = field(default_factory=dict)

    def add(self, step: tuple[int, int, int], value: float = 0.0, leak: float = 0.0) -> None:
        """Append one step."""
        self.steps.append(step)
        self.values.append(value)
        self.leaks.append(leak)


class SectorCluster(ExactCluster):
    """A batch of density matrices of some transmons, pulses on which are followed with few of them leaked.

    Args:
        free, qubits, populations, detunings, ends, joint: as of :class:`ExactCluster`.
        left_out: most that the chance of more leaked transmons at once than are followed may be.

    Attributes:
        left_out: a bound of that chance so far.

    """

    def __init__(
        self,
        free: FreeEvolution,
        qubits: tuple[int, ...],
        populations: Real,
        detunings: Real,
        ends: Mapping[int, float] | None = None,
        joint: Real | None = None,
        left_out: float = LEFT_OUT,
    ) -> None:
        super().__init__(free, qubits, populations, detunings, ends, joint)
        self._most_left_out = left_out
        self.left_out = 0.0
        self._run: _Run | None = None
        self._pairs = [(self.qubits.index(a), self.qubits.index(b)) for a, b in self.zz_clock]

    def report(self) -> ClusterReport:
        """Return how the state has been followed so far."""
        return ClusterReport(self.qubits, "density matrix", self.members, discarded_weight=self.left_out)

    def joined_with(self, others: list[ExactCluster]) -> ExactCluster:  # type: ignore[override]
        """Return a cluster with the members of this one, then those of others that are synchronous with it."""
        whole = super().joined_with(others)  # type: ignore[arg-type]
        assert isinstance(whole, SectorCluster)
        whole.left_out = max(c.left_out for c in (self, *others) if isinstance(c, SectorCluster))
        return whole

    def _play_all(self, pulses: list[PlacedPulse]) -> None:
        if len(self.qubits) < 3 or not any(len(pulse.qubits) == 2 for pulse in pulses):
            super()._play_all(pulses)
            return
        starts = np.array([p.start for p in pulses])
        horizons = np.minimum.accumulate(starts[::-1])[::-1]
        for pulse, horizon in zip(pulses, horizons.tolist(), strict=True):
            far = bool(self.zz_clock) and horizon - min(self.clock.values()) > ZZ_STEP
            apart = len(pulse.qubits) > 2 or any(self.photons.act(q, pulse.start) for q in pulse.qubits)
            if far or apart:
                self._flush()
            if far:
                self.wait(horizon)
            if apart:
                self.play(pulse)
            else:
                self._queue(pulse)
        self._flush()

    def _queue(self, pulse: PlacedPulse) -> None:
        """Put a pulse into the run, after what comes before it: pair energies, and waits of its transmons."""
        if self._run is not None and len(self._run.steps) > MOST_STEPS:
            self._flush()
        if self._run is None:
            self._run = _Run(self._bookmark())
        todo = self._run
        todo.pulses.append(pulse)
        start = self._approach(pulse)
        joint = len(pulse.qubits) > 1
        for qubit in pulse.qubits:
            kind = _Kind(qubit, max(0, start - self.clock[qubit]), None if joint else pulse.map)
            angle = self.frame[qubit] - pulse.phase
            if kind.gap or angle or not joint:
                key = (qubit, kind.gap, id(kind.pulse_map))
                which, _ = todo.kinds.setdefault(key, (len(todo.kinds), kind))
                leak = 0.0 if joint else pulse.map.leakage[0]
                todo.add((LOCAL, self.qubits.index(qubit), which), angle, leak)
        if joint:
            which, _ = todo.maps.setdefault((id(pulse.map), pulse.qubits), (len(todo.maps), pulse))
            sites = (self.qubits.index(pulse.qubits[0]), self.qubits.index(pulse.qubits[1]))
            if sites not in self._pairs:
                self._pairs.append(sites)
            todo.add((PAIR, self._pairs.index(sites), which), 0.0, pulse.map.leakage[0])
            todo.both += pulse.map.leakage[1]
        self.frame.update(dict.fromkeys(pulse.qubits, pulse.phase))
        for qubit in pulse.qubits:
            self.density.coherent[self.qubits.index(qubit)] = True
        self._leave(pulse)

    def _bookmark(self) -> Callable[[], None]:
        """Return what brings clocks and frames back to where they are now."""
        clock, zz_clock, frame = dict(self.clock), dict(self.zz_clock), dict(self.frame)
        coherent = list(self.density.coherent)

        def restore() -> None:
            self.clock, self.zz_clock, self.frame = clock, zz_clock, frame
            self.density.coherent[:] = coherent

        return restore

    def _couple(self, pair: tuple[int, int], until: float) -> None:
        if self._run is None:
            super()._couple(pair, until)
            return
        duration = until - self.zz_clock[pair]
        sites = (self.qubits.index(pair[0]), self.qubits.index(pair[1]))
        if duration > 0 and self._matters(pair) and any(self.density.coherent[s] for s in sites):
            self._run.add((SHIFT, self._pairs.index(sites), 0), duration)
        self.zz_clock[pair] = max(until, self.zz_clock[pair])

    def _flush(self) -> None:
        """Let the steps of the run act."""
        todo, self._run = self._run, None
        if todo is None or not todo.steps:
            return
        count, leaks = len(self.qubits), np.array(todo.leaks)
        locals_, unitaries = self._local_maps(todo), self._unitaries(todo)
        total = float(leaks.sum())
        order = next((k for k in range(count) if total * (total / 4) ** k / (k + 1) < self._most_left_out), count)
        while True:
            if order > MOST_LEAKED and count > MOST_LEAKED + 1:
                todo.begin()
                for pulse in todo.pulses:
                    self.play(pulse)
                return
            places = layout(count, order)
            x = self._cut(places)
            left = self._stepped(todo, places, x, leaks, locals_, unitaries)
            if order == count or self.left_out + left <= self._most_left_out:
                break
            order += 1
        self.left_out += left
        whole = np.zeros((self.members, SIZE**count))
        whole[:, places.index] = x
        self.state = DensityMatrix([TensorFactor(tuple(range(count)), whole)], list(self.density.coherent))

    def _cut(self, places: Layout) -> Real:
        """Return (batch, size) coefficients of the state."""
        x: Real = np.ones((1, 1))
        for part in self.density.parts:
            x = x * part.x[:, places.part_index(part.sites)]
        return np.array(np.broadcast_to(x, (self.members, x.shape[1])), order="C")

    def _stepped(
        self,
        todo: _Run,
        places: Layout,
        x: Real,
        leaks: Real,
        locals_: Real,
        unitaries: list[NDArray[np.complex128] | None],
    ) -> float:
        """Take coefficients (batch, size) through the steps, in place; return the bound of what is left out."""
        energies = np.zeros((len(self._pairs), 3, 3))
        for number, (a, b) in enumerate(self._pairs):
            energies[number] = self._zz.get((self.qubits[a], self.qubits[b]), 0.0)
        complete = places.order == places.count
        left = np.full(self.members, 0.0 if complete else todo.both)
        run(
            x,
            np.array(todo.steps, dtype=np.int64),
            np.array(todo.values),
            locals_,
            self._pair_maps(todo, places, unitaries),
            energies,
            places.site_blocks,
            np.array([places.pair_blocks(a, b) for a, b in self._pairs]),
            places.outermost,
            np.zeros_like(leaks) if complete else leaks,
            np.empty((2, SIZE**2, places.width)),
            left,
        )
        return float(left.max())

    def _local_maps(self, todo: _Run) -> Real:
        """Return (kinds, batch, 9, 9) maps of waits, and of pulses after them."""
        out = np.empty((len(todo.kinds), self.members, SIZE, SIZE))
        for number, kind in todo.kinds.values():
            qubit, gap, pulse_map = kind
            detunings, idle = self.detunings[:, qubit], self._idles[qubit]
            decay, factors = idle.populations(gap), idle.factors(gap, detunings)
            if pulse_map is None:
                out[number] = waits(decay, factors)
            else:
                angles = detunings * TWO_PI_PER_NS
                wait_and_pulse(pulse_map.real, pulse_map.moments[0], angles, decay, factors, out[number])
                out[number] = out[number].transpose(0, 2, 1).copy()
        return np.ascontiguousarray(out[:, :, PLACES[:, None], PLACES])

    def _unitaries(self, todo: _Run) -> list[NDArray[np.complex128] | None]:
        """Return what the slow detunings add to each map of a pair, None for nothing."""
        out: list[NDArray[np.complex128] | None] = []
        for _, pulse in todo.maps.values():
            detunings = self.detunings[:, list(pulse.qubits)]
            out.append(small_unitaries(pulse.map.moments, detunings) if detunings.any() else None)
        return out

    def _pair_maps(self, todo: _Run, places: Layout, unitaries: list[NDArray[np.complex128] | None]) -> Real:
        """Return (maps, batch or 1, m, m) of pairs on the coefficients that are followed."""
        kept = places.pair_places()
        batch = 1 if all(u is None for u in unitaries) else self.members
        out = np.empty((len(todo.maps), batch, len(kept), len(kept)))
        for (number, pulse), u in zip(todo.maps.values(), unitaries, strict=True):
            rows = pulse.map.real[kept]
            out[number] = rows[:, kept] if u is None else after_unitaries(rows, u)[:, :, kept]
        return out


def cluster_of(
    free: FreeEvolution,
    qubits: tuple[int, ...],
    populations: Real,
    detunings: Real,
    rng: np.random.Generator | None = None,
    on_line: bool = False,
    ends: Mapping[int, float] | None = None,
    joint: Real | None = None,
    left_out: float = LEFT_OUT,
) -> Cluster:
    """Return a cluster at the start of its shots; the arguments are those of :class:`SectorCluster`.

    With ``rng`` the state is a batch of quantum trajectories, matrix product states if ``on_line``.
    """
    if rng is None:
        return SectorCluster(free, qubits, populations, detunings, ends, joint, left_out)
    start = [populations[q] for q in qubits]
    if not on_line:
        return Cluster(free, qubits, detunings, Trajectories.product(start, len(detunings), rng))
    links = [(qubits.index(a), qubits.index(b)) for a, b in free.pairs(qubits)]
    state = MatrixProducts.product(start, len(detunings), rng, links, free.chip.truncation)
    return Cluster(free, qubits, detunings, state)
