"""A measurement that others can see while it grows."""

from types import SimpleNamespace

import numpy as np

from pulsed.calibration.executor import Executor
from pulsed.calibration.measurement import MeasurementResponse
from pulsed.calibration.routines.relaxation import T1
from pulsed.calibration.runner.live import Live
from pulsed.calibration.runner.runner import run
from pulsed.model.errors import ConnectionFailedError
from pulsed.model.measurement import MOST_NUMBERS, numbers_of
from pulsed.testing.simulated_lab import SimulatedLab


def test_points_come_with_their_axis_and_a_fit_and_the_end_has_the_record_s_outcome(tmp_path):
    lab, told = SimulatedLab.sim5(seed=11), []
    found = run(T1(points=13, shots=300), ["Q0", "Q2"], Executor(lab), folder=tmp_path, live=told.append)
    for target, result in found.items():
        own = [one for one in told if one.target == target]
        assert {one.run_id for one in own} == {result.record.run_id}
        *growing, last = own
        assert last.outcome == result.record.outcome
        assert not any(one.outcome for one in growing)
        assert [one.done for one in growing] == sorted({one.done for one in growing})
        assert all(0 < one.done < one.total == 13 for one in growing)
        whole = dict(zip(last.plot.traces[0].x, last.plot.traces[0].y, strict=True))
        assert len(whole) == 13
        for one in growing:
            if one.done > 2:  # the unit follows from the points
                assert one.plot.x_label == last.plot.x_label
                assert set(one.plot.traces[0].x) <= set(whole)
            assert len(one.plot.traces[0].x) == one.done
        assert any(one.plot.traces[0].fit_x for one in growing), "a fit of what is there"
        assert np.isfinite(last.plot.traces[0].fit_y).all()


def test_what_is_measured_is_the_same_and_nobody_who_listens_can_end_it(tmp_path):
    asked = []

    def deaf(info):
        asked.append(info.outcome)
        raise ConnectionFailedError("gone")

    found = run(T1(points=9, shots=200), ["Q1"], Executor(SimulatedLab.sim5(seed=3)), folder=tmp_path, live=deaf)
    assert found["Q1"].record.outcome == "good"
    assert found["Q1"].data.sizes["wait"] == 9
    assert asked[-1] == "good", "one that is not heard is left out, not those that follow"


def test_of_many_schedules_that_a_routine_makes_nothing_of_yet_few_are_told():
    told, many = [], 6000
    iq = np.linspace(0, 1, many).astype(np.complex64)[:, None, None]

    def fails(_target):
        raise ValueError("not yet")

    turn = SimpleNamespace(
        target="Q0", run_id="r", started=1.0, answers=[], ask=SimpleNamespace(schedules=[None] * (2 * many))
    )
    live = Live(told.append, T1(), "calibrate", fails)
    live.grown([turn], [MeasurementResponse(iq, None, None, None, np.zeros(many, bool))])
    (one,) = told
    assert one.done == many
    assert numbers_of(one.plot) < MOST_NUMBERS
    assert [trace.label for trace in one.plot.traces] == ["I", "Q"]
    for trace in one.plot.traces:
        assert (trace.x[0], trace.x[-1]) == (0, many - 1), "from the first to the last"
