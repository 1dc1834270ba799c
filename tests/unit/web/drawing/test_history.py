import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.model.calibration import PastValue, Value
from pulsed.web.drawing.history import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, draw, round_times, round_values

NOW = 1.8e9


def past(hours, number, stderr=None, time="", calibration_id="a"):
    return PastValue(NOW - 3600 * hours, Value(number, "s", stderr, time), calibration_id)


def test_what_was_rolled_back_to_is_marked():
    history = [past(3, 4e-5, 1e-6, "one", "a"), past(2, 5e-5, 1e-6, "two", "b"), past(1, 4e-5, 1e-6, "one", "a")]
    picture = draw(history[::-1], NOW)
    assert [point.again for point in picture.points] == [False, False, True]
    xs = [point.x for point in picture.points]
    assert xs == sorted(xs)
    assert picture.points[1].y < picture.points[0].y, "more is higher"
    assert picture.points[0].said.startswith("40.0 ± 1.0 µs")


def test_nothing_to_draw():
    assert draw([], NOW) is None
    assert draw([PastValue(NOW, Value((1.0, 2.0)), "a")], NOW) is None


NUMBERS = st.integers(-(10**9), 10**9).map(lambda k: k / 1000)
ERRORS = st.integers(0, 10**6).map(lambda k: k / 1000)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1e5), NUMBERS, ERRORS), min_size=1, max_size=12))
def test_everything_stands_within_the_frame(items):
    picture = draw([past(*item) for item in items], NOW)
    for point in picture.points:
        assert LEFT - 1e-6 <= point.x <= WIDTH - RIGHT + 1e-6
        assert TOP - 1e-6 <= point.high <= point.y <= point.low <= HEIGHT - BOTTOM + 1e-6
    assert len(picture.rows) <= 7
    assert len(picture.columns) <= 8


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (0.9, 3.1, [1.0, 1.5, 2.0, 2.5, 3.0]), (-1, 1, [-1.0, -0.5, 0.0, 0.5, 1.0])],
)
def test_round_values(low, high, found):
    assert round_values(low, high) == pytest.approx(found)


def test_round_times():
    assert [text[-2:] for _, text in round_times(NOW - 1200, NOW)] != []
    assert all(t % 300 == 0 for t, _ in round_times(NOW - 1200, NOW))
