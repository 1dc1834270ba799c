"""Spans and moments of time as people write them on the command line: types of options."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import click

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")


def span(text: str) -> float:
    """Return the seconds of ``90d``, ``12h``, ``30min``, ``10s`` or ``0``."""
    match = _SPAN.fullmatch(text.strip())
    if match is None and text.strip() != "0":
        raise click.BadParameter(f"{text!r} is no span of time: write 90d, 12h, 30min, 10s or 0")
    return 0.0 if match is None else float(match[1]) * _UNITS[match[2]]


def date(text: str) -> float:
    """Return the Unix time (s) of a date with or without a time, in UTC: ``2027-01-31``, ``2027-01-31T12:00``."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no date: write 2027-01-31 or 2027-01-31T12:00") from None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
