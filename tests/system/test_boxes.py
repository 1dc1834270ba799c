"""Circuits with boxes that are played as a schedule, on the simulated rack, by run and by primitives."""

import numpy as np
import pytest
import qiskit
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.primitives import BackendSamplerV2

from pulsed import pulse
from pulsed.provider import PulsedSampler

if not hasattr(qiskit.circuit, "Annotation"):
    pytest.skip("this Qiskit has no boxes with annotations", allow_module_level=True)

SHOTS = 1000
SIX_SIGMA = 6 * 0.5 / np.sqrt(SHOTS)
SCALE = Parameter("scale")
SCALES = np.linspace(-1, 1, 11)


@pytest.fixture(scope="module")
def rabi(backend):
    """A turn of qubit 1, wherever the circuit has it, by so much of the calibrated pulse."""
    x = backend.instruction_schedule_map.get("x", 1).instructions[0][1].pulse
    turn = pulse.Drag(x.duration, x.amp * SCALE, x.sigma, x.beta, angle=x.angle)
    schedule = pulse.Schedule((0, pulse.Play(turn, pulse.DriveChannel(1))), name="turn")
    circuit = QuantumCircuit(1, 1)
    with pulse.calibrated_box(circuit, {1: schedule}, 0, label="turn"):
        circuit.rx(np.pi * SCALE, 0)
    circuit.measure(0, 0)
    return transpile(circuit, backend, initial_layout=[1])


def assert_turned(ones):
    np.testing.assert_allclose(ones, np.sin(np.pi * SCALES / 2) ** 2, atol=0.05 + SIX_SIGMA)  # readout, T1


def test_one_circuit_and_many_amplitudes(backend, rabi):
    result = backend.run(rabi, shots=SHOTS, parameter_binds={SCALE: SCALES}).result()
    assert_turned([result.get_counts(k).get("1", 0) / SHOTS for k in range(len(SCALES))])


@pytest.mark.parametrize("kind", ["ours", "Qiskit's"])
def test_primitives(backend, rabi, kind):
    options = {"twirling": {"enable_gates": True, "num_randomizations": 2}, "dynamical_decoupling": {"enable": True}}
    sampler = PulsedSampler(backend, options) if kind == "ours" else BackendSamplerV2(backend=backend)
    found = sampler.run([(rabi, {SCALE: SCALES})], shots=SHOTS).result()[0].data.c
    assert_turned([found[k].get_counts().get("1", 0) / SHOTS for k in range(len(SCALES))])


def test_a_decision_plays_the_box(backend, rabi):
    """The box inside of an if_test brings qubit 1 back to 0, when it was found in 1."""
    flip = rabi.assign_parameters({SCALE: 1.0})
    circuit = QuantumCircuit(5, 2)
    circuit.x(1)
    circuit.measure(1, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.append(flip.data[0])
    circuit.measure(1, 1)
    counts = backend.run(circuit, shots=SHOTS).result().get_counts()
    assert counts.get("01", 0) / SHOTS > 0.85
