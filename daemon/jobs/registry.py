"""The registry of all jobs that have not ended: their state in memory, which leads, and the writes to the store.

A step is taken in memory, given to the store in the same turn and told to all subscribers. The store carries out writes
in their sequence, so it is never in a state that memory was not in.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack

import msgspec

from pulsed.daemon import logs
from pulsed.daemon.jobs.accounts import Accounts
from pulsed.daemon.jobs.late_steps import LateSteps
from pulsed.daemon.jobs.scheduler import Scheduler
from pulsed.daemon.jobs.sessions import Sessions
from pulsed.daemon.store_thread import StoreThread
from pulsed.daemon.workers import messages
from pulsed.model.chunk_results import ChunkResult
from pulsed.model.errors import ErrorInfo, JobFailedError, PulsedError, StoreError, StoreLockedError, from_info
from pulsed.model.job import FINAL_STATES, JobInfo, JobLogEntry, JobState, check_step
from pulsed.model.payload import Part, pack_frames
from pulsed.store.jobs import Changes, JobStep
from pulsed.store.store import Store
from pulsed.wire.messages import AnyEvent, JobChanged

KEPT_PAYLOAD = 64 * 2**20
"""Bytes of submissions kept in memory; more wait in the store."""

Waiter = Callable[[JobInfo, Sequence[Part] | PulsedError], None]
"""Gets the job with the parts of its result, or with the error that there is instead."""


ChunkWaiter = Callable[[JobInfo, "ChunkResult | None", Sequence[Part]], None]
"""Gets the job with a chunk and its arrays, or with none when the job has ended."""


Compilation = tuple[messages.Compiled, Sequence[Part]]
"""The answer of the compile worker and the parts of all chunks."""


@dataclass(frozen=True, eq=False)
class EarlyCompilation:
    """A compilation that began while the store took the submission, and the set it is made with."""

    calibration_id: str
    task: asyncio.Task[Compilation]


@dataclass(eq=False)
class ActiveJob:
    """One job that has not ended."""

    info: JobInfo
    payload: bytes | None = None
    """What was submitted, unless it waits in the store."""
    chunks: tuple[messages.ChunkInfo, ...] = ()
    chunk_parts: list[Sequence[Part]] = field(default_factory=list)
    stored: dict[int, ChunkResult] = field(default_factory=dict)
    """Chunks that the store has, without their arrays, or that are on their way to it."""
    seconds: dict[str, float] = field(default_factory=dict)
    since: float = field(default_factory=time.perf_counter)
    """When it began to wait for what it waits for."""
    compilations: int = 0
    early: EarlyCompilation | None = None
    """Its first compilation, when that did not wait for its turn."""
    last_chunk: JobLogEntry | None = None
    """What the log says of its last chunk, which is stored with the result."""
    size: int = 0
    """Bytes of the submission."""
    expected: float = 0.0
    """Seconds that it may be expected to keep the rack."""
    refused: set[tuple[str, str]] = field(default_factory=set)
    """What others were refused to do with it, and who."""
    finishing: bool = False
    """Its result is on the way to the store."""
    resumed: bool = False
    """An earlier daemon accepted it."""
    late: LateSteps = field(default_factory=LateSteps)
    """Steps that need not be written at once."""

    def spent(self, what: str, seconds: float) -> None:
        """Add to ``times["seconds.WHAT"]``."""
        key = f"seconds.{what}"
        self.seconds[key] = self.seconds.get(key, 0.0) + seconds


class JobRegistry:
    """All jobs that have not ended.

    Args:
        store: where everything is written.
        publish: sends an event.
        failed: called with an error of the store, after which the daemon cannot go on.
        accounts: of the users.

    """

    def __init__(
        self, store: StoreThread, publish: Callable[[AnyEvent], None], failed: Callable[[BaseException], None],
        accounts: Accounts | None = None,
    ) -> None:  # fmt: skip
        self.store = store
        self.publish = publish
        self.accounts = accounts or Accounts(store)
        self.queue = Scheduler(self.accounts.sharing, self.accounts.usage, self.accounts.is_operator)
        self.sessions = Sessions(
            store, self.queue, publish, self.must_succeed, self.turns_changed, charge=self.charge
        )  # fmt: skip
        self.jobs: dict[str, ActiveJob] = {}
        self.to_compile, self.to_play = asyncio.Event(), asyncio.Event()
        """Set when there may be something to do."""
        self.failed = failed
        self._waiters: dict[str, dict[Waiter, None]] = defaultdict(dict)
        self._chunk_waiters: dict[str, dict[ChunkWaiter, int]] = defaultdict(dict)
        """By job; the second kind with the chunk that each waits for."""
        self._kept = 0

    def enter(self, job: ActiveJob) -> None:
        """Put a job into the registry, at its place in the queue."""
        info = job.info
        self.jobs[info.job_id] = job
        self.queue.add(
            info.job_id, info.priority, self.sessions.of_job(info.session_id), user=info.owner, created=info.created,
            seconds=job.expected, due=info.due,
        )  # fmt: skip
        self.to_compile.set()

    def alive(self, job: ActiveJob) -> bool:
        """Whether the job has not ended."""
        return self.jobs.get(job.info.job_id) is job

    def told(self, info: JobInfo) -> JobInfo:
        """Return a job as clients see it: with its place in the queue while it waits, and for whose end."""
        if info.state in (JobState.QUEUED, JobState.COMPILING, JobState.READY):
            holder = self.queue.holder
            position = self.queue.position(info.job_id, time.time())
            held = holder if holder != self.sessions.of_job(info.session_id) else ""
            return msgspec.structs.replace(info, queue_position=position, waits_for=held)
        return info

    def changed(self, job: ActiveJob) -> None:
        """Tell all subscribers how the job is."""
        self.publish(JobChanged(0, self.told(job.info)))

    def step(self, job: ActiveJob, state: JobState, detail: str = "", **changes: Unpack[Changes]) -> None:
        """Take a step of the job's state machine; ``detail`` goes to its log. Raises :class:`IllegalStepError`."""
        now = time.time()
        check_step(job.info.job_id, job.info.state, state)
        job.info = _after(job.info, state, now, changes)
        changes["log"] = (JobLogEntry(now, str(state), detail),)
        # A start counts as an attempt, of which a job has few that ends the daemon each time. Only the first one may
        # wait some milliseconds, so that a short job is written twice: as it comes, and with its result.
        again = state is JobState.RUNNING and (job.resumed or job.info.attempts > 1)
        if again or state in FINAL_STATES:
            self.must_succeed(self.store.write(Store.step, job.info.job_id, state, now, **changes))
            job.late.close()
        else:
            self._write_later(job, JobStep(state, now, changes))
        self.changed(job)

    def _write_later(self, job: ActiveJob, step: JobStep) -> None:
        """Have a step written with what else is, in some milliseconds at most."""
        if not job.late.add(step):
            job.late = LateSteps(step)
            self.must_succeed(self.store.write_later(Store.steps, job.info.job_id, job.late.close))

    def update(self, job: ActiveJob, **changes: Unpack[Changes]) -> None:
        """Change a job without a step."""
        job.info = msgspec.structs.replace(job.info, **_fields(changes))
        self.must_succeed(self.store.write(Store.update, job.info.job_id, **changes))
        job.late.close()
        self.changed(job)

    def note(self, job: ActiveJob, what: str, detail: str) -> None:
        """Write something down about a job."""
        entry = JobLogEntry(time.time(), what, detail)
        self._write_later(job, JobStep(None, 0.0, {"log": (entry,)}))

    def end(self, job: ActiveJob, state: JobState, error: ErrorInfo, by: str = "") -> None:
        """End a job that has no result; ``by`` is the user who did it."""
        self.step(job, state, f"by {by}" if by else str(from_info(error)), error=error, times=job.seconds)
        logs.get("jobs").info("ended", job=job.info.job_id, state=str(state), error=error.message)
        self._drop(job)
        self._tell(job.info, error_of(job.info))

    def finish(
        self, job: ActiveJob, parts: Sequence[Part], log: Sequence[JobLogEntry] = (),
        last: tuple[int, bytes] | None = None, *, in_chunks: bool = False,
    ) -> None:  # fmt: skip
        """Have the result stored. Whoever waits gets it when it is durable; the rack does not wait for that.

        With ``in_chunks`` the chunks that are stored, and the ``last`` one, are the result, and ``parts`` only say what
        is in them.
        """
        info, began, now = job.info, time.perf_counter(), time.time()
        check_step(info.job_id, info.state, JobState.DONE)
        changes: Changes = {"times": job.seconds, "chunks_done": len(job.chunks)}
        if in_chunks:
            changes["result_chunks"] = len(job.chunks)
        changes["log"] = (*log, JobLogEntry(now, str(JobState.DONE)))
        job.finishing = True
        self.queue.remove(info.job_id)

        def durable(future: asyncio.Future[Any]) -> None:
            if future.cancelled() or future.exception() is not None:
                job.finishing = False
                if before and not future.cancelled():
                    job.late = LateSteps(*before)
                    self.must_succeed(self.store.write_later(Store.steps, info.job_id, job.late.close))
                return
            took = time.perf_counter() - began
            done = _after(job.info, JobState.DONE, now, changes)
            job.info = msgspec.structs.replace(done, times={**done.times, "seconds.result": took})
            self._drop(job)
            self._tell(job.info, parts)
            self.changed(job)

        before = job.late.withdraw()
        finishing = self.store.write(Store.finish, info.job_id, pack_frames(parts), now, last, before, **changes)
        finishing.add_done_callback(durable)
        self.keep(job, "result", finishing)

    def wait(self, job_id: str, waiter: Waiter) -> None:
        """Call ``waiter`` once, when the job ends."""
        self._waiters[job_id][waiter] = None

    def wait_for_chunk(self, job_id: str, index: int, waiter: ChunkWaiter) -> None:
        """Call ``waiter`` once, when this chunk of the job is stored or the job ends."""
        self._chunk_waiters[job_id][waiter] = index

    def forget(self, job_id: str, waiter: Callable[..., None]) -> None:
        """Do not call ``waiter``, if it waits for this job or a chunk of it."""
        kinds: tuple[dict[str, dict[Callable[..., None], Any]], ...] = (self._waiters, self._chunk_waiters)
        for waiting in kinds:
            waiting.get(job_id, {}).pop(waiter, None)
            if not waiting.get(job_id, True):
                del waiting[job_id]

    def waiting_for(self, job_id: str) -> int:
        """Return how many wait for a job, or for a chunk of it."""
        return len(self._waiters.get(job_id, ())) + len(self._chunk_waiters.get(job_id, ()))

    def chunk_stored(self, job: ActiveJob, index: int, chunk: ChunkResult, parts: Sequence[Part]) -> None:
        """Give a chunk to those who wait for it."""
        waiting = self._chunk_waiters.pop(job.info.job_id, {})
        if left := {waiter: number for waiter, number in waiting.items() if number != index}:
            self._chunk_waiters[job.info.job_id] = left
        for waiter, number in waiting.items():
            if number == index:
                waiter(job.info, chunk, parts)

    def keep(self, job: ActiveJob, what: str, write: asyncio.Future[Any]) -> None:
        """Fail ``job``, and no other, if ``what`` it brought back cannot be written: no other may be so large."""

        def written(future: asyncio.Future[Any]) -> None:
            error = None if future.cancelled() else future.exception()
            if not isinstance(error, StoreError) or isinstance(error, StoreLockedError):
                self._written(future)  # a lock passes: this is a daemon that ends meanwhile
            elif self.alive(job):
                failure = JobFailedError(f"its {what} could not be stored: {error}", subject=f"job {job.info.job_id}")
                self.end(job, JobState.FAILED, failure.to_info())

        job.late.close()  # what follows is written after it
        write.add_done_callback(written)

    def must_succeed(self, write: asyncio.Future[Any]) -> None:
        """End the daemon if a write to the store fails."""
        write.add_done_callback(self._written)

    def keep_payload(self, job: ActiveJob, payload: bytes) -> None:
        """Keep a submission in memory until it is compiled, if there is room."""
        if self._kept + len(payload) <= KEPT_PAYLOAD:
            job.payload = payload
            self._kept += len(payload)

    def forget_payload(self, job: ActiveJob) -> None:
        """The submission is not needed in memory any longer."""
        if job.payload is not None:
            self._kept -= len(job.payload)
            job.payload = None

    def _written(self, future: asyncio.Future[Any]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self.failed(error)

    def _drop(self, job: ActiveJob) -> None:
        self.jobs.pop(job.info.job_id, None)
        self.queue.remove(job.info.job_id)
        self.forget_payload(job)
        job.chunk_parts = []
        self.accounts.demands.leave(job.info.job_id)
        self.sessions.touch(job.info.session_id, time.time())
        self.turns_changed()

    def charge(self, user: str, seconds: float, size: int = 0) -> None:
        """Add rack seconds and bytes to what a user has used."""
        self.must_succeed(self.accounts.charge(user, seconds, size))

    def turns_changed(self) -> None:
        """Another job may have its turn."""
        self.to_compile.set()
        self.to_play.set()

    def _tell(self, info: JobInfo, outcome: Sequence[Part] | PulsedError) -> None:
        for tell in self._chunk_waiters.pop(info.job_id, ()):
            tell(info, None, ())
        for waiter in self._waiters.pop(info.job_id, ()):
            waiter(info, outcome)


def _after(info: JobInfo, state: JobState, now: float, changes: Changes) -> JobInfo:
    """Return the job after a step, as the store will have it."""
    times = {**info.times, **changes.get("times", {}), str(state): now}
    return msgspec.structs.replace(info, **{**_fields(changes), "state": state, "times": times})


def _fields(changes: Changes) -> dict[str, Any]:
    """Return what changes in the job itself."""
    return {name: value for name, value in changes.items() if name != "log"}


def error_of(info: JobInfo) -> PulsedError:
    """Return the error of a job that has ended without a result."""
    if info.error is not None:
        return from_info(info.error)
    return JobFailedError(f"ended as {info.state}", subject=f"job {info.job_id}")
