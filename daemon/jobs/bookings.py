"""What is checked of a session before it is opened: its id, its terms, and the time it is booked for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from pulsed.model.errors import ConflictError, InvalidValueError, NotAllowedError, SessionEndedError
from pulsed.model.policies import Limits
from pulsed.model.session import SessionInfo, SessionMode, holds_rack, is_booked

MOST_BOOKED = 2
"""Booked sessions of one user that have not begun: each keeps the rack from others."""
AHEAD = 30 * 86400.0
"""Seconds that one may book ahead."""


def check_booking(booked: SessionInfo, others: Iterable[SessionInfo], now: float) -> None:
    """Raise an error unless a session may be booked for its time.

    :class:`InvalidValueError` for a time that may not be, or for a batch; :class:`ConflictError` where another session
    has the rack for a part of that time; :class:`NotAllowedError` for one too many.
    """
    assert booked.start is not None
    subject, begin, end = f"session {booked.session_id}: start", booked.start, booked.start + booked.max_time
    if booked.mode is not SessionMode.SESSION:
        raise InvalidValueError("only a session can be booked", subject=subject, value=str(booked.mode))
    if not now < begin <= now + AHEAD:
        raise InvalidValueError(
            "not a time to begin", subject=subject, value=moment(begin),
            legal=f"after {moment(now)}, up to {AHEAD / 86400:g} days ahead",
        )  # fmt: skip
    mine = 1
    for other in others:
        if is_booked(other) and other.start is not None:
            mine += other.owner == booked.owner
            taken = (other.start, other.start + other.max_time)
        elif holds_rack(other) and other.ends is not None:
            taken = (now, other.ends)
        else:
            continue
        if taken[0] < end and begin < taken[1]:
            raise ConflictError(
                f"{other.owner} has the rack for a part of this time", subject=subject,
                value=f"{moment(begin)} to {moment(end)}",
                legal=f"before {moment(taken[0])}, or from {moment(taken[1])} on",
            )  # fmt: skip
    if mine > MOST_BOOKED:
        raise NotAllowedError(
            "has too many booked sessions", subject=f"key {booked.owner}", value=mine, legal=f"at most {MOST_BOOKED}"
        )


def moment(seconds: float) -> str:
    """Return a Unix time as people and programs write it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _terms(mode: SessionMode, length: float, start: float | None) -> str:
    return f"{mode} of {length:g} s" + ("" if start is None else f" from {moment(start)}")


def check_same(
    known: SessionInfo, mode: SessionMode, length: float, user: str, start: float | None = None
) -> SessionInfo:
    """Return the session that ``user`` opens once more. For the errors see ``Sessions.open``."""
    subject = f"session {known.session_id}"
    if known.owner != user:
        raise NotAllowedError("this session id belongs to another user", subject=subject)
    if (known.mode, known.max_time, known.start) != (mode, length, start):
        raise InvalidValueError(
            "this id is that of a session with other terms", subject=subject, value=_terms(mode, length, start),
            legal=f"{_terms(known.mode, known.max_time, known.start)}, or another id",
        )  # fmt: skip
    if known.ended is not None:
        raise SessionEndedError("has ended", subject=subject, value="ended", legal="another id")
    return known


def check_terms(session_id: str, length: float, limits: Limits) -> None:
    """Raise :class:`InvalidValueError` for an id or a time that may not be."""
    if not (0 < len(session_id) <= 64 and session_id.isprintable()):
        raise InvalidValueError(
            "invalid session id", subject="session_id", value=session_id[:64], legal="1 to 64 letters"
        )
    if not 0 < length <= limits.session_time:
        raise InvalidValueError(
            "invalid time of a session", subject=f"session {session_id}: max_time", value=f"{length:g} s",
            legal=f"above 0, up to {limits.session_time:g} s (limits.session_time)",
        )  # fmt: skip
