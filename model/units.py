"""Quantities with units, exactly: ``"430.08 MHz"`` is the fraction 430080000, never a rounded float."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator

_PREFIXES = {
    "f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12,
}  # fmt: skip
_RATIO = re.compile(r"-?\d+/[1-9]\d*")
"""How a fraction is written as JSON, so that a device description survives the wire."""
_QUANTITY = re.compile(r"\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([fpnuµmkMGT]?)([A-Za-z]*)\s*")


def parse_quantity(value: str | int | float | Fraction, unit: str) -> Fraction:
    """Return ``value`` in ``unit`` (``"Hz"``, ``"s"``, ...) as an exact fraction.

    A bare number is in ``unit`` already. Raises ``ValueError`` that names the text and the legal form.
    """
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a quantity in {unit}")
    if isinstance(value, int | Fraction):
        return Fraction(value)
    if _RATIO.fullmatch(str(value)):
        return Fraction(str(value))
    match = _QUANTITY.fullmatch(str(value))
    if match is None or match.group(3) not in (unit, "") or (match.group(2) and not match.group(3)):
        example = f"4.9 {'G' if unit == 'Hz' else 'm'}{unit}"
        raise ValueError(f"{value!r} is not a quantity in {unit}: write for example '{example}' or a number in {unit}")
    number, prefix, _ = match.groups()
    return Fraction(number.replace("_", "")) * Fraction(10) ** _PREFIXES[prefix]


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
    return BeforeValidator(lambda value: parse_quantity(value, unit))


def _float_in(unit: str) -> BeforeValidator:
    return BeforeValidator(lambda value: float(parse_quantity(value, unit)))


ExactHertz = Annotated[Fraction, _in("Hz")]
"""A clock: a rational number of hertz."""
ExactSeconds = Annotated[Fraction, _in("s")]
"""A time step: a rational number of seconds."""
Hertz = Annotated[float, _float_in("Hz")]
Seconds = Annotated[float, _float_in("s")]
Amperes = Annotated[float, _float_in("A")]
