"""The condition of Qiskit 1.4 on single instructions, ``c_if``: it acts, as an if_test around the instruction does."""

import warnings
from pathlib import Path

import pytest
from qiskit import ClassicalRegister, QuantumCircuit

from pulsed.compiler.control_flow_checks import check_control_flow
from pulsed.compiler.control_flow_steps import flow
from pulsed.model.device import load_device
from pulsed.model.errors import CircuitError

SIM5 = Path(__file__).parents[2] / "configs" / "sim5.toml"


def conditioned(change):
    circuit = QuantumCircuit(2, 2)
    circuit.measure([0, 1], [0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        change(circuit)
    return circuit


def test_a_gate_with_a_condition_is_played_where_it_holds():
    circuit = conditioned(lambda c: (c.x(0).c_if(c.clbits[1], 1), c.x(1).c_if(c.cregs[0], 2), c.x(0)))
    found = [(step.literals, step.instruction.name) for step in flow(circuit, load_device(SIM5).dt).steps]
    assert found[2:] == [(((1, 1),), "x"), (((0, 0), (1, 1)), "x"), ((), "x")]
    check_control_flow(circuit, load_device(SIM5))


def test_a_measurement_and_a_reset_with_a_condition_are_made_where_it_holds():
    circuit = conditioned(lambda c: (c.measure(0, 1).c_if(c.cregs[0], 1), c.reset(1).c_if(c.clbits[1], 1)))
    found = flow(circuit, load_device(SIM5).dt)
    assert [(step.literals, step.instruction.name) for step in found.steps[2:]] == [
        (((0, 1), (2, 0)), "measure"),
        (((0, 1), (1, 1), (2, 0)), "measure"), (((0, 1), (1, 1), (2, 0), (3, 1)), "x"),
        (((2, 1),), "measure"), (((2, 1), (4, 1)), "x"),
    ]  # fmt: skip
    check_control_flow(circuit, load_device(SIM5))


def test_a_condition_on_a_bit_that_nothing_was_measured_into_is_refused_by_name():
    circuit = conditioned(lambda c: c.x(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        circuit.add_register(ClassicalRegister(1))
        circuit.x(0).c_if(circuit.clbits[2], 1)
    with pytest.raises(CircuitError, match="nothing was measured into") as caught:
        check_control_flow(circuit, load_device(SIM5))
    assert "instruction 3" in caught.value.subject
