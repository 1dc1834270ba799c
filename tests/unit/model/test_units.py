from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.model.units import format_quantity, parse_quantity


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("4.91GHz", "Hz", Fraction(4_910_000_000)),
        ("430.08 MHz", "Hz", Fraction(430_080_000)),
        ("1 ns", "s", Fraction(1, 10**9)),
        ("500us", "s", Fraction(1, 2000)),
        ("500 µs", "s", Fraction(1, 2000)),
        ("-3e-2", "s", Fraction(-3, 100)),
        (7, "Hz", Fraction(7)),
        ("1_000 Hz", "Hz", Fraction(1000)),
    ],
)
def test_a_quantity_is_read_exactly(text, unit, value):
    assert parse_quantity(text, unit) == value


@pytest.mark.parametrize("text", ["4.9 Gs", "fast", "", "4.9 G", True, "1 THzz", "--3 Hz"])
def test_anything_else_is_refused_with_its_text_and_an_example(text):
    with pytest.raises(ValueError, match="Hz") as caught:
        parse_quantity(text, "Hz")
    assert str(text) in str(caught.value)


@given(st.floats(1e-14, 1e13), st.booleans())
def test_what_is_formatted_reads_back_to_six_digits(value, negative):
    value = -value if negative else value
    again = float(parse_quantity(format_quantity(value, "s"), "s"))
    assert again == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (250.0, 2, "250 Hz"),
        (-123456.0, 2, "-123 kHz"),
        (999.96e6, 3, "1000 MHz"),
        (57e3, 2, "57 kHz"),
        (5e15, 3, "5e+03 THz"),
    ],
)
def test_a_number_below_a_thousand_has_no_exponent(value, digits, text):
    assert format_quantity(value, "Hz", digits) == text


@pytest.mark.parametrize(("unit", "example"), [("s", "4.9 ms"), ("Hz", "4.9 GHz")])
def test_the_example_is_one_of_that_unit(unit, example):
    with pytest.raises(ValueError, match=f"'{example}'"):
        parse_quantity("1 nn", unit)
