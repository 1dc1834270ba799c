"""Clusters of seven and eight transmons as density matrices in sectors: nowhere whole, and read once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.dynamics.pulse_map import PlacedPulse
from pulsed.simulator.dynamics.sector_matrix import SectorMatrix
from pulsed.simulator.dynamics.trajectories import SimulationLimitError
from pulsed.simulator.engine.evolution import Cluster
from pulsed.simulator.engine.free_evolution import FreeEvolution
from pulsed.simulator.engine.sector_cluster import SectorCluster

Real = NDArray[np.float64]

MAX_SECTORS = 8
"""Most transmons of such a cluster."""

DRAWS = {7: 4, 8: 2}
"""Draws of the slow noise; each takes 1.3 MB of seven transmons, 5.8 MB of eight."""

MOST_LEFT_OUT = 1e-3
"""Chance of two leaked transmons at once, above which trajectories are followed: the sampling error of 1000 shots."""


class LeakageError(SimulationLimitError):
    """More leakage than a cluster follows."""


class LargeCluster(SectorCluster):
    """A batch of density matrices of seven or eight transmons, without readouts in between.

    Args:
        free, qubits, populations, detunings, ends: as of :class:`SectorCluster`.
        left_out: most that the chance of more leaked transmons than are followed may be.
        order: how many those are.

    """

    def __init__(
        self,
        free: FreeEvolution,
        qubits: tuple[int, ...],
        populations: Real,
        detunings: Real,
        ends: dict[int, float] | None,
        left_out: float,
        order: int,
    ) -> None:
        super().__init__(free, qubits, populations, detunings, ends, left_out=left_out)
        self.state = SectorMatrix.begun([populations[q] for q in qubits], len(detunings), order)

    def wait(self, until: int) -> None:
        """Let all qubits idle until ``until``; coupled ones in steps, as decay and ZZ do not commute."""
        if any(self._matters(pair) for pair in self.zz_clock):
            Cluster.wait(self, until)
        else:
            self._advance(until)

    def play(self, pulse: PlacedPulse) -> None:
        """Refuse (LeakageError) a pulse that is not part of a run."""
        raise LeakageError(
            "a pulse on three transmons, or on one that a readout still rings in",
            subject=f"qubits {', '.join(map(str, pulse.qubits))}",
            value=f"{len(self.qubits)} transmons in one state",
            legal="at most 6",
        )

    def _flush(self) -> None:
        todo, self._run = self._run, None
        if todo is None or not todo.steps:
            return
        assert isinstance(self.state, SectorMatrix)
        leaks, places = np.array(todo.leaks), self.state.places
        total = float(leaks.sum())
        self._check(total * (total / 8) ** places.order / (places.order + 1))  # a guess that seldom is too high
        self.left_out += self._stepped(todo, places, self.state.x, leaks, self._local_maps(todo), self._unitaries(todo))
        self._check(self.left_out)

    def _check(self, left_out: float) -> None:
        if left_out > self._most_left_out:
            raise LeakageError(
                "more transmons leak at once than are followed",
                subject=f"{len(self.qubits)} transmons in one state",
                value=f"a chance of {left_out:.1e}",
                legal=f"at most {self._most_left_out:g}",
            )
