import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.web.drawing.colours import STOPS, ColourScale, ink, luminance, scale_of

FINITE = st.floats(-1e12, 1e12)


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_lightness_grows_with_the_value():
    shades = [luminance(ColourScale(0, 1).colour(k / 50)) for k in range(51)]
    assert shades == sorted(shades)
    assert (ColourScale(0, 1).colour(0), ColourScale(0, 1).colour(1)) == (STOPS[0], STOPS[-1])


@settings(max_examples=30)
@given(st.lists(FINITE, min_size=1), FINITE, st.booleans())
def test_every_value_has_a_colour_on_which_its_number_can_be_read(values, value, logarithmic):
    colour = scale_of(values, logarithmic=logarithmic).colour(value)
    assert contrast(colour, ink(colour)) >= 4.5


def test_errors_are_spread_by_their_logarithm():
    scale = scale_of([1e-4, 1e-2], logarithmic=True)
    assert scale.share(1e-3) == pytest.approx(0.5)
    assert not scale_of([0.0, 1e-2], logarithmic=True).logarithmic
    assert scale_of([], logarithmic=True).share(3.0) == 0.5
    assert scale_of([float("nan"), 2.0, 4.0], logarithmic=False).share(3.0) == 0.5
