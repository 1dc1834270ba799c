"""What the shots of a sequence begin with: what the shot before has left."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.dynamics.sequence import PulseSequence
from pulsed.simulator.engine.chip_model import MAX_EXACT, MAX_VECTOR, ChipModel, full_batch
from pulsed.simulator.engine.evolution import Cluster
from pulsed.simulator.engine.large_cluster import LeakageError
from pulsed.simulator.engine.one_readout import read_once
from pulsed.simulator.engine.plan import SequencePlan
from pulsed.simulator.engine.sector_cluster import LEFT_OUT
from pulsed.simulator.engine.steady_state import CORRELATED, TOLERANCE, InitialPopulations, settled

Real = NDArray[np.float64]

_SETTLING = 16
"""Members of a batch of matrix product states that is used to find what a shot leaves to the next."""

_LEAKAGE = TOLERANCE / 4
"""Error of a population at a shot's start that may come from leakage of its predecessor that is not followed."""


def initial_populations(model: ChipModel, sequence: PulseSequence, plan: SequencePlan) -> InitialPopulations:
    """Return populations at a shot's start: what the shot before left, relaxed until the period ends.

    Shots are given the mean of what their predecessors leave (the fixed point of the period), not each its own:
    of a cluster's qubits together, where enough is left of a shot.
    """
    start = InitialPopulations(model.thermal())
    if not model.chip.effects.memory:
        return start
    for index, qubits in enumerate(plan.clusters):
        left = math.exp(-sequence.period * 1e-9 / max(model.chip.qubits[q].t1 for q in qubits))
        found = None
        if len(qubits) > MAX_EXACT and read_once(plan, index) and left <= CORRELATED:
            found = _of_sectors(model, sequence, plan, index, start, left)
        if found is None:
            found = _of_cluster(model, sequence, plan, index, start, left)
        start = start.entered(qubits, found)
    return start


def _of_cluster(
    model: ChipModel,
    sequence: PulseSequence,
    plan: SequencePlan,
    index: int,
    start: InitialPopulations,
    left: float,
) -> Real:
    qubits, pulses, ends = plan.clusters[index], plan.pulses[index], plan.ends[index]
    exact = len(qubits) <= MAX_EXACT
    batch = 1 if exact else _SETTLING if len(qubits) > MAX_VECTOR else full_batch(len(qubits))
    still = np.zeros((batch, len(model.chip.qubits)))
    own = start.populations[list(qubits)]
    if exact and left > CORRELATED and any(len(p.qubits) > 1 for p in pulses):
        own = reduce(np.multiply.outer, own).reshape(1, -1)

    def step(populations: Real) -> Real:
        begun = start.entered(qubits, populations)
        cluster = model.cluster(qubits, begun, still, ends=ends, left_out=max(LEFT_OUT, _forgotten(left)))
        return _left_by(cluster, sequence, plan, index, len(populations) != len(qubits))

    return settled(step, own, left, exact)


def _of_sectors(
    model: ChipModel,
    sequence: PulseSequence,
    plan: SequencePlan,
    index: int,
    start: InitialPopulations,
    left: float,
) -> Real | None:
    """Return the populations of seven or eight qubits, None if leakage matters too much."""
    qubits, still = plan.clusters[index], np.zeros((1, len(model.chip.qubits)))
    for order in (0, 1):

        def step(populations: Real, order: int = order) -> Real:
            begun = start.entered(qubits, populations)
            cluster = model.large_cluster(qubits, begun, still, plan.ends[index], _forgotten(left), order)
            return _left_by(cluster, sequence, plan, index, False)

        try:
            return settled(step, start.populations[list(qubits)], left)
        except LeakageError:
            continue
    return None


def _left_by(cluster: Cluster, sequence: PulseSequence, plan: SequencePlan, index: int, together: bool) -> Real:
    cluster.walk(plan.pulses[index], plan.measurements, cluster.pass_unread)
    return cluster.final(sequence.period, together=together)


def _forgotten(left: float) -> float:
    """Return which chance of leakage may be left out if ``left`` of it remains after a period."""
    return min(1.0, _LEAKAGE / max(left, _LEAKAGE))
