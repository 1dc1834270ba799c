"""Qiskit 1.4's own builder, scheduler, transpiler and converters over our backend."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import qiskit
import qiskit.pulse
from qiskit import QuantumCircuit, transpile
from qiskit.providers import BackendV1, BackendV2Converter, ProviderV1
from qiskit.providers.backend_compat import convert_to_target
from qiskit.providers.models.backendconfiguration import PulseBackendConfiguration
from qiskit.providers.models.backendproperties import BackendProperties
from qiskit.providers.models.pulsedefaults import PulseDefaults
from qiskit.quantum_info import Operator

import pulsed.pulse
from pulsed.compiler.canonical import CONTROL_FLOW
from pulsed.provider import PulsedBackend, PulsedProvider
from pulsed.provider.target import PulsedInstructionProperties
from pulsed.pulse.interop import from_qiskit, to_qiskit
from pulsed.pulse.transforms import block_to_schedule

CONFIGS = Path(__file__).parents[2] / "configs"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def backend() -> PulsedBackend:
    return PulsedBackend.from_export(CONFIGS / "sim5.toml", CONFIGS / "calibrations" / "sim5.json")


def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def programme(pulse, backend):
    """Written once, for either language."""
    with pulse.build(backend, name="both", default_alignment="sequential") as made:
        pulse.play(pulse.Gaussian(64, 0.1, 16), pulse.drive_channel(0))
        pulse.call(backend.instruction_schedule_map.get("x", 1))
        pulse.play(pulse.Gaussian(64, 0.1, 16), pulse.control_channels(0, 1)[0])
        with pulse.phase_offset(0.5, backend.drive_channel(0)):
            pulse.play(pulse.Gaussian(64, 0.2, 16), backend.drive_channel(0))
        pulse.delay_qubits(16, 0)
        pulse.barrier(0, 1)
        pulse.measure(0)
    return made


def test_qiskits_builder_makes_the_same_of_our_backend_as_ours(backend):
    theirs, ours = programme(qiskit.pulse, backend), programme(pulsed.pulse, backend)
    assert isinstance(theirs, qiskit.pulse.ScheduleBlock)
    schedule = block_to_schedule(from_qiskit(theirs))
    assert schedule.instructions == block_to_schedule(ours).instructions
    with qiskit.pulse.build(backend):
        assert qiskit.pulse.num_qubits() == 5
        assert qiskit.pulse.qubit_channels(4) >= {qiskit.pulse.DriveChannel(4), qiskit.pulse.ControlChannel(3)}
        assert qiskit.pulse.samples_to_seconds(8) == 8 * backend.dt


def test_channels_are_qiskits_and_equal_to_ours(backend):
    for mine, theirs in (
        (pulsed.pulse.DriveChannel(1), backend.drive_channel(1)),
        (pulsed.pulse.MeasureChannel(1), backend.measure_channel(1)),
        (pulsed.pulse.AcquireChannel(1), backend.acquire_channel(1)),
        (pulsed.pulse.ControlChannel(1), backend.control_channel((2, 1))[0]),
    ):
        assert type(theirs).__module__ == "qiskit.pulse.channels"
        assert mine == theirs == mine
        assert hash(mine) == hash(theirs)
        assert {mine: 1}[theirs] == {theirs: 1}[mine] == 1
    assert pulsed.pulse.DriveChannel(1) != backend.drive_channel(2) != pulsed.pulse.MeasureChannel(2)


def test_our_language_takes_channels_and_programs_of_qiskits(backend):
    line, measure = backend.drive_channel(0), backend.instruction_schedule_map.get("measure", 0)
    assert isinstance(measure, qiskit.pulse.Schedule)
    schedule = pulsed.pulse.Schedule(name="mixed")
    schedule += pulsed.pulse.Play(pulsed.pulse.Gaussian(64, 0.1, 16), line)
    schedule += pulsed.pulse.ShiftPhase(0.1, line)
    schedule |= measure << schedule.duration
    assert schedule.ch_duration(line) == 64
    assert len(schedule.filter(channels=line)) == len(schedule.filter(channels=[line])) == 2
    assert schedule.duration == 64 + measure.duration
    assert all(isinstance(one, pulsed.pulse.channels.Channel) for one in schedule.channels)
    acquire = pulsed.pulse.Acquire(400, backend.acquire_channel(0), qiskit.pulse.MemorySlot(0))
    assert acquire == pulsed.pulse.Acquire(400, pulsed.pulse.AcquireChannel(0), pulsed.pulse.MemorySlot(0))
    los = pulsed.pulse.LoConfig({line: 4.9e9})
    assert los.channel_lo(line) == 4.9e9
    with pytest.raises(pulsed.pulse.PulseError, match="wrong kind"):
        pulsed.pulse.Play(pulsed.pulse.Gaussian(64, 0.1, 16), backend.acquire_channel(0))


def test_qiskits_scheduler_plays_what_we_play(backend):
    circuit = transpile(bell(), backend, initial_layout=[0, 1])
    assert circuit.calibrations == {}
    theirs = qiskit.schedule(circuit, backend)
    assert isinstance(theirs, qiskit.pulse.Schedule)
    ours = backend.schedule(circuit)
    assert theirs.duration == ours.duration
    plays = pulsed.pulse.Play
    found, expected = (one.filter(instruction_types=plays).instructions for one in (from_qiskit(theirs), ours))
    assert [(time, part.channel) for time, part in found] == [(time, part.channel) for time, part in expected]
    assert [part.pulse for _, part in found] == [part.pulse for _, part in expected]


@pytest.mark.parametrize("of", ["empty", "backend", "defaults"])
def test_a_map_of_ones_own_attaches_its_gates_and_no_others(backend, of):
    own = qiskit.pulse.Schedule(qiskit.pulse.Play(qiskit.pulse.Gaussian(64, 0.1, 16), backend.drive_channel(0)))
    fresh = PulsedBackend(backend.device, backend.calibration_set)
    gates = {
        "empty": qiskit.pulse.InstructionScheduleMap(),
        "backend": fresh.instruction_schedule_map,
        "defaults": fresh.defaults().instruction_schedule_map,
    }[of]
    gates.add("x", 0, own)
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    for done in transpile([circuit] * 3, fresh, inst_map=gates, initial_layout=[0]):
        assert done.calibrations == {"x": {((0,), ()): own}}
        played = fresh.schedule(done).filter(channels=[backend.drive_channel(0)])
        assert from_qiskit(own).instructions[0][1] in [part for _, part in played.instructions]


def test_the_map_has_parameters_and_gates_that_follow(backend):
    gates = backend.instruction_schedule_map
    assert gates.get_parameters("u3", 0) == ("theta", "phi", "lam")
    by_place, by_name = gates.get("u3", 0, 0.1, 0.2, 0.3), gates.get("u3", 0, theta=0.1, phi=0.2, lam=0.3)
    assert by_place == by_name == to_qiskit(backend.calibrated.schedules.get("u3", 0, 0.1, 0.2, 0.3))
    assert gates.has("cx", (1, 0))
    assert not gates.has_custom_gate()
    with pytest.raises(NotImplementedError, match="add one of your own"):
        gates._get_calibration_entry("x", 0).define(by_place)


def test_the_target_keeps_a_gate_that_a_user_sets(backend):
    target = copy.deepcopy(backend.target)
    own = qiskit.pulse.Schedule(name="own")
    target["x"][0,].calibration = own
    for again in (copy.deepcopy(target), pickle.loads(pickle.dumps(target))):
        assert again["x"][0,].calibration == own
        assert again["x"][1,].calibration == target["x"][1,].calibration == target.get_calibration("x", (1,))
    assert PulsedInstructionProperties(1e-9, 0.1).calibration is None
    assert backend.target.has_calibration("ecr", (0, 1))


def test_the_provider_is_qiskits():
    provider = PulsedProvider("tcp://127.0.0.1:1")
    assert isinstance(provider, ProviderV1)
    assert provider.version == 1
    assert provider.version == 1
    assert provider == provider
    assert provider != PulsedProvider("tcp://127.0.0.1:1")
    assert len({provider, provider}) == 1


def test_converters_make_our_target_of_the_first_generation(backend):
    """All but reset and the ends of loops, which Qiskit's converters do not make."""
    legacy = backend.legacy()
    assert isinstance(legacy, BackendV1)
    converted = BackendV2Converter(legacy)
    direct = convert_to_target(legacy.configuration(), legacy.properties(), legacy.defaults())
    for target in (direct, converted.target):
        left_out = set(backend.target.operation_names) - set(target.operation_names)
        assert left_out == {"reset", "break_loop", "continue_loop"}
        grid = ("dt", "granularity", "min_length", "pulse_alignment", "acquire_alignment", "num_qubits")
        assert [getattr(target, name) for name in grid] == [getattr(backend.target, name) for name in grid]
        for ours, theirs in zip(backend.target.qubit_properties, target.qubit_properties, strict=True):
            assert (ours.t1, ours.t2, ours.frequency) == (theirs.t1, theirs.t2, theirs.frequency)
        for name in set(target.operation_names) - CONTROL_FLOW - {"delay"}:
            assert set(target[name]) == set(backend.target[name])
            for qubits, found in target[name].items():
                known = backend.target[name][qubits]
                assert (found.duration, found.error) == (known.duration, known.error)
                assert name == "rz" or found.calibration == known.calibration
    assert converted.drive_channel(3) == backend.drive_channel(3)
    assert converted.control_channel((2, 1)) == backend.control_channel((2, 1))
    # Qiskit's converter lists the gates in the order of a set, on which depends how it translates; not what it means.
    plain = bell().remove_final_measurements(inplace=False)
    wanted = Operator(transpile(plain, backend, initial_layout=[0, 1], scheduling_method="default"))
    for target in (converted, legacy):
        made = transpile(plain, target, initial_layout=[0, 1])
        assert set(made.count_ops()) <= {"rz", "sx", "x", "ecr"}
        assert Operator(made).equiv(wanted)


def test_the_builder_takes_the_first_generation(backend):
    legacy = backend.legacy()
    with qiskit.pulse.build(legacy) as made:
        qiskit.pulse.play(qiskit.pulse.Gaussian(64, 0.1, 16), qiskit.pulse.drive_channel(0))
        qiskit.pulse.play(qiskit.pulse.Gaussian(64, 0.1, 16), qiskit.pulse.control_channels(0, 1)[0])
        qiskit.pulse.measure(0)
    assert {line.name for line in made.channels} == {"d0", "u0", "m0", "a0"}
    circuit = transpile(bell(), backend, initial_layout=[0, 1])
    assert qiskit.schedule(circuit, legacy) == qiskit.schedule(circuit, backend)


def turns(schedule):
    """The phases of a schedule with their times and channels, as one row of numbers."""
    found = [
        (time, part.channel.name, float(part.phase)) for time, part in schedule.instructions if hasattr(part, "phase")
    ]
    return [number for time, _, phase in sorted(found) for number in (time, phase)]


def test_qiskits_models_read_what_we_write(backend):
    defaults = PulseDefaults.from_dict(backend.defaults().to_dict())
    assert defaults.qubit_freq_est == pytest.approx(backend.defaults().qubit_freq_est, rel=1e-15)
    gates, ours = defaults.instruction_schedule_map, backend.instruction_schedule_map
    for name in ("x", "sx", "id", "measure", "ecr", "cx"):
        for qubits in gates.qubits_with_instruction(name):
            assert gates.get(name, qubits) == ours.get(name, qubits), f"{name} on {qubits}"
    assert {"x", "sx", "id", "measure", "ecr", "cx", "rz", "u1", "u2", "u3"} <= set(gates.instructions)
    for name in gates.instructions:
        for qubits in gates.qubits_with_instruction(name):
            angles = (0.3, 0.4, 0.5)[: len(gates.get_parameters(name, qubits))]
            read, written = gates.get(name, qubits, *angles), ours.get(name, qubits, *angles)
            assert turns(read) == pytest.approx(turns(written)), f"{name} on {qubits} by {angles}"
    known = backend.configuration()
    configuration = PulseBackendConfiguration.from_dict(known.to_dict())
    for name in ("dt", "dtm", "qubit_lo_range", "meas_lo_range", "rep_delay_range", "meas_map", "n_uchannels"):
        np.testing.assert_allclose(getattr(configuration, name), getattr(known, name), rtol=1e-14)
    assert configuration.hamiltonian["vars"] == pytest.approx(known.hamiltonian["vars"], rel=1e-15)
    for q in range(5):
        assert configuration.drive(q) == known.drive(q)
        assert set(configuration.get_qubit_channels(q)) == set(known.get_qubit_channels(q))
    assert configuration.control((2, 1)) == known.control((2, 1))


def test_qiskits_properties_read_what_we_write(backend):
    ours = backend.properties()
    read = BackendProperties.from_dict(ours.to_dict())
    for q in range(5):
        assert read.t1(q) == pytest.approx(ours.t1(q))
        assert read.frequency(q) == pytest.approx(ours.frequency(q), rel=1e-14)
        assert read.readout_error(q) == pytest.approx(ours.readout_error(q))
    for gate in ours.gates:
        if any(one.name == "gate_error" for one in gate.parameters):
            assert read.gate_error(gate.gate, gate.qubits) == ours.gate_error(gate.gate, gate.qubits)


def test_maps_of_gates_can_be_pickled(backend):
    gates = backend.instruction_schedule_map
    read = pickle.loads(pickle.dumps(gates))
    for name in ("cx", "ecr", "u3"):
        qubits = gates.qubits_with_instruction(name)[-1]
        angles = (0.3, 0.4, 0.5)[: len(gates.get_parameters(name, qubits))]
        assert read.get(name, qubits, *angles) == gates.get(name, qubits, *angles)
