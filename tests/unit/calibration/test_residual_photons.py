"""The photons of a readout go as the resonator lets them, found by the phase they put on the qubit."""

import math

import numpy as np
import pytest

from pulsed.calibration.data import load
from pulsed.calibration.executor import Executor
from pulsed.calibration.figures import save_figure
from pulsed.calibration.routines.residual_photons import ResidualPhotons
from pulsed.calibration.runner import run
from pulsed.testing.simulated_lab import SimulatedLab

SEED, TARGETS = 6, ("Q0", "Q3")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    lab, routine = SimulatedLab.sim5(seed=SEED), ResidualPhotons()
    return lab, routine, run(routine, TARGETS, Executor(lab), folder=tmp_path_factory.mktemp("photons"))


@pytest.mark.parametrize("target", TARGETS)
def test_they_go_with_the_linewidth(measured, target, tmp_path):
    lab, routine, finished = measured
    item = finished[target]
    assert item.good, f"seed {SEED}: {item.record.reason}"
    found = item.outcome.values["readout.ringdown"]
    true = 1 / (2 * math.pi * lab.engine.truth()["qubits"][int(target[1:])]["kappa"])
    assert abs(found.value - true) < 4 * found.stderr, f"{target}, seed {SEED}: {found} against {true}"
    assert found.stderr < 0.25 * true
    wait = item.outcome.values["readout.wait"]
    fit = item.outcome.fits["phase (rad)"]
    left = fit.values["amplitude"] * math.exp(-wait.value / fit.values["time"])
    assert abs(left) == pytest.approx(0.01)
    data = load(item.record.file)
    assert routine.analyse(data).values == item.outcome.values
    assert save_figure(routine, data, item.outcome, tmp_path / "photons.png").stat().st_size > 10_000


def test_noise_gives_no_value(measured):
    _, routine, finished = measured
    rng = np.random.default_rng(SEED)
    data = load(finished["Q0"].record.file)
    for name in ("i", "q"):
        data[name] = data[name].mean() + data[f"{name}_error"] * rng.standard_normal(data[name].shape)
    outcome = routine.analyse(data)
    assert not outcome.good, f"seed {SEED}"
    assert outcome.reason
