"""Fits of cross resonance and of the echoed gate, against models whose parameters are known."""

import numpy as np
import pytest
from qiskit.circuit.library import ECRGate

from pulsed.calibration.fits.assignment import Assignment
from pulsed.calibration.fits.hamiltonian import TERMS, bloch_vectors, cross_resonance
from pulsed.calibration.fits.process import (
    KNOBS,
    PAULIS,
    corrections,
    echoed,
    echoed_process,
    generators,
    infidelity,
    predicted,
    rotation,
)

WIDTHS = np.linspace(0, 480e-9, 21)
EDGE = 25e-9
CONTROL, TARGET = Assignment(0.03, 0.04, 0.01), Assignment(0.03, 0.035, 0.015)


def bloch_data(vectors, rng, shots=400, contrast=0.97):
    """Both Bloch vectors with binomial noise and its standard errors."""
    true = contrast * np.stack([bloch_vectors(WIDTHS, np.array(v), EDGE) for v in vectors])
    ones = rng.binomial(shots, (1 - true) / 2)
    smooth = (ones + 0.5) / (shots + 1)
    return 1 - 2 * ones / shots, 2 * np.sqrt(smooth * (1 - smooth) / shots)


def sampled(gate, rng, shots=200, contrast=0.97):
    """Counts (16, 9, 4) after a gate."""
    wrong, excited = np.kron(CONTROL.matrix(), TARGET.matrix()), (CONTROL.thermal, TARGET.thermal)
    chances = predicted(gate, contrast, wrong, excited)
    return np.array([[rng.multinomial(shots, p / p.sum()) for p in row] for row in chances])


def test_rates_and_their_errors_are_right_on_average():
    pulls = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        vectors = rng.normal(0, 1e6, (2, 3)) * np.array([1, 1, 0.05])
        fit = cross_resonance(WIDTHS, *bloch_data(vectors, rng), edge=20e-9)
        assert fit.ok, (seed, fit.reason)
        common, split = (vectors[0] + vectors[1]) / 2, (vectors[0] - vectors[1]) / 2
        for term, true in zip(TERMS, [*common, *split], strict=True):
            pulls.append((fit.values[term] - true) / fit.stderr[term])
    assert 0.8 < np.sqrt(np.mean(np.square(pulls))) < 1.25, pulls
    assert max(map(abs, pulls)) < 5


@pytest.mark.parametrize("trouble", ["noise", "flat", "still", "nan", "shape", "mixed"])
def test_bloch_vectors_that_say_nothing_are_refused(trouble):
    rng = np.random.default_rng(4)
    y, sigma = bloch_data([[1e6, 0, 0], [-1e6, 0, 0]], rng)
    if trouble == "noise":
        y = rng.normal(0, 0.05, y.shape)
    if trouble == "flat":
        y = np.full_like(y, 0.5)
    if trouble == "still":
        y = np.array([0.0, 0.0, 0.97])[:, None] + rng.normal(0, 0.05, y.shape)
    if trouble == "nan":
        y[0, 1, 3] = np.nan
    if trouble == "shape":
        y = y[:, :2]
    if trouble == "mixed":
        y = 0.3 * y
    fit = cross_resonance(WIDTHS, y, 0.05 if trouble == "shape" else sigma, edge=20e-9)
    assert not fit.ok
    assert fit.reason


def test_the_ideal_gate_is_that_of_qiskit():
    swap = np.eye(4)[[0, 2, 1, 3]]  # Qiskit's first qubit is the fast index, ours the slow one
    overlap = np.trace(echoed().conj().T @ swap @ ECRGate().to_matrix() @ swap)
    assert abs(overlap) == pytest.approx(4)
    assert np.abs(generators(swap @ ECRGate().to_matrix() @ swap)).max() < 1e-12


def test_generators_and_their_errors_are_right_on_average():
    pulls = []
    for seed in range(8):
        rng = np.random.default_rng(100 + seed)
        true, turns = rng.normal(0, 0.03, 15), np.zeros(15)
        turns[[PAULIS.index("ZI"), PAULIS.index("IZ")]] = rng.uniform(-np.pi, np.pi, 2)
        fit = echoed_process(sampled(rotation(true) @ rotation(turns) @ echoed(), rng), CONTROL, TARGET)
        assert fit.ok, (seed, fit.reason)
        assert fit.chi2 == pytest.approx(1, abs=4 * np.sqrt(2 / fit.dof)), seed
        found = np.array([fit.values[name] for name in PAULIS])
        left = found - true - turns
        left[turns != 0] = np.angle(np.exp(1j * left[turns != 0]))
        # Large turns and small errors do not commute: what that makes is of the second order.
        small = [k for k, name in enumerate(PAULIS) if name not in ("ZI", "IZ")]
        pulls += [left[k] / fit.stderr[PAULIS[k]] for k in small]
        assert np.abs(left[turns != 0]).max() < 0.08, seed
    assert 0.75 < np.sqrt(np.mean(np.square(pulls))) < 1.25, pulls


def test_what_the_knobs_made_they_take_away():
    rng = np.random.default_rng(7)
    made = dict(zip(KNOBS, (0.03, -0.04, 0.0, 0.06, 0.05, -0.07), strict=True))
    turns = np.zeros(15)
    turns[PAULIS.index("ZI")], turns[PAULIS.index("IZ")] = made["rz_control"], made["rz_target"]
    tone = (1 + made["amplitude"]) * np.exp(1j * made["angle"])
    gate = rotation(turns) @ echoed(tone, complex(made["cancel_x"], made["cancel_y"]))
    fit = echoed_process(sampled(gate, rng, shots=2000), CONTROL, TARGET)
    moves, errors = corrections(fit)
    for name, value in made.items():
        assert moves[name] == pytest.approx(-value, abs=5 * errors[name] + 0.01), name
    assert moves["cancel_x"] == pytest.approx(0, abs=1e-12), "IX is echoed away: no gate tells it"


def test_the_infidelity_is_that_of_the_unitaries():
    rng = np.random.default_rng(9)
    true = rng.normal(0, 0.05, 15)
    fit = echoed_process(sampled(rotation(true) @ echoed(), rng, shots=3000), CONTROL, TARGET)
    overlap = abs(np.trace(rotation(true))) ** 2
    value, error = infidelity(fit)
    assert value == pytest.approx(1 - (overlap + 4) / 20, abs=5 * error)
    assert error < 0.2 * value


@pytest.mark.parametrize("trouble", ["identity", "mixed", "empty", "shape"])
def test_counts_that_are_no_ecr_are_refused(trouble):
    rng = np.random.default_rng(2)
    counts = sampled(np.eye(4) if trouble == "identity" else echoed(), rng, contrast=0.1 if trouble == "mixed" else 1)
    if trouble == "empty":
        counts[3, 2] = 0
    if trouble == "shape":
        counts = counts[:, :8]
    fit = echoed_process(counts, CONTROL, TARGET)
    assert not fit.ok
    assert fit.reason
