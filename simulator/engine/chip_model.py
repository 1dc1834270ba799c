"""The chip in the frame of one sequence: the effect of its pulses, readouts and idle times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.dynamics import noise
from pulsed.simulator.dynamics.clusters import Begins
from pulsed.simulator.dynamics.hamiltonian import TWO_PI_PER_NS
from pulsed.simulator.dynamics.pulse_map import PlacedPulse
from pulsed.simulator.dynamics.pulses import PulseMapCache
from pulsed.simulator.dynamics.report import DroppedZz
from pulsed.simulator.dynamics.sequence import PulseSequence
from pulsed.simulator.engine import plan
from pulsed.simulator.engine.evolution import Cluster
from pulsed.simulator.engine.free_evolution import FreeEvolution
from pulsed.simulator.engine.large_cluster import LargeCluster
from pulsed.simulator.engine.plan import SequencePlan
from pulsed.simulator.engine.sector_cluster import LEFT_OUT, cluster_of
from pulsed.simulator.engine.steady_state import InitialPopulations
from pulsed.simulator.readout.readout_cache import ReadoutCache

MAX_EXACT = 6
"""Most transmons in one density matrix."""

MAX_VECTOR = 10
"""Most transmons in one state vector: beyond six these are trajectories, beyond ten matrix product states."""

_BLOCKS = {1: 32, 2: 32, 3: 16, 4: 8, 5: 4, 6: 4, 7: 64, 8: 64, 9: 32, 10: 16} | dict.fromkeys(range(11, 17), 64)
"""Members of a state's batch, each for a block of shots: of the slow noise; from seven transmons on, trajectories."""

_SLOW = 1 << 24
"""Ends the name of the stream of slow noise that belongs to what is played."""

_WIDE_BLOCKS = 32
"""The same for more: with bonds of 64 they take 200 MB."""


@dataclass(frozen=True)
class ChipModel:
    """The chip in one frame.

    Attributes:
        chip: its parameters now.
        seed: of all random streams.
        reference: frequency of the frame, Hz.
        free: what idle transmons do in that frame.
        pulse_maps: what pulses do.
        readouts: what readouts do.

    """

    chip: Chip
    seed: int
    reference: float
    free: FreeEvolution
    pulse_maps: PulseMapCache
    readouts: ReadoutCache

    def plan(self, sequence: PulseSequence) -> SequencePlan:
        """Return what a sequence plays; raises what :func:`pulsed.simulator.engine.plan.plan` does."""
        return plan.plan(self.chip, sequence, self.reference, self.pulse_maps, self.readouts)

    def pulses(self, sequence: PulseSequence, begins: Begins) -> list[PlacedPulse]:
        """Return the pulses of all bursts of a sequence; ``begins`` as in :meth:`PulseMapCache.find`."""
        return self.pulse_maps.find(sequence, self.reference, begins=begins)

    def reached(self, sequence: PulseSequence) -> list[tuple[tuple[int, ...], int, int]]:
        """Return the qubits that each burst of a sequence acts on, and the samples at which it begins and ends."""
        return self.pulse_maps.reached(sequence, self.reference)

    def thermal(self) -> NDArray[np.float64]:
        """Return (qubits, 3) populations in equilibrium."""
        return np.array([idle.thermal for idle in self.free.idles])

    def batch(self, qubits: int) -> int:
        """Return how many members the batch of a state of so many qubits has.

        One is enough of density matrices that no slow noise tells apart.
        """
        if qubits <= MAX_EXACT and not any(q.detuning_sigma for q in self.chip.qubits):
            return 1
        return full_batch(qubits)

    def cluster(
        self,
        qubits: tuple[int, ...],
        initial: InitialPopulations,
        detunings: NDArray[np.float64],
        stream: tuple[int, ...] = (),
        ends: dict[int, float] | None = None,
        left_out: float = LEFT_OUT,
    ) -> Cluster:
        """Return some qubits at the start of a shot.

        Args:
            qubits: which of the chip's.
            initial: populations at the start.
            detunings: (batch, chip qubits) Hz.
            stream: names the random stream of trajectories.
            ends: the middle of each qubit's last pulse, where that is known.
            left_out: chance of more leaked transmons at once than are followed in a density matrix.

        """
        rng = noise.generator(self.seed, *stream, 1 << 21, *qubits) if len(qubits) > MAX_EXACT else None
        joint = initial.joint.get(qubits)
        on_line = len(qubits) > MAX_VECTOR
        return cluster_of(self.free, qubits, initial.populations, detunings, rng, on_line, ends, joint, left_out)

    def large_cluster(
        self,
        qubits: tuple[int, ...],
        initial: InitialPopulations,
        detunings: NDArray[np.float64],
        ends: dict[int, float],
        left_out: float,
        order: int,
    ) -> LargeCluster:
        """Return seven or eight qubits at the start of a shot, as :class:`LargeCluster`."""
        return LargeCluster(self.free, qubits, initial.populations, detunings, ends, left_out, order)

    def begin(
        self,
        qubits: tuple[int, ...],
        ends: dict[int, float],
        shots: int,
        stream: tuple[int, ...],
        initial: InitialPopulations,
        still: bool = False,
        content: tuple[int, ...] = (),
    ) -> tuple[Cluster, NDArray[np.int64], np.random.Generator]:
        """Return one cluster at the start of its shots, each shot's member of its batch, and the source of draws.

        ``still``: without slow noise, where that is a density matrix; there ``content`` names what draws the noise: the
        same of each run of a sequence.
        """
        rng = noise.generator(self.seed, *stream)
        still = still and len(qubits) <= MAX_EXACT
        blocks = 1 if still else min(self.batch(len(qubits)) if ends else 1, shots)
        slow = noise.generator(self.seed, *content, _SLOW) if content and len(qubits) <= MAX_EXACT else rng
        spread = np.zeros((1, len(self.chip.qubits))) if still else noise.detunings(self.chip, blocks, slow)
        return self.cluster(qubits, initial, spread, stream, ends), np.arange(shots) * blocks // shots, rng

    def dropped_zz(self, plan: SequencePlan) -> tuple[DroppedZz, ...]:
        """Return the coupled qubits in different states, of which one is driven."""
        zz = self.free.zz
        owner = {q: index for index, members in enumerate(plan.clusters) for q in members}
        driven = {q for members, ends in zip(plan.clusters, plan.ends, strict=True) if ends for q in members}
        return tuple(
            DroppedZz(c.qubits, float(zz[min(c.qubits), max(c.qubits)][1, 1] / TWO_PI_PER_NS))
            for c in self.chip.couplings
            if self.chip.effects.idle_zz
            and driven & set(c.qubits)
            and (owner.get(c.qubits[0]) != owner.get(c.qubits[1]))
        )


def full_batch(qubits: int) -> int:
    """Return how many members of a batch of so many qubits are enough for slow noise, or for trajectories."""
    return _BLOCKS.get(qubits, _WIDE_BLOCKS)
