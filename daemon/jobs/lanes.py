"""Jobs that wait for the same thing, by user and priority, and the order in which turns may be expected."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pulsed.daemon.jobs.policy import Candidate, Place, QueuedJob, Situation, is_urgent, level

HeldPlace = tuple[int, Place]
"""Among the jobs of the session that holds the rack, the lowest is first: minus the priority, and the place."""
_Rank = tuple[int, float, Place]
_NOTHING = 1e-3
"""Seconds that a job is taken to last at least: those of one user have their turns one after the other."""


class Outlook(NamedTuple):
    """What decides about turns to come."""

    situation: Situation
    """Now."""
    unit: float
    """What a second is worth in the unit of ``situation.used``."""
    weight: Callable[[str], float]
    """The share that a user is due."""


class Stream:
    """The jobs of one user and one priority, in order."""

    def __init__(self, user: str, priority: int) -> None:
        self.user, self.priority = user, priority
        self.places: list[Place] = []
        self.seconds = 0.0
        """Of all of them."""
        self.first: Candidate | None = None


class Lane:
    """Jobs of the queue that wait for the same thing.

    Those of the session that holds the rack are apart, in ``held``.
    """

    def __init__(self) -> None:
        self.held: list[HeldPlace] = []
        self._streams: dict[tuple[str, int], Stream] = {}
        self._turns: dict[tuple[str, int], float] = {}
        """By user and priority, when they had their last turn."""
        self._jobs: dict[str, tuple[QueuedJob, Place, bool]] = {}
        """By id, the job, its place, and whether it is held."""

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def put(self, job: QueuedJob, first: int, *, held: bool) -> None:
        """Put a job in that stands where the job with the number ``first`` stands."""
        place = (job.due, first, job.number, job.job_id)
        self._jobs[job.job_id] = (job, place, held)
        if held:
            insort(self.held, (-job.priority, place))
            return
        stream = self._streams.get((job.user, job.priority))
        if stream is None:
            stream = self._streams[job.user, job.priority] = Stream(job.user, job.priority)
        insort(stream.places, place)
        stream.seconds += max(job.seconds, _NOTHING)
        if stream.places[0] is place:
            self._set_first(stream)

    def discard(self, job_id: str) -> bool:
        """Take a job out; return whether it was in."""
        entry = self._jobs.pop(job_id, None)
        if entry is None:
            return False
        job, place, held = entry
        if held:
            del self.held[bisect_left(self.held, (-job.priority, place))]
            return True
        stream = self._streams[job.user, job.priority]
        at = bisect_left(stream.places, place)
        del stream.places[at]
        stream.seconds -= max(job.seconds, _NOTHING)
        if not stream.places:
            del self._streams[job.user, job.priority]
        elif at == 0:
            self._set_first(stream)
        return True

    def jobs(self) -> Iterator[QueuedJob]:
        """Yield all jobs."""
        return (job for job, *_ in self._jobs.values())

    def candidates(self) -> Iterator[Candidate]:
        """Yield the first job of each user and priority."""
        for stream in self._streams.values():
            assert stream.first is not None
            yield stream.first

    def since(self, job_id: str) -> float | None:
        """Return since when a job has waited for its turn, None unless it is the first of its user and priority."""
        for stream in self._streams.values():
            if stream.first is not None and stream.first.job.job_id == job_id:
                return stream.first.since
        return None

    def shorter(self, most: float, depth: int) -> Iterator[Candidate]:
        """Yield of each user and priority the first of ``depth`` jobs that takes at most ``most`` seconds."""
        for stream in self._streams.values():
            for place in stream.places[:depth]:
                job = self._jobs[place[-1]][0]
                if job.seconds <= most:
                    yield Candidate(job, place, self._since(job))
                    break

    def turn(self, job: QueuedJob, now: float) -> None:
        """A job of this user and priority has its turn."""
        self._turns[job.user, job.priority] = now
        stream = self._streams.get((job.user, job.priority))
        if stream is not None:
            self._set_first(stream)

    def highest(self) -> int | None:
        """Return the highest priority, None when there is no job."""
        return max((stream.priority for stream in self._streams.values()), default=None)

    def order(self, outlook: Outlook) -> list[str]:
        """Return the jobs that are not held in the order in which they may be expected to have their turns.

        As if nothing else came: first by level, then as users take turns by their shares.
        """
        ranks = [
            self._rank(stream, index, outlook)
            for stream in self._streams.values() for index in range(len(stream.places))
        ]  # fmt: skip
        return [place[-1] for *_, place in sorted(ranks)]

    def position(self, job_id: str, outlook: Outlook) -> int:
        """Return how many jobs are before one that is not held, in the order of :meth:`order`."""
        job, place, _ = self._jobs[job_id]
        mine = self._streams[job.user, job.priority]
        index = bisect_left(mine.places, place)
        rank = self._rank(mine, index, outlook)
        return index + sum(
            self._before(rank, stream, outlook)
            for stream in self._streams.values() if stream is not mine
        )  # fmt: skip

    def _before(self, rank: _Rank, stream: Stream, outlook: Outlook) -> int:
        """Return how many jobs of another stream rank before: guessed from their mean length, then looked at."""
        count = len(stream.places)
        if -stream.priority < rank[0]:
            return count
        guess = 0
        if -stream.priority == rank[0]:
            each = stream.seconds / count * outlook.unit
            through = (rank[1] - outlook.situation.used.get(stream.user, 0.0)) * outlook.weight(stream.user)
            guess = max(0, min(count, math.ceil(through / each) if through < count * each else count))
        while guess > 0 and self._rank(stream, guess - 1, outlook) > rank:
            guess -= 1
        while guess < count and self._rank(stream, guess, outlook) < rank:
            guess += 1
        return guess

    def _rank(
        self, stream: Stream, index: int, outlook: Outlook
    ) -> _Rank:  # fmt: skip
        situation = outlook.situation
        behind = index * stream.seconds / len(stream.places) * outlook.unit
        height = stream.priority
        if index == 0 and stream.first is not None:
            height = level(stream.priority, stream.first.since, situation.now, situation.ageing)
            height += is_urgent(stream.first.job, situation.now, situation.ageing)
        share = situation.used.get(stream.user, 0.0) + behind / outlook.weight(stream.user)
        return -height, share, stream.places[index]

    def _set_first(self, stream: Stream) -> None:
        place = stream.places[0]
        job = self._jobs[place[-1]][0]
        stream.first = Candidate(job, place, self._since(job))

    def _since(self, job: QueuedJob) -> float:
        return max(job.created, self._turns.get((job.user, job.priority), 0.0))
