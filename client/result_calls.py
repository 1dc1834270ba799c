"""What a client asks of the results of jobs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

import msgspec

from pulsed.client.calls import Calls
from pulsed.client.chunks import assembled, fetched
from pulsed.client.reading import read_result
from pulsed.client.replies import expect, knows
from pulsed.client.transport import Answer
from pulsed.model.chunk_results import ChunkResult
from pulsed.model.errors import JobTimeoutError
from pulsed.model.job import JobInfo
from pulsed.model.payload import Part
from pulsed.model.result import JobResult
from pulsed.wire.base import Request
from pulsed.wire.job_messages import ChunkReply, GetChunk
from pulsed.wire.messages import GetResult, Greeting, ResultReply


class ResultCalls(Calls):
    """The calls of :class:`pulsed.client.Client` about what jobs bring back."""

    @property
    @abstractmethod
    def greeting(self) -> Greeting:
        """What the daemon said of itself and of this key's role."""

    @abstractmethod
    def late(self, job_id: str, timeout: float | None) -> JobTimeoutError:
        """Return the error that a job has not ended within ``timeout`` seconds, and why, as far as is known here."""

    @abstractmethod
    def job(self, job_id: str) -> JobInfo:
        """Return what is known of a job."""

    @abstractmethod
    def _send(self, kind: type[Request], **fields: Any) -> Future[Answer]:
        """Send a request and return the future of its answer."""

    @abstractmethod
    def _in_time(self, future: Future[Answer]) -> Answer:
        """Return an answer that the daemon gives at once. Raises :class:`ConnectionFailedError` when it does not."""

    def result(self, job_id: str, timeout: float | None = None) -> tuple[JobResult, Sequence[Part]]:
        """Wait for the result of a job and return it with the parts its arrays lie in.

        The daemon sends it as soon as it is there. Raises :class:`JobTimeoutError` after ``timeout`` seconds,
        :class:`JobCancelledError`, or the error that the job failed with.
        """
        return self.finished(job_id, timeout)[1:]

    def finished(self, job_id: str, timeout: float | None = None) -> tuple[JobInfo, JobResult, Sequence[Part]]:
        """As :meth:`result`, with the job as it has ended before it."""
        info, result, parts = self._ended(job_id, timeout)
        if info.result_chunks:
            programs, parts = assembled(self._chunks(info), parts, info, self.greeting.version)
            result = msgspec.structs.replace(result, programs=programs)
        return info, result, parts

    def finishing(self, job_id: str) -> Future[Answer]:
        """Return the future of what :meth:`read_finished` reads; nothing waits for it in a thread of its own.

        To cancel it leaves the job alone.
        """
        return self._send(GetResult, job_id=job_id, chunks=True)

    def read_finished(self, answer: Answer) -> tuple[JobInfo, JobResult, Sequence[Part]] | None:
        """Return what a future of :meth:`finishing` has brought, as :meth:`finished` does.

        None when it is so large that its chunks have to be asked for, which :meth:`finished` does.
        """
        message, parts = answer
        info = expect(ResultReply, message).job
        return None if info.result_chunks else (info, *read_result(parts, self.greeting.version))

    def result_chunks(self, job_id: str, timeout: float | None = None) -> Iterator[tuple[ChunkResult, Sequence[Part]]]:
        """Wait for the result of a job and yield it chunk by chunk, each with its parts; see :meth:`result`.

        A result of any size takes the memory of a few chunks in this way. A small one is one chunk.
        """
        info, result, parts = self._ended(job_id, timeout)
        if info.result_chunks:
            yield from self._chunks(info)
        else:
            yield ChunkResult(0, 0, result.programs, result.times), parts

    def _ended(self, job_id: str, timeout: float | None) -> tuple[JobInfo, JobResult, Sequence[Part]]:
        message, parts = self._patiently(self.finishing(job_id), job_id, timeout)
        return expect(ResultReply, message).job, *read_result(parts, self.greeting.version)

    def _chunks(self, info: JobInfo) -> Iterator[tuple[ChunkResult, Sequence[Part]]]:
        return fetched(lambda index: self._send(GetChunk, job_id=info.job_id, index=index), self._in_time, info)

    def chunk(
        self, job_id: str, index: int, timeout: float | None = None
    ) -> tuple[JobInfo, ChunkResult | None, Sequence[Part]]:
        """Wait for one chunk of a job, counted from 0, and return the job, what it brought back, and its parts.

        Without a chunk when the job has ended, then everything is in its result, the last chunk too; and at once when
        the daemon is too old to give single ones. Raises :class:`JobTimeoutError` after ``timeout`` seconds.
        """
        if not knows(self.greeting, GetChunk):
            return self.job(job_id), None, ()
        message, parts = self._patiently(self._send(GetChunk, job_id=job_id, index=index), job_id, timeout)
        reply = expect(ChunkReply, message)
        return reply.job, reply.chunk, parts

    def _patiently(self, future: Future[Answer], job_id: str, timeout: float | None) -> Answer:
        try:
            return future.result(timeout)
        except FutureTimeoutError:
            future.cancel()
            raise self.late(job_id, timeout) from None
