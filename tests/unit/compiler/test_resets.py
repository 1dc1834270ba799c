"""Resets: a readout that does not depend on one is over before it begins, however the circuit lists them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.converters import circuit_to_dag
from qiskit.dagcircuit import DAGOpNode

from pulsed.compiler.circuits import walk
from pulsed.compiler.operations import BARRIER, MEASURE, RESET
from pulsed.compiler.scheduling import schedule_operations
from pulsed.model.job import RunOptions

ECR = [(0, 1), (2, 1), (2, 3), (4, 3)]


@st.composite
def circuits(draw):
    """Few qubits, many resets; resets of fresh qubits are none, so every qubit begins with an x."""
    circuit = QuantumCircuit(5, 3)
    circuit.x(range(5))
    for _ in range(draw(st.integers(1, 20))):
        kind = draw(st.sampled_from(["x", "ecr", "barrier", "reset", "reset", "measure", "measure", "rz"]))
        q = draw(st.integers(0, 4))
        if kind == "ecr":
            circuit.ecr(*draw(st.sampled_from(ECR)))
        elif kind == "barrier":
            circuit.barrier(draw(st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True)))
        elif kind == "measure":
            circuit.measure(q, draw(st.integers(0, 2)))
        elif kind == "rz":
            circuit.rz(0.5, q)
        else:
            getattr(circuit, kind)(q)
    return circuit


def timed(compiler, circuit, method="alap"):
    templates = compiler._for(RunOptions())[0].templates
    return schedule_operations(walk(circuit, templates, compiler.device, {}), templates, compiler.device, method)


def spans(result):
    """Return (kind, qubits, start, stop) of each operation but barriers."""
    operations = result.operations
    return [
        (operations.kind[code], operations.qubits[code], start, start + length)
        for code, start, length in zip(
            operations.code.tolist(), result.starts.tolist(), result.lengths.tolist(), strict=True
        )
        if operations.kind[code] != BARRIER
    ]


def said_and_hurried(circuit):
    """Return (kind, qubits) of each instruction but barriers, and which readout may not come after which reset.

    These are pairs of numbers in that list, found from Qiskit's graph of the circuit: a readout that the reset does not
    need, and that tells of a qubit which is no longer in 0 once all is played that the reset needs.
    """
    dag = circuit_to_dag(circuit)
    nodes = list(dag.topological_op_nodes())
    shown = [node for node in nodes if node.name != "barrier"]
    number = {node: i for i, node in enumerate(shown)}
    depth = {}
    for node in nodes:
        before = [depth[other] for other in dag.predecessors(node) if isinstance(other, DAGOpNode)]
        depth[node] = max(before, default=0) + (node.name == "reset")
    pairs = []
    for reset in (node for node in nodes if node.name == "reset"):
        needed = dag.ancestors(reset)
        moving = set()
        for node in sorted((node for node in nodes if node in needed), key=nodes.index):
            if node.name == "reset":
                moving.difference_update(node.qargs)
            elif node.name not in ("barrier", "rz"):
                moving.update(node.qargs)
        for node in nodes:
            if node in needed or depth[node] >= depth[reset]:
                continue
            if node.name == "reset":
                moving.difference_update(node.qargs)
            elif node.name != "barrier" and not moving.isdisjoint(node.qargs):
                moving.update(node.qargs)
                if node.name == "measure":
                    pairs.append((number[node], number[reset]))
    return [(node.name, tuple(circuit.find_bit(q).index for q in node.qargs)) for node in shown], pairs


def by_qubit(items):
    """Return what happens on each qubit, in order."""
    return {q: [item for item in items if q in item[1]] for q in range(5)}


@pytest.mark.parametrize("method", ["alap", "asap"])
@given(circuit=circuits())
@settings(deadline=None, max_examples=150)
def test_no_qubit_in_motion_waits_for_its_readout_while_another_is_reset(session_compiler, circuit, method):
    played = by_qubit(spans(timed(session_compiler, circuit, method)))
    said, hurried = said_and_hurried(circuit)
    place = {}
    for q, items in by_qubit([(name, qubits, i) for i, (name, qubits) in enumerate(said)]).items():
        # Each qubit does what the circuit says, in its order.
        assert [item[1] for item in played[q]] == [item[1] for item in items]
        for (kind, _, start, stop), (name, _, i) in zip(played[q], items, strict=True):
            assert (kind == RESET, kind == MEASURE) == (name == "reset", name == "measure")
            place[i] = start, stop
    late = [(said[m], said[r]) for m, r in hurried if place[m][1] > place[r][0]]
    assert not late


def test_a_reset_listed_before_a_readout_of_another_qubit(session_compiler):
    """The readout is right behind its x: not 800 us later, when the reset of the other qubit ends."""
    circuit = QuantumCircuit(2, 1)
    circuit.x([0, 1])
    circuit.barrier()
    circuit.reset(0)
    circuit.measure(1, 0)
    found = {(kind, qubits): (start, stop) for kind, qubits, start, stop in spans(timed(session_compiler, circuit))}
    assert found[MEASURE, (1,)] == (32, 832)
    assert found[RESET, (0,)] == (832, 832 + 800_000)


def test_what_has_not_begun_before_a_reset_begins_behind_it(session_compiler):
    """The partner of an ecr is not read before the reset: the ecr would leave the other qubit to decay meanwhile."""
    circuit = QuantumCircuit(3, 2)
    circuit.x(0)
    circuit.reset(0)
    circuit.ecr(2, 1)
    circuit.ecr(0, 1)
    circuit.measure(1, 0)
    circuit.measure(2, 1)
    found = spans(timed(session_compiler, circuit))
    end = next(stop for kind, _, _, stop in found if kind == RESET)
    assert [start >= end - 2000 for kind, qubits, start, _ in found if {1, 2} & {*qubits}] == [True] * 4


def test_only_the_qubit_in_motion_is_read_before(session_compiler):
    """Qubit 1 has its x before a barrier with the reset; qubit 2 has time."""
    circuit = QuantumCircuit(5, 5)
    circuit.x([0, 1])
    circuit.barrier(0, 1)
    circuit.reset(0)
    circuit.measure(1, 1)
    circuit.x(2)
    circuit.measure(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    found = spans(timed(session_compiler, circuit))
    start, end = next((start, stop) for kind, _, start, stop in found if kind == RESET)
    readouts = {qubits[0]: (begin, stop) for kind, qubits, begin, stop in found if kind == MEASURE}
    assert readouts[1][1] <= start
    assert readouts[2][0] >= end
    assert readouts[0][0] >= end
