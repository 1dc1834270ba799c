"""The errors of a reading, told apart from what a qubit begins with."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits.assignment import Assignment
from pulsed.calibration.fits.process import PAULIS, echoed
from pulsed.calibration.routines.readout import Readout
from pulsed.calibration.routines.tomography import Bell, bell_products, pauli_products
from pulsed.calibration.runner.runner import run
from pulsed.model.calibration import Value
from pulsed.testing.simulated_lab import SimulatedLab

SEED = 20261121


def measured(zero, one, thermal, stderr=(0.0, 0.0, 0.0)):
    """What a calibration finds of a reading with these errors, on a qubit that starts in 1 now and then."""
    p10 = zero * (1 - thermal) + (1 - one) * thermal
    p01 = one * (1 - thermal) + (1 - zero) * thermal
    return Assignment(p10, p01, thermal, stderr)


@given(st.floats(0, 0.3), st.floats(0, 0.3), st.floats(0, 0.2))
def test_the_reading_is_found_behind_the_preparation(zero, one, thermal):
    found = measured(zero, one, thermal)
    assert found.wrong_zero == pytest.approx(zero, abs=1e-12)
    assert found.wrong_one == pytest.approx(one, abs=1e-12)
    assert found.matrix() @ [1 - thermal, thermal] == pytest.approx([1 - found.p10, found.p10])
    assert Assignment.of(found.numbers()) == found


def test_its_standard_errors_are_those_of_repeated_measurements():
    rng, shots, zero, one, thermal = np.random.default_rng(SEED), 3000, 0.006, 0.02, 0.012
    found, claimed = [], []
    for _ in range(400):
        excited = rng.random((2, shots)) < thermal
        state = excited ^ np.array([[False], [True]])
        read = np.where(state, rng.random(state.shape) >= one, rng.random(state.shape) < zero)
        p10, p01, t = read[0].mean(), 1 - read[1].mean(), excited[0].mean()
        spread = tuple(np.sqrt(p * (1 - p) / shots) for p in (p10, p01, t))
        item = Assignment(p10, p01, t, spread)
        found.append([item.wrong_zero, item.wrong_one])
        claimed.append(item.errors)
    assert np.std(found, axis=0) == pytest.approx(np.mean(claimed, axis=0), rel=0.2), SEED
    assert np.mean(found, axis=0) == pytest.approx([zero, one], abs=4 * 0.003 / np.sqrt(400)), SEED


def test_products_and_their_covariance_are_right_on_average():
    """Of a Bell state with a part of noise, read with errors that are known only so well."""
    rng, shots, readings = np.random.default_rng(SEED), 800, ((0.006, 0.02, 0.012), (0.01, 0.04, 0.02))
    state = echoed() @ np.kron([1, 1], [1, 0]) / np.sqrt(2)
    turns = {
        "x": np.array([[1, 1], [-1, 1]]) / np.sqrt(2),
        "y": np.array([[1, -1j], [-1j, 1]]) / np.sqrt(2),
        "z": np.eye(2),
    }
    chances = [0.9 * np.abs(np.kron(turns[a], turns[b]) @ state) ** 2 + 0.025 for a in "xyz" for b in "xyz"]
    wrong = np.kron(*(measured(*reading).matrix() for reading in readings))
    ideal, pulls, fidelities = bell_products(), [], []
    for _ in range(300):
        counts = np.array([rng.multinomial(shots, wrong @ chance) for chance in chances])
        # Known without their thermal parts, each with an error of its own.
        wrongly = [rng.normal(reading[:2], 0.003) for reading in readings]
        known = [Assignment(*pair, stderr=(0.003, 0.003, 0.0)) for pair in wrongly]
        products, covariance = pauli_products(counts, *known)
        pulls.append((products - 0.9 * ideal) / np.sqrt(np.diag(covariance)))
        fidelities.append(((1 + ideal @ products) / 4 - 0.925) / np.sqrt(ideal @ covariance @ ideal) * 4)
    assert len(pulls[0]) == len(PAULIS)
    assert np.sqrt(np.mean(np.square(pulls), axis=0)) == pytest.approx(np.ones(15), abs=0.2), SEED
    assert np.std(fidelities) == pytest.approx(1, abs=0.15), SEED
    assert abs(np.mean(fidelities)) < 4 / np.sqrt(300), SEED


@pytest.mark.parametrize("routine", [Readout(shots=100), Bell(shots=100)])
def test_nothing_is_left_of_the_shot_before(routine, tmp_path, monkeypatch):
    """After the usual wait a percent of what was in 1 still is, with a T1 of 110 us."""
    lab = SimulatedLab.sim5(seed=SEED)
    executor, target = Executor(lab, lab.calibration()), {"qubit": "Q2", "pair": "Q2-Q1"}[routine.subject]
    sequences, played = [], lab.engine.play
    monkeypatch.setattr(lab.engine, "play", lambda s, *rest: (sequences.append(s), played(s, *rest))[1])
    assert run(routine, [target], executor, folder=tmp_path)[target].good
    thermal = lab.engine.chip.qubits[2].thermal
    for sequence in sequences:
        assert lab.engine.predict(sequence).initial[2, 1] == pytest.approx(thermal, abs=1e-3)
    usual = replace(sequences[-1], period=500_000 + sequences[-1].period % 500_000)
    assert lab.engine.predict(usual).initial[2, 1] > thermal + 2e-3, "the usual wait would show"


def test_a_readout_that_cannot_be_corrected_is_refused_by_name(tmp_path):
    lab = SimulatedLab.sim5(seed=SEED)
    executor = Executor(lab, lab.calibration()).propose({"Q1.thermal": Value(0.5)})
    record = run(Bell(shots=10), ["Q0-Q1"], executor, folder=tmp_path)["Q0-Q1"].record
    assert record.outcome == "failed"
    assert "Q1.thermal" in record.reason
