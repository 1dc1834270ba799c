"""Quantities with units, exactly: ``"430.08 MHz"`` is the fraction 430080000, never a rounded float.

A number may be a ratio: ``"2/9 ns"`` and ``"1/2.4 ns"`` have no finite decimal.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator

_PREFIXES = {
    "f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12,
}  # fmt: skip
_LONGER = {"min": 60, "h": 3600, "d": 86400}
"""Seconds in the units of time that have no prefix."""
_NUMBER = r"(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?"
_QUANTITY = re.compile(rf"\s*([+-]?{_NUMBER})(?:\s*/\s*({_NUMBER}))?\s*([fpnuµmkMGT]?)([A-Za-z]*)\s*")
"""A number or a ratio of two, prefix and unit. A bare ratio is how a fraction is written as JSON, too."""


def parse_quantity(value: str | int | float | Fraction, unit: str) -> Fraction:
    """Return ``value`` in ``unit`` (``"Hz"``, ``"s"``, ...) as an exact fraction.

    A bare number is in ``unit`` already; times may be in ``min``, ``h`` and ``d``. Raises ``ValueError`` that names
    the text and the legal form.

    >>> parse_quantity("2/9 ns", "s")
    Fraction(1, 4500000000)
    """
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a quantity in {unit}")
    if isinstance(value, int | Fraction):
        return Fraction(value)
    match = _QUANTITY.fullmatch(str(value))
    if match is not None:
        number, divisor, prefix, written = match.groups()
        over = Fraction((divisor or "1").replace("_", ""))
        if unit == "s" and over and prefix + written in _LONGER:
            return Fraction(number.replace("_", "")) / over * _LONGER[prefix + written]
    if match is None or not over or written not in (unit, "") or (prefix and not written):
        example = f"4.9 {'G' if unit == 'Hz' else 'm'}{unit}"
        raise ValueError(f"{value!r} is not a quantity in {unit}: write for example '{example}' or a number in {unit}")
    return Fraction(number.replace("_", "")) / over * Fraction(10) ** _PREFIXES[prefix]


def format_quantity(value: float, unit: str, digits: int = 6) -> str:
    """Return ``value`` (in ``unit``) with the SI prefix that keeps it between 1 and 1000: ``"4.97 GHz"``."""
    if value == 0:
        return f"0 {unit}"
    for prefix, power in sorted(((p, e) for p, e in _PREFIXES.items() if p != "u"), key=lambda item: -item[1]):
        if abs(value) >= 10.0**power * (1 - 1e-12):
            number = value / 10.0**power
            text = f"{number:.{digits}g}"
            whole = "e" in text and abs(number) < 1000  # 250 to two digits is 2.5e+02
            return f"{number:.0f} {prefix}{unit}" if whole else f"{text} {prefix}{unit}"
    return f"{value:.{digits}g} {unit}"


def _in(unit: str) -> BeforeValidator:
    def read(value: str | float) -> Fraction:
        exact = parse_quantity(value, unit)
        try:
            float(exact)  # it is shown, and compared with what is no fraction
        except OverflowError:
            raise ValueError(f"{value!r} is too large for a number") from None
        return exact

    return BeforeValidator(read)


def _float_in(unit: str) -> BeforeValidator:
    exact = _in(unit).func
    return BeforeValidator(lambda value: float(exact(value)))  # type: ignore[call-arg]


ExactHertz = Annotated[Fraction, _in("Hz")]
"""A clock: a rational number of hertz."""
ExactSeconds = Annotated[Fraction, _in("s")]
"""A time step: a rational number of seconds."""
Hertz = Annotated[float, _float_in("Hz")]
Seconds = Annotated[float, _float_in("s")]
Amperes = Annotated[float, _float_in("A")]


def error_decimals(stderr: float) -> int:
    """Return how many decimals a value has whose standard error has one digit, or two when the first of them is a 1."""
    power = math.floor(math.log10(stderr))
    return max(0, -power + (stderr < 2 * 10.0**power))


def format_with_error(value: float, stderr: float, unit: str) -> str:
    """Return a value and its standard error, both in the value's unit: ``45.6 ± 0.9 µs``. Neither may be 0 or nan."""
    prefixed = format_quantity(value, unit, 7).partition(" ")[2]
    scale = float(parse_quantity(f"1 {prefixed}", unit))
    digits = error_decimals(stderr / scale)
    return f"{value / scale:.{digits}f} ± {stderr / scale:.{digits}f} {prefixed}"
