"""Interlocks of a configuration, and what is within their limits."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pulsed.model.device import NOT_TOLD, load_device, read_tables
from pulsed.model.interlock_status import InterlockState, InterlockStatus
from pulsed.model.interlocks import Interlock
from pulsed.testing.daemon_process import CONFIGS

PLACE = {"driver": "a.b:C", "address": "TCPIP::192.0.2.9::7777::SOCKET", "parameter": "A.temperature"}


def plan(**fields):
    return Interlock(**PLACE, **fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "no limits that could be kept"),
        ({"above": 1.0, "allowed": ["closed"]}, "no limits that could be kept"),
        ({"above": 1.0, "below": 2.0}, "no value is within its limits: below 2 and above 1 both trip"),
        ({"above": 1.0, "every": 0}, "greater than or equal to 0.05"),
        ({"above": 1.0, "hold": "-1 s"}, "greater than or equal to 0"),
        ({"above": 1.0, "driver": "no_colon"}, "not MODULE:CLASS"),
        ({"above": 1.0, "driver": "os.path:join('x')"}, "not MODULE:CLASS"),
        ({"above": 1.0, "parameter": "A..temperature"}, "not the name of a parameter"),
        ({"above": 1.0, "jobs": "cancel"}, "'repeat' or 'fail'"),
        ({"abvoe": 1.0}, "Extra inputs"),
    ],
)
def test_what_cannot_work_is_refused(fields, said):
    with pytest.raises(ValidationError, match=said):
        Interlock(**{**PLACE, **fields})


def test_a_mistake_is_named_by_its_key():
    reading = read_tables({"interlocks": {"still": {**PLACE, "abov": 1.0}}})
    named = {problem.subject: problem for problem in reading.problems}
    assert "interlocks.still.abov" in named
    assert "did you mean above" in named["interlocks.still.abov"].message


def test_no_client_is_told_where_a_monitor_is():
    device = load_device(CONFIGS / "sim5.toml")
    device = type(device).model_validate({**device.model_dump(), "interlocks": {"still": {**PLACE, "above": 1.0}}})
    assert "192.0.2.9" in device.model_dump_json()
    assert "192.0.2.9" not in device.model_dump_json(exclude=NOT_TOLD)
    moved = device.with_addresses({"interlocks.still": "TCPIP::192.0.2.10::7777::SOCKET"})
    assert moved.interlocks["still"].address == "TCPIP::192.0.2.10::7777::SOCKET"


@given(value=st.floats(), low=st.floats(-1e3, 1e3), width=st.floats(0, 1e3))
def test_a_number_is_good_between_its_limits_and_nowhere_else(value, low, width):
    both, upper, lower = plan(below=low, above=low + width), plan(above=low + width), plan(below=low)
    good = not math.isnan(value)
    assert (not both.problem(value)) == (good and low <= value <= low + width)
    assert (not upper.problem(value)) == (good and value <= low + width)
    assert (not lower.problem(value)) == (good and value >= low)


@given(st.text(max_size=8))
def test_a_word_is_good_if_it_is_allowed(word):
    assert (not plan(allowed=["closed", "locked"]).problem(word)) == (word in ("closed", "locked"))
    assert "not a number" in plan(above=1.0).problem(word)


def test_limits_and_states_in_words():
    assert plan(above=0.1).limits == "up to 0.1"
    assert plan(below=2.0, above=3.0).limits == "from 2 up to 3"
    assert plan(allowed=["closed"]).limits == "closed"
    assert not InterlockStatus("still", InterlockState.ARMED, "up to 1").sentence()
    tripped = InterlockStatus("still", InterlockState.TRIPPED, "up to 1", reason="too hot")
    assert tripped.sentence() == "interlock still has tripped: too hot"
    assert "not read yet: no cable" in InterlockStatus("s", InterlockState.UNREAD, "1", problem="no cable").sentence()
