"""What a client asks of sessions and batches."""

from __future__ import annotations

from pulsed.client.calls import Calls
from pulsed.model.errors import IncompatibleError
from pulsed.model.session import SessionInfo, SessionMode
from pulsed.wire.session_messages import (
    CloseSession,
    GetSession,
    GetSessions,
    OpenSession,
    SessionReply,
    SessionsReply,
)


class SessionCalls(Calls):
    """The calls of :class:`pulsed.client.Client` about sessions and batches."""

    def open_session(
        self, session_id: str, mode: SessionMode = SessionMode.SESSION, max_time: float | None = None,
        backend: str | None = None, start: float | None = None,
    ) -> SessionInfo:  # fmt: skip
        """Open a session or a batch under an id of one's own making; when this returns it is durable.

        ``max_time``: seconds from the start of its first job until it ends, None for as long as the rack allows. The
        same id again returns the same session, and is refused with another mode or time, or when that has ended.
        ``start``: a Unix time for which a session is booked; it holds the rack from then on, with a job or without.
        """
        fields = {"session_id": session_id, "mode": mode, "max_time": max_time, "backend": backend, "start": start}
        opened = self._ask(SessionReply, OpenSession, **fields).session
        if opened.start != start:
            self.close_session(session_id)
            raise IncompatibleError("the daemon knows no booked sessions", subject="start", value=start, legal="none")
        return opened

    def close_session(self, session_id: str, *, cancel: bool = False) -> SessionInfo:
        """Take no more jobs into a session and return it; it ends when those it has have ended, which go on.

        With ``cancel`` they are cancelled, and it ends at once; jobs that are left of one that had its time are, too.
        One that has ended is returned as it is.
        """
        return self._ask(SessionReply, CloseSession, session_id=session_id, cancel=cancel).session

    def session(self, session_id: str) -> SessionInfo:
        """Return what is known of a session; the beginning of its id will do as for a job."""
        return self._ask(SessionReply, GetSession, session_id=session_id).session

    def sessions(self, *, ended: bool = False, limit: int = 100) -> list[SessionInfo]:
        """Return the newest sessions and batches first; those that have ended only when asked for."""
        return list(self._ask(SessionsReply, GetSessions, ended=ended, limit=limit).sessions)
