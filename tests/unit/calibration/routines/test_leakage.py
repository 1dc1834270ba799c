"""Leakage of an echoed gate: from counts that are drawn, and on the chip against its own populations."""

import numpy as np
import pytest
import xarray
from matplotlib.figure import Figure

from pulsed.calibration.executor import Executor
from pulsed.calibration.results.data import load
from pulsed.calibration.routines.leakage import SIDES, EcrLeakage, accumulated
from pulsed.calibration.routines.three_states import ThreeStates
from pulsed.calibration.runner.runner import run
from pulsed.model.calibration import Value
from pulsed.testing.simulated_lab import SimulatedLab

PAIR, SEED = "Q2-Q1", 8


def drawn(rng, leaked, back=0.01, shots=2500, draws=6):
    """Readings of a pair with one wrongly read shot in fifty, whose qubits leave 0 and 1 at given rates."""
    repeats = np.array([0, 8, 16, 24])
    kept = -np.expm1(-back * repeats) / back
    seen = []
    for rate in leaked:
        two, one = rate * kept, 0.1 * repeats / 24  # and the rest decays a little
        reads = [two + (1 - two) * (p * 0.98 + (1 - p) * 0.01) for p in (one, 1 - one)]
        seen.append([rng.binomial(shots, np.array([r[k] for r in reads]), (draws, 2)) for k in range(4)])
    attributes = {"shots": shots} | {
        f"{name}_{side}": v for side in SIDES for name, v in (("weight", 1.01), ("back", back))
    }
    data = xarray.Dataset(
        {"seen": (("side", "repeats", "draw", "flipped"), np.array(seen))},
        {"side": list(SIDES), "repeats": repeats},
    )
    return data.assign_attrs(attributes)


def test_leakage_and_its_error_are_right_on_average():
    pulls, errors = [], []
    for seed in range(150):
        rng = np.random.default_rng((SEED, seed))
        leaked = rng.uniform(0, 1e-3, 2)
        outcome = EcrLeakage().analyse(drawn(rng, leaked))
        assert outcome.good, (seed, outcome.reason)
        found = outcome.values["ecr.leakage"]
        errors.append(found.stderr)
        pulls.append((found.value - leaked.sum()) / found.stderr)
    assert np.mean(errors) < 3e-4, "1e-3 has to be told from nothing"
    assert 0.85 < np.sqrt(np.mean(np.square(pulls))) < 1.15, SEED
    assert abs(np.mean(pulls)) < 4 / np.sqrt(len(pulls)), SEED


def test_readings_that_follow_no_line_are_refused():
    data = drawn(np.random.default_rng(SEED), (0.0, 0.0))
    data["seen"][0, 2] += 400  # of one number of gates only
    outcome = EcrLeakage().analyse(data)
    assert not outcome.good
    assert "control" in outcome.reason


@pytest.mark.parametrize("states", [2, 3])
def test_a_leaky_gate_shows_what_the_chip_has(states, tmp_path, monkeypatch):
    """A tone with flanks that are too steep near f02/2 of the control; two readings, two states or three."""
    lab = SimulatedLab.sim5(seed=SEED)
    executor = Executor(lab, lab.calibration())
    wrong = {"sigma": 3.0, "width": executor.calibration.number(f"{PAIR}.ecr.duration") - 12, "amplitude": 0.95}
    executor = executor.propose({f"{PAIR}.ecr.{name}": Value(value) for name, value in wrong.items()})
    if states == 3:
        three = run(ThreeStates(points=15, rabi_shots=150), ["Q2"], executor, folder=tmp_path)["Q2"]
        assert three.good, (SEED, three.record.reason)
        executor = executor.propose(three.values)
    sequences, played = [], lab.engine.play
    monkeypatch.setattr(lab.engine, "play", lambda s, *rest: (sequences.append(s), played(s, *rest))[1])
    routine = EcrLeakage(repeats=(4, 8), draws=2, shots=3000)
    item = run(routine, [PAIR], executor, folder=tmp_path)[PAIR]
    assert item.data is not None, item.record.reason
    joint = [lab.engine.predict(s) for s in sequences[::2]]
    two = (
        np.array([found.populations.take(2, found.qubits.index(2)).sum() for found in joint]).reshape(3, 2).mean(axis=1)
    )
    fit = accumulated(item.data, "control")
    mean = np.real(fit.y).reshape(3, 2).mean(axis=1)
    found, sigma = mean - mean[0], np.linalg.norm(np.reshape(fit.sigma, (3, 2)), axis=1) / 2
    assert two[-1] > 0.008, "the gate leaks"
    # Of those read as 2, or not, when they are: a twentieth.
    allowed = 4 * np.hypot(np.hypot(sigma, sigma[0]), 0.05 * two)
    assert np.all(np.abs(found - two + two[0]) < allowed), (SEED, found, two, allowed)
    assert found[-1] > 3 * sigma[-1], (SEED, "it stands out")
    again = load(item.record.file)
    assert routine.analyse(again).values == item.outcome.values
    figure = Figure()
    routine.draw(again, item.outcome, figure)
    assert len(figure.axes) == 4
