"""Analyses of many targets: the workers give what this process gives, and nothing is lost for them."""

import numpy as np
import pytest

from pulsed import compute
from pulsed.calibration.executor import Executor
from pulsed.calibration.routine import find_routine
from pulsed.calibration.runner import analyses
from pulsed.calibration.runner.runner import run
from pulsed.testing.simulated_lab import SimulatedLab


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What was measured of T1 on three qubits, and a set to judge it by."""
    executor = Executor(SimulatedLab.sim5(seed=5))
    routine = find_routine("t1")(points=13, shots=300)
    done = run(routine, ["Q0", "Q1", "Q2"], executor, folder=tmp_path_factory.mktemp("runs"), kind="scan")
    items = [(finished.data, target) for target, finished in done.items()]
    return routine, items, executor.calibration


@pytest.fixture
def mapped(monkeypatch):
    """How many items went to the workers, which are a process of their own."""
    counts = []
    whole = compute.map

    def counted(function, items):
        counts.append(len(items))
        return whole(function, items)

    monkeypatch.setenv("PULSED_WORKERS", "1")
    monkeypatch.setattr(compute, "map", counted)
    yield counts
    compute.close()


def values(verdicts):
    return [
        (outcome and {name: value.value for name, value in outcome.values.items()}, verdict, reason)
        for outcome, verdict, reason in verdicts
    ]


def test_the_workers_give_what_this_process_gives(measured, mapped, monkeypatch):
    routine, items, calibration = measured
    here = analyses.analyse_all(routine, "calibrate", calibration, items)
    assert mapped == []
    assert [verdict for _, verdict, _ in here] == ["good"] * 3
    monkeypatch.setattr(analyses, "WORTH", -1.0)
    there = analyses.analyse_all(routine, "calibrate", calibration, items)
    assert mapped == [2], "the first shows how long they take, the others travel"
    assert values(there) == values(here)
    checked = analyses.analyse_all(routine, "check", calibration, items)
    assert mapped == [2, 2]
    assert [verdict for _, verdict, _ in checked] == [
        analyses.analyse(routine, "check", calibration, item)[1] for item in items
    ]


def test_what_fails_fails_alone(measured):
    routine, items, calibration = measured
    broken = (items[1][0].drop_vars(list(items[1][0].data_vars)), "Q1")
    found = analyses.analyse_all(routine, "calibrate", calibration, [items[0], broken, items[2]])
    assert [verdict for _, verdict, _ in found] == ["good", "failed", "good"]
    assert found[1][2].startswith("the analysis failed: ")


def test_a_routine_that_does_not_travel_is_analysed_here(measured, mapped, monkeypatch):
    routine, items, calibration = measured
    monkeypatch.setattr(analyses, "WORTH", -1.0)

    class Own(type(routine)):
        """One that no other process can import."""

    assert len(analyses.analyse_all(Own(points=13, shots=300), "calibrate", calibration, items)) == 3
    assert mapped == []


def test_workers_that_do_not_come_back_cost_nothing_but_time(measured, monkeypatch):
    routine, items, calibration = measured
    monkeypatch.setattr(analyses, "WORTH", -1.0)

    def broken(function, items):
        raise RuntimeError("no workers today")

    monkeypatch.setattr(compute, "map", broken)
    found = analyses.analyse_all(routine, "calibrate", calibration, items)
    assert [verdict for _, verdict, _ in found] == ["good"] * 3
    assert np.isfinite(found[2][0].values["t1"].value)
