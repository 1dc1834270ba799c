"""Times as people give them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from pulsed.model.errors import InvalidValueError
from pulsed.model.times import unix_time


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-21T13:30:00Z", "2026-11-21T14:30+01:00", datetime(2026, 11, 21, 13, 30, tzinfo=UTC),
        datetime(2026, 11, 21, 8, 30, tzinfo=timezone(timedelta(hours=-5))),
    ],
)  # fmt: skip
def test_a_time_with_a_zone_is_that_moment(value):
    assert unix_time(value, "when") == 1795267800.0


def test_without_a_zone_it_is_local_and_a_date_is_its_midnight():
    midnight = datetime(2026, 11, 21).timestamp()
    for value in ("2026-11-21", "2026-11-21T00:00", date(2026, 11, 21), datetime(2026, 11, 21)):
        assert unix_time(value, "when") == midnight


@pytest.mark.parametrize("value", ["yesterday", "", 5, 1795267800.0, None, b"2026", (2026, 1, 1), "9999-99-99"])
def test_what_is_no_time_is_named_with_the_legal_forms(value):
    with pytest.raises(InvalidValueError, match=r"created_after: not a time.*2026-11-21T14:30") as caught:
        unix_time(value, "created_after")
    assert str(value) in caught.value.value
