"""Which job is next: values in, values out. No clock, no sockets.

The place of a job in the queue is a value, :func:`place`: first come the jobs of the session that holds the rack, then
those of higher priority, then all in the order of their submission, in which the jobs of one session or batch stand
where the first of them of this priority stands. While a session holds the rack, its jobs alone are taken.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import NamedTuple

LOOKAHEAD = 2
"""Jobs that lie compiled and wait for the rack, at most: memory is bounded, and the rack never waits."""


class QueuedJob(NamedTuple):
    """What of a job decides about its place."""

    job_id: str
    priority: int
    number: int
    """Grows with each job that enters the queue."""
    session_id: str = ""
    """The session or batch that it belongs to, as long as that has not ended."""


Place = tuple[bool, int, int, int, str]
"""The lowest is first: whether it is not of the session that holds the rack, priority, places in order, and the id."""


def place(job: QueuedJob, first: int, holder: str) -> Place:
    """Return the place of a job.

    Args:
        job: in the queue.
        first: the number of the job after which it stands: its own, but in a session or batch that of the first.
        holder: the session that holds the rack; empty when there is none.

    """
    return (not holder or job.session_id != holder, -job.priority, first, job.number, job.job_id)


_HELD: Place = (True, -(1 << 62), 0, 0, "")
"""Behind the jobs of the session that holds the rack, before all others."""


class Scheduler:
    """Jobs in the order of the queue.

    Besides the queue as a whole there are two lists in its order: jobs that wait to be compiled, and those that are
    ready for the rack. A stage takes a job from its list and keeps it until it hands it on.
    """

    def __init__(self) -> None:
        self.holder = ""
        """The session that holds the rack; see :meth:`hold`."""
        self._jobs: dict[str, QueuedJob] = {}
        self._places: dict[str, Place] = {}
        self._queue: list[Place] = []
        self._waiting: list[Place] = []
        self._ready: list[Place] = []
        self._members: dict[str, dict[str, None]] = {}
        """By session, its jobs in the queue in order."""
        self._first: dict[tuple[str, int], int] = {}
        """By session and priority, where its jobs stand."""
        self._counter = 0

    def __len__(self) -> int:
        return len(self._queue)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._places

    def add(self, job_id: str, priority: int, session_id: str = "") -> None:
        """Put a job at the end of those of its priority, or of its session; it waits to be compiled."""
        self._counter += 1
        job = self._jobs[job_id] = QueuedJob(job_id, priority, self._counter, session_id)
        if session_id:
            self._members.setdefault(session_id, {})[job_id] = None
            self._first.setdefault((session_id, priority), job.number)
        here = self._places[job_id] = self._place(job)
        insort(self._queue, here)
        insort(self._waiting, here)

    def remove(self, job_id: str) -> None:
        """Take a job out; does nothing for one that is not in the queue."""
        here = self._places.pop(job_id, None)
        if here is None:
            return
        for places in (self._queue, self._waiting, self._ready):
            _discard(places, here)
        gone = self._jobs.pop(job_id)
        if gone.session_id:
            members = self._members[gone.session_id]
            del members[job_id]
            if not any(self._jobs[other].priority == gone.priority for other in members):
                del self._first[gone.session_id, gone.priority]
            if not members:
                del self._members[gone.session_id]

    def members(self, session_id: str) -> list[str]:
        """Return the jobs of a session that are in the queue, in the order of their submission."""
        return list(self._members.get(session_id, ()))

    def hold(self, session_id: str) -> None:
        """Let the jobs of this session alone have their turns; empty: let all have theirs."""
        before, self.holder = self.holder, session_id
        for job_id in (*self.members(before), *self.members(session_id)):
            self._replace(job_id)

    def release(self, session_id: str) -> None:
        """A session has ended: the jobs it has left are like any others, in the order of their submission."""
        if self.holder == session_id:
            self.hold("")
        for job_id in self._members.pop(session_id, {}):
            job = self._jobs[job_id]
            self._first.pop((session_id, job.priority), None)
            self._jobs[job_id] = job._replace(session_id="")
            self._replace(job_id)

    def position(self, job_id: str) -> int | None:
        """Return how many jobs are before this one."""
        here = self._places.get(job_id)
        return None if here is None else bisect_left(self._queue, here)

    def order(self) -> list[str]:
        """Return all jobs in the order of the queue."""
        return [here[-1] for here in self._queue]

    def empty_for(self, session_id: str) -> bool:
        """Return whether a job of this session (empty: of none) would find no other before it."""
        if self.holder:
            return session_id == self.holder and not self._members.get(session_id)
        return not self._queue

    def take_to_compile(self) -> str | None:
        """Take the job to compile next; None when there is none or enough lie ready."""
        ready = bisect_left(self._ready, _HELD) if self.holder else len(self._ready)
        return None if ready >= LOOKAHEAD else self._take(self._waiting)

    def take_to_play(self) -> str | None:
        """Take the job to play next, None when none is ready."""
        return self._take(self._ready)

    def compiled(self, job_id: str) -> None:
        """A job that was taken to be compiled is ready for the rack; its place in the queue stays."""
        self._put(self._ready, job_id)

    def compile_again(self, job_id: str) -> None:
        """A job that was taken to be compiled waits for that again; its place in the queue stays."""
        self._put(self._waiting, job_id)

    def _place(self, job: QueuedJob) -> Place:
        return place(job, self._first.get((job.session_id, job.priority), job.number), self.holder)

    def _replace(self, job_id: str) -> None:
        """Move a job to where it belongs now."""
        before, here = self._places[job_id], self._place(self._jobs[job_id])
        self._places[job_id] = here
        for places in (self._queue, self._waiting, self._ready):
            if _discard(places, before):
                insort(places, here)

    def _put(self, places: list[Place], job_id: str) -> None:
        here = self._places.get(job_id)
        if here is not None:
            insort(places, here)

    def _take(self, places: list[Place]) -> str | None:
        return places.pop(0)[-1] if places and (not self.holder or places[0] < _HELD) else None


def _discard(places: list[Place], here: Place) -> bool:
    at = bisect_left(places, here)
    found = places[at : at + 1] == [here]
    if found:
        del places[at]
    return found
