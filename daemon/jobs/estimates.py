"""When a job that waits may be expected to start: what is before it in the queue, and how long that plays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from pulsed.daemon.jobs.registry import ActiveJob, JobRegistry
from pulsed.model.job import JobInfo, JobState
from pulsed.model.policies import Limits
from pulsed.model.rack_time import least_seconds

_FRESH = 0.5
"""Seconds for which a table of all jobs is good: the queue may be long, and asked for often."""
OVERHEAD = 0.02
"""Seconds that a job takes on the rack beside its pulses, about."""


def expected(
    jobs: Iterable[tuple[str, float]], free: float, taken: Sequence[tuple[float, float]] = ()
) -> dict[str, tuple[float, float]]:
    """Return when each job starts and ends.

    Args:
        jobs: id and seconds on the rack, in the order in which they are played.
        free: when the rack is free for the first of them.
        taken: from when to when it is booked, in order.

    """
    table, later = {}, list(taken)
    for job_id, seconds in jobs:
        while later and free + seconds > later[0][0]:
            free = max(free, later.pop(0)[1])
        table[job_id] = (free, free + seconds)
        free += seconds
    return table


class StartEstimates:
    """Expected times of the jobs of a registry; ``running`` tells the job on the rack.

    A session is taken to hold the rack for as long as it may.
    """

    def __init__(self, registry: JobRegistry, limits: Limits, running: Callable[[], str]) -> None:
        self._registry, self._limits, self._running = registry, limits, running
        self._made = float("-inf")
        self._table: dict[str, tuple[float, float]] = {}

    def of(self, info: JobInfo, now: float) -> JobInfo:
        """Return a job with its expected times, if it waits and they are known."""
        if info.queue_position is None:
            return info
        starts = self.start_of(info.job_id, now)
        ends = self._table.get(info.job_id, (None, None))[1]
        return msgspec.structs.replace(info, starts=starts, ends=ends)

    def start_of(self, job_id: str, now: float) -> float | None:
        """Return when a job of the queue may be expected to start; None when that is not known."""
        if not self._made <= now < self._made + _FRESH or job_id not in self._table:
            self._made, self._table = now, self._all(now)
        return self._table.get(job_id, (None, None))[0]

    def _all(self, now: float) -> dict[str, tuple[float, float]]:
        queue, jobs = self._registry.queue, self._registry.jobs
        sessions = self._registry.sessions
        holder = sessions.holder
        if queue.held or not queue.mode.plays:
            return {}
        order = [jobs[job_id] for job_id in queue.order(now) if job_id in jobs]
        free = now
        for job in order:
            if job.info.job_id == self._running():
                free = max(now, job.info.times.get(JobState.RUNNING, now) + self._seconds(job))
        waiting = [job for job in order if job.info.job_id != self._running()]
        first = [job for job in waiting if holder is not None and job.info.session_id == holder.session_id]
        table = expected([(job.info.job_id, self._seconds(job)) for job in first], free)
        if holder is not None:
            free = max(holder.ends or now, *(ends for _, ends in table.values()), free)
        rest = [(job.info.job_id, self._seconds(job)) for job in waiting if job.info.job_id not in table]
        return table | expected(rest, free, sessions.booked())

    def _seconds(self, job: ActiveJob) -> float:
        info = job.info
        known = sum(chunk.seconds for index, chunk in enumerate(job.chunks) if index not in job.stored)
        return OVERHEAD + (known or least_seconds(info.num_programs, 0.0, info.options, self._limits))
