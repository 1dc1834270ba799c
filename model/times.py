"""Times as people give them: text, dates, and moments with or without a zone."""

from __future__ import annotations

from datetime import date, datetime

from pulsed.model.errors import InvalidValueError


def unix_time(value: object, subject: str) -> float:
    """Return a time as Unix time: ISO 8601 text, a ``datetime`` or a ``date``, whose day begins at midnight.

    It is local time unless it has a zone. Raises :class:`InvalidValueError`.

    Args:
        value: the time.
        subject: what it was given as, for the error.

    """
    try:
        if isinstance(value, str):
            return datetime.fromisoformat(value).timestamp()
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        pass
    raise InvalidValueError(
        "not a time", subject=subject, value=value if isinstance(value, str) else repr(value),
        legal="2026-11-21, 2026-11-21T14:30, 2026-11-21T13:30:00Z, a datetime or a date",
    )  # fmt: skip
