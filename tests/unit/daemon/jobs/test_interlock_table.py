"""When an interlock trips: values and seconds in, steps out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.daemon.jobs.interlock_table import FIRST, INTERLOCK_STEPS, QUIET, InterlockWatch
from pulsed.model.errors import IllegalStepError, InterlockError
from pulsed.model.interlock_status import InterlockState
from pulsed.model.interlocks import Interlock

PLACE = {"driver": "a.b:C", "address": "x", "parameter": "value"}
TICK = 0.2


def watch(**fields) -> InterlockWatch:
    return InterlockWatch("still", Interlock(**PLACE, above=1.0, **fields), 0.0)


def armed(**fields) -> InterlockWatch:
    found = watch(**fields)
    assert not found.heard(0.5, "K", "", 1.0)
    assert found.state is InterlockState.ARMED
    return found


def passing(one: InterlockWatch, seconds: float, value: float | None = None) -> float | None:
    """Let time pass in ticks, with a reading in each when there is a value; return when it tripped."""
    for tick in range(1, round(seconds / TICK) + 1):
        now = tick * TICK
        if (value is not None and one.heard(value, "K", "", now)) or one.passed(TICK, now):
            return now
    return None


def test_it_holds_back_until_the_first_good_value_and_trips_without_one():
    one = watch(hold=5.0)
    assert one.state is InterlockState.UNREAD
    assert passing(one, FIRST - 1) is None
    assert passing(one, 2) is not None
    assert one.state is InterlockState.TRIPPED
    wrong = watch(hold=5.0)
    assert passing(wrong, 20, value=2.0) == pytest.approx(5.0, abs=2 * TICK)


@given(hold=st.floats(0, 30))
def test_a_value_out_of_limits_trips_after_its_hold_time_and_one_that_comes_back_before_does_not(hold):
    one = armed(hold=hold)
    assert passing(one, hold + 1, value=2.0) == pytest.approx(max(TICK, hold), abs=2 * TICK)
    assert one.reason == "its value is 2, above 1 K"
    if hold > 1:
        other = armed(hold=hold)
        for _ in range(5):
            assert passing(other, hold - 0.6, value=2.0) is None
            assert not other.heard(0.9, "K", "", 0.0)
        assert other.state is InterlockState.ARMED


@given(hold=st.floats(0, 30), every=st.floats(0.05, 30))
def test_one_of_which_nothing_is_heard_trips(hold, every):
    most = hold + max(2 * every, QUIET)
    one = armed(hold=hold, every=every)
    tripped = passing(one, most + 1)
    assert tripped == pytest.approx(most, abs=2 * TICK)
    assert one.reason.startswith("nothing was heard of it for")


def test_an_attempt_to_read_that_failed_is_as_bad_as_a_bad_value_and_no_longer_silence():
    one = armed(hold=2.0)
    assert not one.heard(None, "", "no cable", 0.0)
    assert one.problem == "cannot be read: no cable"
    assert one.passed(2.1, 2.1)
    assert one.reason == "its value cannot be read: no cable"


def test_only_a_person_arms_it_again_and_only_while_its_value_is_good():
    one = armed(hold=0.0)
    with pytest.raises(InterlockError, match="has not tripped"):
        one.rearm(1.0)
    assert one.heard(2.0, "K", "", 2.0)
    with pytest.raises(InterlockError, match="cannot be armed: its value is 2, above 1"):
        one.rearm(3.0)
    one.heard(0.5, "K", "", 4.0)
    assert one.state is InterlockState.TRIPPED, "whatever is read"
    one.passed(60.0, 64.0)
    with pytest.raises(InterlockError, match="nothing was heard"):
        one.rearm(64.0)
    one.heard(0.5, "K", "", 65.0)
    one.rearm(66.0)
    assert (one.state, one.reason, one.since, one.trips) == (InterlockState.ARMED, "", 66.0, 1)
    assert one.heard(3.0, "K", "", 67.0), "it trips again"
    assert one.trips == 2


def test_one_that_the_last_daemon_left_tripped_stays_so():
    one = watch()
    one.trip("too hot", -100.0)
    one.heard(0.5, "K", "", 1.0)
    assert (one.state, one.reason, one.since) == (InterlockState.TRIPPED, "too hot", -100.0)


@given(st.lists(st.one_of(st.none(), st.floats(0, 2), st.just("tick"), st.just("rearm")), max_size=40))
def test_no_path_leads_to_armed_with_a_bad_value(events):
    one = armed(hold=0.0)
    for event in events:
        before = one.state
        if event == "tick":
            one.passed(TICK, 0.0)
        elif event == "rearm":
            try:
                one.rearm(0.0)
            except InterlockError:
                assert one.state is before
        else:
            one.heard(event, "K", "" if event is not None else "no cable", 0.0)
        assert one.state is before or one.state in INTERLOCK_STEPS[before]
        if one.state is InterlockState.ARMED:
            assert isinstance(one.value, float)
            assert one.value <= 1.0


def test_an_illegal_step_changes_nothing():
    one = armed()
    one.plan, one.state = one.plan, InterlockState.TRIPPED
    with pytest.raises(IllegalStepError):
        one._step(InterlockState.UNREAD, 0.0)
    assert one.state is InterlockState.TRIPPED
