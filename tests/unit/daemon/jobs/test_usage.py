"""What counts of what somebody has used, and what of it is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.daemon.jobs.usage import Usage
from pulsed.model.queue import UserUsage

DAY = 86400.0
NOW = 1.8e9
CHARGES = st.lists(st.tuples(st.floats(0.0, 5000.0), st.sampled_from("ab"), st.floats(0.0, 100.0)), max_size=40)


@given(CHARGES, st.floats(10.0, 1e5))
def test_use_counts_half_after_each_half_life(charges: list[tuple[float, str, float]], half_life: float) -> None:
    usage, now, given_ = Usage(half_life, lambda user: 2.0 if user == "b" else 1.0), NOW, []
    for gap, user, seconds in charges:
        now += gap
        usage.charge(user, seconds, 0, now)
        given_.append((user, seconds, now))
    for user, weight in (("a", 1.0), ("b", 2.0)):
        expected = sum(seconds * 2 ** (-(now - at) / half_life) for who, seconds, at in given_ if who == user)
        assert usage.counted(user, now) == pytest.approx(expected, rel=1e-9, abs=1e-9)
        if user in usage.shares:
            assert usage.shares[user] / usage.unit(now) == pytest.approx(expected / weight, rel=1e-9, abs=1e-9)


@given(CHARGES, st.floats(0.0, 10 * DAY))
def test_another_daemon_counts_on(charges: list[tuple[float, str, float]], pause: float) -> None:
    usage, again, kept, now = Usage(DAY), Usage(DAY), {}, NOW
    for gap, user, seconds in charges:
        now += gap
        kept[user] = usage.charge(user, seconds, 10, now)
    now += pause
    again.restore(kept.values(), now)
    for user in "ab":
        assert again.counted(user, now) == pytest.approx(usage.counted(user, now), rel=1e-9, abs=1e-12)
        assert again.day(user, now) == usage.day(user, now)


def test_a_day_ends_at_midnight_and_a_reservation_counts_until_it_is_released() -> None:
    usage = Usage(DAY)
    midnight = 20_000 * DAY
    usage.charge("a", 30.0, 100, midnight - 1)
    assert usage.day("a", midnight - 0.5) == (19_999, 30.0, 100)
    assert usage.day("a", midnight) == (20_000, 0.0, 0)
    usage.charge("a", 5.0, 1, midnight + 1)
    assert usage.day("a", midnight + 2) == (20_000, 5.0, 1)
    before = usage.shares["a"]
    usage.reserve("a", "job", 60.0, midnight + 1)
    assert usage.shares["a"] == pytest.approx(before + 60.0 * usage.unit(midnight + 1))
    assert usage.played(())["a"] == pytest.approx(before)
    assert usage.played({"job"})["a"] == usage.shares["a"]
    usage.release("a", "job")
    usage.release("a", "job")
    assert usage.shares["a"] == pytest.approx(before)


def test_the_unit_moves_when_time_has_gone_on_for_long() -> None:
    usage = Usage(10.0)
    usage.charge("a", 100.0, 0, NOW)
    usage.reserve("b", "job", 50.0, NOW)
    later = NOW + 10.0 * 70
    assert usage.counted("a", later) == pytest.approx(100.0 * 2.0**-70)
    assert usage.unit(later) == 1.0
    assert usage.shares["b"] == pytest.approx(50.0 * 2.0**-70)
    assert usage.counted("a", NOW + 1e6) == 0.0


def test_a_clock_that_was_ahead_does_not_make_use_grow() -> None:
    usage = Usage(10.0)
    usage.restore([UserUsage("a", 5.0, NOW + 1e6)], NOW)
    assert usage.counted("a", NOW) == 5.0
