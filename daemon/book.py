"""The book of all jobs that have not ended: their state in memory, which leads, and the orders to the store.

A step is taken in memory, ordered from the store in the same turn and told to all subscribers. The store carries out
orders in their sequence, so it is never in a state that memory was not in.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pulsed.daemon import logs, orders
from pulsed.daemon.scheduler import Scheduler
from pulsed.daemon.store_thread import StoreThread
from pulsed.model.errors import ErrorInfo, JobFailedError, PulsedError, from_info
from pulsed.model.job import FINAL_STATES, JobInfo, JobState, check_step
from pulsed.model.payload import Part, join
from pulsed.wire.messages import AnyNotice, JobChanged

KEPT_PAYLOAD = 64 * 2**20
"""Bytes of submissions kept in memory; more wait in the store."""

_AT_ONCE = FINAL_STATES | {JobState.RUNNING}
"""Steps that are written at once: a start counts as an attempt, and while it plays nobody waits for the disk."""
Waiter = Callable[[JobInfo, Sequence[Part] | PulsedError], None]
"""Gets the job with the parts of its result, or with the error that there is instead."""


Compilation = tuple[orders.Compiled, Sequence[Part]]
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
    chunks: tuple[orders.ChunkInfo, ...] = ()
    chunk_parts: list[Sequence[Part]] = field(default_factory=list)
    stored: set[int] = field(default_factory=set)
    """Chunks that the store has."""
    seconds: dict[str, float] = field(default_factory=dict)
    since: float = field(default_factory=time.perf_counter)
    """When it began to wait for what it waits for."""
    compilations: int = 0
    early: EarlyCompilation | None = None
    """Its first compilation, when that did not wait for its turn."""
    finishing: bool = False
    """Its result is on the way to the store."""

    def spent(self, what: str, seconds: float) -> None:
        """Add to ``times["seconds.WHAT"]``."""
        key = f"seconds.{what}"
        self.seconds[key] = self.seconds.get(key, 0.0) + seconds


class Book:
    """All jobs that have not ended.

    Args:
        store: where everything is written.
        publish: sends a notice.
        failed: called with an error of the store, after which the daemon cannot go on.

    """

    def __init__(
        self, store: StoreThread, publish: Callable[[AnyNotice], None], failed: Callable[[BaseException], None]
    ) -> None:
        self.store = store
        self.publish = publish
        self.queue = Scheduler()
        self.jobs: dict[str, ActiveJob] = {}
        self.to_compile, self.to_play = asyncio.Event(), asyncio.Event()
        """Set when there may be something to do."""
        self.failed = failed
        self._waiters: dict[str, list[Waiter]] = defaultdict(list)
        self._kept = 0

    def enter(self, job: ActiveJob) -> None:
        """Put a job into the book, at its place in the queue."""
        self.jobs[job.info.job_id] = job
        self.queue.add(job.info.job_id, job.info.priority)
        self.to_compile.set()

    def alive(self, job: ActiveJob) -> bool:
        """Whether the job has not ended."""
        return self.jobs.get(job.info.job_id) is job

    def told(self, info: JobInfo) -> JobInfo:
        """Return a job as clients see it: with its place in the queue while it waits."""
        if info.state in (JobState.QUEUED, JobState.COMPILING, JobState.READY):
            return msgspec.structs.replace(info, queue_position=self.queue.position(info.job_id))
        return info

    def changed(self, job: ActiveJob) -> None:
        """Tell all subscribers how the job is."""
        self.publish(JobChanged(0, self.told(job.info)))

    def step(self, job: ActiveJob, state: JobState, **changes: Any) -> None:
        """Take a step of the job's state machine. Raises :class:`IllegalStepError`."""
        now = time.time()
        check_step(job.info.job_id, job.info.state, state)
        job.info = _after(job.info, state, now, changes)
        self.order(self.store.store.step, job.info.job_id, state, now, soon=state in _AT_ONCE, **changes)
        self.changed(job)

    def end(self, job: ActiveJob, state: JobState, error: ErrorInfo) -> None:
        """End a job that has no result."""
        self.step(job, state, error=error, times=job.seconds)
        logs.get("jobs").info("ended", job=job.info.job_id, state=str(state), error=error.message)
        self._drop(job)
        self._tell(job.info, error_of(job.info))

    def finish(self, job: ActiveJob, parts: Sequence[Part]) -> None:
        """Order the result to be stored. Whoever waits gets it when it is durable; the rack does not wait for that."""
        info, began, now = job.info, time.perf_counter(), time.time()
        check_step(info.job_id, info.state, JobState.DONE)
        changes = {"times": job.seconds, "chunks_done": len(job.chunks)}
        done = _after(info, JobState.DONE, now, changes)
        job.finishing = True
        self.queue.remove(info.job_id)

        def durable(future: asyncio.Future[Any]) -> None:
            if future.cancelled() or future.exception() is not None:
                return
            took = time.perf_counter() - began
            job.info = msgspec.structs.replace(done, times={**done.times, "seconds.result": took})
            self._drop(job)
            self._tell(job.info, parts)
            self.changed(job)

        finishing = self.order(self.store.store.finish, info.job_id, join(parts), now, soon=True, **changes)
        finishing.add_done_callback(durable)

    def wait(self, job_id: str, waiter: Waiter) -> None:
        """Call ``waiter`` once, when the job ends."""
        self._waiters[job_id].append(waiter)

    def order(
        self, function: Callable[..., Any], *args: Any, soon: bool = False, **changes: Any
    ) -> asyncio.Future[Any]:
        """Order a write that has to succeed."""
        future = self.store.write(function, *args, soon=soon, **changes)
        future.add_done_callback(self._ordered)
        return future

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

    def _ordered(self, future: asyncio.Future[Any]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self.failed(error)

    def _drop(self, job: ActiveJob) -> None:
        self.jobs.pop(job.info.job_id, None)
        self.queue.remove(job.info.job_id)
        self.forget_payload(job)
        job.chunk_parts = []
        self.to_compile.set()
        self.to_play.set()

    def _tell(self, info: JobInfo, outcome: Sequence[Part] | PulsedError) -> None:
        for waiter in self._waiters.pop(info.job_id, ()):
            waiter(info, outcome)


def _after(info: JobInfo, state: JobState, now: float, changes: dict[str, Any]) -> JobInfo:
    """Return the job after a step, as the store will have it."""
    times = {**info.times, **changes.get("times", {}), str(state): now}
    return msgspec.structs.replace(info, **{**changes, "state": state, "times": times})


def error_of(info: JobInfo) -> PulsedError:
    """Return the error of a job that has ended without a result."""
    if info.error is not None:
        return from_info(info.error)
    return JobFailedError(f"ended as {info.state}", subject=f"job {info.job_id}")
