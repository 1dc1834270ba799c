"""Sessions and batches, as users of Qiskit know them: jobs of one user that have the rack, or stand together."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from pulsed.model.session import SessionInfo, SessionMode, SessionState, holds_rack, read_length
from pulsed.provider.errors import OptionValueError, SessionClosedError, SessionOpenError, asks_daemon

if TYPE_CHECKING:
    from pulsed.client import Client


def read_max_time(value: Any) -> float | None:
    """Return the time of a session in seconds: a number of them, or text such as ``"1h 30m"``; None stays None.

    Raises :class:`OptionValueError`.
    """
    if value is None:
        return None
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    found = read_length(value) if isinstance(value, str) else None
    if found is None:
        raise OptionValueError(
            "not a time", subject="max_time", value=repr(value), legal='seconds, or text such as "1h 30m"'
        )
    return found


def read_start(value: Any) -> float | None:
    """Return a time as a Unix time: one, a ``datetime`` or ISO 8601 text, local without a zone; None stays None.

    Raises :class:`OptionValueError`.
    """
    if value is None:
        return None
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    try:
        return (value if isinstance(value, datetime) else datetime.fromisoformat(value)).timestamp()
    except (TypeError, ValueError):
        raise OptionValueError(
            "not a time", subject="start", value=repr(value), legal="a datetime, ISO 8601 text, or a Unix time"
        ) from None


class SessionBackend(Protocol):
    """What a session needs of a backend."""

    def connected_client(self, without: str) -> Client:
        """Return the connection to the daemon."""

    def enter_session(self, session: Session) -> None:
        """Have everything that is run belong to ``session``."""

    def leave_session(self, session: Session) -> None:
        """Have nothing more belong to ``session``."""


class Session:
    """Exclusive time on the rack: from the start of its first job on, the jobs of others wait until it ends.

    It ends ``max_time`` after that start, when it was closed and its jobs have ended, when it was cancelled, or when it
    had no job for the rack's ``limits.session_silence``. As a context manager it is the session of ``backend`` inside
    of the block, where everything that is run on this backend belongs to it, and is closed at its end.

    Args:
        backend: whose daemon opens it.
        max_time: seconds, or text such as ``"1h 30m"``; None for as long as the rack allows.
        start: a ``datetime``, ISO 8601 text or Unix time that it is booked for: it holds the rack from then on, with a
            job or without, and others start nothing that would not end before; None: it begins with its first job.
        info: what the daemon said of one that is open already.

    Raises:
        OptionValueError: a time that may not be.

    """

    mode: ClassVar[SessionMode] = SessionMode.SESSION

    @asks_daemon
    def __init__(
        self, backend: SessionBackend, max_time: float | str | None = None, *,
        start: datetime | str | float | None = None, info: SessionInfo | None = None,
    ) -> None:  # fmt: skip
        self._backend = backend
        self._client: Client = backend.connected_client("no daemon to open a session")
        if info is None:
            info = self._client.open_session(
                str(uuid.uuid4()), self.mode, read_max_time(max_time), start=read_start(start)
            )
        self._info = info

    @classmethod
    @asks_daemon
    def from_id(cls, session_id: str, backend: SessionBackend) -> Self:
        """Return a session that was opened before, by another process perhaps; the beginning of its id will do.

        Raises ``NotFoundError``, and :class:`OptionValueError` for a batch where a session is asked for, or the other
        way round.
        """
        info = backend.connected_client("no daemon to ask").session(session_id)
        if info.mode is not cls.mode:
            raise OptionValueError(
                f"is no {cls.mode}", subject=f"session {info.session_id}", value=str(info.mode), legal=str(cls.mode)
            )
        return cls(backend, info=info)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self.session_id!r}, {self._info.state})>"

    def __enter__(self) -> Self:
        if (state := self.info().state) is not SessionState.OPEN:
            raise SessionClosedError(
                "takes no more jobs", subject=f"session {self.session_id}", value=str(state), legal="an open session"
            )
        try:
            self._backend.enter_session(self)
        except SessionOpenError:
            self.close()  # nobody would
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self.close()
        except Exception as problem:
            if error is None:
                raise
            error.add_note(f"the session was not closed: {problem}")

    @property
    def session_id(self) -> str:
        """Its id."""
        return self._info.session_id

    def backend(self) -> SessionBackend:
        """Return the backend that it was opened with."""
        return self._backend

    @asks_daemon
    def info(self) -> SessionInfo:
        """Return all that the daemon knows about it."""
        if self._info.state is not SessionState.ENDED:
            self._info = self._client.session(self.session_id)
        return self._info

    def status(self) -> str:
        """Return how it is in IBM's words.

        ``"Pending"`` until it begins, ``"In progress, accepting new jobs"``, ``"In progress, not accepting
        new jobs"`` once it was closed, ``"Closed"`` at its end.
        """
        info = self.info()
        if info.state is SessionState.ENDED:
            return "Closed"
        if info.state is SessionState.CLOSING:
            return "In progress, not accepting new jobs"
        return "Pending" if info.started is None else "In progress, accepting new jobs"

    def details(self) -> dict[str, Any]:
        """Return what is known under IBM's names; times of day are ISO 8601 text, lengths seconds."""
        info = self.info()
        return {
            "id": info.session_id,
            "backend_name": info.backend,
            "mode": "dedicated" if info.mode is SessionMode.SESSION else "batch",
            "max_time": info.max_time,
            "interactive_timeout": info.silence if info.mode is SessionMode.SESSION else None,
            "state": {"open": "open" if info.started is None else "active"}.get(info.state, str(info.state)),
            "accepting_jobs": info.state is SessionState.OPEN,
            "holds_rack": holds_rack(info),
            "started_at": _text(info.created),
            "booked_for": _text(info.start),
            "activated_at": _text(info.started),
            "ends_at": _text(info.ends),
            "closed_at": _text(info.ended),
            "ended_as": info.ended_as and str(info.ended_as),
            "ended_by": info.ended_by or None,
        }

    @asks_daemon
    def close(self) -> None:
        """Take no more jobs. Those that it has are played, and then it ends."""
        self._backend.leave_session(self)
        self._info = self._client.close_session(self.session_id)

    @asks_daemon
    def cancel(self) -> None:
        """End it at once, and cancel every job of it that has not ended, the one on the rack too."""
        self._backend.leave_session(self)
        self._info = self._client.close_session(self.session_id, cancel=True)


class Batch(Session):
    """Jobs that stand together in the queue, where the first of them stands; nobody waits for jobs yet to come.

    It ends ``max_time`` after the start of its first job, or by hand. Otherwise as :class:`Session`.
    """

    mode: ClassVar[SessionMode] = SessionMode.BATCH


def _text(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
