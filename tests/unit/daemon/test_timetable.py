"""When the rack is looked after."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.daemon.timetable import seconds_until_due
from pulsed.model.device import Maintenance

PLAN = Maintenance(every=100.0, idle=10.0)
times = st.floats(0, 1e6)


@pytest.mark.parametrize(
    ("now", "last", "idle_since", "wait"),
    [
        (1000.0, 950.0, 0.0, 50.0),
        (1000.0, 900.0, 0.0, 0.0),
        (1000.0, 0.0, 995.0, 5.0),
        (1000.0, 0.0, 990.0, 0.0),
        (1000.0, 999.0, 999.0, 99.0),
    ],
)
def test_a_pass_is_due_when_time_is_up_and_nobody_is_there(now, last, idle_since, wait):
    assert seconds_until_due(PLAN, now, last, idle_since) == pytest.approx(wait)


@given(times, times)
def test_never_while_there_are_jobs(now, last):
    assert seconds_until_due(PLAN, now, last, None) > 0


@given(times, times, times)
def test_after_the_wait_it_is_due_and_not_before(now, last, idle_since):
    wait = seconds_until_due(PLAN, now, last, idle_since)
    assert seconds_until_due(PLAN, now + wait + 1e-3, last, idle_since) == 0
    if wait > 0.01:
        assert seconds_until_due(PLAN, now + wait - 0.005, last, idle_since) > 0
