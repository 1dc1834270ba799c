"""One readout that ends what a cluster does: its populations are computed once and drawn from as often as wanted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.dynamics import noise
from pulsed.simulator.dynamics.report import ClusterReport
from pulsed.simulator.dynamics.state import sampled
from pulsed.simulator.engine.chip_model import MAX_EXACT, ChipModel
from pulsed.simulator.engine.evolution import Cluster, jumped
from pulsed.simulator.engine.kept_results import FinalPopulations
from pulsed.simulator.engine.large_cluster import DRAWS, MAX_SECTORS, MOST_LEFT_OUT
from pulsed.simulator.engine.plan import SequencePlan
from pulsed.simulator.engine.steady_state import InitialPopulations
from pulsed.simulator.readout.measurement import Measurement

_STREAM = 1 << 23


def read_once(plan: SequencePlan, index: int) -> bool:
    """Return whether a cluster is a density matrix of several qubits, which one readout ends."""
    qubits = plan.clusters[index]
    if not 1 < len(qubits) <= MAX_SECTORS or (len(qubits) > MAX_EXACT and not in_pairs(plan, index)):
        return False
    return sum(bool(set(m.measured) & set(qubits)) for m in plan.measurements) == 1


def in_pairs(plan: SequencePlan, index: int) -> bool:
    """Return whether no pulse acts on three qubits at once."""
    return all(len(pulse.qubits) < 3 for pulse in plan.pulses[index])


def draws_of(model: ChipModel, qubits: tuple[int, ...], shots: int) -> int:
    """Return how many draws of the slow noise the shots of a cluster have."""
    return min(DRAWS.get(len(qubits), model.batch(len(qubits))), shots)


def final_populations(
    model: ChipModel, plan: SequencePlan, index: int, draws: int, initial: InitialPopulations, content: tuple[int, int]
) -> FinalPopulations:
    """Return what a cluster's readout finds.

    The slow noise is drawn by what is played, not by when: another run of the same sequence has the same populations.

    Raises:
        LeakageError: of seven qubits or more, more leak at once than are followed.

    """
    qubits, ends, measurement = plan.clusters[index], plan.ends[index], _readout(plan, index)
    spread = noise.detunings(model.chip, draws, noise.generator(model.seed, *content, index, _STREAM))
    cluster: Cluster
    if len(qubits) > MAX_EXACT:
        cluster = model.large_cluster(qubits, initial, spread, ends, MOST_LEFT_OUT, order=1)
    else:
        cluster = model.cluster(qubits, initial, spread, ends=ends)
    cluster.walk([p for p in plan.pulses[index] if p.start < measurement.start], [], lambda _: None)
    return FinalPopulations(cluster.last(measurement), cluster.report())


def draw(
    model: ChipModel, plan: SequencePlan, index: int, final: FinalPopulations, shots: int, rng: np.random.Generator
) -> ClusterReport:
    """Fill the readout of a cluster with so many shots; return how its populations were computed."""
    measurement, draws = _readout(plan, index), len(final.joint)
    levels: NDArray[np.int64] = sampled(final.joint, np.arange(shots) * draws // shots, rng)
    own = tuple(q for q in measurement.measured if q in plan.clusters[index])
    measurement.keep(jumped(model.chip, measurement, own, levels, rng)[1])
    return final.report


def _readout(plan: SequencePlan, index: int) -> Measurement:
    (measurement,) = (m for m in plan.measurements if set(m.measured) & set(plan.clusters[index]))
    return measurement
