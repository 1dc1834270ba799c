"""The backend under Qiskit 1.4: its attributes, and Qiskit 1.4's own programs on the simulated rack."""

import math

import pytest
import qiskit.pulse
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Gate, Parameter
from qiskit.primitives import BackendEstimator, BackendSampler
from qiskit.providers import BackendV2
from qiskit.quantum_info import Pauli
from qiskit.transpiler import Target

import pulsed.pulse
from pulsed.cli.processes import OwnDaemon
from pulsed.compiler.canonical import CONTROL_FLOW
from pulsed.provider import PulsedProvider
from pulsed.provider.errors import UnsupportedCircuitError
from pulsed.pulse.interop import from_qiskit

SHOTS = 2000


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    with OwnDaemon(tmp_path_factory.mktemp("lab")) as daemon:
        client = daemon.wait()
        yield PulsedProvider(client=client).get_backend("sim5")
        client.close()
    assert daemon.survivors() == []


def five_sigma(p):
    return 5 * math.sqrt(max(p * (1 - p), 1 / SHOTS) / SHOTS)


def ones(counts, bit=0):
    return sum(n for key, n in counts.items() if key[-1 - bit] == "1") / sum(counts.values())


def test_it_is_a_backend_v2_with_the_pulse_half_that_is_ours(backend):
    assert isinstance(backend, BackendV2)
    assert isinstance(backend.target, Target)
    assert (backend.version, backend.num_qubits, backend.dt) == (2, 5, 1e-9)
    control_flow = CONTROL_FLOW & set(backend.operation_names)
    assert {"id", "x", "sx", "rz", "ecr", "measure", "delay", "reset"} | control_flow == set(backend.operation_names)
    assert sorted(backend.coupling_map) == [(0, 1), (2, 1), (2, 3), (4, 3)]
    assert backend.qubit_properties(0).frequency == backend.calibration_set.number("Q0.f01")
    assert backend.instruction_durations.get("x", 0, "s") == backend.target["x"][0,].duration
    assert backend.drive_channel(1) == pulsed.pulse.DriveChannel(1)
    assert backend.measure_channel(1) == pulsed.pulse.MeasureChannel(1)
    assert backend.acquire_channel(1) == pulsed.pulse.AcquireChannel(1)
    assert backend.control_channel((2, 1)) == [pulsed.pulse.ControlChannel(1)]
    assert backend.instruction_schedule_map.has("ecr", (0, 1))
    assert backend.defaults().qubit_freq_est[0] == backend.calibration_set.number("Q0.f01")
    assert backend.configuration().max_shots == backend.max_shots
    assert backend.meas_map == [[0, 1, 2, 3, 4]]


def test_transpiling_attaches_no_pulses_of_its_own(backend):
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    assert transpile(circuit, backend).calibrations == {}


def test_a_bell_state(backend):
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    counts = backend.run(transpile(circuit, backend), shots=SHOTS).result(60).get_counts()
    # 4 % of reading errors at most, and one echoed cross resonance
    assert counts.get("00", 0) + counts.get("11", 0) > 0.9 * SHOTS
    assert min(counts.get("00", 0), counts.get("11", 0)) > 0.4 * SHOTS


def rabi(pulse, backend, amplitudes):
    """Qiskit 1.4's schedules when ``pulse`` is qiskit.pulse: nothing of ours in them but numbers."""
    measure = backend.instruction_schedule_map.get("measure", 0)
    schedules = []
    for amplitude in amplitudes:
        schedule = pulse.Schedule(name=f"rabi {amplitude}")
        schedule += pulse.Play(pulse.Gaussian(64, amplitude, 16), pulse.DriveChannel(0))
        schedule += measure << schedule.duration
        schedules.append(schedule)
    return schedules


def test_schedules_of_qiskit_pulse_run_as_ours_do(backend):
    amplitudes = (0.0, 0.1, 0.2)
    theirs, ours = (rabi(pulse, backend, amplitudes) for pulse in (qiskit.pulse, pulsed.pulse))
    assert [from_qiskit(schedule) for schedule in theirs] == ours
    result = backend.run([*theirs, *ours], shots=SHOTS).result(60)
    found = [ones(result.get_counts(k)) for k in range(6)]
    for a, b in zip(found[:3], found[3:], strict=True):
        assert abs(a - b) < math.sqrt(2) * five_sigma(b)
    assert found[0] < 0.05 < found[1] < found[2]
    assert result.results[1].header.name == "rabi 0.1"


def flipped(qubit, amplitude):
    with qiskit.pulse.build(name="flip") as block:
        qiskit.pulse.play(qiskit.pulse.Drag(32, amplitude, 8, 0.0), qiskit.pulse.DriveChannel(qubit))
    return block


def test_a_block_with_a_subroutine_runs(backend):
    with qiskit.pulse.build(name="twice", default_alignment="sequential") as block:
        for _ in range(2):
            qiskit.pulse.call(flipped(0, backend.calibration_set.number("Q0.sx.amplitude")), name="half")
        qiskit.pulse.call(backend.instruction_schedule_map.get("measure", 0))
    assert ones(backend.run(block, shots=SHOTS).result(60).get_counts()) > 0.93


def test_pulse_gates_attached_to_a_circuit_travel_with_it(backend):
    amplitude = backend.calibration_set.number("Q0.x.amplitude")
    circuits = []
    for scale in (0.0, 1.0):
        circuit = QuantumCircuit(1, 1)
        circuit.append(Gate("kick", 1, [scale]), [0])
        circuit.measure(0, 0)
        circuit.add_calibration("kick", [0], flipped(0, scale * amplitude), [scale])
        circuits.append(transpile(circuit, backend, initial_layout=[0]))
    result = backend.run(circuits, shots=SHOTS).result(60)
    assert ones(result.get_counts(0)) < 0.05
    assert ones(result.get_counts(1)) > 0.93


def test_a_pulse_gate_takes_the_place_of_the_calibrated_gate(backend):
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    circuit.add_calibration("x", [0], flipped(0, 0.0))
    assert ones(backend.run(circuit, shots=SHOTS).result(60).get_counts()) < 0.05


def test_what_cannot_be_played_is_refused_before_it_is_sent(backend):
    with qiskit.pulse.build() as block:
        qiskit.pulse.play(qiskit.pulse.Gaussian(64, Parameter("height"), 16), qiskit.pulse.DriveChannel(0))
        qiskit.pulse.acquire(400, 0, qiskit.pulse.MemorySlot(0))
    with pytest.raises(UnsupportedCircuitError, match="height"):
        backend.run(block)
    with qiskit.pulse.build() as block:
        qiskit.pulse.reference("nothing")
    with pytest.raises(UnsupportedCircuitError, match="nothing"):
        backend.run(block)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_primitives_of_the_first_generation(backend):
    """Five standard deviations of a mean beside readout errors of 4 %, which nobody undoes here."""
    measured = QuantumCircuit(2)
    measured.h(0)
    measured.cx(0, 1)
    bell = measured.copy()
    measured.measure_all()
    (found,) = BackendSampler(backend).run(measured, shots=SHOTS).result().quasi_dists
    assert found[0] + found[3] > 0.9
    values = BackendEstimator(backend).run([bell, bell], [Pauli("ZZ"), Pauli("ZI")], shots=SHOTS).result().values
    assert values[0] > 0.8
    assert abs(values[1]) < 0.08 + 5 / math.sqrt(SHOTS)
