"""Messages about jobs that came with revision 1: what was submitted, the log, a new name, results chunk by chunk."""

from __future__ import annotations

from pulsed.model.chunk_results import ChunkResult
from pulsed.model.job import JobInfo, JobLogEntry, JobRequest
from pulsed.wire.base import Reply, Request


class UpdateJob(Request, frozen=True, tag="job.update"):
    """Give a job another name or other tags; None leaves what there is. Answered by a ``JobReply``."""

    job_id: str
    name: str | None = None
    tags: tuple[str, ...] | None = None


class GetSubmission(Request, frozen=True, tag="job.submission"):
    """What was submitted. Answered by :class:`SubmissionReply`."""

    job_id: str


class SubmissionReply(Reply, frozen=True, tag="job.submission.reply"):
    """A submission; its programs are the parts."""

    job: JobRequest


class GetJobLog(Request, frozen=True, tag="job.log"):
    """What the daemon wrote down about a job. Answered by :class:`JobLogReply`."""

    job_id: str


class JobLogReply(Reply, frozen=True, tag="job.log.reply"):
    """The log of a job, in order."""

    entries: tuple[JobLogEntry, ...]


class GetChunk(Request, frozen=True, tag="job.chunk"):
    """What one chunk of a job brought back. The reply comes when it has been played, or the job has ended."""

    job_id: str
    index: int
    """From 0, in the order in which they are played."""


class ChunkReply(Reply, frozen=True, tag="job.chunk.reply"):
    """A chunk; its arrays are the parts.

    The last one of a job, and all of one that has ended, are in its result, unless that is kept in chunks: then each of
    them may be asked for at any time.
    """

    job: JobInfo
    chunk: ChunkResult | None = None
    """None when the job has ended, and its result has no such chunk."""
