"""Three states told apart, and the set that holds the discriminator does so."""

import numpy as np
import pytest

from pulsed.calibration.data import load
from pulsed.calibration.executor import Executor
from pulsed.calibration.figures import save_figure
from pulsed.calibration.routines.three_states import ThreeStates
from pulsed.calibration.runner import run
from pulsed.testing.simulated_lab import SimulatedLab

SEED, TARGETS = 9, ("Q0", "Q3")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    bench, routine = Executor(SimulatedLab.sim5(seed=SEED)), ThreeStates()
    finished = run(routine, TARGETS, bench, folder=tmp_path_factory.mktemp("three"))
    for item in finished.values():
        assert item.good, f"seed {SEED}: {item.record.reason}"
    return bench, routine, finished


def test_most_of_each_state_is_prepared_and_read(measured):
    """What is not in 2 has decayed on the way or in the readout, or was not in 0 to begin with: some percent."""
    for target, item in measured[2].items():
        values = item.outcome.fits["clouds"].values
        assert all(values[f"population_{k}{k}"] > 0.93 for k in range(3)), f"{target}, seed {SEED}: {values}"
        matrix = np.array(item.outcome.values["readout.assignment"].value).reshape(3, 3)
        np.testing.assert_allclose(matrix.sum(axis=1), 1)
        assert np.all(np.diag(matrix) > 0.8), f"{target}, seed {SEED}: {matrix}"


def test_the_1_2_transition_turns_faster_by_the_root_of_two(measured):
    """Per area of the pulse and gain of the line: 64 dt of sigma 16 against two of sigma 8, a 90 MHz IF against 240."""
    for target, item in measured[2].items():
        one, two = (item.outcome.fits[name].values["half"] for name in ("0-1", "1-2"))
        gain = [np.sinc(f * 1e-3) / np.hypot(1, f / 350) for f in (240, 90)]
        # Area of sigma 16 against sigma 8: twice; the first sweep had two pulses in a row.
        expected = np.sqrt(2) * gain[1] / gain[0]
        assert one / two == pytest.approx(expected, rel=0.08), f"{target}, seed {SEED}"


def test_the_set_reads_three_states(measured):
    bench, _, finished = measured
    values = {name: value for item in finished.values() for name, value in item.values.items()}
    tuned, shots = bench.propose(values), 3000
    for target in TARGETS:
        qubit = int(target[1:])
        blocks = tuned.blocks
        found = tuned.play([blocks.shot(qubit), blocks.shot(qubit, blocks.x(qubit))], shots, level=2).bits
        matrix = np.array(values[f"{target}.readout.assignment"].value).reshape(3, 3)
        for prepared in range(2):
            shares = np.bincount(found[prepared, :, qubit], minlength=3) / shots
            spread = np.sqrt(2 * (matrix[prepared] * (1 - matrix[prepared]) + 1 / shots) / shots)
            assert np.all(np.abs(shares - matrix[prepared]) < 4 * spread), f"{target}, seed {SEED}: {shares}"


def test_a_file_gives_the_same_and_two_states_are_not_three(measured, tmp_path):
    _, routine, finished = measured
    item = finished["Q0"]
    data = load(item.record.file)
    assert routine.analyse(data).values == item.outcome.values
    assert save_figure(routine, data, item.outcome, tmp_path / "three.png").stat().st_size > 10_000
    for name in ("shot_i", "shot_q"):  # the 1-2 pulse did nothing
        data[name].to_numpy()[2] = np.roll(data[name].to_numpy()[1], 1)
    outcome = routine.analyse(data)
    assert not outcome.good
    assert outcome.reason
