"""One job plays, chunk by chunk; what was lost with an instrument or a worker plays once more."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from pulsed.daemon import logs, orders
from pulsed.daemon.book import ActiveJob, Book
from pulsed.daemon.desks import RackDesk
from pulsed.daemon.merge import merge_chunks
from pulsed.daemon.scheduler import Phase
from pulsed.model import result as results
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import (
    InstrumentMemoryLostError,
    InstrumentTimeoutError,
    InstrumentUnreachableError,
    PulsedError,
    WorkerDiedError,
)
from pulsed.model.job import JobState
from pulsed.model.payload import Part, join, split
from pulsed.wire.messages import Progress

LOST = (InstrumentUnreachableError, InstrumentTimeoutError, InstrumentMemoryLostError, WorkerDiedError)
"""What interrupts a job instead of failing it, the first time."""
_GRACE, _FACTOR = 60.0, 10.0
"""A chunk may take this many seconds, and this many times as long as its pulses."""

Played = tuple[orders.StoredChunk, Sequence[Part]]


class Playing:
    """Takes jobs from the book to the rack worker."""

    def __init__(self, book: Book, desk: RackDesk, device: DeviceDescription, rack_wait: float) -> None:
        self.book, self.desk, self.device = book, desk, device
        self.running = ""
        """The job on the rack."""
        self._rack_wait = rack_wait

    async def run(self) -> None:
        """Play whenever something is ready."""
        while True:
            self.book.to_play.clear()
            job_id = self.book.queue.to_play()
            if job_id is None:
                await self.book.to_play.wait()
            else:
                await self._next(self.book.jobs[job_id])

    def progress(self, job_id: str, what: str, fraction: float) -> None:
        """The rack worker reports."""
        job = self.book.jobs.get(job_id)
        if job is not None:
            self.book.publish(Progress(0, job_id, len(job.stored), len(job.chunks), what, fraction))

    async def _next(self, job: ActiveJob) -> None:
        self.book.queue.move(job.info.job_id, Phase.PLAYING)
        self.book.to_compile.set()  # one more may be compiled ahead
        try:
            await self._play(job)
        except PulsedError as error:
            if self.book.alive(job):
                self.book.end(job, JobState.FAILED, error.to_info())
        finally:
            self.running = ""

    async def _play(self, job: ActiveJob) -> None:
        if not job.info.options.dry_run:
            await self.desk.recovered(self._rack_wait)
        if not self.book.alive(job):
            return
        job.spent("queue", time.perf_counter() - job.since)
        self.running = job.info.job_id
        self.book.step(job, JobState.RUNNING, attempts=job.info.attempts + 1)
        if job.info.options.dry_run:
            for index, parts in enumerate(job.chunk_parts):
                await self.desk.check(job.info.job_id, index, self._rack_wait, parts)
                if not self.book.alive(job):
                    return
            self.book.finish(job, self._result(job, (), []))
            return
        played = await self._play_all(job)
        if self.book.alive(job):
            programs, arrays = merge_chunks(played, job.info.num_programs, job.info.options.shots)
            self.book.finish(job, self._result(job, programs, arrays))

    async def _play_all(self, job: ActiveJob) -> list[Played]:
        """Play what is not stored yet. All but the last chunk are stored at once, that one with the result."""
        played: list[Played] = []
        missing = [index for index in range(len(job.chunks)) if index not in job.stored]
        for index in missing:
            answer, arrays = await self._play_chunk(job, index)
            if not self.book.alive(job):
                return []
            chunk = job.chunks[index]
            for stage, seconds in answer.times.items():
                job.spent(stage, seconds)
            done = orders.StoredChunk(chunk.first_program, chunk.first_shot, answer.programs, answer.times)
            if index == missing[-1]:
                played.append((done, arrays))
            else:
                self._save(job, index, done, arrays)
        if job.stored:
            store = self.book.store
            for index, blob in (await store.call(store.store.chunks, job.info.job_id)).items():
                if index in job.stored:
                    head, *parts = split(blob)
                    played.append((orders.decode_chunk(head), parts))
        return played

    def _save(self, job: ActiveJob, index: int, done: orders.StoredChunk, arrays: Sequence[Part]) -> None:
        job.stored.add(index)
        job.chunk_parts[index] = ()
        blob = join([orders.encode_chunk(done), *arrays])
        job.info = msgspec.structs.replace(job.info, chunks_done=len(job.stored))
        self.book.order(self.book.store.store.save_chunk, job.info.job_id, index, blob, time.time(), soon=True)
        self.book.changed(job)

    async def _play_chunk(self, job: ActiveJob, index: int) -> tuple[orders.Played, Sequence[Part]]:
        """Play one chunk, and once more after an instrument or the worker was lost."""
        seconds = min(self.device.limits.job_seconds, _GRACE + _FACTOR * job.chunks[index].seconds)
        again = False
        while True:
            began = time.perf_counter()
            try:
                played, arrays = await self.desk.play(job.info.job_id, index, seconds, job.chunk_parts[index])
            except LOST as error:
                logs.get("jobs").warning("interrupted", job=job.info.job_id, chunk=index, error=str(error))
                self.desk.lost(error)
                if again or not self.book.alive(job):
                    raise
                self.book.step(job, JobState.INTERRUPTED)
                await self.desk.recovered(self._rack_wait)
                if not self.book.alive(job):
                    raise
                again = True
                self.book.step(job, JobState.RUNNING, attempts=job.info.attempts + 1)
                continue
            job.spent("handover", time.perf_counter() - began - sum(played.times.values()))
            return played, arrays

    def _result(
        self, job: ActiveJob, programs: tuple[results.ProgramResult, ...], arrays: Sequence[Part]
    ) -> list[Part]:
        info = job.info
        whole = results.JobResult(
            job_id=info.job_id, backend=self.device.name, backend_version=self.device.version,
            calibration_id=info.calibration_id, programs=programs, times=dict(job.seconds),
            instruments={} if info.options.dry_run else self.desk.identities,
        )  # fmt: skip
        return results.encode(whole, arrays)
