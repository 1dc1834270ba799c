"""A delay in any unit, run as it was written: the decay that is measured is that of the time that was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit

SHOTS = 2000
FIVE_SIGMA = 5 * 0.5 / np.sqrt(SHOTS)
READOUT = 0.03
"""What readout errors may add or take."""


def waiting(length: float, unit: str, inside: bool) -> QuantumCircuit:
    """Qubit 0 excited, then a delay, in the body of an if_test that is always played or outside; then read."""
    circuit = QuantumCircuit(1, 2)
    circuit.x(0)
    if inside:
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.delay(length, 0, unit=unit)
    else:
        circuit.delay(length, 0, unit=unit)
    circuit.measure(0, 1)
    return circuit


def test_the_decay_is_that_of_the_delay(backend):
    t1 = backend.target.qubit_properties[0].t1
    lengths = [(200, "us", 200e-6), (5e-5, "s", 50e-6), (0.02, "ms", 20e-6), (5e6, "ps", 5e-6), (100_000, "ns", 100e-6)]
    for inside in (False, True):
        circuits = [waiting(length, unit, inside) for length, unit, _ in lengths]
        result = backend.run(circuits, shots=SHOTS).result(120)
        for number, (_, unit, time) in enumerate(lengths):
            counts = result.get_counts(number)
            excited = sum(count for bits, count in counts.items() if bits[1] == "1" or not inside)
            ones = sum(count for bits, count in counts.items() if bits == "11" or (not inside and bits[0] == "1"))
            # Readout and the waiting for the bit take some microseconds more, 5 % of T1 at most.
            expected = np.exp(-time / t1)
            assert ones / excited == pytest.approx(expected, abs=FIVE_SIGMA + READOUT + 0.05 * expected), (unit, inside)
