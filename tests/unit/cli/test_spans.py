"""Spans and dates as they are written on the command line."""

import click
import pytest

from pulsed.cli.spans import date, span


@pytest.mark.parametrize(
    ("text", "seconds"), [("90d", 7776000), ("12h", 43200), ("1.5 min", 90), ("10s", 10), ("0", 0)]
)
def test_spans(text, seconds):
    assert span(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "-1d", "7", "7 weeks", "1d2h"])
def test_what_is_no_span_says_what_is(text):
    with pytest.raises(click.BadParameter, match="write 90d"):
        span(text)


def test_dates_are_in_utc_unless_they_say_otherwise():
    assert date("1970-01-02") == 86400
    assert date("1970-01-02T01:00+01:00") == 86400
    with pytest.raises(click.BadParameter, match="2027-01-31"):
        date("tomorrow")
