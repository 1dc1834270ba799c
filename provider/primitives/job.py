"""The job of a primitive: the daemon's jobs that it needs, and how their results become its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from qiskit.primitives import BasePrimitiveJob, PrimitiveResult
from qiskit.providers import JobStatus

if TYPE_CHECKING:
    from pulsed.provider.job import PulsedJob

_FIRST = (
    JobStatus.ERROR,
    JobStatus.CANCELLED,
    JobStatus.RUNNING,
    JobStatus.VALIDATING,
    JobStatus.QUEUED,
    JobStatus.INITIALIZING,
)
"""Of several jobs the status that counts, by the order here; when none is there all are done."""


class PulsedPrimitiveJob(BasePrimitiveJob[PrimitiveResult[Any], JobStatus]):  # type: ignore[misc]
    """One call of a primitive's ``run``, in most cases one job of the daemon.

    Args:
        jobs: the daemon's jobs; none when there was nothing to measure.
        build: makes the result when they have ended, within some seconds or without limit.

    """

    def __init__(self, jobs: Sequence[PulsedJob], build: Callable[[float | None], PrimitiveResult[Any]]) -> None:
        super().__init__(jobs[0].job_id() if jobs else str(uuid.uuid4()))
        self.jobs = tuple(jobs)
        self._build = build
        self._result: PrimitiveResult[Any] | None = None

    def __repr__(self) -> str:
        return f"<PulsedPrimitiveJob({self.job_id()!r}, {len(self.jobs)} jobs)>"

    def result(self, timeout: float | None = None) -> PrimitiveResult[Any]:
        """Wait for the result and return it.

        Args:
            timeout: seconds to wait for each of :attr:`jobs`; None waits until they have ended.

        Raises what :meth:`pulsed.provider.PulsedJob.result` does.

        """
        if self._result is None:
            self._result = self._build(timeout)
        return self._result

    def status(self) -> JobStatus:
        """Return the status: of several jobs the first of failed, cancelled, running, compiling and waiting."""
        found = {job.status() for job in self.jobs}
        return next((status for status in _FIRST if status in found), JobStatus.DONE)

    def done(self) -> bool:
        """Return whether all has run."""
        return bool(self.status() is JobStatus.DONE)

    def running(self) -> bool:
        """Return whether a job is running."""
        return bool(self.status() is JobStatus.RUNNING)

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
        return bool(self.status() is JobStatus.CANCELLED)

    def in_final_state(self) -> bool:
        """Return whether all jobs have ended."""
        return all(job.in_final_state() for job in self.jobs)

    def cancel(self) -> bool:
        """Cancel the jobs that have not ended. Return whether that took effect on one."""
        took_effect = [job.cancel() for job in self.jobs]
        return any(took_effect)
