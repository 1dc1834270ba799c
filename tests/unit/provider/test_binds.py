"""Values of parameters, read as they are given and sent as arrays."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector

from pulsed.model.job import Bindings
from pulsed.provider import PulsedBackend
from pulsed.provider.binds import counts, read_binds
from pulsed.provider.errors import OptionValueError, UnsupportedCircuitError

A, B = Parameter("a"), Parameter("b")
VECTOR = ParameterVector("v", 3)


def turned(*angles: object) -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    for angle in angles:
        circuit.rz(angle, 0)
    circuit.measure(0, 0)
    return circuit


def test_parameters_names_and_vectors_are_one_table() -> None:
    programs = [turned(B, A), turned(), turned(*VECTOR)]
    rows = np.arange(6.0).reshape(2, 3)
    found = read_binds([{A: [1, 2], "b": np.array([3, 4])}, {}, {VECTOR: rows}], programs, 100)
    assert [item for item, _ in found] == [Bindings(0, ("a", "b"), 2), Bindings(2, ("v[0]", "v[1]", "v[2]"), 2)]
    np.testing.assert_array_equal(found[0][1], [[1, 3], [2, 4]])
    np.testing.assert_array_equal(found[1][1], rows)
    assert counts(found, 3) == [2, 1, 2]
    one = read_binds({A: 0.5}, [turned(A)], 100)
    assert (one[0][0].count, one[0][1].tolist()) == (1, [[0.5]])
    assert read_binds(None, programs, 100) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([{A: [1]}, {A: [1]}], "one dictionary per program.*got 2; legal: 1"),
        ([[1, 2]], "one dictionary per program"),
        ({A: [1, 2], B: [1]}, "one value per binding"),
        ({A: [1]}, "got a; legal: a, b"),
        ({A: [1], B: [1], "c": [1]}, "got a, b, c; legal: a, b"),
        ({A: [[1, 2]], B: [1]}, r"got \(1, 2\); legal: \(bindings, 1\)"),
        ({A: [1], B: [np.inf]}, "must be finite; got inf$"),
        ({A: [np.nan], B: [1]}, "must be finite; got nan$"),
        ({A: [1], B: "x"}, "must be numbers"),
        ({A: [], B: []}, "one value per binding"),
    ],
)
def test_what_does_not_fit_is_named(given: object, message: str) -> None:
    with pytest.raises(OptionValueError, match=message):
        read_binds(given, [turned(A, B)], 100)


def test_results_are_bounded_like_circuits() -> None:
    with pytest.raises(UnsupportedCircuitError, match="got 5; legal: 1 to 4"):
        read_binds([{A: [1, 2, 3, 4]}, {}], [turned(A), turned()], 4)


def test_they_travel_as_one_part_each(backend: PulsedBackend, daemon) -> None:
    daemon.hold = True
    angles = np.linspace(0, 1, 5)
    job = backend.run([turned(A), turned()], parameter_binds=[{A: angles}, {}])
    request, parts = daemon.received[0]
    assert request.kinds == ("qpy", "values")
    assert request.bindings == (Bindings(0, ("a",), 5),)
    assert request.num_programs == 6
    np.testing.assert_array_equal(np.frombuffer(parts[1]), angles)
    assert len(job.circuits()) == 2


def test_without_values_a_parameter_is_refused(backend: PulsedBackend) -> None:
    with pytest.raises(UnsupportedCircuitError, match="parameter_binds"):
        backend.run(turned(A))
