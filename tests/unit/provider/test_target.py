import copy
import pickle
from itertools import pairwise

import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.circuit.exceptions import CircuitError
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Operator
from qiskit.transpiler import Target

from pulsed.compiler.gates import gate_table
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.provider import PulsedBackend
from pulsed.provider.target import PulsedInstructionProperties, build_target
from pulsed.pulse import DriveChannel, Play
from pulsed.pulse.foreign import adopted


@pytest.fixture(scope="module")
def target(device: DeviceDescription, calibration: CalibrationSet) -> Target:
    return build_target(device, calibration)


def without(calibration: CalibrationSet, *prefixes: str) -> CalibrationSet:
    kept = {name: value for name, value in calibration.values.items() if not name.startswith(prefixes)}
    return CalibrationSet(calibration.device, kept, calibration.created)


def test_timing_comes_from_the_device(target: Target, device: DeviceDescription) -> None:
    assert target.num_qubits == 5
    assert target.dt == 1e-9
    assert (target.granularity, target.min_length) == (8, 16)
    assert (target.pulse_alignment, target.acquire_alignment) == (1, 4)
    assert target.concurrent_measurements == [[0, 1, 2, 3, 4]]


def test_qubit_properties_come_from_the_calibration(target: Target, calibration: CalibrationSet) -> None:
    for q, found in enumerate(target.qubit_properties):
        assert found.t1 == calibration.number(f"Q{q}.t1")
        assert found.t2 == calibration.number(f"Q{q}.t2")
        assert found.frequency == calibration.number(f"Q{q}.f01")


def test_gates_have_duration_error_and_schedule(target: Target, calibration: CalibrationSet) -> None:
    control_flow = {"if_else", "switch_case", "for_loop", "break_loop", "continue_loop", "box"}
    assert set(target.operation_names) - control_flow == {"id", "rz", "sx", "x", "ecr", "measure", "reset", "delay"}
    assert set(target.operation_names) >= control_flow - {"box"}
    assert set(target["ecr"]) == {(0, 1), (2, 1), (2, 3), (4, 3)}
    for q in range(5):
        x, rz, measure = target["x"][q,], target["rz"][q,], target["measure"][q,]
        assert x.error == calibration.number(f"Q{q}.x.error")
        assert x.duration == pytest.approx(40e-9, rel=1e-12)
        assert x.calibration.duration == 40
        assert (rz.duration, rz.error) == (0.0, 0.0)
        assert measure.error == calibration.number(f"Q{q}.readout.error")
        assert measure.duration == pytest.approx(1.2e-6, rel=1e-12)
    assert target["ecr"][2, 1].duration == pytest.approx((240 + 40 + 240) * 1e-9, rel=1e-12)


def test_a_gate_without_valid_calibration_is_absent(device: DeviceDescription, calibration: CalibrationSet) -> None:
    part = build_target(device, without(calibration, "Q2.sx.", "Q4-Q3.ecr.", "Q1.readout."))
    assert (2,) not in part["sx"]
    assert (2,) in part["x"]
    assert set(part["ecr"]) == {(0, 1), (2, 1), (2, 3)}
    assert (1,) not in part["measure"]
    none = build_target(device, without(calibration, *(f"Q{q}.x." for q in range(5))))
    assert "x" not in none.operation_names
    assert "ecr" not in none.operation_names


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda item: pickle.loads(pickle.dumps(item))])
def test_schedules_survive_copies(target: Target, way: object) -> None:
    twin = way(target)  # type: ignore[operator]
    for name in ("x", "ecr", "measure"):
        for qubits, properties in target[name].items():
            other = twin[name][qubits]
            assert type(other) is PulsedInstructionProperties
            assert (other.duration, other.error) == (properties.duration, properties.error)
            assert other.calibration == properties.calibration
            assert other.calibration is not None


def test_copies_share_the_schedule(target: Target) -> None:
    properties = target["ecr"][2, 1]
    assert copy.deepcopy(properties).calibration is properties.calibration


def test_changed_properties_are_not_equal_to_the_old(target: Target) -> None:
    properties = target["x"][0,]
    other = PulsedInstructionProperties(properties.duration, 0.5, properties.calibration)
    assert pickle.loads(pickle.dumps(other)).error == 0.5
    assert "x" in repr(other)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_transpile_keeps_to_the_target_and_to_the_circuit(backend: PulsedBackend, level: int) -> None:
    for seed in range(3):
        circuit = random_circuit(3, 3, max_operands=2, seed=seed)
        done = transpile(circuit, backend, optimization_level=level, seed_transpiler=seed, initial_layout=[0, 1, 2])
        for item in done.data:
            qubits = tuple(done.find_bit(bit).index for bit in item.qubits)
            assert backend.target.instruction_supported(item.operation.name, qubits), f"seed {seed}: {item}"
        assert Operator.from_circuit(done).equiv(padded(circuit)), f"seed {seed}"


def padded(circuit: QuantumCircuit) -> Operator:
    wide = QuantumCircuit(5)
    wide.compose(circuit, range(circuit.num_qubits), inplace=True)
    return Operator(wide)


def test_transpile_in_parallel_processes(backend: PulsedBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QISKIT_PARALLEL", "TRUE")
    circuits = [random_circuit(5, 2, max_operands=2, measure=True, seed=seed) for seed in range(8)]
    apart = transpile(circuits, backend, seed_transpiler=7, num_processes=2)
    here = [transpile(circuit, backend, seed_transpiler=7) for circuit in circuits]
    assert apart == here


@pytest.mark.filterwarnings("ignore:.*qiskit.circuit.instruction:DeprecationWarning")
def test_scheduling_uses_the_durations(backend: PulsedBackend, bell: QuantumCircuit) -> None:
    done = transpile(bell, backend, scheduling_method="alap", initial_layout=[0, 1], seed_transpiler=1)
    longest = (240 + 40 + 240 + 1200) * 1e-9
    assert done.estimate_duration(backend.target, unit="s") >= longest


def test_the_identity_is_a_wait_as_long_as_x(backend: PulsedBackend) -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.id(0)
    circuit.measure(0, 0)
    done = transpile(circuit, backend, optimization_level=0, initial_layout=[0])
    assert done.count_ops()["id"] == 1
    begins = backend.schedule(done).filter(channels=[backend.acquire_channel(0)]).start_time
    assert begins == backend.calibrated.gates["x", (0,)].duration
    assert backend.target["id"][0,].duration == backend.target["x"][0,].duration


def test_operations_and_instructions_are_those_of_the_target(backend: PulsedBackend) -> None:
    assert [operation.name for operation in backend.operations if hasattr(operation, "name")][:3] == ["id", "rz", "sx"]
    found = {(operation.name, qubits) for operation, qubits in backend.instructions if qubits is not None}
    target = backend.target
    assert found == {(name, qubits) for name in target for qubits in target[name] if qubits is not None}
    assert ("ecr", (0, 1)) in found


def test_table_and_target_agree(target: Target, device: DeviceDescription, calibration: CalibrationSet) -> None:
    for (name, qubits), info in gate_table(device, calibration).items():
        assert adopted(target[name][qubits].calibration) == info.schedule
        assert target[name][qubits].duration == pytest.approx(info.duration * 1e-9, rel=1e-12)


@pytest.fixture(scope="module", params=[(1, 4), (8, 16)], ids=str)
def on_grid(request: pytest.FixtureRequest, device: DeviceDescription, calibration: CalibrationSet) -> PulsedBackend:
    pulse, acquire = request.param
    timing = device.timing.model_copy(update={"pulse_alignment": pulse, "acquire_alignment": acquire})
    return PulsedBackend(device.model_copy(update={"timing": timing}), calibration)


def binds_roundings() -> bool:
    """Whether this Qiskit takes what it makes of half a microsecond that is bound late: 1.4, 2.2 and 2.3 refuse it."""
    circuit, late = QuantumCircuit(1), Parameter("t")
    circuit.delay(late, 0, "dt")
    try:
        circuit.assign_parameters({late: 499.99999999999994})
    except CircuitError:
        return False
    return True


@pytest.mark.filterwarnings("ignore:The property ``qiskit.circuit.instruction:DeprecationWarning")  # Qiskit 1.4's own
@pytest.mark.parametrize("level", range(4))
def test_the_users_delays_go_through_the_transpiler(on_grid: PulsedBackend, level: int) -> None:
    """On the grid or off it, with a number or a parameter, from the backend or its target; the compiler aligns."""
    late, later = Parameter("t"), Parameter("s")
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    seconds, value = ("us", 0.5) if binds_roundings() else ("dt", 500)
    for length, unit in ((1001, "dt"), (0.077, "us"), (late, "dt"), (later, seconds)):
        circuit.delay(length, 0, unit)
        circuit.x(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    through_target = transpile(circuit, target=on_grid.target, optimization_level=level, initial_layout=[0, 1])
    for found in (transpile(circuit, on_grid, optimization_level=level, initial_layout=[0, 1]), through_target):
        bound = found.assign_parameters({late: 13, later: value})
        lengths = [item.params[0] for item in bound.data if item.name == "delay"]
        assert lengths == pytest.approx([1001, 77, 13, 500], rel=1e-12)
        schedule = on_grid.schedule(bound)
        starts = [t for t, _ in schedule.filter(channels=[DriveChannel(0)], instruction_types=[Play]).instructions]
        gaps = [after - before for before, after in pairwise(starts)]
        alignment = on_grid.target.pulse_alignment
        waits = [gap - 40 for gap in gaps if gap > 40]
        assert all(start % alignment == 0 for start in starts)
        assert [wait - length for wait, length in zip(waits, (1001, 77), strict=False)] == [
            -length % alignment for length in (1001, 77)
        ]


def test_a_target_with_its_grid_is_still_one_when_it_is_copied(target: Target) -> None:
    for copied in (copy.copy(target), copy.deepcopy(target), pickle.loads(pickle.dumps(target))):
        assert copied.acquire_alignment == 4
        assert copied.timing_constraints().acquire_alignment == 1
