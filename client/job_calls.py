"""What a client asks of one job beside its state and its result."""

from __future__ import annotations

from collections.abc import Sequence

from pulsed.client.calls import Calls
from pulsed.model.job import JobInfo, JobLogEntry, JobRequest
from pulsed.model.payload import Part
from pulsed.wire.job_messages import GetJobLog, GetSubmission, JobLogReply, SubmissionReply, UpdateJob
from pulsed.wire.messages import JobReply


class JobCalls(Calls):
    """The calls of :class:`pulsed.client.Client` about what was submitted and what became of it."""

    def update_job(self, job_id: str, *, name: str | None = None, tags: Sequence[str] | None = None) -> JobInfo:
        """Give a job another name or other tags, ended or not, and return it; None leaves what there is."""
        fields = {"name": name, "tags": None if tags is None else tuple(tags)}
        return self._ask(JobReply, UpdateJob, job_id=job_id, **fields).job

    def submission(self, job_id: str) -> tuple[JobRequest, Sequence[Part]]:
        """Return what was submitted; it is private to the owner of the job, and to operators."""
        reply, parts = self._call(SubmissionReply, GetSubmission, job_id=job_id)
        return reply.job, parts

    def job_log(self, job_id: str) -> list[JobLogEntry]:
        """Return what the daemon wrote down about a job, in order."""
        return list(self._ask(JobLogReply, GetJobLog, job_id=job_id).entries)
