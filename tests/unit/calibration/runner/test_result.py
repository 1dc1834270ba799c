"""What a run gives back: the figure, the fit and the files of each target, and what it says of itself."""

import numpy as np
import pytest
import xarray

from pulsed.calibration.executor import Executor
from pulsed.calibration.results.data import load
from pulsed.calibration.routines.relaxation import T1
from pulsed.calibration.runner.result import RunResult, RunResults
from pulsed.calibration.runner.runner import run
from pulsed.model.calibration import RunRecord, Value
from pulsed.model.errors import InvalidValueError
from pulsed.testing.simulated_lab import SimulatedLab


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    lab = SimulatedLab.sim5(seed=11)
    folder = tmp_path_factory.mktemp("runs")
    return run(T1(points=11, shots=300), ["Q0", "Q2"], Executor(lab), folder=folder)


def test_the_fit_has_what_was_proposed_with_its_error(measured):
    value = measured["Q2"].values["Q2.t1"]
    fit = measured.fit("Q2")
    assert fit is measured["Q2"].fit
    name = next(name for name, number in fit.values.items() if number == value.value)
    assert fit.stderr[name] == value.stderr
    assert fit.ok


def test_the_figure_shows_points_fit_and_value(measured):
    figure = measured.plot("Q0")
    top, bottom = figure.axes
    assert "t1 Q0: good" in figure.get_suptitle()
    assert "µs" in bottom.get_xlabel()
    fit = measured.fit("Q0")
    drawn = [line.get_xydata() for line in top.lines]
    assert any(len(line) == len(fit.x) and np.allclose(line[:, 1], fit.y) for line in drawn), "the points"
    assert any(len(line) > 100 for line in drawn), "the curve"


def test_saved_are_the_data_and_a_picture_of_each_target(measured, tmp_path):
    paths = measured.save(tmp_path / "kept")
    assert sorted(path for pair in paths.values() for path in pair) == sorted((tmp_path / "kept").iterdir())
    for target, (data, figure) in paths.items():
        xarray.testing.assert_identical(load(data).drop_attrs(), measured[target].data.drop_attrs())
        assert load(data).attrs["target"] == target
        assert figure.read_bytes().startswith(b"\x89PNG")


def test_a_result_says_what_was_found_a_line_for_each_target(measured):
    first, second = repr(measured).splitlines()
    assert first == repr(measured["Q0"])
    assert first.startswith("t1 of Q0: good, Q0.t1 = ")
    assert first.endswith(" µs")
    assert "±" in first
    assert second.startswith("t1 of Q2: good")
    assert repr(RunResults()) == "nothing was measured"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Value((1.0, 2.0, 3.0), "rad"), "3 numbers"),
        (Value(4.97e9, "Hz"), "4.97 GHz"),
        (Value(4.97e9, "Hz", 2e3), "4.970000 ± 0.000002 GHz"),
    ],
)
def test_values_are_shown_in_their_units(value, text):
    record = RunRecord("1", "look", "Q0", "calibrate", "good", 0.0, 1.0, values={"Q0.a": value})
    assert repr(RunResult(record)) == f"look of Q0: good, Q0.a = {text}"


def test_a_run_without_data_says_why_there_is_nothing_to_draw(tmp_path):
    record = RunRecord("1", "t1", "Q0", "calibrate", "failed", 0.0, 1.0, reason="no such tone")
    failed = RunResults({"Q0": RunResult(record, routine=T1())})
    assert repr(failed) == "t1 of Q0: failed, no such tone"
    with pytest.raises(InvalidValueError, match=r"t1 of Q0.*no such tone"):
        failed.plot("Q0")
    with pytest.raises(InvalidValueError, match="does not have one fit"):
        failed.fit("Q0")
    assert failed.save(tmp_path) == {}
    with pytest.raises(InvalidValueError, match=r"Q7.*Q0"):
        failed.plot("Q7")
