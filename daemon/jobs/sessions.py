"""The sessions and batches that have not ended: who may use them, which one holds the rack, and when they end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from pulsed.daemon import logs
from pulsed.daemon.jobs.bookings import check_booking, check_same, check_terms
from pulsed.daemon.jobs.policy import NEVER
from pulsed.daemon.jobs.prefixes import SHORTEST, SHOWN, not_the_only
from pulsed.daemon.jobs.scheduler import Scheduler
from pulsed.daemon.store_thread import StoreThread
from pulsed.model.errors import NotAllowedError, NotFoundError, SessionEndedError
from pulsed.model.policies import Limits
from pulsed.model.session import (
    SessionEnd,
    SessionInfo,
    SessionMode,
    SessionState,
    deadline,
    due,
    holds_rack,
    is_booked,
    resumed,
    started,
    with_state,
)
from pulsed.store.store import Store
from pulsed.wire.messages import AnyEvent
from pulsed.wire.session_messages import SessionChanged

MOST = 20
"""Sessions and batches that one user may have open at once."""
MOST_LINED_UP = 2
"""Sessions of one user that may have jobs in the queue and wait for the rack at once: each may keep it for long."""
_KEEP = 3.0
"""Seconds after which a session is kept again: so much of its time a kill of the daemon may cost."""


@dataclass(eq=False)
class Arrival:
    """A submission on its way to the store."""

    cancelled: bool = False
    """Its session was cancelled in the meantime."""


class Sessions:
    """All sessions that have not ended.

    Args:
        store: where they are kept.
        queue: that has to know which session holds the rack.
        publish: sends an event.
        must_succeed: ends the daemon if a write fails.
        turns_changed: called when another job may have its turn.
        charge: counts seconds in which a user had the rack, and no job of theirs played.

    """

    def __init__(
        self, store: StoreThread, queue: Scheduler, publish: Callable[[AnyEvent], None],
        must_succeed: Callable[[asyncio.Future[Any]], None], turns_changed: Callable[[], None],
        charge: Callable[[str, float], None] = lambda _user, _seconds: None,
    ) -> None:  # fmt: skip
        self._store, self._queue = store, queue
        self._publish, self._must_succeed, self._turns_changed = publish, must_succeed, turns_changed
        self._charge = charge
        self._idle: dict[str, float] = {}
        """By session that holds the rack, since when no job of it plays, while none does."""
        self._infos: dict[str, SessionInfo] = {}
        self._arriving: dict[str, list[Arrival]] = {}
        """By session, submissions that are on the way to the store."""
        self._opening = asyncio.Lock()
        self._look_again = asyncio.Event()

    @property
    def holder(self) -> SessionInfo | None:
        """The session that holds the rack."""
        return self._infos.get(self._queue.holder)

    def booked(self) -> list[tuple[float, float]]:
        """Return from when to when sessions are booked that have not begun, in order."""
        found = [info for info in self._infos.values() if is_booked(info)]
        return sorted((info.start, info.start + info.max_time) for info in found if info.start is not None)

    def of_job(self, session_id: str) -> str:
        """Return the id if such a session has not ended, else an empty one."""
        return session_id if session_id in self._infos else ""

    async def open(
        self, session_id: str, mode: SessionMode, max_time: float | None, user: str, backend: str, limits: Limits,
        start: float | None = None,
    ) -> SessionInfo:  # fmt: skip
        """Open a session; it is durable when this returns. The same id again gives the same session.

        With ``start``, a Unix time, it is booked: it holds the rack from then on, with a job or without.

        Raises :class:`InvalidValueError` for a time that may not be, or for other terms than those of the session with
        this id, :class:`SessionEndedError` if that has ended, and :class:`NotAllowedError` for one session too many,
        or the id of another user's.
        """
        length = limits.session_time if max_time is None else max_time
        check_terms(session_id, length, limits)
        async with self._opening:  # of two that open the same id at once, the second finds that of the first
            with contextlib.suppress(NotFoundError):
                return check_same(await self.find(session_id), mode, length, user, start)
            return await self._open(session_id, mode, length, user, backend, limits, start)

    async def _open(
        self, session_id: str, mode: SessionMode, length: float, user: str, backend: str, limits: Limits,
        start: float | None,
    ) -> SessionInfo:  # fmt: skip
        if sum(info.owner == user for info in self._infos.values()) >= MOST:
            raise NotAllowedError(
                "has too many open sessions: close one", subject=f"key {user}", value=MOST + 1, legal=f"at most {MOST}"
            )
        now = time.time()
        info = SessionInfo(
            session_id, backend, mode, user, now, length, limits.session_silence, touched=now, seen=now, start=start
        )
        if start is not None:
            check_booking(info, self._infos.values(), now)
            self._queue.book(session_id)
        kept = self._set(info)
        self._queue.booked = self._next_booked()
        await kept
        logs.get("sessions").info("opened", session=session_id, mode=str(mode), user=user, seconds=length)
        return info

    async def find(self, session_id: str) -> SessionInfo:
        """Return any session. Raises :class:`NotFoundError`."""
        known = self._infos.get(session_id)
        return known if known is not None else await self._store.call(Store.session, session_id)

    async def look_up(self, start: str) -> SessionInfo:
        """Return the session with this id, or the only one whose id begins like this. Raises :class:`NotFoundError`."""
        try:
            return await self.find(start)
        except NotFoundError as none:
            found = await self._store.call(Store.sessions, SHOWN + 1, start) if len(start) >= SHORTEST else []
            if len(found) == 1:
                return self._infos.get(found[0].session_id, found[0])
            ids = [info.session_id for info in found]
            raise not_the_only(start, ids, none, "session", "pulsed sessions --all") from none

    async def listed(self, *, ended: bool, limit: int) -> list[SessionInfo]:
        """Return the newest sessions first, those that have ended only if asked for."""
        if not ended:
            return sorted(self._infos.values(), key=lambda info: -info.created)[:limit]
        return [self._infos.get(info.session_id, info) for info in await self._store.call(Store.sessions, limit)]

    @contextlib.contextmanager
    def arriving(self, session_id: str, user: str) -> Iterator[Arrival]:
        """Let a job of ``user`` into a session, or refuse it; inside of the block it is on its way to the store.

        Raises :class:`SessionEndedError` for a session that takes no more jobs, and :class:`NotAllowedError` for that
        of another user, or where too many of this one wait for the rack already. The empty id is that of no session.
        """
        arrival = Arrival()
        if not session_id:
            yield arrival
            return
        info = self._infos.get(session_id)
        if info is None or info.state is not SessionState.OPEN:
            raise SessionEndedError(
                "takes no more jobs", subject=f"session {session_id}", value="closing" if info else "ended",
                legal="an open session, or none",
            )  # fmt: skip
        if info.owner != user:
            raise NotAllowedError(f"the session belongs to {info.owner}", subject=f"session {session_id}", value=user)
        self._check_lined_up(info)
        arrivals = self._arriving.setdefault(session_id, [])
        arrivals.append(arrival)
        try:
            yield arrival
        finally:
            arrivals.remove(arrival)
            if not arrivals:
                del self._arriving[session_id]
            self.touch(session_id, time.time())

    def touch(self, session_id: str, now: float) -> None:
        """Something happened to a job of a session."""
        info = self._infos.get(session_id)
        if info is not None:
            self._infos[session_id] = msgspec.structs.replace(info, touched=now)
            self._look_again.set()

    def begins(self, session_id: str, now: float) -> None:
        """A job of a session has its turn: if it is the first, the time of the session begins."""
        info = self._infos.get(session_id)
        if session_id in self._idle and info is not None:
            self._charge(info.owner, max(0.0, now - self._idle.pop(session_id)))
        if info is not None and info.started is None:
            exclusive = info.mode is SessionMode.SESSION
            self._set(started(info, now, self._queue.booked if exclusive else NEVER))
            if exclusive:
                self._queue.hold(session_id)
            logs.get("sessions").info("begins", session=session_id, user=info.owner)

    def rests(self, session_id: str, now: float) -> None:
        """A job of a session plays no longer: from now on it keeps others waiting with none."""
        if session_id and session_id == self._queue.holder:
            self._idle[session_id] = now

    def close(self, session_id: str, user: str) -> SessionInfo:
        """Take no more jobs into a session. Raises :class:`NotFoundError` for one that has ended."""
        info = self._alive(session_id)
        if info.state is SessionState.OPEN:
            self._set(msgspec.structs.replace(with_state(info, SessionState.CLOSING), ended_by=user))
        return self._look(session_id, time.time())

    def cancel(self, info: SessionInfo, user: str) -> SessionInfo:
        """End a session, unless it has ended, with what arrives for it; its other jobs are left to the caller."""
        for arrival in self._arriving.get(info.session_id, ()):
            arrival.cancelled = True
        known = self._infos.get(info.session_id)
        return info if known is None else self._end(known, SessionEnd.CANCELLED, time.time(), user)

    async def recover(self) -> None:
        """Take over the sessions of the store; their time goes on in :meth:`run`, with what each had left."""
        for info in await self._store.call_patiently(Store.unended_sessions):
            self._infos[info.session_id] = info
            if is_booked(info):
                self._queue.book(info.session_id)
            if holds_rack(info):
                self._queue.hold(info.session_id)
                self._idle[info.session_id] = time.time()
        self._queue.booked = self._next_booked()

    async def run(self) -> None:
        """End each session when it is its time."""
        now = time.time()
        for info in list(self._infos.values()):
            again = resumed(info, now)
            if again.ends is not None and again.start is None and info.mode is SessionMode.SESSION:
                again = msgspec.structs.replace(again, ends=min(again.ends, self._queue.booked))
            self._set(again)
        while True:
            self._look_again.clear()
            now = time.time()
            self.look(now)
            self.keep(now, _KEEP)
            until = self.next_look()
            wait = None if until == float("inf") else max(0.0, until - now)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):  # wait_for may swallow a cancellation
                    await self._look_again.wait()

    def look(self, now: float) -> None:
        """End the sessions that have to end now."""
        for session_id in list(self._infos):
            self._look(session_id, now)
        for info in list(self._infos.values()):
            if is_booked(info) and info.start is not None and info.start <= now and not self._queue.holder:
                self._set(started(info, info.start))
                self._queue.hold(info.session_id)
                self._idle[info.session_id] = now
                self._queue.booked = self._next_booked()
                logs.get("sessions").info("begins as booked", session=info.session_id, user=info.owner)
                self._look(info.session_id, now)
                self._turns_changed()

    def keep(self, now: float, older: float = 0.0) -> None:
        """Keep how the sessions are that were kept ``older`` seconds ago."""
        for session_id, info in self._infos.items():
            if now >= info.seen + older:
                kept = self._infos[session_id] = msgspec.structs.replace(info, seen=now)
                self._must_succeed(self._store.write_later(Store.put_session, kept))

    def next_look(self) -> float:
        """Return until when nothing has to be done unless something happens."""
        times = [deadline(info, self._busy(info.session_id)) for info in self._infos.values()]
        times += [info.seen + _KEEP for info in self._infos.values()]
        times += [start for start, _ in self.booked()]
        return min(times, default=float("inf"))

    def _alive(self, session_id: str) -> SessionInfo:
        info = self._infos.get(session_id)
        if info is None:
            raise NotFoundError("no such session, or it has ended", subject="session", value=session_id)
        return info

    def _check_lined_up(self, info: SessionInfo) -> None:
        """Raise :class:`NotAllowedError` when ``info`` would be one session too many that waits for the rack."""
        if not _waits_for_rack(info) or self._busy(info.session_id):
            return
        others = [
            other.session_id for other in self._infos.values()
            if other.owner == info.owner and _waits_for_rack(other) and self._busy(other.session_id)
        ]  # fmt: skip
        if len(others) >= MOST_LINED_UP:
            raise NotAllowedError(
                f"has sessions that wait for the rack already: {', '.join(others)}", subject=f"key {info.owner}",
                value=len(others) + 1, legal=f"at most {MOST_LINED_UP} with jobs that have not begun",
            )  # fmt: skip

    def _next_booked(self) -> float:
        """Return when the next booked session begins."""
        return min((start for start, _ in self.booked()), default=NEVER)

    def _busy(self, session_id: str) -> bool:
        return bool(session_id in self._arriving or self._queue.members(session_id))

    def _look(self, session_id: str, now: float) -> SessionInfo:
        info = self._infos[session_id]
        how = due(info, self._busy(session_id), now)
        return info if how is None else self._end(info, how, now)

    def _end(self, info: SessionInfo, how: SessionEnd, now: float, user: str = "") -> SessionInfo:
        ended = msgspec.structs.replace(
            with_state(info, SessionState.ENDED), ended=now, ended_as=how, ended_by=user or info.ended_by
        )
        self._set(ended)
        del self._infos[info.session_id]
        if info.session_id in self._idle:
            self._charge(info.owner, max(0.0, now - self._idle.pop(info.session_id)))
        self._queue.booked = self._next_booked()
        self._queue.release(info.session_id)
        self._turns_changed()
        logs.get("sessions").info("ended", session=info.session_id, how=str(how), user=ended.ended_by)
        return ended

    def _set(self, info: SessionInfo) -> asyncio.Future[None]:
        self._infos[info.session_id] = info
        written = self._store.write(Store.put_session, info)
        self._must_succeed(written)
        self._publish(SessionChanged(0, info))
        self._look_again.set()
        return written


def _waits_for_rack(info: SessionInfo) -> bool:
    """Whether the jobs of others will have to wait, once it begins with its first job."""
    return info.mode is SessionMode.SESSION and info.started is None and info.start is None
