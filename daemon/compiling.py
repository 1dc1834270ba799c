"""The next jobs are compiled while the present one plays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec

from pulsed.daemon import orders
from pulsed.daemon.book import ActiveJob, Book, Compilation, EarlyCompilation
from pulsed.daemon.desks import CompileDesk
from pulsed.daemon.scheduler import Phase
from pulsed.model.calibration import CalibrationSet
from pulsed.model.errors import PulsedError, WorkerDiedError
from pulsed.model.job import JobInfo, JobRequest, JobState
from pulsed.model.payload import Part, split

MAX_ATTEMPTS = 10
"""Starts of one job: a job during which the daemon was killed so often is not started again."""
MAX_COMPILATIONS = 2
"""A job during which the compile worker ended is compiled once more."""


class Compiling:
    """Takes jobs from the book to the compile worker. ``calibration`` is the set in force."""

    def __init__(self, book: Book, desk: CompileDesk) -> None:
        self.book, self.desk = book, desk
        self.calibration = desk.calibration
        self._early: asyncio.Task[Compilation] | None = None

    def begin(self, request: JobRequest, parts: Sequence[Part]) -> EarlyCompilation | None:
        """Compile a submission while the store takes it, when there is no other job; None when that is not to be.

        Nothing comes of it unless the job is accepted: :attr:`ActiveJob.early`.
        """
        idle = not self.book.jobs and (self._early is None or self._early.done())
        calibration = self.calibration
        if not idle or not self.desk.warm.is_set():
            return None
        if request.options.calibration_id not in (None, calibration.calibration_id):
            return None
        order = _order(request, calibration)
        self._early = asyncio.create_task(self.desk.compile(order, parts, calibration), name="compile early")
        self._early.add_done_callback(lambda task: task.cancelled() or task.exception())  # whoever takes it raises it
        return EarlyCompilation(calibration.calibration_id, self._early)

    async def run(self) -> None:
        """Compile whenever there is something to compile and room for it."""
        while True:
            self.book.to_compile.clear()
            job_id = self.book.queue.to_compile()
            if job_id is None:
                await self.book.to_compile.wait()
            else:
                await self._next(self.book.jobs[job_id])

    async def _next(self, job: ActiveJob) -> None:
        self.book.queue.move(job.info.job_id, Phase.COMPILING)
        try:
            await self._compile(job)
        except PulsedError as error:
            if not self.book.alive(job):
                return
            if isinstance(error, WorkerDiedError) and 0 < job.compilations < MAX_COMPILATIONS:
                self.book.step(job, JobState.QUEUED)
                self.book.queue.move(job.info.job_id, Phase.WAITING)
            else:
                self.book.end(job, JobState.FAILED, error.to_info())

    async def _compile(self, job: ActiveJob) -> None:
        info = job.info
        if info.attempts >= MAX_ATTEMPTS:
            raise WorkerDiedError(
                "the daemon ended while it ran, too often to try again", subject=f"job {info.job_id}",
                value=f"{info.attempts} starts", legal=f"{MAX_ATTEMPTS} starts",
            )  # fmt: skip
        calibration = await self._calibration_for(info)
        early, job.early = job.early, None
        if early is not None and early.calibration_id != calibration.calibration_id:
            early = None
        submitted = None if early is not None else await self._submitted(job)
        await self.desk.warm.wait()
        if not self.book.alive(job):
            return
        job.compilations += 1
        job.spent("queue", time.perf_counter() - job.since)
        self.book.step(job, JobState.COMPILING, calibration_id=calibration.calibration_id)
        began = time.perf_counter()
        if early is not None:
            answer, encoded = await early.task
        else:
            assert submitted is not None
            request, parts = submitted
            answer, encoded = await self.desk.compile(_order(request, calibration), parts, calibration)
        job.spent("compile", answer.seconds)
        job.spent("handover", max(0.0, time.perf_counter() - began - answer.seconds))
        if not self.book.alive(job):
            return
        job.chunks, at = answer.chunks, 0
        for chunk in answer.chunks:
            job.chunk_parts.append(encoded[at : at + chunk.parts])
            at += chunk.parts
        if info.chunks_done:
            job.stored = await self._finished_chunks(job)
            if not self.book.alive(job):
                return
        self.book.forget_payload(job)
        job.since = time.perf_counter()
        self.book.queue.move(info.job_id, Phase.READY)
        self.book.step(job, JobState.READY, chunks=len(job.chunks))
        self.book.to_play.set()

    async def _submitted(self, job: ActiveJob) -> tuple[JobRequest, Sequence[Part]]:
        payload = job.payload
        if payload is None:
            payload = await self.book.store.call(self.book.store.store.payload, job.info.job_id)
        head, *parts = split(payload)
        return msgspec.msgpack.decode(head, type=JobRequest), parts

    async def _calibration_for(self, info: JobInfo) -> CalibrationSet:
        """Return the set that the job names, or a half-played one began with, else the one in force."""
        wanted = info.calibration_id if info.chunks_done else info.options.calibration_id
        if wanted in (None, self.calibration.calibration_id):
            return self.calibration
        return await self.book.store.call(self.book.store.store.calibration, wanted)

    async def _finished_chunks(self, job: ActiveJob) -> set[int]:
        """Return which chunks need not be played again."""
        store = self.book.store
        finished = set()
        for index, blob in (await store.call(store.store.chunks, job.info.job_id)).items():
            head = orders.decode_chunk(split(blob)[0])
            if index < len(job.chunks) and _is_same(head, job.chunks[index]):
                finished.add(index)
        return finished


def _order(request: JobRequest, calibration: CalibrationSet) -> orders.Compile:
    return orders.Compile(
        request.job_id, request.kinds, request.num_programs, request.options, request.gates,
        calibration.calibration_id, bindings=request.bindings,
    )  # fmt: skip


def _is_same(stored: orders.StoredChunk, chunk: orders.ChunkInfo) -> bool:
    """Whether a stored chunk holds what a compiled one would play: another version may cut jobs differently."""
    return (
        (stored.first_program, stored.first_shot, len(stored.programs))
        == (chunk.first_program, chunk.first_shot, chunk.programs)
        and all(program.shots == chunk.shots for program in stored.programs)
    )  # fmt: skip
