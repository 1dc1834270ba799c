"""rx and rzz of any angle on the simulated rack: no worse than their Target says."""

import numpy as np
import pytest
from qiskit import QuantumCircuit

from pulsed.provider import PulsedProvider

SHOTS = 4000
SIGMAS = 6.5
"""Of a mean over all angles, and of each of them: a false alarm in 1e9."""


@pytest.fixture(scope="module")
def fractional(lab):
    return PulsedProvider(client=lab[1]).get_backend("sim5", use_fractional_gates=True)


def losses(backend, build, bits, times):
    """Return, per angle, the share of shots that a gate brings out of its way, and the uncertainty of their mean."""
    circuits = [build(k, number) for number in times for k in range(1, 21)]
    result = backend.run(circuits, shots=SHOTS).result()
    kept = np.array([result.get_counts(k).get("0" * bits, 0) / SHOTS for k in range(len(circuits))]).reshape(2, 20)
    spread = np.sqrt((kept * (1 - kept)).sum() / SHOTS) / 20
    return (kept[0] - kept[1]) / (times[1] - times[0]), spread / (times[1] - times[0])


def assert_within(lost, allowed, spread):
    assert lost.mean() < allowed + SIGMAS * spread
    assert lost.max() < allowed + SIGMAS * spread * np.sqrt(len(lost))


def test_fractional_gates_keep_to_the_errors_of_the_target(fractional):
    """Turns that add up to whole ones, once and often: each gate may lose what its error says, which is an average.

    A state loses at most (d + 1) / d times the average. What is coherent adds up in amplitude, so more of it is seen.
    """

    def spin(k, number):
        circuit, share = QuantumCircuit(1, 1), k - 11 if k <= 10 else k - 10
        for _ in range(number):
            circuit.rx(2 * np.pi * share / 21, 0)
        circuit.measure(0, 0)
        return circuit

    lost, spread = losses(fractional, spin, 1, (0, 21))
    assert_within(lost, 1.5 * fractional.target["rx"][0,].error, spread)

    def twist(k, number):
        """The target turns by z, one way or the other as its control is, and back by what is virtual."""
        circuit, angle = QuantumCircuit(2, 2), np.pi * (k - 10.5) / 10
        if k % 2:
            circuit.x(0)
        circuit.sx(1)
        for _ in range(number):
            circuit.rzz(angle, 0, 1)
        circuit.rz(number * angle * (1 if k % 2 else -1) + np.pi, 1)
        circuit.sx(1)
        if k % 2:
            circuit.x(0)
        circuit.measure([0, 1], [0, 1])
        return circuit

    lost, spread = losses(fractional, twist, 2, (1, 5))
    assert_within(lost, 1.25 * fractional.target["rzz"][0, 1].error, spread)
