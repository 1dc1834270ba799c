"""The queue for people: which job is next, and why."""

from __future__ import annotations

from pulsed.daemon.jobs.bookings import moment
from pulsed.daemon.jobs.estimates import StartEstimates
from pulsed.daemon.jobs.policy import NEVER, QueuedJob, is_played, is_urgent, level, may_start
from pulsed.daemon.jobs.registry import JobRegistry
from pulsed.model.queue import QueueEntry


class QueueListing:
    """Lists the queue of ``registry``, with the expected times of ``estimates``."""

    def __init__(self, registry: JobRegistry, estimates: StartEstimates) -> None:
        self._registry, self._estimates = registry, estimates

    def entries(self, limit: int, running: str, now: float) -> tuple[tuple[QueueEntry, ...], int]:
        """Return the first ``limit`` jobs in order, and how many there are; ``running``: the job on the rack."""
        queue, jobs = self._registry.queue, self._registry.jobs
        order = [job_id for job_id in queue.order(now) if job_id in jobs]
        rows = []
        for job_id in order[:limit]:
            info, job = jobs[job_id].info, queue.job(job_id)
            assert job is not None
            starts = None if job_id == running else self._estimates.start_of(job_id, now)
            why = "is on the rack" if job_id == running else self._why(job, now)
            entry = QueueEntry(
                job_id,
                info.owner,
                str(info.state),
                info.priority,
                info.created,
                job.seconds,
                info.session_id,
                starts,
                why,
            )
            rows.append(entry)
        return tuple(rows), len(order)

    def _why(self, job: QueuedJob, now: float) -> str:
        """Return what decides about the turn of a job that waits."""
        queue, sessions = self._registry.queue, self._registry.sessions
        if queue.holder:
            holder = sessions.holder
            if job.session_id != queue.holder:
                whose = "" if holder is None else f" of {holder.owner}"
                return f"waits for the end of session {queue.holder}{whose}"
            return "its session holds the rack"
        situation = queue.situation(now)
        if not is_played(job.user, situation):
            return queue.held or f"the queue is {queue.mode}"
        if queue.is_parked(job.job_id):
            return "waits for the start of its booked session"
        if not may_start(job.user, job.seconds, situation):
            return f"would not end before a booked session begins at {moment(queue.booked)}"
        words = [f"priority {job.priority}"]
        since = queue.since(job.job_id)
        if since is not None and (higher := level(job.priority, since, now, queue.sharing.ageing) - job.priority):
            words.append(f"+{higher} for waiting")
        if job.due != NEVER:
            words.append(f"{'+1 as it is ' if is_urgent(job, now, queue.sharing.ageing) else ''}due {moment(job.due)}")
        usage = queue.usage
        words.append(
            f"{job.user} has used {usage.counted(job.user, now):.3g} s of a share of {usage.weight(job.user):g}"
        )
        return ", ".join(words)
