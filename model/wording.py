"""Values and times in words, as every screen shows them: a terminal's or a browser's."""

from __future__ import annotations

from datetime import UTC, datetime

from pulsed.model.calibration import Value
from pulsed.model.units import error_decimals, format_quantity, format_with_error

SHORT_UNITS = {"full scale": "FS"}
"""What stands behind a number in place of the name of its unit."""


def when(seconds: float) -> str:
    """Return a Unix time as the local date and time."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def moment(text: str) -> str:
    """Return an ISO 8601 time as :func:`when` does; a date alone, or what is no time, as it is."""
    try:
        return when(datetime.fromisoformat(text).timestamp()) if "T" in text else text
    except ValueError:
        return text


def duration(seconds: float) -> str:
    """Return a time as people say it: ``12.3 ms``, ``4.56 s``, ``2 h 5 min``."""
    if abs(seconds) < 120:
        return format_quantity(seconds, "s", 3)
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def show_value(value: Value) -> str:
    """Return one calibrated value for people, with its standard error where there is one: ``45.6 ± 0.9 µs``."""
    if isinstance(value.value, tuple):
        if len(value.value) > 5:
            return f"{len(value.value)} values"
        unit = SHORT_UNITS.get(value.unit, value.unit)
        return "(" + ", ".join(f"{item:.4g}" for item in value.value) + f") {unit}".rstrip()
    prefixed = value.unit in {"Hz", "s"}
    unit = SHORT_UNITS.get(value.unit, value.unit)
    if value.stderr:
        if prefixed and value.value:
            return format_with_error(value.value, value.stderr, value.unit)
        digits = error_decimals(value.stderr)
        return f"{value.value:.{digits}f} ± {value.stderr:.{digits}f} {unit}".rstrip()
    return format_quantity(value.value, value.unit, 7) if prefixed else f"{value.value:.4g} {unit}".rstrip()


def concise(value: float, stderr: float | None) -> str:
    """Return a value with its standard error as physicists write it: ``0.0131(8)``; five digits without one.

    The error has one digit, or two when the first of them is a 1.
    """
    if not stderr:
        return f"{value:.3g}" if abs(value) < 1e-3 else f"{value:.5g}"
    digits = error_decimals(stderr)
    return f"{value:.{digits}f}({round(stderr * 10**digits)})"
