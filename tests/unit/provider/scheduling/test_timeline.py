"""Waits written out change nothing of what is played."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.circuit.random import random_circuit
from qiskit.transpiler import PassManager

from pulsed.provider import PulsedBackend
from pulsed.provider.scheduling.passes import PadWaits


@pytest.fixture(scope="module", params=[(1, 4), (8, 16)], ids=str)
def on_grid(request, device, calibration) -> PulsedBackend:
    pulse, acquire = request.param
    timing = device.timing.model_copy(update={"pulse_alignment": pulse, "acquire_alignment": acquire})
    return PulsedBackend(device.model_copy(update={"timing": timing}), calibration)


def padded(circuit: QuantumCircuit, backend: PulsedBackend) -> QuantumCircuit:
    return PassManager([PadWaits(backend.target)]).run(circuit)


def without_delays(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit without delays, in its bodies either."""
    found = circuit.copy_empty_like()
    for item in circuit.data:
        if item.operation.name == "delay":
            continue
        blocks = getattr(item.operation, "blocks", ())
        if blocks:
            inner = [without_delays(block) for block in blocks]
            item = item.replace(operation=item.operation.replace_blocks(inner))  # noqa: PLW2901
        found.append(item)
    return found


def order(circuit: QuantumCircuit) -> list[list[tuple]]:
    """What each qubit does, in its order."""
    found: list[list[tuple]] = [[] for _ in circuit.qubits]
    for item in circuit.data:
        places = tuple(circuit.find_bit(bit).index for bit in item.qubits)
        for q in places:
            found[q].append((item.operation.name, places, tuple(item.operation.params)))
    return found


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(1, 12))
@settings(deadline=None, max_examples=30)
def test_the_same_pulses_at_the_same_times(on_grid: PulsedBackend, seed: int, width: int, depth: int) -> None:
    circuit = random_circuit(width, depth, max_operands=2, measure=True, seed=seed)
    ready = transpile(circuit, on_grid, optimization_level=0, seed_transpiler=1)
    made = padded(ready, on_grid)
    assert on_grid.schedule(made) == on_grid.schedule(ready)
    assert order(without_delays(made)) == order(ready)


def test_every_wait_between_two_operations_is_a_delay(backend: PulsedBackend) -> None:
    circuit = QuantumCircuit(3, 3)
    circuit.sx([0, 1])
    circuit.ecr(0, 1)
    circuit.ecr(2, 1)
    circuit.measure([0, 1, 2], [0, 1, 2])
    made = padded(transpile(circuit, backend, optimization_level=0, initial_layout=[0, 1, 2]), backend)
    waits = [(made.find_bit(item.qubits[0]).index, item.operation.duration) for item in made.data
             if item.operation.name == "delay"]  # fmt: skip
    assert waits == [(0, 240 + 40 + 240)]  # while 2 and 1 are at it; a qubit that has not begun waits for nothing


def test_barriers_stay_where_they_are(backend: PulsedBackend) -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.sx([0, 1])
    circuit.x(0)
    circuit.barrier()
    circuit.x(1)
    circuit.measure([0, 1], [0, 1])
    ready = transpile(circuit, backend, optimization_level=0, initial_layout=[0, 1])
    made = padded(ready, backend)
    assert [name for name, *_ in order(made)[0]] == ["sx", "x", "barrier", "delay", "measure"]
    assert backend.schedule(made) == backend.schedule(ready)


def test_delays_with_parameters_and_control_flow_are_waited_for(backend: PulsedBackend) -> None:
    late = Parameter("t")
    circuit = QuantumCircuit(3, 3)
    circuit.sx([0, 1, 2])
    circuit.ecr(0, 1)
    circuit.delay(late, 2, "dt")
    circuit.ecr(2, 1)
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)) as otherwise:
        circuit.sx([1, 2])
        circuit.ecr(2, 1)
        circuit.x(2)
        circuit.barrier(1, 2)
        circuit.x(1)
    with otherwise:
        circuit.x(1)
    circuit.measure([1, 2], [1, 2])
    for level in range(2):  # at the others nothing waits in the body
        ready = transpile(circuit, backend, optimization_level=level, initial_layout=[0, 1, 2])
        made = padded(ready, backend)
        assert without_delays(made) == without_delays(ready)
        assert made.parameters == {late}
        (branch,) = (item.operation for item in made.data if item.operation.name == "if_else")
        assert "delay" in branch.blocks[0].count_ops()
        backend.check_faulty(made.assign_parameters([1000]))


def test_a_reset_is_not_waited_for(backend: PulsedBackend) -> None:
    """It may take 800 µs, or nothing at the start of a circuit: a readout beside it is not put behind it."""
    circuit = QuantumCircuit(2, 2)
    circuit.x(1)
    circuit.reset(0)
    circuit.measure([0, 1], [0, 1])
    ready = transpile(circuit, backend, optimization_level=0, initial_layout=[0, 1])
    assert "delay" not in padded(ready, backend).count_ops()
