"""Gates of any angle: what their pulses do to chips, and what is said of their errors."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.library import RXGate, RZZGate

import pulsed.configs
from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.compile import Compiler
from pulsed.compiler.fractional import STRETCHED, fractional_gates
from pulsed.compiler.gates import gate_table
from pulsed.compiler.instruction_table import NotLinearError
from pulsed.model.calibration import load_calibration
from pulsed.model.errors import CircuitError
from pulsed.model.job import RunOptions
from pulsed.pulse.instructions import Play
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.testing.ideal_rack import ideal_calibration, ideal_chip
from pulsed.testing.played_unitary import PlayedUnitary, coherent_error, slow_first

from .test_sweeps import assert_same_as_one_by_one, assign_circuit

CONFIGS = Path(pulsed.configs.__file__).parent
PAIRS = [(0, 1), (2, 1), (2, 3), (4, 3)]
ANGLES = np.linspace(-math.pi, math.pi, 21)[1:]
THETA = Parameter("theta")


class Rack:
    """A chip with the values that its gates are made of."""

    def __init__(self, device, calibration, chip):
        channel_map = ChannelMap(device, calibration)
        self.table = gate_table(device, calibration)
        self.gates = fractional_gates(channel_map, self.table)
        self.played = PlayedUnitary(chip, channel_map)

    def off(self, name, qubits, angle):
        """Average infidelity that is not decoherence."""
        gate = RXGate(angle) if name == "rx" else RZZGate(angle)
        unitary = self.played(self.gates[name, qubits].assigned([angle]), *qubits)
        return coherent_error(unitary, slow_first(gate.to_matrix()))


@pytest.fixture(scope="module")
def ideal(device):
    return Rack(device, ideal_calibration(), ideal_chip())


@pytest.fixture(scope="module")
def shipped(device):
    calibration = load_calibration(CONFIGS / "calibrations" / "sim5.json")
    return Rack(device, calibration, load_chip(CONFIGS / "chips" / "sim5.toml"))


@pytest.mark.parametrize("q", range(5))
def test_rx_is_as_exact_as_x_at_every_angle(ideal, q):
    """Without decoherence, so all of its error is what scaling adds."""
    assert max(ideal.off("rx", (q,), angle) for angle in ANGLES) < 1.05 * ideal.gates["rx", (q,)].error < 1e-5
    assert ideal.off("rx", (q,), 7.0) < 1e-5


@pytest.mark.parametrize("pair", PAIRS)
def test_rzz_keeps_to_its_error_at_every_angle(ideal, shipped, pair):
    for rack in (ideal, shipped):
        assert max(rack.off("rzz", pair, angle) for angle in ANGLES) < rack.gates["rzz", pair].error
    assert ideal.off("rzz", pair, 0.0) < 1e-5


def test_errors_and_durations_follow_from_the_gates_they_are_made_of(shipped):
    rx, rzz = shipped.gates["rx", (0,)], shipped.gates["rzz", (0, 1)]
    assert (rx.duration, rx.error) == (shipped.table["x", (0,)].duration, shipped.table["x", (0,)].error)
    ecr = shipped.table["ecr", (0, 1)]
    assert rzz.duration == ecr.duration + 3 * 32 >= rzz.assigned([1.0]).duration
    assert ecr.error + STRETCHED < rzz.error < ecr.error + STRETCHED + 2e-3
    assert shipped.gates["rzz", (1, 0)] is rzz


def test_rx_is_one_pulse_of_the_same_length(shipped):
    rx = shipped.gates["rx", (2,)]
    x = shipped.table["x", (2,)].schedule.instructions[0][1].pulse
    for angle, part in ((math.pi, 1.0), (math.pi / 2, 0.5), (-0.3, -0.3 / math.pi), (1.5 * math.pi, -0.5)):
        (pulse,) = [item.pulse for _, item in rx.assigned([angle]).instructions if isinstance(item, Play)]
        assert (pulse.duration, pulse.beta, pulse.sigma) == (x.duration, x.beta, x.sigma)
        assert pulse.amp == pytest.approx(part * x.amp, rel=1e-12)


@pytest.mark.parametrize("values", [("x", "sx"), ("x",), ("sx",), ()])
def test_what_is_not_calibrated_has_no_fractional_gate(device, values):
    known = ideal_calibration()
    part = {name: one for name, one in known.values.items() if name.split(".")[1] in (*values, "f01", "ecr")}
    calibration = type(known)(known.device, part, known.created)
    found = fractional_gates(ChannelMap(device, calibration), gate_table(device, calibration))
    assert {name for name, _ in found} == ({"rx", "rzz"} if len(values) == 2 else {"rx"} if values == ("x",) else set())


def test_unknown_errors_stay_unknown(device):
    known = ideal_calibration()
    part = {name: one for name, one in known.values.items() if name != "Q1.sx.error"}
    calibration = type(known)(known.device, part, known.created)
    found = fractional_gates(ChannelMap(device, calibration), gate_table(device, calibration))
    assert found["rzz", (0, 1)].error is None
    assert found["rzz", (2, 3)].error is not None


@given(st.lists(st.floats(-20, 20) | st.integers(-4, 4).map(lambda k: k * math.pi / 2) | st.just(1), max_size=6))
@settings(deadline=None, max_examples=60)
def test_what_is_shown_is_what_is_played(session_compiler, angles):
    circuit = QuantumCircuit(2, 2)
    for k, angle in enumerate(angles):
        circuit.rx(angle, k % 2)
        circuit.sx(0)
    circuit.measure([0, 1], [0, 1])
    (one,) = session_compiler.compile([circuit], RunOptions())
    (other,) = session_compiler.compile([session_compiler.schedule(circuit)], RunOptions())
    a, b = (chunk.array(chunk.programs[0].events) for chunk in (one, other))
    order = np.lexsort((a["time"], a["slot"])), np.lexsort((b["time"], b["slot"]))
    a, b = a[order[0]], b[order[1]]
    assert np.array_equal(a["time"], b["time"])
    np.testing.assert_allclose(
        a["amplitude"] * np.exp(1j * a["phase"]), b["amplitude"] * np.exp(1j * b["phase"]), atol=1e-9
    )


@pytest.mark.parametrize("angle", [math.nan, math.inf])
def test_an_angle_is_finite(session_compiler, angle):
    circuit = QuantumCircuit(1, 1)
    circuit.rx(angle, 0)
    circuit.measure(0, 0)
    with pytest.raises(CircuitError, match=r"rx.*not a finite number"):
        session_compiler.compile([circuit], RunOptions())


def turns():
    circuit = QuantumCircuit(2, 2)
    circuit.rx(THETA, 0)
    circuit.rx(0.3, 1)
    circuit.rz(THETA, 0)
    circuit.rx(2 * THETA + 1, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def test_angles_of_rx_that_are_bound_later_are_lowered_once(session_compiler):
    values = {THETA: np.linspace(-2 * math.pi, 2 * math.pi, 9) + 0.1}
    assert_same_as_one_by_one(session_compiler, turns(), values, assign_circuit)
    (chunk,) = session_compiler.sweep(turns(), values, RunOptions())
    assert [program.count for program in chunk.programs] == [9]


def test_angles_of_rzz_that_are_bound_later_are_lowered_one_by_one(session_compiler):
    circuit = turns()
    circuit.rzz(THETA, 1, 0)
    assert_same_as_one_by_one(session_compiler, circuit, {THETA: np.array([0.0, 0.4, -2.0])}, assign_circuit)
    with pytest.raises(NotLinearError, match=r"rzz on .*got theta"):
        session_compiler._late["rzz", (0, 1)].assigned([THETA])


def test_compilers_keep_nothing_of_the_angles(device, calibration):
    """However many angles are played, the tables that jobs share do not grow."""
    compiler = Compiler(device, calibration)
    templates, envelopes = compiler._plain.templates, compiler._table
    before = len(templates.schedules), len(envelopes.rows)
    for angle in np.linspace(0.1, 1.5, 20):
        circuit = QuantumCircuit(2, 2)
        with circuit.if_test((0, 1)):
            circuit.rx(angle, 1)
        circuit.data.clear()
        circuit.rx(angle, 0)
        circuit.rzz(angle, 0, 1)
        circuit.measure([0, 1], [0, 1])
        compiler.compile([circuit], RunOptions())
    assert (len(templates.schedules), len(envelopes.rows)) == before


def test_an_angle_in_a_body(session_compiler):
    circuit = QuantumCircuit(2, 2)
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)):
        circuit.rx(0.7, 1)
        circuit.rzz(0.3, 0, 1)
    circuit.measure(1, 1)
    (chunk,) = session_compiler.compile([circuit], RunOptions())
    assert len(chunk.programs) == 1
