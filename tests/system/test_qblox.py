"""A daemon that owns an emulated Cluster: circuits that act on what they measured, and a sweep, through Q1ASM."""

from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter

import pulsed.configs
from pulsed.cli.processes import OwnDaemon
from pulsed.provider import PulsedProvider

pytest.importorskip("qblox_instruments", reason="the maker's package comes with pulsed[qblox]")

CONFIG = Path(pulsed.configs.__file__).parent / "examples" / "qblox.toml"


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    with OwnDaemon(tmp_path_factory.mktemp("qblox"), str(CONFIG), emulated=True) as daemon:
        client = daemon.wait(600)
        yield PulsedProvider(client=client).get_backend("qblox5")
        client.close()
    assert daemon.survivors() == []


def ones(result, bit):
    counts = result.get_counts()
    return sum(n for key, n in counts.items() if key.replace(" ", "")[::-1][bit] == "1") / sum(counts.values())


def run(backend, circuit, **options):
    mapped = transpile(circuit, backend, initial_layout=range(circuit.num_qubits), seed_transpiler=1)
    return backend.run(mapped, shots=1000, **options).result(300)


def test_active_reset(backend):
    circuit = QuantumCircuit(1, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    circuit.measure(0, 1)
    result = run(backend, circuit)
    assert ones(result, 0) > 0.93
    assert ones(result, 1) < 0.06


def test_teleportation(backend):
    """Of +; two thirds is the classical bound."""
    circuit = QuantumCircuit(3, 3)
    circuit.h([0, 1])
    circuit.cx(1, 2)
    circuit.cx(0, 1)
    circuit.h(0)
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test((circuit.clbits[1], 1)):
        circuit.x(2)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.z(2)
    circuit.h(2)
    circuit.measure(2, 2)
    assert ones(run(backend, circuit), 2) < 0.15


def test_a_sweep_of_a_phase_comes_back_as_a_cosine(backend):
    """Of bindings of one circuit: a Ramsey fringe over its second pulse's phase."""
    angle = Parameter("angle")
    circuit = QuantumCircuit(1, 1)
    circuit.sx(0)
    circuit.rz(angle, 0)
    circuit.sx(0)
    circuit.measure(0, 0)
    angles = np.linspace(0, 2 * np.pi, 9)
    result = run(backend, circuit, parameter_binds=[{angle: angles.tolist()}])
    found = [counts.get("1", 0) / 1000 for counts in result.get_counts()]
    # A share has a standard deviation of at most 0.016; readout takes 3 % of the contrast.
    assert np.abs(np.array(found) - (1 + np.cos(angles)) / 2).max() < 0.09
