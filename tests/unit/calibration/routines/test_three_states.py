"""Three states told apart, and the set that holds the discriminator does so."""

import msgspec
import numpy as np
import pytest

from pulsed.calibration.executor import Executor
from pulsed.calibration.results.data import load
from pulsed.calibration.routines.three_states import ThreeStates
from pulsed.calibration.runner.runner import run
from pulsed.testing.simulated_lab import SimulatedLab

SEED, TARGETS = 9, ("Q0", "Q3")
"""The laboratory refuses what an AWG cannot play: a sweep to full scale under a mixer's correction, say."""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    executor, routine = Executor(SimulatedLab.sim5(seed=SEED)), ThreeStates()
    finished = run(routine, TARGETS, executor, folder=tmp_path_factory.mktemp("three"))
    for item in finished.values():
        assert item.good, f"seed {SEED}: {item.record.reason}"
    return executor, routine, finished


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
    executor, _, finished = measured
    values = {name: value for item in finished.values() for name, value in item.values.items()}
    tuned, shots = executor.propose(values), 3000
    for target in TARGETS:
        qubit = int(target[1:])
        blocks = tuned.blocks
        found = tuned.play([blocks.shot(qubit), blocks.shot(qubit, blocks.x(qubit))], shots, level=2).bits
        matrix = np.array(values[f"{target}.readout.assignment"].value).reshape(3, 3)
        for prepared in range(2):
            shares = np.bincount(found[prepared, :, qubit], minlength=3) / shots
            spread = np.sqrt(2 * (matrix[prepared] * (1 - matrix[prepared]) + 1 / shots) / shots)
            assert np.all(np.abs(shares - matrix[prepared]) < 4 * spread), f"{target}, seed {SEED}: {shares}"


def test_a_file_gives_the_same_and_two_states_are_not_three(measured, drawn):
    _, routine, finished = measured
    item = finished["Q0"]
    data = load(item.record.file)
    assert routine.analyse(data).values == item.outcome.values
    drawn(routine, data, item.outcome)
    for name in ("shot_i", "shot_q"):  # the 1-2 pulse did nothing
        data[name].to_numpy()[2] = np.roll(data[name].to_numpy()[1], 1)
    outcome = routine.analyse(data)
    assert not outcome.good
    assert outcome.reason


def test_a_check_compares_all_three_clouds_with_the_discriminator_in_force(measured):
    executor, routine, finished = measured
    item = finished["Q0"]
    tuned = executor.propose(item.values).calibration
    assert routine.judge(item.data, executor.calibration, "Q0") == (
        "out of spec", "Q0.readout.discriminator knows no state 2"
    )  # fmt: skip
    assert routine.judge(item.data, tuned, "Q0") == ("in spec", "")
    name = "Q0.readout.discriminator"
    numbers = list(tuned.numbers(name))
    for state, at in enumerate((0, 2, 5)):
        moved = [
            n + 0.2 * abs(complex(numbers[2] - numbers[0], numbers[3] - numbers[1])) * (k == at)
            for k, n in enumerate(numbers)
        ]
        other = tuned.with_values({name: msgspec.structs.replace(tuned.values[name], value=tuple(moved))}, "2026-11-30")
        verdict, why = routine.judge(item.data, other, "Q0")
        assert (verdict, f"points of {state}" in why) == ("out of spec", True), why


def test_a_pulse_that_would_need_more_than_full_scale_is_bad_data(measured):
    _, routine, finished = measured
    outcome = routine.analyse(finished["Q0"].data.assign_attrs(most=0.3))
    assert not outcome.good
    assert "full scale" in outcome.reason
