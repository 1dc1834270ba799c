"""The length of the readout: where the chip tells 0 from 1 best, and what depends on it."""

from dataclasses import replace

import numpy as np
import pytest

from pulsed.calibration.executor import Executor
from pulsed.calibration.results.data import load
from pulsed.calibration.routine import find_routine
from pulsed.calibration.routines.readout import Readout
from pulsed.calibration.routines.readout_length import ReadoutLength
from pulsed.calibration.runner.runner import run
from pulsed.calibration.runner.transaction import validate
from pulsed.model.calibration import Value
from pulsed.testing.simulated_lab import SimulatedLab

SEED = 3


def lengths(lab, tmp_path, **parameters):
    routine = ReadoutLength(**parameters)
    return run(routine, ["chip"], Executor(lab), folder=tmp_path)["chip"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    lab = SimulatedLab.sim5(seed=SEED)
    kernel = {"Q1.readout.kernel": Value(tuple([0.01, 0.0] * 800))}
    lab.commit_calibration(
        lab.put_calibration(lab.calibration().with_values(kernel, "later")), lab.calibration().calibration_id, "kernel"
    )
    item = lengths(lab, tmp_path_factory.mktemp("length"))
    assert item.good, f"seed {SEED}: {item.record.reason}"
    return lab, item


def test_the_best_length_is_found_for_all_and_what_hangs_on_it(measured, tmp_path):
    lab, item = measured
    values = item.values
    found = {values[f"Q{q}.readout.duration"].value for q in range(5)}
    assert len(found) == 1
    # The chip ships with 800 ns, where it is told apart best at its powers.
    assert 550 <= found.pop() <= 1150, f"seed {SEED}"
    good, refused = validate(values, lab.calibration())
    assert good.keys() == values.keys(), refused
    assert values["Q1.readout.kernel"].value == (0.0,)
    assert "Q0.readout.kernel" not in values
    executor = Executor(lab).propose(values)
    again = run(Readout(), ["Q0", "Q1", "Q3"], executor, folder=tmp_path)
    for target, other in again.items():
        assert other.good, f"{target}, seed {SEED}: {other.record.reason}"
        here, there = values[f"{target}.readout.error"], other.outcome.values["readout.error"]
        assert abs(here.value - there.value) < 4 * np.hypot(here.stderr, there.stderr), f"{target}, seed {SEED}"


def test_a_better_amplifier_needs_less_time(measured, tmp_path):
    """Three times the efficiency tells as much in a third of the time, but for the time that a resonator takes."""
    lab, item = measured
    chip = lab.engine.chip
    better = replace(chip, amplifier=replace(chip.amplifier, efficiency=0.9))
    other = SimulatedLab(lab.device(), better, SimulatedLab.sim5().calibration(), SEED)
    found = lengths(other, tmp_path, final_shots=1000)
    assert found.good, f"seed {SEED}: {found.record.reason}"
    here, there = (i.values["Q0.readout.duration"].value for i in (item, found))
    assert there < 0.8 * here, f"seed {SEED}: {there} against {here}"


def test_a_check_compares_the_length_in_force(measured):
    lab, item = measured
    data, known = load(item.record.file), lab.calibration()
    assert ReadoutLength().judge(data, known, "chip") == ("in spec", "")
    data["duration"] = data["duration"] * 0 + 240.0
    verdict, why = ReadoutLength().judge(data, known, "chip")
    assert verdict == "out of spec"
    assert "at 240 ns" in why


def test_a_file_gives_the_same_numbers_and_a_figure(measured, drawn):
    _, item = measured
    data = load(item.record.file)
    assert ReadoutLength().analyse(data).values == item.outcome.values
    drawn(ReadoutLength(), data, item.outcome)
    assert find_routine("readout-length") is ReadoutLength


def test_bad_data_give_no_values(measured, tmp_path):
    lab, item = measured
    rng, data = np.random.default_rng(SEED), load(item.record.file)
    for name in ("shot_i", "shot_q"):
        data[name][:, 2] = data[name].to_numpy()[:, 2].mean() + 1e-3 * rng.standard_normal(data[name][:, 2].shape)
    outcome = ReadoutLength().analyse(data)
    assert not outcome.good, f"seed {SEED}"
    assert outcome.reason.startswith("Q2: ")
    data = load(item.record.file)
    data["assignment"][3] = np.nan
    assert "Q3 read the same at every length" in ReadoutLength().analyse(data).reason
    item = lengths(lab, tmp_path, shortest=1e-7, longest=3e-7, points=4, final_shots=500)
    assert item.record.outcome == "bad data"
    assert "sweep to longer ones" in item.record.reason
