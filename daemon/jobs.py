"""The life of a job: accepted, durable, compiled while another one plays, played chunk by chunk, durable, sent.

Everything here runs in the event loop. The state in memory leads; each step goes to the store in the same order, and
nothing is told to a client as done before the store has it.
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
from pulsed.daemon.admission import check_submission
from pulsed.daemon.desks import CompileDesk, RackDesk
from pulsed.daemon.merge import add_times, merge_chunks
from pulsed.daemon.scheduler import Phase, Scheduler
from pulsed.daemon.store_thread import StoreThread
from pulsed.model import result as results
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import (
    ErrorInfo,
    InstrumentTimeoutError,
    InstrumentUnreachableError,
    JobCancelledError,
    JobFailedError,
    NotAllowedError,
    PulsedError,
    WorkerDiedError,
    from_info,
)
from pulsed.model.job import FINAL_STATES, JobInfo, JobRequest, JobState, check_step
from pulsed.model.payload import Part, join, split
from pulsed.wire.messages import AnyNotice, JobChanged, Progress

RACK_WAIT = 20.0
"""Seconds that the job whose turn it is waits for instruments that do not answer; then it fails with their error."""
MAX_ATTEMPTS = 5
"""Starts of one job: a job during which the daemon was killed so often is not started again."""
KEPT_PAYLOAD = 64 * 2**20
"""Bytes of submissions kept in memory; more wait in the store."""

_S = JobState
_LOST = (InstrumentUnreachableError, InstrumentTimeoutError, WorkerDiedError)
"""What interrupts a job instead of failing it, the first time."""

Waiter = Callable[[JobInfo, Sequence[Part] | PulsedError], None]
"""Gets the job with the parts of its result, or with the error that there is instead."""


@dataclass
class _Job:
    info: JobInfo
    payload: bytes | None
    chunks: tuple[orders.ChunkInfo, ...] = ()
    chunk_parts: list[Sequence[Part]] = field(default_factory=list)
    stored: set[int] = field(default_factory=set)
    seconds: dict[str, float] = field(default_factory=dict)
    since: float = field(default_factory=time.perf_counter)
    """When it began to wait for what it waits for."""
    compilations: int = 0
    finishing: bool = False
    """Its result is on the way to the store."""


class Jobs:
    """All jobs that have not ended, and the two loops that move them.

    Args:
        publish: sends a notice.
        failed: called with an error of the store, after which the daemon cannot go on.

    """

    def __init__(
        self, device: DeviceDescription, store: StoreThread, compiler: CompileDesk, rack: RackDesk,
        publish: Callable[[AnyNotice], None], failed: Callable[[BaseException], None], *, rack_wait: float = RACK_WAIT,
    ) -> None:  # fmt: skip
        self.device, self.store, self.compiler, self.rack = device, store, compiler, rack
        self.calibration = compiler.calibration
        self.running = ""
        self._publish, self._failed, self._rack_wait = publish, failed, rack_wait
        self._queue = Scheduler()
        self._jobs: dict[str, _Job] = {}
        self._accepting: dict[str, asyncio.Future[JobInfo]] = {}
        self._waiters: dict[str, list[Waiter]] = defaultdict(list)
        self._kept = 0
        self._wake_compile, self._wake_play = asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    # --- from outside ------------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Take up every job of the store that has not ended."""
        for info in await self.store.call(self.store.store.unfinished):
            job = self._jobs[info.job_id] = _Job(info, None)
            if info.state is _S.RUNNING:
                self._step(job, _S.INTERRUPTED)
            if job.info.state is not _S.QUEUED:
                self._step(job, _S.QUEUED)
            self._queue.add(info.job_id, info.priority)
        if self._jobs:
            logs.get("jobs").info("taken up", jobs=len(self._jobs))

    def start(self) -> None:
        """Start to compile and play."""
        self._tasks = [
            asyncio.create_task(self._loop(self._wake_compile, self._compile_next), name="compile jobs"),
            asyncio.create_task(self._loop(self._wake_play, self._play_next), name="play jobs"),
        ]

    async def stop(self) -> None:
        """Stop both loops. Jobs stay as they are and go on at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def pending(self) -> int:
        """How many jobs have not ended."""
        return len(self._jobs)

    async def submit(self, request: JobRequest, parts: Sequence[Part], user: str) -> JobInfo:
        """Accept a job; it is durable when this returns. Raises what :func:`check_submission` does."""
        began = time.perf_counter()
        check_submission(request, parts, self.device, self.compiler.qpy[1])
        known = self._jobs.get(request.job_id)
        if known is not None:
            if known.info.owner != user:
                raise NotAllowedError("this id belongs to another user's job", subject=f"job {request.job_id}")
            return self.told(known.info)
        if request.job_id in self._accepting:
            return await asyncio.shield(self._accepting[request.job_id])
        now = time.time()
        info = JobInfo(
            job_id=request.job_id, backend=self.device.name, state=_S.QUEUED, owner=user, created=now,
            num_programs=request.num_programs, options=request.options, name=request.name, tags=request.tags,
            priority=request.priority, times={str(_S.QUEUED): now},
        )  # fmt: skip
        payload = join([orders.encode(request), *parts])
        adding = self._accepting[request.job_id] = self.store.add(info, payload)
        try:
            stored = await asyncio.shield(adding)
        finally:
            del self._accepting[request.job_id]
        if stored.state is not _S.QUEUED or stored.created != info.created:
            return stored  # it ended before; this is a second submission
        job = self._jobs[info.job_id] = _Job(stored, None)
        job.seconds["seconds.store"] = time.perf_counter() - began
        self._keep_payload(job, payload)
        self._queue.add(info.job_id, info.priority)
        self._wake_compile.set()
        self._publish(JobChanged(0, self.told(stored)))
        return self.told(stored)

    def told(self, info: JobInfo) -> JobInfo:
        """Return a job as clients see it: with its place in the queue while it waits."""
        if info.state in (_S.QUEUED, _S.COMPILING, _S.READY):
            return msgspec.structs.replace(info, queue_position=self._queue.position(info.job_id))
        return info

    def known(self, job_id: str) -> JobInfo | None:
        """Return a job that has not ended, None when there is no such one in memory."""
        job = self._jobs.get(job_id)
        return None if job is None else self.told(job.info)

    async def find(self, job_id: str) -> JobInfo:
        """Return any job. Raises :class:`NotFoundError`."""
        known = self.known(job_id)
        return known if known is not None else await self.store.call(self.store.store.job, job_id)

    def cancel(self, job_id: str) -> bool:
        """Cancel a job; False when it is not one that can be, because it has ended."""
        job = self._jobs.get(job_id)
        if job is None or job.finishing:
            return False
        if job.info.state is _S.RUNNING:
            self.rack.abort(job_id)
        self._end(job, _S.CANCELLED, JobCancelledError("was cancelled", subject=f"job {job_id}").to_info())
        return True

    async def wait(self, job_id: str, waiter: Waiter) -> None:
        """Call ``waiter`` once, now or when the job has ended. Raises :class:`NotFoundError`."""
        while job_id not in self._jobs:
            if job_id in self._accepting:
                await asyncio.shield(self._accepting[job_id])
                continue
            info = await self.store.call(self.store.store.job, job_id)
            if info.state is _S.DONE:
                waiter(info, split(await self.store.call(self.store.store.result, job_id)))
                return
            if info.state in FINAL_STATES:
                waiter(info, _error_of(info))
                return
        self._waiters[job_id].append(waiter)

    # --- steps -------------------------------------------------------------------------------------------------

    def _step(self, job: _Job, state: JobState, **changes: Any) -> None:
        """Take a step in memory and order it from the store."""
        now = time.time()
        check_step(job.info.job_id, job.info.state, state)
        job.info = _changed(job.info, state, now, changes)
        self._order(self.store.store.step, job.info.job_id, state, now, **changes)
        self._publish(JobChanged(0, self.told(job.info)))

    def _order(self, function: Callable[..., Any], *args: Any, **changes: Any) -> asyncio.Future[Any]:
        future = self.store.call(function, *args, **changes)
        future.add_done_callback(self._stored)
        return future

    def _stored(self, future: asyncio.Future[Any]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self._failed(error)

    def _end(self, job: _Job, state: JobState, error: ErrorInfo | None) -> None:
        """End a job that has no result."""
        self._step(job, state, error=error, times=job.seconds)
        logs.get("jobs").info("ended", job=job.info.job_id, state=str(state), error=error and error.message)
        self._drop(job)
        self._tell(job.info, _error_of(job.info))

    def _drop(self, job: _Job) -> None:
        self._jobs.pop(job.info.job_id, None)
        self._queue.remove(job.info.job_id)
        self._forget_payload(job)
        job.chunk_parts = []
        self._wake_compile.set()
        self._wake_play.set()

    def _tell(self, info: JobInfo, outcome: Sequence[Part] | PulsedError) -> None:
        for waiter in self._waiters.pop(info.job_id, ()):
            waiter(info, outcome)

    def _keep_payload(self, job: _Job, payload: bytes) -> None:
        if self._kept + len(payload) <= KEPT_PAYLOAD:
            job.payload = payload
            self._kept += len(payload)

    def _forget_payload(self, job: _Job) -> None:
        if job.payload is not None:
            self._kept -= len(job.payload)
            job.payload = None

    async def _loop(self, wake: asyncio.Event, work: Callable[[], Any]) -> None:
        """Call ``work`` until it finds nothing to do, then sleep until there is something."""
        while True:
            wake.clear()
            if not await work():
                await wake.wait()

    def _alive(self, job: _Job) -> bool:
        return self._jobs.get(job.info.job_id) is job

    # --- compiling ---------------------------------------------------------------------------------------------

    async def _compile_next(self) -> bool:
        job_id = self._queue.to_compile()
        if job_id is None:
            return False
        job = self._jobs[job_id]
        self._queue.move(job_id, Phase.COMPILING)
        try:
            await self._compile(job)
        except WorkerDiedError as error:
            if self._alive(job):
                if job.compilations < 2:
                    self._step(job, _S.QUEUED)
                    self._queue.move(job_id, Phase.WAITING)
                else:
                    self._end(job, _S.FAILED, error.to_info())
        except PulsedError as error:
            if self._alive(job):
                self._end(job, _S.FAILED, error.to_info())
        return True

    async def _compile(self, job: _Job) -> None:
        info = job.info
        if info.attempts >= MAX_ATTEMPTS:
            raise WorkerDiedError(
                "the daemon ended while it ran, too often to try again", subject=f"job {info.job_id}",
                value=f"{info.attempts} starts", legal=f"{MAX_ATTEMPTS} starts",
            )  # fmt: skip
        calibration = await self._calibration_for(info)
        payload = job.payload
        if payload is None:
            payload = await self.store.call(self.store.store.payload, info.job_id)
        head, *parts = split(payload)
        request = msgspec.msgpack.decode(head, type=JobRequest)
        if not self._alive(job):
            return
        job.compilations += 1
        self._waited(job)
        self._step(job, _S.COMPILING, calibration_id=calibration.calibration_id)
        order = orders.Compile(
            info.job_id, request.kinds, request.num_programs, request.options, request.gates,
            calibration.calibration_id,
        )  # fmt: skip
        began = time.perf_counter()
        answer, encoded = await self.compiler.compile(order, parts, calibration)
        took = time.perf_counter() - began
        if not self._alive(job):
            return
        add_times(job.seconds, {"compile": answer.seconds, "handover": took - answer.seconds})
        self._forget_payload(job)
        job.chunks, at = answer.chunks, 0
        for chunk in answer.chunks:
            job.chunk_parts.append(encoded[at : at + chunk.parts])
            at += chunk.parts
        if info.chunks_done:
            job.stored = await self._finished_chunks(job)
            if not self._alive(job):
                return
        self._step(job, _S.READY, chunks=len(job.chunks))
        job.since = time.perf_counter()
        self._queue.move(info.job_id, Phase.READY)
        self._wake_play.set()

    async def _calibration_for(self, info: JobInfo) -> CalibrationSet:
        """Return the set in force, or the one that a half-played job began with."""
        if info.chunks_done and info.calibration_id != self.calibration.calibration_id:
            return await self.store.call(self.store.store.calibration, info.calibration_id)
        return self.calibration

    async def _finished_chunks(self, job: _Job) -> set[int]:
        """Return which chunks need not be played again."""
        finished = set()
        for index, blob in (await self.store.call(self.store.store.chunks, job.info.job_id)).items():
            head = orders.decode_chunk(split(blob)[0])
            if index < len(job.chunks):
                chunk = job.chunks[index]
                if (chunk.first_program, chunk.first_shot, chunk.programs) == (
                    head.first_program, head.first_shot, len(head.programs),
                ):  # fmt: skip
                    finished.add(index)
        return finished

    def _waited(self, job: _Job) -> None:
        add_times(job.seconds, {"queue": time.perf_counter() - job.since})

    # --- playing -----------------------------------------------------------------------------------------------

    async def _play_next(self) -> bool:
        job_id = self._queue.to_play()
        if job_id is None:
            return False
        job = self._jobs[job_id]
        self._queue.move(job_id, Phase.PLAYING)
        self._wake_compile.set()  # one more may be compiled ahead
        try:
            await self._play(job)
        except PulsedError as error:
            if self._alive(job):
                self._end(job, _S.FAILED, error.to_info())
        finally:
            self.running = ""
        return True

    async def _play(self, job: _Job) -> None:
        if not job.info.options.dry_run:
            await self.rack.recovered(self._rack_wait)
        if not self._alive(job):
            return
        self._waited(job)
        self.running = job.info.job_id
        self._step(job, _S.RUNNING, attempts=job.info.attempts + 1)
        if job.info.options.dry_run:
            self._finish(job, ())
            return
        last: tuple[orders.StoredChunk, Sequence[Part]] | None = None
        remaining = [index for index in range(len(job.chunks)) if index not in job.stored]
        for index in remaining:
            played, arrays = await self._play_chunk(job, index)
            if not self._alive(job):
                return
            chunk = job.chunks[index]
            add_times(job.seconds, played.times)
            head = orders.StoredChunk(chunk.first_program, chunk.first_shot, played.programs, played.times)
            if index == remaining[-1]:
                last = (head, arrays)
            else:
                self._save(job, index, head, arrays)
        if len(job.chunks) > 1:
            saved = await self.store.call(self.store.store.chunks, job.info.job_id)
            blobs = [split(blob) for _, blob in sorted(saved.items())]
            chunks = [(orders.decode_chunk(parts[0]), parts[1:]) for parts in blobs]
        else:
            chunks = []
        if self._alive(job):
            self._finish(job, [*chunks, *([last] if last is not None else [])])

    def _save(self, job: _Job, index: int, head: orders.StoredChunk, arrays: Sequence[Part]) -> None:
        job.stored.add(index)
        job.chunk_parts[index] = ()
        blob = join([orders.encode_chunk(head), *arrays])
        job.info = msgspec.structs.replace(job.info, chunks_done=len(job.stored))
        self._order(self.store.store.save_chunk, job.info.job_id, index, blob, time.time())
        self._publish(JobChanged(0, self.told(job.info)))

    async def _play_chunk(self, job: _Job, index: int) -> tuple[orders.Played, Sequence[Part]]:
        """Play one chunk, and once more after an instrument or the worker was lost."""
        limit = self.device.limits.job_seconds
        seconds = min(limit, 60.0 + 10.0 * job.chunks[index].seconds)
        again = False
        while True:
            began = time.perf_counter()
            try:
                played, arrays = await self.rack.play(job.info.job_id, index, seconds, job.chunk_parts[index])
            except _LOST as error:
                logs.get("jobs").warning("interrupted", job=job.info.job_id, chunk=index, error=str(error))
                self.rack.lost(error)
                if again or not self._alive(job):
                    raise
                self._step(job, _S.INTERRUPTED)
                await self._back(error)
                again = True
                if not self._alive(job):
                    raise
                self._step(job, _S.RUNNING, attempts=job.info.attempts + 1)
                continue
            spent = time.perf_counter() - began - sum(played.times.values())
            add_times(job.seconds, {"handover": max(0.0, spent)})
            return played, arrays

    async def _back(self, error: PulsedError) -> None:
        """Wait until the rack is back. Raises what keeps it away, ``error`` when that is not known."""
        try:
            await self.rack.recovered(self._rack_wait)
        except WorkerDiedError:
            raise error from None

    def progress(self, job_id: str, what: str, fraction: float) -> None:
        """The rack worker reports."""
        job = self._jobs.get(job_id)
        if job is not None:
            self._publish(Progress(0, job_id, len(job.stored), len(job.chunks), what, fraction))

    def _finish(self, job: _Job, chunks: Sequence[tuple[orders.StoredChunk, Sequence[Part]]]) -> None:
        """Order the result to be stored; the owner gets it when it is durable. The rack does not wait for that."""
        info, began = job.info, time.perf_counter()
        programs: tuple[results.ProgramResult, ...] = ()
        arrays: list[Part] = []
        if not info.options.dry_run:
            programs, arrays = merge_chunks(chunks, info.num_programs, info.options.shots)
        whole = results.JobResult(
            job_id=info.job_id, backend=self.device.name, backend_version=self.device.version,
            calibration_id=info.calibration_id, programs=programs, times=dict(job.seconds),
            instruments={} if info.options.dry_run else self.rack.identities,
        )  # fmt: skip
        parts = results.encode(whole, arrays)
        now = time.time()
        check_step(info.job_id, info.state, _S.DONE)
        changes = {"times": job.seconds, "chunks_done": len(job.chunks)}
        done = _changed(info, _S.DONE, now, changes)
        self._queue.remove(info.job_id)
        finishing = self._order(self.store.store.finish, info.job_id, join(parts), now, **changes)

        def durable(future: asyncio.Future[Any]) -> None:
            if future.cancelled() or future.exception() is not None:
                return
            took = time.perf_counter() - began
            told = msgspec.structs.replace(done, times={**done.times, "seconds.result": took})
            job.info = told
            self._drop(job)
            self._tell(told, parts)
            self._publish(JobChanged(0, told))

        job.finishing = True
        finishing.add_done_callback(durable)


def _changed(info: JobInfo, state: JobState, now: float, changes: dict[str, Any]) -> JobInfo:
    """Return the job after a step, as the store will have it."""
    times = {**info.times, **changes.get("times", {}), str(state): now}
    return msgspec.structs.replace(info, **{**changes, "state": state, "times": times})


def _error_of(info: JobInfo) -> PulsedError:
    if info.error is not None:
        return from_info(info.error)
    return JobFailedError(f"ended as {info.state}", subject=f"job {info.job_id}")
