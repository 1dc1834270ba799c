"""The queue: jobs that wait to be compiled and those that are ready for the rack. No clock, no sockets.

Whose turn is next says :mod:`pulsed.daemon.jobs.policy`. Jobs of the session that holds the rack are apart from all
others: while it does, they alone have turns, in the order of their priorities and submission.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from pulsed.daemon.jobs.lanes import Lane, Outlook
from pulsed.daemon.jobs.policy import NEVER, Candidate, QueuedJob, Situation, choose, gives_way, may_start
from pulsed.daemon.jobs.usage import Usage
from pulsed.model.policies import Sharing
from pulsed.model.queue import QueueMode

LOOKAHEAD = 2
"""Jobs that lie compiled and wait for the rack, at most: memory is bounded, and the rack never waits."""
_MOST_READY = 4 * LOOKAHEAD
"""With those that may not start as long as the queue is locked, or before a booked session."""
_DEPTH = 50
"""Jobs of one user and priority that are looked at for one that is over before a booked session begins."""


class Scheduler:
    """Jobs in the order of the queue.

    A stage takes a job from those that wait for it and keeps it until it hands it on. Times are Unix times in seconds.

    Args:
        sharing: how the rack is shared.
        usage: what everybody has used of it.
        operator: whether a user is an operator.

    """

    def __init__(
        self, sharing: Sharing | None = None, usage: Usage | None = None,
        operator: Callable[[str], bool] = lambda _: False,
    ) -> None:  # fmt: skip
        self.sharing = sharing or Sharing()
        self.usage = usage or Usage(self.sharing.half_life)
        self.mode = QueueMode.OPEN
        self.held = ""
        """Why nothing may play, whatever the mode; empty when it may."""
        self.holder = ""
        """The session that holds the rack; see :meth:`hold`."""
        self.booked = NEVER
        """When the next booked session begins."""
        self._operator = operator
        self._jobs: dict[str, QueuedJob] = {}
        self._queue, self._waiting, self._ready = Lane(), Lane(), Lane()
        """Jobs that do not play, those of them that have to be compiled, and those that are ready."""
        self._playing: dict[str, None] = {}
        self._parked: dict[str, None] = {}
        """Jobs of booked sessions that have not begun."""
        self._booked: set[str] = set()
        self._members: dict[str, dict[str, None]] = {}
        """By session, its jobs in the queue in order."""
        self._first: dict[tuple[str, int], int] = {}
        """By session and priority, where its jobs stand."""
        self._counter = 0
        self._batches = {"compile": "", "play": ""}
        """The session or batch of the last turn of each kind."""

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def add(
        self, job_id: str, priority: int, session_id: str = "", *, user: str = "", created: float = 0.0,
        seconds: float = 0.0, due: float | None = None,
    ) -> None:  # fmt: skip
        """Put a job at the end of those of its user and priority, or of its session; it waits to be compiled.

        One with a ``due`` date stands before those that are due later, or never.
        """
        self._counter += 1
        job = self._jobs[job_id] = QueuedJob(
            job_id, priority, self._counter, session_id, user, created, seconds, NEVER if due is None else due
        )  # fmt: skip
        if session_id:
            self._members.setdefault(session_id, {})[job_id] = None
            self._first.setdefault((session_id, priority), job.number)
        if session_id in self._booked:
            self._parked[job_id] = None
        else:
            self._put(job, self._queue, self._waiting)

    def remove(self, job_id: str) -> None:
        """Take a job out; does nothing for one that is not in the queue."""
        job = self._jobs.pop(job_id, None)
        if job is None:
            return
        for lane in (self._queue, self._waiting, self._ready):
            lane.discard(job_id)
        self._playing.pop(job_id, None)
        self._parked.pop(job_id, None)
        self.usage.release(job.user, job_id)
        if job.session_id:
            members = self._members[job.session_id]
            del members[job_id]
            if not any(self._jobs[other].priority == job.priority for other in members):
                del self._first[job.session_id, job.priority]
            if not members:
                del self._members[job.session_id]

    def job(self, job_id: str) -> QueuedJob | None:
        """Return a job of the queue."""
        return self._jobs.get(job_id)

    def is_parked(self, job_id: str) -> bool:
        """Whether a job waits for its booked session to begin."""
        return job_id in self._parked

    def since(self, job_id: str) -> float | None:
        """Return since when a job has waited for its turn, None unless it is the next of its user and priority."""
        return self._queue.since(job_id)

    def members(self, session_id: str) -> list[str]:
        """Return the jobs of a session that are in the queue, in the order of their submission."""
        return list(self._members.get(session_id, ()))

    def book(self, session_id: str) -> None:
        """Let the jobs of a session have no turns until it holds the rack."""
        self._booked.add(session_id)

    def hold(self, session_id: str) -> None:
        """Let the jobs of this session alone have their turns; empty: let all have theirs."""
        before, self.holder = self.holder, session_id
        self._booked.discard(session_id)
        for job_id in (*self.members(before), *self.members(session_id)):
            self._put_again(self._jobs[job_id])

    def release(self, session_id: str) -> None:
        """A session has ended: the jobs it has left are like any others, in the order of their submission."""
        if self.holder == session_id:
            self.hold("")
        self._booked.discard(session_id)
        for job_id in self._members.pop(session_id, {}):
            job = self._jobs[job_id]
            self._first.pop((session_id, job.priority), None)
            self._jobs[job_id] = job = job._replace(session_id="")
            self._put_again(job)

    def position(self, job_id: str, now: float) -> int | None:
        """Return how many jobs are before this one, as if nothing else came; see :meth:`order`."""
        job = self._jobs.get(job_id)
        if job is None:
            return None
        if job_id in self._playing:
            return list(self._playing).index(job_id)
        before = len(self._playing)
        if job.session_id and job.session_id == self.holder:
            here = (-job.priority, (job.due, self._stands(job), job.number, job_id))
            return before + bisect_left(self._queue.held, here)
        if job_id in self._parked:
            return before + len(self._queue) + list(self._parked).index(job_id)
        return before + len(self._queue.held) + self._queue.position(job_id, self._outlook(now))

    def order(self, now: float) -> list[str]:
        """Return all jobs in the order of the queue: as they may be expected to have turns, if nothing else came.

        First what plays, then the jobs of the session that holds the rack, all others, and those of booked sessions.
        """
        held = [place[-1] for _, place in self._queue.held]
        return [*self._playing, *held, *self._queue.order(self._outlook(now)), *self._parked]

    def empty_for(self, session_id: str) -> bool:
        """Return whether a job of this session (empty: of none) would find no other before it."""
        if self.holder:
            return session_id == self.holder and not self._members.get(session_id)
        return not self._jobs and self.mode is QueueMode.OPEN and not self.held and session_id not in self._booked

    def peek(self, now: float) -> str | None:
        """Return the job whose turn to be compiled is next, whether there is room for it or not."""
        job = self._next(self._waiting, "compile", now)
        return None if job is None else job.job_id

    def take_to_compile(self, now: float) -> str | None:
        """Take the job to compile next; None when there is none or enough lie ready.

        One more than enough is taken when its priority is higher than that of all that lie ready.
        """
        ready = self._lying_ready(now)
        if ready > LOOKAHEAD or len(self._ready) > _MOST_READY:
            return None
        job = self._next(self._waiting, "compile", now)
        if job is None or (ready == LOOKAHEAD and (self.holder or job.priority <= (self._ready.highest() or 0))):
            return None
        self._waiting.discard(job.job_id)
        for lane in (self._waiting, self._queue):
            lane.turn(job, now)
        self._batches["compile"] = job.session_id
        self.usage.reserve(job.user, job.job_id, job.seconds, now)
        return job.job_id

    def take_to_play(self, now: float) -> str | None:
        """Take the job to play next, None when none is ready, or none may start."""
        job = self._next(self._ready, "play", now)
        if job is None:
            return None
        for lane in (self._ready, self._queue):
            lane.discard(job.job_id)
        for lane in (self._ready, self._queue, self._waiting):
            lane.turn(job, now)
        self._batches["play"] = job.session_id
        self._playing[job.job_id] = None
        return job.job_id

    def compiled(self, job_id: str, seconds: float | None = None) -> None:
        """A job that was taken to be compiled is ready for the rack.

        Args:
            job_id: the job.
            seconds: that it needs before it may stop for another, as far as that is known now.

        """
        if job_id in self._queue:
            if seconds is not None:
                self._jobs[job_id] = self._jobs[job_id]._replace(seconds=seconds)
            self._put(self._jobs[job_id], self._ready)

    def compile_again(self, job_id: str) -> None:
        """A job that was taken to be compiled waits for that again; its place in the queue stays."""
        if job_id in self._jobs:
            self._put(self._jobs[job_id], self._waiting)

    def play_again(self, job_id: str, seconds: float) -> None:
        """A job that was taken to be played has stopped between two chunks; it needs ``seconds`` for the next one."""
        if job_id in self._playing:
            del self._playing[job_id]
            self._jobs[job_id] = self._jobs[job_id]._replace(seconds=seconds)
            self._put(self._jobs[job_id], self._queue, self._ready)

    def gives_way(self, job_id: str, seconds: float, now: float) -> str:
        """Return why a job that plays has to stop before its next chunk of ``seconds``; empty when it goes on."""
        job = self._jobs.get(job_id)
        if job is None:
            return ""
        situation = self.situation(now)
        return gives_way(job, seconds, situation, holder=self.holder, highest=self._ready.highest())

    def situation(self, now: float, batch: str = "", *, ahead: bool = False) -> Situation:
        """Return what decides beside the jobs; ``ahead``: jobs that lie ready count as played."""
        operators = frozenset[str]()
        if self.mode is QueueMode.LOCKED:
            operators = frozenset(filter(self._operator, {job.user for job in self._jobs.values()}))
        used = self.usage.shares if ahead else self.usage.played(self._playing)
        return Situation(now, self.sharing.ageing, used, self.mode, operators, batch, self.booked, self.held)

    def _next(self, lane: Lane, kind: str, now: float) -> QueuedJob | None:
        situation = self.situation(now, self._batches[kind], ahead=lane is self._waiting)
        if self.holder:
            if not lane.held:
                return None
            job = self._jobs[lane.held[0][-1][-1]]
            return job if may_start(job.user, job.seconds, situation) else None
        candidates = lane.candidates() if self.booked == NEVER else lane.shorter(self.booked - now, _DEPTH)
        found: Candidate | None = choose(candidates, situation)
        return None if found is None else found.job

    def _lying_ready(self, now: float) -> int:
        """Return how many jobs are ready and may start now."""
        if self.holder:
            return len(self._ready.held)
        situation = self.situation(now, ahead=True)
        return sum(may_start(job.user, job.seconds, situation) for job in self._ready.jobs())

    def _outlook(self, now: float) -> Outlook:
        return Outlook(self.situation(now), self.usage.unit(now), self.usage.weight)

    def _stands(self, job: QueuedJob) -> int:
        return self._first.get((job.session_id, job.priority), job.number)

    def _put(self, job: QueuedJob, *lanes: Lane) -> None:
        held = bool(self.holder) and job.session_id == self.holder
        for lane in lanes:
            lane.put(job, self._stands(job), held=held)

    def _put_again(self, job: QueuedJob) -> None:
        """Move a job to where it belongs now."""
        if job.job_id in self._parked:
            del self._parked[job.job_id]
            self._put(job, self._queue, self._waiting)
            return
        for lane in (self._queue, self._waiting, self._ready):
            if lane.discard(job.job_id):
                self._put(job, lane)
