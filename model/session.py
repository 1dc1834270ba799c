"""Sessions and batches: what they are, and when each ends. Values in, values out: times are Unix times in seconds."""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from pulsed.model.errors import IllegalStepError

_LENGTH = re.compile(r"(?:(\d+)\s*h)?\s*(?:(\d+)\s*m(?:in)?)?\s*(?:(\d+(?:\.\d*)?)\s*s)?", re.ASCII)


def read_length(text: str) -> float | None:
    """Return the seconds that text such as ``"1h 30m"`` means, None where it means no time."""
    found = _LENGTH.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        return None
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds


class SessionMode(StrEnum):
    """What it does for its jobs."""

    SESSION = "session"
    """From the start of its first job on, no other job is played until it ends."""
    BATCH = "batch"
    """Its jobs stand together in the queue."""


class SessionState(StrEnum):
    """Where a session is."""

    OPEN = "open"
    """It takes jobs."""
    CLOSING = "closing"
    """It takes no more jobs; those that it has are played."""
    ENDED = "ended"


SESSION_STEPS: dict[SessionState, frozenset[SessionState]] = {
    SessionState.OPEN: frozenset({SessionState.CLOSING, SessionState.ENDED}),
    SessionState.CLOSING: frozenset({SessionState.ENDED}),
    SessionState.ENDED: frozenset(),
}
"""The legal steps."""


class SessionEnd(StrEnum):
    """Why a session ended."""

    CLOSED = "closed"
    """By hand; its jobs were played first."""
    CANCELLED = "cancelled"
    """By hand, with its jobs."""
    TIME = "time"
    """It had its time."""
    SILENCE = "silence"
    """It held the rack, and had no job for too long."""


class SessionInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the daemon tells about a session or a batch."""

    session_id: str
    backend: str
    mode: SessionMode
    owner: str
    created: float
    max_time: float
    """Seconds from the start of its first job until it ends."""
    silence: float
    """Seconds without a job after which a session ends that holds the rack."""
    state: SessionState = SessionState.OPEN
    started: float | None = None
    """When its first job was started; until then it holds nothing."""
    ends: float | None = None
    """When it has had its time, known from its start on."""
    touched: float = 0.0
    """When it last got a job, or one of its jobs ended."""
    seen: float = 0.0
    """When the daemon last kept it: while no daemon runs, its time stands still."""
    start: float | None = None
    """When a booked one begins, with a job or without; None for one that begins with its first job."""
    ended: float | None = None
    ended_as: SessionEnd | None = None
    ended_by: str = ""
    """Who closed or cancelled it."""


def holds_rack(session: SessionInfo) -> bool:
    """Return whether the jobs of others have to wait."""
    return (
        session.mode is SessionMode.SESSION and session.started is not None and session.state is not SessionState.ENDED
    )


def is_booked(session: SessionInfo) -> bool:
    """Return whether the session waits for the time that it is booked for."""
    return session.start is not None and session.started is None and session.state is not SessionState.ENDED


def with_state(session: SessionInfo, state: SessionState) -> SessionInfo:
    """Return the session after a step. Raises :class:`IllegalStepError` for one that the table does not have."""
    if state not in SESSION_STEPS[session.state]:
        legal = ", ".join(sorted(SESSION_STEPS[session.state])) or "none, it has ended"
        raise IllegalStepError(
            f"cannot go from {session.state} to {state}", subject=f"session {session.session_id}", value=str(state),
            legal=legal,
        )  # fmt: skip
    return msgspec.structs.replace(session, state=state)


def started(session: SessionInfo, now: float, until: float = float("inf")) -> SessionInfo:
    """Return the session as it begins; it ends before a session that is booked for ``until`` begins."""
    return msgspec.structs.replace(session, started=now, ends=min(now + session.max_time, until), touched=now)


def resumed(session: SessionInfo, now: float) -> SessionInfo:
    """Return the session as a daemon finds it again: with the time that it had left when the last one kept it.

    A booked one has its time, whether a daemon runs or not: others may be booked for the time after it.
    """
    gap = max(0.0, now - session.seen)
    ends = session.ends if session.ends is None or session.start is not None else session.ends + gap
    return msgspec.structs.replace(session, ends=ends, touched=session.touched + gap, seen=now)


def deadline(session: SessionInfo, busy: bool) -> float:
    """Return when the session ends by itself if nothing happens; ``busy``: it has a job that has not ended."""
    if is_booked(session):
        return float("inf")
    if session.ends is None:  # it keeps nobody waiting
        return float("inf") if busy else session.touched + session.max_time
    if busy or not holds_rack(session):
        return session.ends
    return min(session.ends, session.touched + session.silence)


def due(session: SessionInfo, busy: bool, now: float) -> SessionEnd | None:
    """Return as what the session has to end now, None when it goes on."""
    if session.state is SessionState.CLOSING and not busy:
        return SessionEnd.CLOSED
    end = deadline(session, busy)
    if now < end:
        return None
    return SessionEnd.SILENCE if session.ends is not None and end < session.ends else SessionEnd.TIME
