"""Backends with rx and rzz of any angle among their gates."""

import copy
import math
import pickle

import msgspec
import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.quantum_info import Operator

from pulsed import pulse
from pulsed.provider import PulsedBackend, PulsedProvider
from pulsed.provider.calibrated_device import CalibratedDevice
from pulsed.provider.errors import UnsupportedCircuitError

from .test_serialization import sent

THETA = Parameter("theta")


@pytest.fixture
def provider(daemon):
    return PulsedProvider(client=daemon)


@pytest.fixture
def fractional(provider):
    return provider.get_backend("sim5", use_fractional_gates=True)


def ising(angle=0.3):
    circuit = QuantumCircuit(2, 2, name="ising")
    circuit.rx(angle, 0)
    circuit.rzz(2 * angle, 0, 1)
    circuit.rx(angle + 1, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def test_they_are_in_the_target_where_they_are_asked_for(provider, fractional):
    plain = provider.get_backend("sim5")
    assert (plain.use_fractional_gates, fractional.use_fractional_gates) == (False, True)
    assert set(fractional.operation_names) - set(plain.operation_names) == {"rx", "rzz"}
    assert provider.get_backend("sim5", use_fractional_gates=True) is fractional
    assert provider.backend("sim5", use_fractional_gates=True) is fractional
    assert provider.get_backend("sim5") is plain
    rx, x = fractional.target["rx"][0,], fractional.target["x"][0,]
    assert (rx.duration, rx.error) == (x.duration, x.error)
    assert [parameter.name for parameter in rx.calibration.parameters] == ["θ"]
    for pair in ((0, 1), (1, 0)):
        rzz, ecr = fractional.target["rzz"][pair], fractional.target["ecr"][0, 1]
        assert rzz.duration > ecr.duration
        assert rzz.error > ecr.error
        assert fractional.properties().gate_error("rzz", pair) == rzz.error
    assert {"rx", "rzz"} <= set(fractional.configuration().basis_gates)
    with pytest.raises(UnsupportedCircuitError, match=r"no such gate.*got rx"):
        plain.run(ising())


def test_copies_and_other_sets_keep_them(fractional, daemon, calibration):
    assert "rzz" in copy.deepcopy(fractional).operation_names
    assert "rzz" in fractional.target_history("2026-11-25").operation_names
    device = fractional.calibrated
    assert "rx" in pickle.loads(pickle.dumps(device)).basis_gates
    values = {name: one for name, one in calibration.values.items() if not name.startswith("Q0.x")}
    daemon.put_in_force(type(calibration)(calibration.device, values, "2026-11-30T00:00:00+00:00"))
    assert (0,) not in fractional.target["rx"]
    assert (1,) in fractional.target["rx"]
    assert (0, 1) not in fractional.target["rzz"]


def test_a_backend_without_a_rack_has_them(device, calibration):
    offline = PulsedBackend.from_export(device, calibration, use_fractional_gates=True)
    assert {"rx", "rzz"} <= set(offline.operation_names)
    assert offline.schedule(ising())


def test_faulty_qubits_have_none(device, calibration):
    broken = msgspec.structs.replace(calibration, faults={"Q0": "no x"})
    found = CalibratedDevice(device, broken, fractional=True).gates
    assert ("rx", (1,)) in found
    assert not [key for key in found if key[0] in ("rx", "rzz") and 0 in key[1]]


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_transpile_uses_them(fractional, level):
    circuit = ising()
    found = transpile(circuit, fractional, initial_layout=[0, 1], optimization_level=level)
    assert found.count_ops()["rzz"] == 1
    assert "ecr" not in found.count_ops()
    assert found.count_ops()["rx"] >= 1
    same = Operator.from_circuit(found.remove_final_measurements(inplace=False))
    wanted = QuantumCircuit(5)
    wanted.compose(circuit.remove_final_measurements(inplace=False), [0, 1], inplace=True)
    assert same.equiv(Operator(wanted))


def test_what_is_shown_is_what_is_played(fractional, daemon, worker):
    circuit = ising()
    shown = fractional.schedule(circuit)
    assert fractional.preview(circuit).duration == pytest.approx(shown.duration * fractional.dt)
    names = {item.pulse.name for _, item in shown.instructions if isinstance(item, pulse.Play)}
    assert {"rx_q0", "rx_q1", "cr+_q0q1"} <= names
    job, request, parts = sent(fractional, daemon, circuit)
    (chunk,) = worker.compile(request, parts)
    assert chunk.programs[0].duration == shown.duration
    assert job.schedules() == [shown]


def test_angles_of_rx_are_lowered_once(fractional, daemon, worker):
    circuit = QuantumCircuit(1, 1)
    circuit.rx(THETA, 0)
    circuit.measure(0, 0)
    _, request, parts = sent(fractional, daemon, circuit, parameter_binds={THETA: np.linspace(0, 4 * math.pi, 20)})
    (chunk,) = worker.compile(request, parts)
    assert [program.count for program in chunk.programs] == [20]


def test_schedules_of_any_angle(fractional):
    known = fractional.instruction_schedule_map
    assert known.get("rx", 0, 0.5).duration == known.get("x", 0).duration
    assert known.get("rzz", (1, 0), 0.5).duration < known.get("rzz", (0, 1), 1.5).duration
    assert fractional.calibrated.schedules.is_derived("rzz", (0, 1))


def test_pulses_of_the_user_for_an_angle_come_first(fractional, daemon, worker):
    circuit = QuantumCircuit(1, 1)
    circuit.rx(0.5, 0)
    circuit.rx(0.25, 0)
    circuit.measure(0, 0)
    mine = pulse.Schedule((0, pulse.Play(pulse.Constant(80, 0.1), pulse.DriveChannel(0))))
    shown = fractional.schedule(circuit, calibrations={("rx", (0,), (0.5,)): mine})
    played = [item.pulse for _, item in shown.instructions if isinstance(item, pulse.Play)]
    assert [one.duration for one in played[:2]] == [80, 40]
    _, request, parts = sent(fractional, daemon, circuit, calibrations={("rx", (0,), (0.5,)): mine})
    assert worker.compile(request, parts)[0].programs[0].duration == shown.duration
