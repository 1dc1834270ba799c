"""Circuits that act on what they measured, through provider, daemon, drivers, feedback line and physics."""

import math

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile

from pulsed.cli.simulated_rack import ask_rack, find_control
from pulsed.provider.errors import UnsupportedCircuitError

SHOTS = 4096


def fraction(result, index, bit):
    counts = result.get_counts(index)
    return sum(n for key, n in counts.items() if key.replace(" ", "")[::-1][bit] == "1") / sum(counts.values())


def active_reset(qubit=0, value=1):
    """x, measure, x where the bit has ``value``, measure again."""
    circuit = QuantumCircuit(5, 2)
    circuit.x(qubit)
    circuit.measure(qubit, 0)
    with circuit.if_test((circuit.clbits[0], value)):
        circuit.x(qubit)
    circuit.measure(qubit, 1)
    return circuit


def prepared(gate):
    circuit = QuantumCircuit(5, 1)
    if gate:
        circuit.x(0)
    circuit.measure(0, 0)
    return circuit


def test_the_target_has_if_else_and_the_transpiler_keeps_it(backend):
    assert "if_else" in backend.target.operation_names
    circuit = QuantumCircuit(2, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.y(1)
    for level in range(4):
        found = transpile(circuit, backend, optimization_level=level)
        (branch,) = [item for item in found.data if item.name == "if_else"]
        assert {item.name for item in branch.operation.blocks[0].data} <= {"rz", "sx", "x"}


def test_active_reset_ends_in_zero_up_to_readout(backend, lab):
    """The second reading is what the odds of readings of 0 and 1 make of the true populations before it.

    Those populations are what the first readout missed or called wrongly, and relaxation: a few percent.
    """
    circuits = [prepared(False), prepared(True), active_reset()]
    result = backend.run([transpile(c, backend, initial_layout=range(5)) for c in circuits], shots=SHOTS).result(60)
    (truth,) = ask_rack(find_control(lab[0].home), "predict")[-1:]
    assert truth["qubits"] == [0]
    zero, one, two = truth["populations"]
    thermal = truth["initial"][0]
    assert one + two < 0.06
    # Prepared states are thermal populations, exchanged by x: solved for the odds of the levels themselves.
    called = np.linalg.solve([thermal[:2], thermal[1::-1]], [fraction(result, 0, 0), fraction(result, 1, 0)])
    expected = zero * called[0] + (one + two) * called[1]
    assert abs(fraction(result, 2, 1) - expected) < 5 * math.sqrt(2 * 0.05 * 0.95 / SHOTS)
    assert fraction(result, 2, 1) < 0.06
    assert fraction(result, 2, 0) > 0.95


def test_the_other_value_is_the_other_branch(backend):
    """x where the bit is 0, which it rarely is: the qubit stays in 1. With else, both branches play."""
    both = QuantumCircuit(5, 3)
    both.h(0)
    both.measure(0, 0)
    with both.if_test((both.clbits[0], 1)) as otherwise:
        both.x(1)
    with otherwise:
        both.x(2)
    both.measure([1, 2], [1, 2])
    circuits = [active_reset(value=0), both]
    result = backend.run([transpile(c, backend, initial_layout=range(5)) for c in circuits], shots=SHOTS).result(60)
    assert fraction(result, 0, 1) > 0.93
    counts = result.get_counts(1)
    assert abs(counts.get("011", 0) / SHOTS - 0.48) < 0.06
    assert abs(counts.get("100", 0) / SHOTS - 0.48) < 0.06


@pytest.mark.parametrize("state", ["0", "1", "+"])
def test_teleportation(backend, state):
    """Both corrections, a pulse and a change of frame, on a qubit that was not read."""
    circuit = QuantumCircuit(3, 3)
    if state != "0":
        circuit.x(0) if state == "1" else circuit.h(0)
    circuit.h(1)
    circuit.cx(1, 2)
    circuit.cx(0, 1)
    circuit.h(0)
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test((circuit.clbits[1], 1)):
        circuit.x(2)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.z(2)
    if state == "+":
        circuit.h(2)
    circuit.measure(2, 2)
    mapped = transpile(circuit, backend, initial_layout=[0, 1, 2], optimization_level=2, seed_transpiler=1)
    result = backend.run(mapped, shots=1000).result(60)
    good = fraction(result, 0, 2) if state == "1" else 1 - fraction(result, 0, 2)
    # Without its corrections every state comes out as a coin; two thirds is the classical bound.
    assert good > 0.85


def test_what_the_rack_cannot_do_is_refused_by_name(backend):
    circuit = QuantumCircuit(5, 2)
    circuit.measure([0, 1], [0, 1])
    with circuit.while_loop((circuit.clbits[0], 1)):
        circuit.x(0)
    with pytest.raises(UnsupportedCircuitError, match="while_loop"):
        backend.run(circuit)
