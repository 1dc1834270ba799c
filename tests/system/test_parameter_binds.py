"""Sweeps of parameters through a run: one program, one result per binding, as if each had been run by itself."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter, ParameterVector

from pulsed.provider.errors import OptionValueError, UnsupportedCircuitError

ANGLES = np.linspace(0, 2 * np.pi, 9)
SHOTS = 2000
FIVE_SIGMA = 5 * 0.5 / np.sqrt(SHOTS)


def fringe(theta: Parameter, qubit: int = 0) -> QuantumCircuit:
    """Two quarter turns with a phase between them: the share of ones is cos² of half of it."""
    circuit = QuantumCircuit(5, 1, name=f"fringe {qubit}", metadata={"qubit": qubit})
    circuit.sx(qubit)
    circuit.rz(theta, qubit)
    circuit.sx(qubit)
    circuit.measure(qubit, 0)
    return circuit


def ones(result, first: int, number: int) -> np.ndarray:
    return np.array([result.get_counts(i).get("1", 0) / SHOTS for i in range(first, first + number)])


def test_each_binding_is_a_result_like_that_of_the_bound_circuit(backend):
    theta = Parameter("theta")
    plain = QuantumCircuit(5, 1, name="plain")
    plain.x(2)
    plain.measure(2, 0)
    programs = [fringe(theta), plain, fringe(theta, 1)]
    job = backend.run(programs, shots=SHOTS, parameter_binds=[{theta: ANGLES}, {}, {"theta": ANGLES[:3] + np.pi}])
    result = job.result()
    assert len(result.results) == 9 + 1 + 3
    assert [one.header["name"] for one in result.results] == ["fringe 0"] * 9 + ["plain"] + ["fringe 1"] * 3
    assert [one.header["metadata"] for one in result.results] == [{"qubit": 0}] * 9 + [{}] + [{"qubit": 1}] * 3
    assert job.circuits() == programs
    bound = backend.run([fringe(theta).assign_parameters({theta: angle}) for angle in ANGLES], shots=SHOTS).result()
    np.testing.assert_allclose(ones(result, 0, 9), ones(bound, 0, 9), atol=np.sqrt(2) * FIVE_SIGMA)
    np.testing.assert_allclose(ones(result, 0, 9), np.cos(ANGLES / 2) ** 2, atol=0.05 + FIVE_SIGMA)  # readout, T1
    assert result.get_counts(9)["1"] > 0.9 * SHOTS


def test_transpiled_vectors_and_lengths(backend):
    phases, wait = ParameterVector("phases", 2), Parameter("wait")
    circuit = QuantumCircuit(2, 2)
    for qubit in range(2):
        circuit.h(qubit)
        circuit.rz(phases[qubit], qubit)
        circuit.h(qubit)
    circuit.measure([0, 1], [0, 1])
    fitted = transpile(circuit, backend, initial_layout=[0, 1], optimization_level=1)
    table = [[0.0, np.pi], [np.pi, 0.0], [np.pi, np.pi]]
    result = backend.run(fitted, shots=500, parameter_binds={phases: table}).result()
    assert [max(result.get_counts(i), key=result.get_counts(i).get) for i in range(3)] == ["10", "01", "11"]
    decay = QuantumCircuit(1, 1)
    decay.x(0)
    decay.delay(wait, 0, "dt")
    decay.measure(0, 0)
    result = backend.run(decay, shots=SHOTS, parameter_binds=[{wait: [0, 80_000, 800_000]}]).result()
    early, one, late = ones(result, 0, 3)
    assert early > one > late
    assert one == pytest.approx(early * np.exp(-80e-6 / backend.target.qubit_properties[0].t1), abs=0.08)


@pytest.mark.parametrize(
    ("binds", "message"),
    [
        ([], "one dictionary per program"),
        ([{}], "does not match the parameters of the program.*none; legal: theta"),
        ([{"phi": [1.0]}], "does not match the parameters of the program.*phi; legal: theta"),
        ([{"theta": []}], "one value per binding"),
        ([{"theta": ["x"]}], "must be numbers"),
        ([{"theta": [np.nan]}], "must be finite"),
        ([{"theta": [[1.0, 2.0]]}], "one value per binding"),
    ],
)
def test_what_is_no_binding_is_refused_by_name(backend, binds, message):
    with pytest.raises(OptionValueError, match=message):
        backend.run(fringe(Parameter("theta")), parameter_binds=binds)


def test_more_results_than_a_job_has_are_refused(backend):
    most = backend.max_circuits
    with pytest.raises(UnsupportedCircuitError, match=f"got {most + 1}; legal: 1 to {most}"):
        backend.run(fringe(Parameter("theta")), parameter_binds={"theta": np.zeros(most + 1)})
