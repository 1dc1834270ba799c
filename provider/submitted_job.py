"""A job on its way: handed in, waited for, and what it brings back. Results are pushed by the daemon; nothing polls."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import as_completed as futures_completed
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from qiskit.providers import BackendV2, JobStatus, JobV1

from pulsed.model.chunk_results import ChunkResult, ResultsSoFar
from pulsed.model.errors import ConnectionFailedError, JobTimeoutError, PulsedError
from pulsed.model.job import FINAL_STATES, JobInfo, JobRequest, JobState
from pulsed.model.payload import Part
from pulsed.model.result import JobResult, ProgramResult
from pulsed.provider.errors import DaemonConnectionError, PulsedJobError, PulsedJobTimeoutError, asks_daemon
from pulsed.provider.result import Labels, build_result, labels_of

if TYPE_CHECKING:
    from qiskit.result import Result

    from pulsed.client import Client

STATUS: dict[JobState, JobStatus] = {
    JobState.QUEUED: JobStatus.QUEUED,
    JobState.COMPILING: JobStatus.VALIDATING,
    JobState.READY: JobStatus.QUEUED,
    JobState.RUNNING: JobStatus.RUNNING,
    JobState.INTERRUPTED: JobStatus.QUEUED,
    JobState.DONE: JobStatus.DONE,
    JobState.FAILED: JobStatus.ERROR,
    JobState.CANCELLED: JobStatus.CANCELLED,
}
"""What Qiskit calls each state."""

Payload = tuple[JobRequest, Sequence[Part]]
Outcome = tuple[JobInfo, JobResult, Sequence[Part]]


def moment(seconds: float) -> datetime:
    """Return a Unix time as a moment."""
    return datetime.fromtimestamp(seconds, UTC)


class SubmittedJob(JobV1):  # type: ignore[misc]
    """One submission.

    Args:
        backend: the :class:`pulsed.provider.PulsedBackend` that it runs on.
        job_id: made by this side, so that a submission can be repeated without running twice.
        client: the connection to the daemon.
        info: what the daemon said last, for a job that was retrieved.
        programs: circuits and schedules, when this process knows them.
        chosen: the options of the run.
        counts: how many results each program has, when it is not one.
        payload: what :meth:`submit` sends; None for a job of another process.

    """

    def __init__(
        self,
        backend: BackendV2,
        job_id: str,
        client: Client,
        *,
        info: JobInfo | None = None,
        programs: Sequence[Any] | None = None,
        chosen: dict[str, Any] | None = None,
        payload: Payload | None = None,
        counts: Sequence[int] | None = None,
    ) -> None:
        super().__init__(backend, job_id)
        self._client = client
        self._info = info
        self._programs = programs
        # As they are now: whoever made the circuits may go on to change them.
        self._labels = None if programs is None else [labels_of(program) for program in programs]
        self._counts = counts
        self._chosen = chosen
        self._submission = payload
        """What was sent, when this process knows it."""
        self._bytes = {"sent": 0, "received": 0}
        self._result: Result | None = None
        self._came: Outcome | None = None
        """What the daemon has sent and nobody has asked for yet."""

    def __repr__(self) -> str:
        state = "not submitted" if self._info is None else self._info.state
        return f"<PulsedJob({self.job_id()!r}, {state})>"

    def _repr_html_(self) -> str:
        """Return the job for a notebook, as the daemon knows it now: what it does, or its counts."""
        from pulsed.client.following import spoken
        from pulsed.provider.notebook import job_html

        info = self._info if self._info is None or self._info.state in FINAL_STATES else self._asked()
        said = "not submitted" if info is None else info.error.message if info.error else spoken(info)
        return job_html(repr(self), said, self._shown_counts())

    def _shown_counts(self) -> list[tuple[str, dict[str, int]]]:
        """Return the counts of each circuit, where the result is here and has some."""
        experiments = [] if self._result is None else self._result.results
        found = []
        for number, experiment in enumerate(experiments):
            if hasattr(experiment.data, "counts"):
                found.append((experiment.header.name, self._result.get_counts(number)))  # type: ignore[union-attr]
        return found

    # What the daemon knows

    @asks_daemon
    def submit(self) -> None:
        """Send the job. Raises :class:`PulsedJobError` when it was sent before."""
        if self._info is not None or self._submission is None:
            raise PulsedJobError("was submitted before; run the circuits again for another job", subject=self._subject)
        request, parts = self._submission
        self._info = self._client.submit(request, parts)
        self._bytes["sent"] = sum(memoryview(part).nbytes for part in parts)

    @property
    def _subject(self) -> str:
        return f"job {self.job_id()}"

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Have Ctrl-C say what becomes of the job that is waited for."""
        try:
            yield
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"{self._subject} goes on: job.result(), elsewhere provider.job({self.job_id()!r}).result(), waits for "
                "it again; job.cancel() ends it"
            ) from None

    def _known(self) -> JobInfo:
        """Return what is known without asking."""
        if self._info is None:
            raise PulsedJobError("was not submitted", subject=self._subject)
        return self._info

    @asks_daemon
    def _asked(self) -> JobInfo:
        """Return what is true now; a job that has ended is not asked about again."""
        if self._known().state not in FINAL_STATES:
            self._info = self._client.job(self.job_id())
        return self._known()

    def info(self) -> JobInfo:
        """Return all that the daemon knows about the job."""
        return self._asked()

    def status(self) -> JobStatus:
        """Return the status: queued, ready and interrupted are QUEUED, compiling is VALIDATING."""
        if self._info is None:
            return JobStatus.INITIALIZING
        return STATUS[self._asked().state]

    @asks_daemon
    def cancel(self) -> bool:
        """Cancel the job. Return True if that took effect, False if it had ended."""
        self._known()
        return bool(self._client.cancel(self.job_id()))

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the result and return it.

        Args:
            timeout: seconds to wait; None waits until the job ends.

        Raises:
            PulsedJobTimeoutError: (a ``JobTimeoutError``) the job has not ended yet; it says whether it goes on, or
                that the daemon does not answer.
            PulsedJobError: (a ``JobError``) it failed or was cancelled; ``code`` and text are the daemon's.

        """
        if self._result is None:
            info, data, parts = self._finished(timeout)
            self._result = self._built(info, data, parts, self._of_results())
            self._came = None
        return self._result

    def _built(
        self, info: JobInfo, data: JobResult, parts: Sequence[Part], labels: list[Labels | None] | None
    ) -> Result:
        done = info.times.get(JobState.DONE)
        return build_result(
            data, parts, memory=info.options.memory, num_qubits=self.backend().num_qubits, labels=labels,
            tags=info.tags, date=None if done is None else moment(done),
        )  # fmt: skip

    def arrays(self, timeout: float | None = None) -> tuple[Sequence[ProgramResult], Sequence[Part]]:
        """Wait for the result as :meth:`result` does, and return it as the daemon sent it: arrays without a text form.

        Each program's :class:`~pulsed.model.result.ProgramResult` says which array is where in the parts, which
        :func:`pulsed.model.payload.read_array` reads.
        """
        _, data, parts = self._finished(timeout)
        return data.programs, parts

    def _finished(self, timeout: float | None) -> tuple[JobInfo, JobResult, Sequence[Part]]:
        """Wait until the job has ended and return what the daemon sent."""
        self._known()
        if self._came is not None:
            return self._came
        try:
            with self._waiting():
                info, data, parts = self._client.finished(self.job_id(), timeout=timeout)
        except JobTimeoutError as error:
            raise PulsedJobTimeoutError.from_error(error) from error
        except PulsedError as error:
            raise PulsedJobError.from_error(self.job_id(), error) from error
        return self._take((info, data, parts))

    def _take(self, came: Outcome) -> Outcome:
        self._info = came[0]
        self._bytes["received"] = sum(memoryview(part).nbytes for part in came[2])
        return came

    def ended(self) -> Future[Self]:
        """Return a future that is done with this job when it has ended, well or not; no thread waits for it.

        ``await job`` and :func:`as_completed` are made of it. To cancel it leaves the job alone. It fails with
        :class:`DaemonConnectionError` when the connection is closed before.
        """
        self._known()
        found: Future[Self] = Future()
        source = self._client.finishing(self.job_id())

        def take(answer: Future[Any]) -> None:
            if answer.cancelled() or not found.set_running_or_notify_cancel():
                return
            try:
                came = self._client.read_finished(answer.result())
                self._came = None if came is None else self._take(came)
            except ConnectionFailedError as error:
                found.set_exception(DaemonConnectionError(error.message, subject=error.subject, value=error.value))
            except PulsedError:
                found.set_result(self)  # it failed or was cancelled, which result() says
            except Exception as error:  # noqa: BLE001 - whoever waits gets it
                found.set_exception(error)
            else:
                found.set_result(self)

        found.add_done_callback(lambda future: source.cancel() if future.cancelled() else None)
        source.add_done_callback(take)
        return found

    def __await__(self) -> Generator[Any, None, Result]:
        """Return the result as :meth:`result` does, without holding up the event loop while the job goes on."""
        return self._awaited().__await__()

    async def _awaited(self) -> Result:
        if self._result is None:
            await asyncio.wrap_future(self.ended())
        # Of a job of another process the programs are asked for, and an error is asked for once more.
        return (
            self.result()
            if self._labels is not None and self._came is not None
            else await asyncio.to_thread(self.result)
        )

    def stream(self, timeout: float | None = None) -> Iterator[Result]:
        """Yield the result of what has been played so far, each time that another chunk of the job has been.

        What was played before the call comes first. Each has one entry per program that has been begun, with as many
        shots as there are yet, and is marked with ``success=False`` and the status ``"PARTIAL"``; the last one is
        :meth:`result`. A job of one chunk yields that alone.

        Args:
            timeout: seconds to wait for each.

        Raises:
            PulsedJobTimeoutError: nothing more came in this time.
            PulsedJobError: the job failed or was cancelled.

        """
        so_far, index = ResultsSoFar(), 0
        labels = self._of_results()
        while True:
            info, chunk, parts = self._chunk(index, timeout)
            if chunk is None:
                yield self.result(timeout)
                return
            so_far.add(chunk, parts)
            index += 1
            programs, joined = so_far.programs()
            backend = self.backend()
            data = JobResult(self.job_id(), backend.name, backend.backend_version, info.calibration_id, programs)
            partial = self._built(info, data, joined, labels)
            partial.success, partial.status = False, "PARTIAL"
            yield partial

    @asks_daemon
    def _chunk(self, index: int, timeout: float | None) -> tuple[JobInfo, ChunkResult | None, Sequence[Part]]:
        self._known()
        try:
            with self._waiting():
                return self._client.chunk(self.job_id(), index, timeout)
        except JobTimeoutError as error:
            raise PulsedJobTimeoutError.from_error(error) from error

    def _of_results(self) -> list[Labels | None] | None:
        """Return the labels of the program of each result; None of programs that this process cannot read."""
        if self._labels is None:
            try:
                programs, _ = self._sent_programs()
            except Exception:  # noqa: BLE001 - an older daemon, another Qiskit: the results are there all the same
                return None
            self._labels = [labels_of(program) for program, _ in programs]
            self._counts = [1 if table is None else len(table[1]) for _, table in programs]
        many = self._counts or [1] * len(self._labels)
        return [labels for labels, count in zip(self._labels, many, strict=True) for _ in range(count)]

    def wait_for_final_state(
        self,
        timeout: float | None = None,
        wait: float = 5.0,
        callback: Callable[[str, JobStatus, Self], None] | None = None,
    ) -> None:
        """Wait until the job has ended.

        Args:
            timeout: seconds; None waits without end.
            wait: the longest time between two calls of ``callback``, seconds.
            callback: called as (job_id, status, job) after each change and at least every ``wait`` seconds.

        Raises:
            PulsedJobTimeoutError: it has not ended in time.

        """
        deadline = None if timeout is None else time.monotonic() + timeout
        changed = threading.Event()

        def take(info: JobInfo) -> None:
            if self._known().state not in FINAL_STATES:
                self._info = info
            changed.set()

        if self._known().state in FINAL_STATES:
            return
        unwatch = self._client.watch(self.job_id(), take)
        try:
            with self._waiting():
                while self._known().state not in FINAL_STATES:
                    pauses = [] if callback is None else [wait]
                    if deadline is not None:
                        pauses.append(deadline - time.monotonic())
                    if changed.wait(min(pauses, default=None)):
                        changed.clear()
                    elif deadline is not None and time.monotonic() >= deadline:
                        raise PulsedJobTimeoutError.from_error(self._client.late(self.job_id(), timeout))
                    if callback is not None:
                        callback(self.job_id(), STATUS[self._known().state], self)
        finally:
            unwatch()

    # What was sent

    @asks_daemon
    def _sent(self) -> Payload:
        """Return what was submitted, as the daemon keeps it unless this process knows it."""
        if self._submission is None:
            self._submission = self._client.submission(self.job_id())
        return self._submission

    def _sent_programs(self) -> tuple[list[tuple[Any, Any]], dict[Any, Any]]:
        """Return the programs, each with the table of its bindings or None, and the pulse gates."""
        from pulsed.provider.serialization import deserialize

        return deserialize(*self._sent())


def as_completed(jobs: Iterable[SubmittedJob], timeout: float | None = None) -> Iterator[SubmittedJob]:
    """Yield each job when it has ended, well or not, in the order in which they end.

    The daemon sends the results as they come: nothing polls, and no thread waits for any one job.

    Args:
        jobs: of one daemon or of several.
        timeout: seconds for all of them.

    Raises:
        PulsedJobTimeoutError: not all have ended in this time.
        DaemonConnectionError: the connection was closed.

    """
    waiting = [job.ended() for job in jobs]
    try:
        for future in futures_completed(waiting, timeout):
            yield future.result()
    except TimeoutError:
        left = sum(not future.done() for future in waiting)
        raise PulsedJobTimeoutError(
            "have not ended in this time; they go on, ask again", subject=f"jobs {left} of {len(waiting)}",
            value=f"{timeout:g} s",
        ) from None  # fmt: skip
    except KeyboardInterrupt:
        left = sum(not future.done() for future in waiting)
        raise KeyboardInterrupt(
            f"{left} of {len(waiting)} jobs go on: as_completed(jobs) waits for them again"
        ) from None
    finally:
        for future in waiting:
            future.cancel()
