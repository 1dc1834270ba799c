"""Days of made-up traffic through the daemon's scheduler: nobody starves, shares are kept, no session is broken.

`make month` plays thirty; here it is as many as show each of them.
"""

from __future__ import annotations

import os

import pytest

from pulsed.testing.traffic import WEIGHTS, Month, MonthReport, TimeOnRack

DAYS = float(os.environ.get("TRAFFIC_DAYS", "3"))
SHARE_ERROR = 0.05


@pytest.fixture(scope="module")
def report() -> MonthReport:
    found = Month(DAYS, int(os.environ.get("TRAFFIC_SEED", "1"))).run()
    print("", *found.lines(), sep="\n")
    return found


def test_those_who_always_wait_get_their_shares(report: MonthReport) -> None:
    errors = report.errors()
    assert errors
    assert max(errors.values()) <= SHARE_ERROR, errors


def test_nobody_starves(report: MonthReport) -> None:
    assert 0.1 < report.bound_used <= 1, "the bound is one that waits come near to, and none is longer"
    assert set(report.waits) == {*WEIGHTS, "eve", "gil", "fay", "hal", "checks"}, "everybody has played"
    short = sorted(report.waits["eve"])
    assert short[len(short) // 2] < 1800, "short jobs by day do not wait behind those who always do"


def test_no_session_is_broken(report: MonthReport) -> None:
    assert len(report.sessions) >= 2 * int(DAYS)
    assert any(session_id.startswith("booked") for session_id, *_ in report.sessions)
    assert report.broken() == []
    assert max(report.late) < 1.0, "a booked session begins when it was booked for"
    assert report.stops > 0, "long jobs gave way"


def test_what_breaks_a_session_or_a_share_is_noticed() -> None:
    report = MonthReport(
        1.0,
        [
            TimeOnRack("ann", "", 0.0, 900.0),
            TimeOnRack("fay", "s", 900.0, 1000.0),
            TimeOnRack("bob", "", 1500.0, 1600.0),
        ],
    )
    report.sessions.append(("s", 900.0, 1500.0))
    assert report.broken() == []
    report.sessions.append(("t", 899.0, 901.0))
    assert [turn.user for turn in report.broken()] == ["ann", "fay"]
    assert report.share_error(0.0, 2000.0, ("ann", "bob")) == pytest.approx(0.7)
