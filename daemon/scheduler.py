"""Which job is next: values in, values out. No clock, no sockets."""

from __future__ import annotations

from bisect import bisect_left, insort
from enum import StrEnum

LOOKAHEAD = 2
"""Jobs that lie compiled and wait for the rack, at most: memory is bounded, and the rack never waits."""


class Phase(StrEnum):
    """Where a job is on its way to the rack."""

    WAITING = "waiting"
    COMPILING = "compiling"
    READY = "ready"
    PLAYING = "playing"


_Key = tuple[int, int, str]


class Scheduler:
    """Jobs in the order of the queue: higher priority first, then in the order of their submission."""

    def __init__(self) -> None:
        self._order: list[_Key] = []
        self._keys: dict[str, _Key] = {}
        self._phases: dict[str, Phase] = {}
        self._counter = 0
        self._counts = dict.fromkeys(Phase, 0)

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._keys

    def add(self, job_id: str, priority: int) -> None:
        """Put a job at the end of those of its priority."""
        self._counter += 1
        key = (-priority, self._counter, job_id)
        self._keys[job_id] = key
        insort(self._order, key)
        self._phases[job_id] = Phase.WAITING
        self._counts[Phase.WAITING] += 1

    def remove(self, job_id: str) -> None:
        """Take a job out; does nothing when it is not there."""
        key = self._keys.pop(job_id, None)
        if key is not None:
            del self._order[bisect_left(self._order, key)]
            self._counts[self._phases.pop(job_id)] -= 1

    def move(self, job_id: str, phase: Phase) -> None:
        """A job has come to another phase; its place in the order stays."""
        if job_id in self._keys:
            self._counts[self._phases[job_id]] -= 1
            self._counts[phase] += 1
            self._phases[job_id] = phase

    def phase(self, job_id: str) -> Phase | None:
        """Return where a job is, None when it is not in the queue."""
        return self._phases.get(job_id)

    def position(self, job_id: str) -> int | None:
        """Return how many jobs are before this one."""
        key = self._keys.get(job_id)
        return None if key is None else bisect_left(self._order, key)

    def to_compile(self) -> str | None:
        """Return the job to compile next, None when there is none or enough lie ready."""
        if self._counts[Phase.COMPILING] or self._counts[Phase.READY] >= LOOKAHEAD:
            return None
        return self._first(Phase.WAITING)

    def to_play(self) -> str | None:
        """Return the job to play next, None while one plays or none is ready."""
        return None if self._counts[Phase.PLAYING] else self._first(Phase.READY)

    def _first(self, phase: Phase) -> str | None:
        if not self._counts[phase]:
            return None
        return next(job_id for _, _, job_id in self._order if self._phases[job_id] is phase)
