"""The quick check of plain circuits takes exactly what the slow one takes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, ControlledGate, Gate, Instruction, Parameter
from qiskit.circuit.library import CXGate, ECRGate, HGate, RXGate, RZGate, SXGate, XGate

from pulsed.compiler.canonical import look_through
from pulsed.provider.errors import UnsupportedCircuitError
from pulsed.provider.lengths import least_length
from pulsed.provider.plain_circuits import PlainCheck
from pulsed.provider.rules import check_circuit, check_measures
from pulsed.pulse.channels import DriveChannel
from pulsed.pulse.instructions import Play
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule

pytestmark = pytest.mark.skipif(hasattr(CircuitInstruction, "condition"), reason="any gate may have a condition")
ONE = st.sampled_from(
    [
        XGate(),
        SXGate(),
        RZGate(0.3),
        HGate(),
        RZGate(Parameter("a")),
        Gate("own", 1, []),
        Gate("x", 1, [0.3]),
        Gate("rz", 1, []),
    ]
)
TWO = st.sampled_from([ECRGate(), CXGate()])
STEP = st.one_of(
    st.tuples(ONE, st.tuples(st.integers(0, 4))),
    st.tuples(TWO, st.sampled_from([(0, 1), (1, 0), (2, 1), (4, 3), (0, 4)])),
    st.tuples(st.sampled_from(["barrier", "delay", "wait", "measure", "reset"]), st.tuples(st.integers(0, 4))),
)


def built(steps, qubits):
    circuit = QuantumCircuit(qubits, 5)
    for what, places in steps:
        if max(places) >= qubits:
            continue
        if what == "barrier":
            circuit.barrier(*places)
        elif what == "delay":
            circuit.delay(16, places[0])
        elif what == "wait":
            circuit.delay(1, places[0], "us")
        elif what == "measure":
            circuit.measure(places[0], 0)
        elif what == "reset":
            circuit.reset(places[0])
        else:
            circuit.append(what, places)
    return circuit


def slowly(circuit, rules):
    try:
        found = check_circuit(circuit, rules)
        check_measures(circuit, found.gates, {})
    except UnsupportedCircuitError:
        return None
    return found


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(STEP, max_size=12), qubits=st.integers(1, 6))
def test_it_takes_what_the_slow_one_takes(fixed, steps, qubits):
    backend = fixed[0]
    rules, circuit = backend.calibrated.rules, built(steps, qubits)
    quick, slow = PlainCheck(rules).scan(circuit), slowly(circuit, rules)
    if quick is not None:
        assert slow is not None
        assert quick.gates == slow.gates == look_through(circuit).gates
        assert list(quick.special) == slow.special == []
        assert quick.length == least_length(circuit)
    elif slow is not None:
        assert slow.special, "waits that become dt take more time"


def test_a_faulty_qubit_and_what_is_not_plain(backend, daemon, calibration):
    circuit = built([(XGate(), (2,)), ("measure", (2,))], 5)
    rules = backend.calibrated.rules
    assert PlainCheck(rules).scan(circuit) is not None
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(2)
    assert PlainCheck(rules).scan(circuit) is None
    assert PlainCheck(rules).scan(QuantumCircuit(1)) is None  # no measurement


@pytest.mark.parametrize(
    "gate",
    [
        Gate("rz", 1, []),
        Gate("x", 1, [0.3]),
        Gate("ecr", 3, []),
        Instruction("sx", 1, 0, [0.1]),
        ControlledGate("ecr", 2, [0.1], num_ctrl_qubits=1, base_gate=RXGate(0.1)),
    ],
)
def test_a_gate_made_by_name_with_other_values_is_never_plain(backend, gate):
    circuit = built([(XGate(), (2,)), ("measure", (2,))], 5)
    circuit.append(gate, range(gate.num_qubits))
    rules = backend.calibrated.rules
    assert PlainCheck(rules).scan(circuit) is None
    assert slowly(circuit, rules) is None


def test_an_own_gate_that_is_named_as_another_of_qiskit_is_looked_up(backend):
    """Qiskit means three qubits by it: one of these is not taken for the own gate on one."""
    for q in range(5):
        backend.add_gate("ccx", (q,), Schedule((0, Play(Constant(160, 0.1), DriveChannel(q)))))
    rules = backend.calibrated.rules
    circuit = built([(Gate("ccx", 1, []), (2,)), ("measure", (2,))], 5)
    assert PlainCheck(rules).scan(circuit).gates == slowly(circuit, rules).gates
    circuit.ccx(0, 1, 2)
    assert PlainCheck(rules).scan(circuit) is None
    assert slowly(circuit, rules) is None
