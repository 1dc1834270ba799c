"""One job plays, chunk by chunk; what was lost with an instrument or a worker plays once more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pulsed.daemon import logs
from pulsed.daemon.jobs.registry import ActiveJob, JobRegistry
from pulsed.daemon.workers import messages
from pulsed.daemon.workers.rack_connection import RackConnection
from pulsed.model import result as results
from pulsed.model.chunk_results import Assembly, ChunkResult, encode_chunk
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import (
    InstrumentChangedError,
    InstrumentMemoryLostError,
    InstrumentTimeoutError,
    InstrumentUnreachableError,
    InterlockError,
    JobFailedError,
    PulsedError,
    WorkerDiedError,
)
from pulsed.model.job import JobLogEntry, JobState
from pulsed.model.payload import Part, pack_frames, unpack_frames
from pulsed.store.store import Store
from pulsed.wire.messages import Progress

LOST = (
    InstrumentUnreachableError, InstrumentTimeoutError, InstrumentMemoryLostError, InstrumentChangedError,
    WorkerDiedError,
)  # fmt: skip
"""What interrupts a job instead of failing it, the first time. What was played with other settings is thrown away."""
_ON_RACK = (JobState.RUNNING, JobState.INTERRUPTED)
_GRACE, _FACTOR = 60.0, 10.0
"""A chunk may take this many seconds, and this many times as long as its pulses."""

JOINED = 4 * 2**20
"""Bytes up to which the chunks of a result are joined; a larger one is kept and sent chunk by chunk as it is."""
_BEHIND = 2
"""Chunks that may wait for the disk while another one plays."""

FinishedChunk = tuple[int, ChunkResult, Sequence[Part]]
"""Which one, what it brought back, and its arrays."""


class ExecutionStage:
    """Takes jobs from the registry to the rack worker."""

    def __init__(
        self, registry: JobRegistry, rack: RackConnection, device: DeviceDescription, rack_wait: float,
        fails_when_cut_off: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self.registry, self.rack, self.device = registry, rack, device
        self._current: ActiveJob | None = None
        """The job whose turn it is."""
        self._rack_wait = rack_wait
        self._fails_when_cut_off = fails_when_cut_off
        self._played = 0.0
        """Seconds that the job whose turn it is has kept the rack, and that nobody was charged for."""

    @property
    def running(self) -> str:
        """The job on the rack, empty when there is none."""
        job = self._current
        return job.info.job_id if job is not None and job.info.state in _ON_RACK else ""

    async def run(self) -> None:
        """Play whenever something is ready."""
        while True:
            self.registry.to_play.clear()
            job_id = self.registry.queue.take_to_play(time.time())
            if job_id is None:
                await self.registry.to_play.wait()
            else:
                await self._next(self.registry.jobs[job_id])

    def progress(self, job_id: str, what: str, fraction: float) -> None:
        """The rack worker reports."""
        job = self.registry.jobs.get(job_id)
        if job is not None:
            self.registry.publish(Progress(0, job_id, len(job.stored), len(job.chunks), what, fraction))

    async def _next(self, job: ActiveJob) -> None:
        self._current = job
        self.registry.sessions.begins(job.info.session_id, time.time())
        self.registry.to_compile.set()  # one more may be compiled ahead
        try:
            await self._play(job)
        except PulsedError as error:
            if self.registry.alive(job):
                self.registry.end(job, JobState.FAILED, error.to_info())
        finally:
            self._charge(job, 0)
            self.registry.sessions.rests(job.info.session_id, time.time())
            self._current = None

    def _charge(self, job: ActiveJob, size: int) -> None:
        """Charge the owner of a job for what was played of it, and for ``size`` bytes of a submission and a result."""
        seconds, self._played = self._played, 0.0
        if seconds or size:
            self.registry.charge(job.info.owner, seconds, size)

    def _finish(self, job: ActiveJob, parts: list[Part], log: Sequence[JobLogEntry] = ()) -> None:
        """Have the result stored, with what is charged for it in the same transaction."""
        self._charge(job, job.size + sum(memoryview(part).nbytes for part in parts))
        self.registry.finish(job, parts, log)

    async def _play(self, job: ActiveJob) -> None:
        if not job.info.options.dry_run:
            await self.rack.recovered(self._rack_wait)
        if not self.registry.alive(job):
            return
        job.spent("queue", time.perf_counter() - job.since)
        self._start(job)
        if job.info.options.dry_run:
            for index, parts in enumerate(job.chunk_parts):
                began = time.perf_counter()
                await self.rack.client.check(job.info.job_id, index, self._rack_wait, parts)
                self._played += time.perf_counter() - began
                if not self.registry.alive(job):
                    return
            self._finish(job, self._result(job, (), []))
            return
        last = await self._play_all(job)
        if not self.registry.alive(job) or job.info.state is JobState.INTERRUPTED:
            return  # it has ended, or has given way between two chunks
        log = () if job.last_chunk is None else (job.last_chunk,)
        if sum(chunk.bytes for chunk in job.chunks) > JOINED:
            heads = [encode_chunk(head) for head in self._heads(job, last)]
            blob = None if last is None else (last[0], pack_frames([encode_chunk(last[1]), *last[2]]))
            size = job.size + sum(chunk.bytes for chunk in job.chunks)
            self._charge(job, size)
            self.registry.finish(job, self._result(job, (), heads), log, blob, in_chunks=True)
            return
        whole = await self._joined(job, last)
        if self.registry.alive(job):
            self._finish(job, self._result(job, *whole), log)

    @staticmethod
    def _heads(job: ActiveJob, last: FinishedChunk | None) -> list[ChunkResult]:
        """Return the chunks in order, without their arrays."""
        heads = job.stored if last is None else {**job.stored, last[0]: last[1]}
        return [heads[index] for index in sorted(heads)]

    async def _joined(
        self, job: ActiveJob, last: FinishedChunk | None
    ) -> tuple[tuple[results.ProgramResult, ...], Sequence[Part]]:
        """Return a small result in one piece."""
        info, store = job.info, self.registry.store
        assembly = Assembly(self._heads(job, last), info.num_programs, info.options.shots)
        for index in sorted(job.stored):
            blob = await store.call_patiently(Store.chunk, info.job_id, index)
            if blob is None:
                raise JobFailedError("a stored chunk is not there any longer", subject=f"job {info.job_id}")
            assembly.add(index, unpack_frames(blob)[1:])
        if last is not None:
            assembly.add(last[0], last[2])
        return assembly.programs()

    def _start(self, job: ActiveJob) -> None:
        attempt = job.info.attempts + 1
        self.registry.step(job, JobState.RUNNING, f"attempt {attempt}", attempts=attempt)

    async def _play_all(self, job: ActiveJob) -> FinishedChunk | None:
        """Play what is not stored yet. All but the last chunk are stored at once; that one is returned."""
        last: FinishedChunk | None = None
        writes: list[asyncio.Future[Any]] = []
        missing = [index for index in range(len(job.chunks)) if index not in job.stored]
        for index in missing:
            if index != missing[0] and self._gives_way(job, job.chunks[index].seconds):
                break
            if len(writes) >= _BEHIND:  # the disk may be slower than the rack: what waits for it is bounded
                await asyncio.wait([writes.pop(0)])
                if not self.registry.alive(job):
                    return None
            try:
                answer, arrays = await self._play_chunk(job, index)
            except InterlockError as error:
                self._cut_off(job, job.chunks[index].seconds, error)
                break
            if not self.registry.alive(job):
                return None
            chunk = job.chunks[index]
            for stage, seconds in answer.times.items():
                job.spent(stage, seconds)
            done = ChunkResult(chunk.first_program, chunk.first_shot, answer.programs, answer.times)
            entry = _entry(index, len(job.chunks), answer.times)
            if index == missing[-1]:
                job.last_chunk = entry
                last = index, done, arrays
            else:
                writes.append(self._save(job, index, done, arrays, entry))
        if writes:
            await asyncio.wait(writes)
        return last

    def _gives_way(self, job: ActiveJob, seconds: float) -> bool:
        """Stop a job before its next chunk of ``seconds`` if others are to have the rack; it goes on after them."""
        why = self.registry.queue.gives_way(job.info.job_id, seconds, time.time())
        if why:
            self.registry.step(job, JobState.INTERRUPTED, f"gives way: {why}", stops=job.info.stops + 1)
            self.registry.queue.play_again(job.info.job_id, seconds)
            self.registry.turns_changed()
        return bool(why)

    def _cut_off(self, job: ActiveJob, seconds: float, error: InterlockError) -> None:
        """Put a job whose chunk an interlock has cut off back into the queue, or raise ``error`` if such jobs fail."""
        if not self.registry.alive(job):
            return
        if self._fails_when_cut_off():
            raise error
        logs.get("jobs").warning("cut off", job=job.info.job_id, error=str(error))
        self.registry.step(job, JobState.INTERRUPTED, str(error), stops=job.info.stops + 1)
        self.registry.queue.play_again(job.info.job_id, seconds)
        self.registry.turns_changed()

    def _save(
        self, job: ActiveJob, index: int, done: ChunkResult, arrays: Sequence[Part], entry: JobLogEntry
    ) -> asyncio.Future[Any]:
        job.stored[index] = done
        job.chunk_parts[index] = ()
        blob = pack_frames([encode_chunk(done), *arrays])
        job.info = msgspec.structs.replace(job.info, chunks_done=len(job.stored))
        write = self.registry.store.write(Store.save_chunk, job.info.job_id, index, blob, time.time(), [entry])
        self.registry.keep(job, "chunk", write)

        def stored(future: asyncio.Future[Any]) -> None:
            if not future.cancelled() and future.exception() is None:
                self.registry.chunk_stored(job, index, done, arrays)

        write.add_done_callback(stored)
        self.registry.changed(job)
        return write

    async def _play_chunk(self, job: ActiveJob, index: int) -> tuple[messages.ChunkPlayed, Sequence[Part]]:
        """Play one chunk, and once more after an instrument or the worker was lost."""
        seconds = min(self.device.limits.job_seconds, _GRACE + _FACTOR * job.chunks[index].seconds)
        again = False
        while True:
            began = time.perf_counter()
            try:
                played, arrays = await self.rack.client.play(job.info.job_id, index, seconds, job.chunk_parts[index])
            except LOST as error:
                logs.get("jobs").warning("interrupted", job=job.info.job_id, chunk=index, error=str(error))
                self.rack.lost(error)
                if again or not self.registry.alive(job):
                    raise
                self.registry.step(job, JobState.INTERRUPTED, str(error))
                await self.rack.recovered(self._rack_wait)
                if not self.registry.alive(job):
                    raise
                again = True
                self._start(job)
                continue
            took = time.perf_counter() - began
            self._played += took
            job.spent("handover", took - sum(played.times.values()))
            return played, arrays

    def _result(
        self, job: ActiveJob, programs: tuple[results.ProgramResult, ...], arrays: Sequence[Part]
    ) -> list[Part]:
        info = job.info
        whole = results.JobResult(
            job_id=info.job_id, backend=self.device.name, backend_version=self.device.version,
            calibration_id=info.calibration_id, programs=programs, times=dict(job.seconds),
            instruments={} if info.options.dry_run else self.rack.instruments.identities,
        )  # fmt: skip
        return results.encode(whole, arrays)


def _entry(index: int, count: int, times: Mapping[str, float]) -> JobLogEntry:
    """Return what the log says of a chunk that was played."""
    spent = ", ".join(f"{what} {seconds:.3g} s" for what, seconds in times.items() if seconds)
    return JobLogEntry(time.time(), "chunk", f"{index + 1} of {count}" + (f": {spent}" if spent else ""))
