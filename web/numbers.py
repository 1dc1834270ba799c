"""Whole numbers as they come from outside: in forms, addresses and headers."""

from __future__ import annotations

_DIGITS = 9
"""That are read; thousands of them Python refuses with an error of its own."""


def whole(text: str) -> int | None:
    """Return the whole number that a text is; None for another text, and for one of more than nine digits."""
    digits = text.strip()
    return int(digits) if len(digits) <= _DIGITS and digits.isdecimal() else None
