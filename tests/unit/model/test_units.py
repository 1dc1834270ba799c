from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.model.units import format_quantity, format_with_error, parse_quantity


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
        ("2/9 ns", "s", Fraction(2, 9 * 10**9)),
        ("1/2.4 ns", "s", Fraction(10, 24 * 10**9)),
        ("-10 / 3 GHz", "Hz", Fraction(-(10**10), 3)),
        ("1/4500000000", "s", Fraction(1, 45 * 10**8)),
    ],
)
def test_a_quantity_is_read_exactly(text, unit, value):
    assert parse_quantity(text, unit) == value


@pytest.mark.parametrize(
    "text",
    ["4.9 Gs", "fast", "", "4.9 G", True, "1 THzz", "--3 Hz", "1/0 Hz", "1//2 Hz", "1/-2 Hz", "1e9999 Hz"],
)
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


@pytest.mark.parametrize(
    ("value", "stderr", "unit", "text"),
    [
        (4.56e-5, 9.16e-7, "s", "45.6 ± 0.9 µs"),
        (-3.3e8, 1.4e5, "Hz", "-330.00 ± 0.14 MHz"),
        (2e-9, 5e-7, "s", "2 ± 500 ns"),
    ],
)
def test_a_value_and_its_error_have_one_unit(value, stderr, unit, text):
    assert format_with_error(value, stderr, unit) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("24 h", 86400), ("1.5h", 5400), ("90 min", 5400), ("2 d", 172800), ("1/3 min", 20), ("5 ms", Fraction(1, 200))],
)
def test_long_times_have_units_of_their_own(text, seconds):
    assert parse_quantity(text, "s") == seconds


@pytest.mark.parametrize("text", ["1 kh", "1 mmin", "1 H", "1 D"])
def test_they_take_no_prefix(text):
    with pytest.raises(ValueError, match="not a quantity in s"):
        parse_quantity(text, "s")


def test_they_are_no_units_of_anything_else():
    with pytest.raises(ValueError, match="not a quantity in Hz"):
        parse_quantity("1 h", "Hz")
