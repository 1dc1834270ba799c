"""Rabi's figure says how many pulses its amplitude is that of."""

import pytest

from pulsed.calibration.executor import Executor
from pulsed.calibration.routines.rabi import Rabi
from pulsed.calibration.runner.runner import run
from pulsed.testing.simulated_lab import SimulatedLab


@pytest.fixture(scope="module")
def executor():
    return Executor(SimulatedLab.sim5(seed=5))


@pytest.mark.parametrize(
    ("repeats", "label"),
    [(2, "amplitude of each of 2 pulses (full scale)"), (1, "amplitude of the pulse (full scale)")],
)
def test_the_axis_says_how_many_pulses_are_played(executor, tmp_path, repeats, label):
    finished = run(Rabi(points=21, shots=200, repeats=repeats), ["Q0"], executor, folder=tmp_path)
    top, bottom = finished.plot("Q0").axes
    assert bottom.get_xlabel() == label, "seed 5"
    assert top.lines
