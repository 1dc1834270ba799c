"""Gates of a user's own: added in one call, used everywhere, seen by nobody else."""

import copy
import math
import pickle

import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Gate, Parameter
from qiskit.circuit.equivalence_library import SessionEquivalenceLibrary
from qiskit.circuit.library import HGate, RYGate
from qiskit.primitives import BackendSamplerV2
from qiskit.quantum_info import Operator
from qiskit.transpiler import generate_preset_pass_manager

from pulsed.model.calibration import CalibrationSet
from pulsed.provider import PulsedBackend, PulsedProvider, PulsedSampler
from pulsed.provider.errors import AddedGateError, OptionValueError
from pulsed.pulse import (
    AcquireChannel,
    Constant,
    ControlChannel,
    DriveChannel,
    Play,
    Schedule,
    ScheduleBlock,
    ShiftPhase,
)
from pulsed.pulse.foreign import adopted
from pulsed.pulse.serialize import loads

LEVELS = range(4)


def sy() -> Gate:
    return Gate("sy", 1, [])


def pulses(backend: PulsedBackend, qubit: int = 0) -> Schedule:
    """A π/2 turn about y: sx in a frame that is turned by a quarter."""
    half, line = backend.instruction_schedule_map.get("sx", qubit), DriveChannel(qubit)
    made = Schedule((0, ShiftPhase(-math.pi / 2, line)), name="sy").insert(0, half)
    return made.insert(half.duration, ShiftPhase(math.pi / 2, line))


def meaning() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.ry(math.pi / 2, 0)
    return circuit


def circuit_with(*gates: tuple[Gate, tuple[int, ...]]) -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    for gate, qubits in gates:
        circuit.append(gate, qubits)
    circuit.measure([0, 1], [0, 1])
    return circuit


def names(circuit: QuantumCircuit, qubit: int) -> list[str]:
    """The gates on one qubit."""
    bit = circuit.qubits[qubit]
    return [item.operation.name for item in circuit.data if bit in item.qubits and item.operation.name != "rz"]


@pytest.mark.parametrize("level", LEVELS)
def test_one_call_is_enough(backend: PulsedBackend, daemon, level: int) -> None:
    daemon.hold = True
    backend.add_gate(sy(), 0, pulses(backend), meaning(), error=1e-4)
    properties = backend.target["sy"][0,]
    assert properties.duration == pytest.approx(40e-9)
    assert properties.error == 1e-4
    circuit = circuit_with((sy(), (0,)), (sy(), (1,)))
    ready = transpile(circuit, backend, initial_layout=[0, 1], optimization_level=level)
    assert names(ready, 0) == ["sy", "measure"]
    assert set(names(ready, 1)) == {"sx", "measure"}  # where it is not, it is made of the lab's
    backend.run(ready)
    request, parts = daemon.received[0]
    assert request.gates == (("sy", (0,), ()),)
    assert loads(parts[1]) == pulses(backend)
    played = backend.schedule(ready)
    turns = [t for t, item in played.instructions if item == ShiftPhase(-math.pi / 2, DriveChannel(0))]
    assert len(turns) == 1
    assert backend.preview(ready).pulses("d0")
    assert adopted(backend.instruction_schedule_map.get("sy", 0)) == pulses(backend)


def test_a_job_carries_only_the_gates_it_uses(backend: PulsedBackend, daemon) -> None:
    daemon.hold = True
    for qubit in range(3):
        backend.add_gate("sy", qubit, pulses(backend, qubit))
    backend.add_gate("other", 0, pulses(backend))
    backend.run(transpile(circuit_with((HGate(), (0,))), backend))
    assert daemon.received[-1][0].gates == ()
    branching = QuantumCircuit(1, 2)
    branching.measure(0, 0)
    with branching.if_test((0, 1)):
        branching.append(sy(), [0])
    branching.measure(0, 1)
    ready = transpile(branching, backend, initial_layout=[2])
    backend.run(ready)
    assert ("sy", (2,), ()) in daemon.received[-1][0].gates


def test_calibrations_of_a_call_win(backend: PulsedBackend, daemon) -> None:
    daemon.hold = True
    backend.add_gate("sy", 0, pulses(backend))
    other = Schedule(Play(Constant(64, 0.1), DriveChannel(0)))
    ready = transpile(circuit_with((sy(), (0,))), backend, initial_layout=[0, 1])
    backend.run(ready, calibrations={("sy", 0): other})
    assert loads(daemon.received[0][1][1]) == other


@pytest.mark.parametrize("level", LEVELS)
def test_rules_make_other_gates_of_it(backend: PulsedBackend, level: int) -> None:
    """Also inside a gate of two qubits, of which only one has the gate."""
    hadamard = QuantumCircuit(1)
    hadamard.z(0)
    hadamard.append(sy(), [0])
    backend.add_gate(sy(), 0, pulses(backend), [(sy(), meaning()), (HGate(), hadamard)])
    circuit = QuantumCircuit(2)
    circuit.h([0, 1])
    circuit.cz(0, 1)
    circuit.h([0, 1])
    ready = transpile(circuit, backend, initial_layout=[0, 1], optimization_level=level)
    assert set(names(ready, 1)) <= {"sx", "x", "ecr"}
    if level == 0:
        assert "sy" in names(ready, 0)
    plain = QuantumCircuit(5)
    for item in ready.data:
        operation = RYGate(math.pi / 2) if item.operation.name == "sy" else item.operation
        plain.append(operation, [ready.find_bit(bit).index for bit in item.qubits])
    wide = QuantumCircuit(5)
    wide.compose(circuit, [0, 1], inplace=True)
    assert Operator(plain).equiv(Operator(wide))


def test_a_gate_with_parameters(backend: PulsedBackend, daemon) -> None:
    daemon.hold = True
    height = Parameter("height")
    block = ScheduleBlock(name="probe")
    block.append(Play(Constant(80, height), DriveChannel(1)))
    backend.add_gate(Gate("probe", 1, [height]), 1, block)
    assert backend.target["probe"][1,].duration == pytest.approx(80e-9)
    circuit = circuit_with((Gate("probe", 1, [0.25]), (1,)), (Gate("probe", 1, [0.5]), (1,)))
    ready = transpile(circuit, backend, initial_layout=[0, 1])
    backend.run(ready)
    shown = [item.pulse.amp for _, item in backend.schedule(ready).instructions
             if isinstance(item, Play) and item.channel == DriveChannel(1)]  # fmt: skip
    assert shown == [0.25, 0.5]
    assert backend.instruction_schedule_map.get_parameters("probe", 1) == ("height",)
    assert daemon.received[0][0].gates


def test_a_length_that_comes_late_has_no_duration_yet(backend: PulsedBackend) -> None:
    length = Parameter("length")
    block = ScheduleBlock(name="long")
    block.append(Play(Constant(length, 0.1), DriveChannel(0)))
    backend.add_gate("long", 0, block)
    assert backend.target["long"][0,].duration is None
    assert backend.added_gates["long", (0,)].gate.params == [length]


def test_a_length_of_a_gate_comes_with_its_values(backend: PulsedBackend, daemon, worker) -> None:
    daemon.hold = True
    length = Parameter("length")
    block = ScheduleBlock(name="long")
    block.append(Play(Constant(length, 0.1), DriveChannel(0)))
    backend.add_gate("long", 0, block)

    def circuit(value: object) -> QuantumCircuit:
        return transpile(circuit_with((Gate("long", 1, [value]), (0,))), backend, initial_layout=[0, 1])

    lengths = [backend.schedule(circuit(value)).duration for value in (160, 320.0)]
    assert lengths[1] - lengths[0] == 160
    assert backend.preview(circuit(160)).pulses("d0")
    backend.run([circuit(160), circuit(320)])
    assert [loads(part).duration for part in daemon.received[-1][1][1:]] == [160, 320]
    value = Parameter("value")
    for run in (
        lambda: backend.run(circuit(value), parameter_binds=[{value: [160, 320]}]),
        lambda: PulsedSampler(backend).run([(circuit(value), [160, 320])], shots=4),
    ):
        run()
        (chunk,) = worker.compile(*daemon.received[-1])
        assert len(chunk.head.programs) == 2
    with pytest.raises(OptionValueError, match=r"does not take these values.*got long\(160\.5\) on 0"):
        backend.run(circuit(160.5))


def test_a_circuit_with_branches_takes_the_gates_of_its_bodies_alone(backend: PulsedBackend, daemon) -> None:
    daemon.hold = True
    length = Parameter("length")
    block = ScheduleBlock(name="long")
    block.append(Play(Constant(length, 0.1), DriveChannel(0)))
    backend.add_gate("long", 0, block)
    backend.add_gate("sy", 0, pulses(backend))
    backend.add_gate("other", 0, pulses(backend))
    branching = QuantumCircuit(1, 2)
    branching.measure(0, 0)
    with branching.if_test((0, 1)):
        branching.append(sy(), [0])
    branching.measure(0, 1)
    backend.run(transpile(branching, backend, initial_layout=[0]))
    assert daemon.received[-1][0].gates == (("sy", (0,), ()),)


@pytest.mark.parametrize("pair", [(0, 1), (1, 0)])
def test_a_gate_of_a_pair(backend: PulsedBackend, pair: tuple[int, int]) -> None:
    angle = Parameter("angle")
    made = QuantumCircuit(2)
    made.rzx(angle, 0, 1)
    tone = Schedule(Play(Constant(200, angle / 10), ControlChannel(0)), ShiftPhase(0.1, DriveChannel(1)))
    backend.add_gate(Gate("turn", 2, [angle]), pair, tone, made)
    for level in LEVELS:
        circuit = QuantumCircuit(3, 3)
        circuit.append(Gate("turn", 2, [0.5]), pair)
        circuit.append(Gate("turn", 2, [0.5]), [1, 2])  # has none
        circuit.measure([0, 1, 2], [0, 1, 2])
        ready = transpile(circuit, backend, initial_layout=[0, 1, 2], optimization_level=level)
        assert ready.count_ops()["turn"] == 1
        assert backend.schedule(ready).duration > 0


def test_primitives_use_it(backend: PulsedBackend) -> None:
    backend.add_gate(sy(), 0, pulses(backend), meaning())
    defined = Gate("sy", 1, [])
    defined.definition = meaning()  # for the double of a daemon, which computes
    ready = transpile(circuit_with((defined, (0,)), (defined, (0,))), backend, initial_layout=[0, 1],
                      optimization_level=1)  # fmt: skip
    assert names(ready, 0) == ["sy", "sy", "measure"]
    bits = BackendSamplerV2(backend=backend).run([ready], shots=100).result()[0].data.c
    assert bits.get_counts() == {"01": 100}


def test_nobody_else_sees_it(backend: PulsedBackend, daemon) -> None:
    gate = Gate("of_mine_alone", 1, [])
    backend.add_gate(gate, 0, pulses(backend), meaning())
    other = PulsedProvider(client=daemon).get_backend("sim5")
    assert "of_mine_alone" not in other.target.operation_names
    assert other.device == backend.device
    assert other.calibration_id == backend.calibration_id
    assert not SessionEquivalenceLibrary.has_entry(gate)
    with pytest.raises(Exception, match="of_mine_alone"):
        transpile(circuit_with((gate, (0,))), other)


def test_it_stays_with_another_set_and_in_copies(backend: PulsedBackend, daemon, calibration: CalibrationSet) -> None:
    backend.add_gate(sy(), 0, pulses(backend), meaning())
    values = {name: value for name, value in calibration.values.items() if not name.startswith("Q4-Q3.")}
    newer = CalibrationSet(calibration.device, values, "2026-11-21T12:00:00+00:00")
    daemon.put_in_force(newer)
    assert backend.calibration_id == newer.calibration_id
    assert "sy" in backend.target.operation_names
    backend.schedule(transpile(circuit_with((sy(), (0,))), backend))  # what has locks is no part of a copy
    for twin in (copy.deepcopy(backend), pickle.loads(pickle.dumps(offline(backend)))):
        assert "sy" in twin.target.operation_names
        assert adopted(twin.instruction_schedule_map.get("sy", 0)) == pulses(backend)
        twin.remove_gate("sy")
    assert "sy" in backend.target.operation_names


def offline(backend: PulsedBackend) -> PulsedBackend:
    made = PulsedBackend(backend.device, backend.calibration_set)
    made.add_gate(sy(), 0, pulses(backend), meaning())
    made.schedule(transpile(circuit_with((sy(), (0,))), made, initial_layout=[0, 1]))
    return made


def test_a_target_that_went_to_another_process_has_its_rules(backend: PulsedBackend) -> None:
    backend.add_gate(sy(), 0, pulses(backend), meaning())
    target = pickle.loads(pickle.dumps(backend.target))
    manager = generate_preset_pass_manager(
        1, target=target, translation_method="pulsed", initial_layout=[0, 1], seed_transpiler=1
    )
    ready = manager.run(circuit_with((sy(), (0,)), (sy(), (1,))))
    assert (names(ready, 0), names(ready, 1)) == (["sy", "measure"], ["sx", "measure"])


def test_removal(backend: PulsedBackend) -> None:
    for qubit in (0, 1):
        backend.add_gate(sy(), qubit, pulses(backend, qubit))
    backend.remove_gate("sy", 0)
    assert list(backend.target["sy"]) == [(1,)]
    assert list(backend.added_gates) == [("sy", (1,))]
    with pytest.raises(AddedGateError, match=r"no gate that was added; got sy on \(0,\); legal: sy on \(1,\)"):
        backend.remove_gate(sy(), 0)
    backend.remove_gate(sy())
    assert "sy" not in backend.target.operation_names
    assert not backend.instruction_schedule_map.has("sy", 1)
    with pytest.raises(AddedGateError, match="legal: none"):
        backend.remove_gate("x")


def test_a_second_one_takes_the_place_of_the_first(backend: PulsedBackend) -> None:
    backend.add_gate("sy", 0, pulses(backend))
    longer = Schedule(Play(Constant(160, 0.1), DriveChannel(0)))
    backend.add_gate("sy", 0, longer)
    assert backend.target["sy"][0,].duration == pytest.approx(160e-9)


free, own = Parameter("free"), Parameter("own")
play = Schedule(Play(Constant(64, 0.1), DriveChannel(0)))
wrong_size = QuantumCircuit(2)


@pytest.mark.parametrize(
    ("gate", "qubits", "schedule", "more", "message"),
    [
        ("x", 0, play, {}, r"gate x: the lab has a gate of this name.*calibrations= of run; got x"),
        ("measure", 0, play, {}, "the lab has a gate of this name"),
        ("cz", (0, 1), play, {}, "the lab has a gate of this name"),
        ("if_else", 0, play, {}, "the lab has a gate of this name"),
        ("mine", 5, play, {}, r"not qubits for this gate; got 5; legal: 1 different ones of 0 to 4"),
        ("mine", True, play, {}, "not qubits for this gate; got True"),
        ("mine", (0, 0), play, {}, "2 different ones"),
        (Gate("mine", 2, []), 0, play, {}, "2 different ones"),
        ("mine", (0, 1, 2), play, {}, "too many qubits"),
        ("mine", (0, 2), play, {}, r"not coupled.*got \(0, 2\); legal: \(0, 1\)"),
        ("mine", 1, play, {}, r"a channel of other qubits; got d0 in a gate on \(1,\); legal: a1, d1, m1"),
        ("mine", 0, Schedule(Play(Constant(64, 0.1), ControlChannel(0))), {}, "channel of other qubits; got u0"),
        ("mine", (2, 3), Schedule(Play(Constant(64, 0.1), ControlChannel(0))), {}, "channel of other qubits; got u0"),
        ("mine", 0, Schedule(ShiftPhase(0.1, ControlChannel(0))), {}, "channel of other qubits; got u0"),
        ("mine", 0, Schedule(Play(Constant(64, 0.1), DriveChannel(9))), {}, "channel of other qubits; got d9"),
        (Gate("mine", 1, []), 0, Schedule(Play(Constant(64, free), DriveChannel(0))), {},
         "parameters that the gate has not; got free; legal: none"),
        (Gate("mine", 1, [own]), 0, Schedule(Play(Constant(64, free), DriveChannel(0))), {}, "got free; legal: own"),
        (Gate("mine", 1, [0.5]), 0, play, {}, "values where it needs parameters"),
        (Gate("mine", 2, [own, own]), (0, 1), play, {}, "a different Parameter each"),
        ("mine", 0, "pulse", {}, "gate mine: needs a schedule; got str"),
        (7, 0, play, {}, "not a gate; got 7"),
        ("mine", 0, play, {"error": 2.0}, "not a gate error; got 2.0"),
        ("mine", 0, play, {"error": "x"}, "not a gate error; got x; legal: 0 to 1, or None"),
        ("mine", 0, play, {"error": True}, "not a gate error; got True"),
        ("mine", 0, play, {"error": float("nan")}, "not a gate error; got nan"),
        ("mine", 0, play, {"equivalence": wrong_size}, "not an equivalence"),
        ("mine", 0, play, {"equivalence": 7}, "not an equivalence"),
        ("mine", 0, play, {"equivalence": [(HGate(), "circuit")]}, "not an equivalence"),
    ],
)  # fmt: skip
def test_refusals(backend: PulsedBackend, gate, qubits, schedule, more, message) -> None:
    before = backend.target
    with pytest.raises(AddedGateError, match=message):
        backend.add_gate(gate, qubits, schedule, **more)
    assert backend.target is before
    assert isinstance(AddedGateError(""), ValueError)


def test_one_name_is_one_gate(backend: PulsedBackend) -> None:
    backend.add_gate("mine", 0, play)
    with pytest.raises(AddedGateError, match=r"stands for another gate on other qubits.*as on \(0,\)"):
        backend.add_gate("mine", (0, 1), play)


def test_frames_of_a_qubit_may_turn_where_nothing_is_played(backend: PulsedBackend) -> None:
    """u0 leaves the port of qubit 0 at the frequency of qubit 1."""
    turned = Schedule(ShiftPhase(0.3, DriveChannel(1)), ShiftPhase(0.3, ControlChannel(0)))
    backend.add_gate("turned", 1, turned)
    assert backend.target["turned"][1,].duration == 0
    assert AcquireChannel(1) not in turned.channels
