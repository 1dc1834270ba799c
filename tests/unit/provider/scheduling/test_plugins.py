"""The scheduling stage of transpile."""

import pickle

import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.transpiler import generate_preset_pass_manager

from pulsed.model.calibration import Value
from pulsed.provider import PulsedBackend
from pulsed.provider.target import zz_of


@pytest.fixture
def waiting() -> QuantumCircuit:
    """Three qubits in superposition, one of which waits beside a target."""
    circuit = QuantumCircuit(3)
    circuit.h([0, 1, 2])
    circuit.barrier()
    for _ in range(3):
        circuit.ecr(0, 1)
        circuit.sx(1)
    circuit.barrier()
    circuit.h(2)
    circuit.measure_all()
    return circuit


def ops(circuit: QuantumCircuit, backend: PulsedBackend, **options: object) -> dict[str, int]:
    return dict(transpile(circuit, backend, initial_layout=[0, 1, 2], seed_transpiler=1, **options).count_ops())


@pytest.mark.parametrize("level", [1, 2, 3])
def test_decoupling_is_the_default(coupled: PulsedBackend, waiting: QuantumCircuit, level: int) -> None:
    plain = ops(waiting, coupled, scheduling_method="default", optimization_level=level)
    found = ops(waiting, coupled, optimization_level=level)
    assert "delay" not in plain
    assert found["delay"]
    assert found["x"] >= plain.get("x", 0) + 2


def test_level_0_and_a_set_that_knows_no_zz_leave_circuits_as_they_are(
    coupled: PulsedBackend, backend: PulsedBackend, waiting: QuantumCircuit
) -> None:
    assert zz_of(backend.target) == {}
    assert "delay" not in ops(waiting, coupled, optimization_level=0)
    assert "delay" not in ops(waiting, backend)


def test_the_option_chooses_the_method(device, with_zz, waiting: QuantumCircuit) -> None:
    backend = PulsedBackend(device, with_zz)
    assert backend.get_scheduling_stage_plugin() == "pulsed"
    backend.set_options(dynamical_decoupling=False)
    assert backend.get_scheduling_stage_plugin() == "default"
    assert "delay" not in ops(waiting, backend)


@pytest.mark.filterwarnings("ignore:.*qiskit.circuit.instruction:DeprecationWarning")
def test_methods_that_the_user_names(coupled: PulsedBackend, backend: PulsedBackend, waiting: QuantumCircuit) -> None:
    for one in (coupled, backend):
        plain = ops(waiting, one, scheduling_method="default")
        padded = ops(waiting, one, scheduling_method="pulsed_alap")
        assert padded.pop("delay")
        assert padded == plain
        assert ops(waiting, one, scheduling_method="alap")["delay"]


def test_a_target_that_went_to_another_process_knows_the_zz(coupled: PulsedBackend, waiting: QuantumCircuit) -> None:
    target = pickle.loads(pickle.dumps(coupled.target))
    assert zz_of(target) == zz_of(coupled.target) == {
        0: {1: 5e4}, 1: {0: 5e4, 2: 5e4}, 2: {1: 5e4, 3: 5e4}, 3: {2: 5e4, 4: 5e4}, 4: {3: 5e4},
    }  # fmt: skip
    manager = generate_preset_pass_manager(
        1, target=target, scheduling_method="pulsed", initial_layout=[0, 1, 2], seed_transpiler=1
    )
    assert manager.run(waiting).count_ops()["delay"]


def test_the_default_layout_is_on_the_better_qubits(device, with_zz) -> None:
    """Qiskit's own choice by the errors of the Target: no layout of ours is needed."""
    worse = ("Q0-Q1.ecr.error", "Q2-Q1.ecr.error", "Q0.readout.error")
    bad = {name: Value(with_zz.number(name) * 10) for name in worse}
    backend = PulsedBackend(device, with_zz.with_values(bad, "2026-11-23T12:00:00+00:00"))
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    circuit.measure_all()
    for level in (2, 3):  # level 1 takes the qubits as they are numbered, where these are coupled
        ready = transpile(circuit, backend, optimization_level=level, seed_transpiler=1)
        used = {ready.find_bit(bit).index for item in ready.data if item.operation.name == "ecr" for bit in item.qubits}
        assert used == {2, 3, 4}, level
