"""What users have queued and used, against what they may."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.cli.screens.terminal import Terminal
from pulsed.cli.screens.users import size, users_screen
from pulsed.model.queue import UserQuota, UserShare


def shown(*users: UserShare) -> list[list[str]]:
    file = io.StringIO()
    Terminal(file=file, width=140).print(users_screen(users))
    return [line.split() for line in file.getvalue().splitlines()]


def test_what_is_limited_is_shown_against_its_limit() -> None:
    quota = UserQuota(jobs=4, rack_seconds=14400.0, bytes=10_000_000)
    ann = UserShare("ann", 4.0, 60.0, 3, 7200.0, 2_500_000, "experimenter", 95.0, 120_000, 5000, quota)
    _, row, other = shown(ann, UserShare("bob", 1.0, 0.0))
    said = " ".join(row)
    for words in ("ann experimenter 3 of 4 120000 95 s", "2 h 0 min of 4 h 0 min", "2.5 MB of 10 MB"):
        assert words in said
    assert "of" not in other
    assert other[:3] == ["bob", "-", "0"]
    assert "nobody has used" in " ".join(shown()[0])


@pytest.mark.parametrize(("count", "said"), [(0, "0 B"), (999, "999 B"), (999_999, "1 MB"), (12_345, "12.3 kB")])
def test_a_size_in_words(count: int, said: str) -> None:
    assert size(count) == said


@given(st.integers(0, 10**18))
def test_a_size_is_within_its_digits(count: int) -> None:
    number, unit = size(count).split()
    factor = 1000 ** ["B", "kB", "MB", "GB", "TB"].index(unit)
    assert float(number) * factor == pytest.approx(count, rel=5e-3)
