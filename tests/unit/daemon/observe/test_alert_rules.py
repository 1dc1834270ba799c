"""What is wrong, and what of that is told when: values in, values out."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.daemon.observe.alert_rules import AlertCondition, AlertTable, RestartCount, conditions
from pulsed.daemon.observe.snapshot import CalibrationHealth, DaemonSnapshot
from pulsed.model.alerts import AlertState
from pulsed.model.calibration import CalibrationSet
from pulsed.model.errors import ErrorInfo
from pulsed.model.interlock_status import InterlockState, InterlockStatus
from pulsed.model.observation import Alerts
from pulsed.wire.messages import InstrumentStatus, Status

EMPTY = CalibrationSet("sim5", {}, "2026-11-21")
GOOD = DaemonSnapshot(
    1e9, Status("sim5", "0.2.0", True, instruments={"awg1": InstrumentStatus("a,b,c,d")}), EMPTY, moved=1e9
)
LOST = InstrumentStatus(error=ErrorInfo("instrument_unreachable", "no connection", "instrument awg1"))
CHANGED = InstrumentStatus("a,b,c,d", ErrorInfo("instrument_changed", "another frequency", "instrument awg1"))

ARMED = InterlockStatus("door", InterlockState.ARMED, "closed", "closed")
TRIPPED = InterlockStatus("still", InterlockState.TRIPPED, "up to 0.1", 0.5, reason="too hot")


def seen(status=None, **changes):
    return replace(GOOD, status=GOOD.status if status is None else Status("sim5", "0.2.0", True, **status), **changes)


@pytest.mark.parametrize(
    ("rule", "snapshot", "said"),
    [
        ("instrument_lost", seen({"instruments": {"awg1": LOST}}), "instrument awg1: no connection"),
        ("instrument_lost", seen({"instruments": {"awg1": CHANGED}}), "another frequency"),
        ("interlock", seen({"interlocks": (ARMED, TRIPPED)}), "interlock still has tripped: too hot; outputs are off"),
        ("queue_stuck", seen({"pending_jobs": 3}, waiting_since=1e9 - 1000, moved=1e9 - 960), "3 jobs wait.*16 min"),
        ("disk_low", seen(free_disk=2**30), "1024 MiB are free.*2048 MiB should"),
        ("drift", seen({"faults": {"Q3": "no signal"}}), "Q3 is faulty: no signal"),
        ("drift", seen(health=CalibrationHealth(1e9, {}, ("t1 Q0", "rabi Q1"))), "out of spec: t1 Q0, rabi Q1"),
    ],
)
def test_what_is_wrong_is_found_unless_its_rule_is_off(rule, snapshot, said):
    (found,) = conditions(snapshot, Alerts(), {})
    assert found.rule == rule
    assert re.search(said, found.message), found.message
    assert not list(conditions(snapshot, Alerts(**{rule: None}), {}))


def test_nothing_is_wrong_with_what_is_well():
    busy = seen({"pending_jobs": 3, "running": "job"}, waiting_since=1e9 - 1000, moved=1e9 - 960, free_disk=2**40)
    just = seen({"pending_jobs": 3}, waiting_since=1e9 - 10, moved=1e9 - 1e5, free_disk=2**40)
    for snapshot in (GOOD, busy, just):
        assert not list(conditions(snapshot, Alerts(), {"rack": 2}))


def test_restarts_count_for_an_hour():
    count, rules = RestartCount(), Alerts(worker_restarts=3)
    assert count.step({"rack": 2}, 0.0) == {"rack": 2}
    assert count.step({"rack": 3}, 3000.0) == {"rack": 3}
    (found,) = conditions(GOOD, rules, {"rack": 3, "compile": 2})
    assert (found.rule, found.subject) == ("worker_restarts", "rack")
    assert count.step({"rack": 3}, 3700.0) == {"rack": 1}


def told(table, now, *found):
    return [(alert.state, alert.subject) for alert in table.step(found, now)]


def test_an_alert_fires_once_after_its_time_repeats_and_says_when_it_is_over():
    table, lost = AlertTable(Alerts(repeat=100.0)), AlertCondition("instrument_lost", "awg1", "away", 60.0)
    assert told(table, 0.0, lost) == []
    assert told(table, 59.0, lost) == []
    assert told(table, 61.0, lost) == [(AlertState.FIRING, "awg1")]
    assert [alert.since for alert in table.active] == [0.0]
    assert told(table, 100.0, lost) == []
    assert told(table, 162.0, lost) == [(AlertState.REPEATED, "awg1")]
    assert told(table, 163.0) == [(AlertState.OVER, "awg1")]
    assert table.active == []
    assert told(table, 164.0) == []


def test_what_is_over_before_its_time_is_never_told():
    table, lost = AlertTable(Alerts()), AlertCondition("instrument_lost", "awg1", "away", 60.0)
    assert told(table, 0.0, lost) == told(table, 50.0) == told(table, 70.0, lost) == []


def test_too_many_are_counted_and_their_number_is_told_with_the_next():
    table = AlertTable(Alerts(most=2))
    assert len(table.step([AlertCondition("disk_low", str(k), "full") for k in range(5)], 0.0)) == 2
    (later, *_) = table.step([AlertCondition("disk_low", "9", "full")], 3700.0)
    assert "3 messages before this one were left out" in later.message


@given(st.lists(st.tuples(st.floats(0, 500), st.sets(st.sampled_from("abc"))), max_size=40), st.integers(1, 5))
def test_fired_and_over_take_turns_and_no_hour_has_more_than_the_most(steps, most):
    table, now, firing, times = AlertTable(Alerts(repeat=700.0, most=100)), 0.0, set(), []
    bounded = AlertTable(Alerts(repeat=700.0, most=most))
    for wait, wrong in steps:
        now += wait
        found = [AlertCondition("drift", name, "x", 100.0) for name in sorted(wrong)]
        for alert in table.step(found, now):
            assert (alert.subject in firing) == (alert.state is not AlertState.FIRING)
            (firing.discard if alert.state is AlertState.OVER else firing.add)(alert.subject)
        assert {alert.subject for alert in table.active} == firing
        times += [now] * len(bounded.step(found, now))
        assert sum(now - time <= 3600 for time in times) <= most
