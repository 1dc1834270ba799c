"""Means of observables from bits, and their errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import SparseObservable

from pulsed.provider.primitives.estimates import Estimates, estimate
from pulsed.provider.primitives.measurement import measured
from pulsed.provider.primitives.observables import Basis, plan
from pulsed.provider.primitives.readout import AssignmentMatrix

from .circuits import LETTERS, exact, packed, probabilities

N = 3
OBSERVABLES = st.lists(
    st.dictionaries(st.text(LETTERS, min_size=N, max_size=N), st.floats(-2.0, 2.0), min_size=1, max_size=5),
    min_size=1, max_size=4,
)  # fmt: skip
GATES = st.lists(st.tuples(st.sampled_from(["h", "s", "x", "sx", "cx", "ecr"]), st.permutations(range(N))), max_size=12)


def clifford(gates: list[tuple[str, list[int]]]) -> QuantumCircuit:
    """A circuit whose outcomes have probabilities that are multiples of 1/8."""
    circuit = QuantumCircuit(N)
    for name, qubits in gates:
        getattr(circuit, name)(*qubits[: 2 if name in ("cx", "ecr") else 1])
    return circuit


def exact_shots(weights: np.ndarray, basis: Basis, total: int) -> np.ndarray:
    """Outcomes of the qubits of ``basis``, each as often as its probability says."""
    shots = np.repeat(np.arange(len(weights)), np.rint(weights * total).astype(int))
    assert len(shots) == total
    return sum((shots >> q & 1) << k for k, (q, _) in enumerate(basis))


@settings(deadline=None)
@given(GATES, OBSERVABLES, st.data())
def test_means_are_those_of_the_state(gates: list, observables: list[dict[str, float]], data: st.DataObject) -> None:
    """Whatever is grouped with what, turned over before the readout or not, and read with errors that are undone."""
    circuit = clifford(gates)
    (measurement,) = plan(observables, (len(observables),), ())
    found = measurement.constants.copy()
    errors = st.tuples(st.sampled_from([0.0, 0.25]), st.sampled_from([0.0, 0.25]))
    for basis, terms in measurement.terms.items():
        flipped = data.draw(st.lists(st.booleans(), min_size=len(basis), max_size=len(basis)))
        known = {q: AssignmentMatrix(*data.draw(errors)) for q, _ in basis}
        weights = probabilities(measured(circuit, basis, flipped))
        for q, one in known.items():
            split = weights.reshape(2 ** (N - 1 - q), 2, 2**q)
            matrix = np.array([[1 - one.p10, one.p01], [one.p10, 1 - one.p01]])
            weights = np.einsum("rs,asb->arb", matrix, split).ravel()
        shots = exact_shots(weights, basis, 8 * 4**N)
        bits = packed(shots[None], len(basis), first=2)
        found += estimate(bits, 2, basis, terms, known, flipped).means[0]
    np.testing.assert_allclose(found, [exact(circuit, labels) for labels in observables], atol=1e-9)


@pytest.mark.skipif(not hasattr(SparseObservable, "as_paulis"), reason="Qiskit 1.4 does not expand projectors")
def test_labels_mean_what_qiskit_means() -> None:
    for letter in LETTERS:
        circuit = QuantumCircuit(1)
        circuit.rx(0.3, 0)
        circuit.rz(0.7, 0)
        theirs = SparseObservable.from_label(letter).as_paulis().to_sparse_list()
        numbers = {(paulis or "I"): float(np.real(c)) for paulis, _, c in theirs}
        np.testing.assert_allclose(exact(circuit, {letter: 1.0}), exact(circuit, numbers), atol=1e-12)


BASIS: Basis = ((0, "Z"), (1, "X"), (3, "Y"))
TERMS = [
    [(((0, "Z"), (1, "X")), 0.7), (((1, "X"), (3, "Y")), -1.1), (((0, "1"),), 0.4)],
    [(((3, "Y"),), 1.0)],
]
SHOTS = 900


def drawn(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.choice(8, size=(1, SHOTS), p=rng.dirichlet(np.ones(8)))


def of_bits(outcomes: np.ndarray, known: dict[int, AssignmentMatrix]) -> Estimates:
    return estimate(packed(outcomes, 3), 0, BASIS, TERMS, known, [False, True, False])


def test_standard_errors_are_those_of_a_bootstrap() -> None:
    """Of sums whose terms share their shots. Its own error is 1.6 % with 2000 draws; 9 % is over 5 times that."""
    for seed in range(3):
        for known in ({}, {0: AssignmentMatrix(0.1, 0.03), 3: AssignmentMatrix(0.05, 0.2)}):
            outcomes, rng = drawn(seed), np.random.default_rng(100 + seed)
            again = rng.choice(outcomes[0], size=(2000, SHOTS))
            spread = of_bits(again, known).means.std(axis=0, ddof=1)
            np.testing.assert_allclose(np.sqrt(of_bits(outcomes, known).variances[0]), spread, rtol=0.09)


def test_slopes_tell_what_uncertain_readout_errors_do() -> None:
    outcomes = drawn(7)
    known = {q: AssignmentMatrix(0.08, 0.04, 0.01, 0.02) for q, _ in BASIS}
    found = of_bits(outcomes, known)
    assert found.slopes.keys() == {(q, which) for q in (0, 1, 3) for which in (0, 1)}
    for (q, which), slope in found.slopes.items():
        sides = []
        for step in (1e-5, -1e-5):
            name = ("p01", "p10")[which]
            moved = {**known, q: known[q]._replace(**{name: getattr(known[q], name) + step})}
            sides.append(of_bits(outcomes, moved).means)
        np.testing.assert_allclose(slope, (sides[0] - sides[1]) / 2e-5, rtol=1e-4, atol=1e-6)


def test_what_is_certain_has_no_slope() -> None:
    assert of_bits(drawn(1), {0: AssignmentMatrix(0.1, 0.1, 0.0, 0.01)}).slopes.keys() == {(0, 1)}


def test_a_single_shot_has_a_mean_and_no_spread() -> None:
    found = of_bits(np.array([[5]]), {})
    assert np.isnan(found.variances).all()
