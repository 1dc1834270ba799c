"""The next jobs are compiled while the present one plays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from pulsed.daemon.jobs.calibration_basis import RackCalibrations
from pulsed.daemon.jobs.registry import ActiveJob, Compilation, EarlyCompilation, JobRegistry
from pulsed.daemon.workers import messages
from pulsed.daemon.workers.compile_client import CompileWorkerClient
from pulsed.model.calibration import CalibrationSet
from pulsed.model.chunk_results import ChunkResult, decode_chunk
from pulsed.model.errors import PulsedError, WorkerDiedError
from pulsed.model.job import JobInfo, JobRequest, JobState
from pulsed.model.payload import Part, unpack_frames
from pulsed.model.rack_time import check_rack_time
from pulsed.model.result_size import check_result_size
from pulsed.store.store import Store

MAX_ATTEMPTS = 10
"""Starts of one job: a job during which the daemon was killed so often is not started again."""
MAX_COMPILATIONS = 2
"""A job during which the compile worker ended is compiled once more."""


class CompileStage:
    """Takes jobs from the registry to the compile worker."""

    def __init__(self, registry: JobRegistry, client: CompileWorkerClient, calibrations: RackCalibrations) -> None:
        self.registry, self.client, self.calibrations = registry, client, calibrations
        self._early: asyncio.Task[Compilation] | None = None

    def begin(self, request: JobRequest, parts: Sequence[Part]) -> EarlyCompilation | None:
        """Compile a submission while the store takes it, when no job is before it; None when that is not to be.

        Nothing comes of it unless the job is accepted: :attr:`ActiveJob.early`.
        """
        first = self.registry.queue.empty_for(request.session_id)
        idle = first and (self._early is None or self._early.done())
        calibration = self.calibrations.active
        if not idle or not self.client.rpc.ready.is_set():
            return None
        if request.options.calibration_id not in (None, calibration.calibration_id):
            return None
        compile_request = _compile_request(request, calibration)
        self._early = asyncio.create_task(
            self.client.compile(compile_request, parts, calibration), name="compile early"
        )
        self._early.add_done_callback(lambda task: task.cancelled() or task.exception())  # whoever takes it raises it
        return EarlyCompilation(calibration.calibration_id, self._early)

    async def run(self) -> None:
        """Compile whenever there is something to compile and room for it."""
        while True:
            self.registry.to_compile.clear()
            job_id = self.registry.queue.take_to_compile(time.time())
            if job_id is None:
                await self.registry.to_compile.wait()
            else:
                await self._next(self.registry.jobs[job_id])

    async def _next(self, job: ActiveJob) -> None:
        try:
            await self._compile(job)
        except PulsedError as error:
            if not self.registry.alive(job):
                return
            if isinstance(error, WorkerDiedError) and 0 < job.compilations < MAX_COMPILATIONS:
                self.registry.step(job, JobState.QUEUED, str(error))
                self.registry.queue.compile_again(job.info.job_id)
            else:
                self.registry.end(job, JobState.FAILED, error.to_info())

    async def _compile(self, job: ActiveJob) -> None:
        info = job.info
        if info.attempts - info.stops >= MAX_ATTEMPTS:
            raise WorkerDiedError(
                "the daemon ended while it ran, too often to try again", subject=f"job {info.job_id}",
                value=f"{info.attempts - info.stops} starts", legal=f"{MAX_ATTEMPTS} starts",
            )  # fmt: skip
        calibration = await self._calibration_for(info)
        early, job.early = job.early, None
        if early is not None and early.calibration_id != calibration.calibration_id:
            early = None
        submitted = None if early is not None else await self._submitted(job)
        await self.client.rpc.ready.wait()
        if not self.registry.alive(job):
            return
        job.compilations += 1
        job.spent("queue", time.perf_counter() - job.since)
        set_id = calibration.calibration_id
        self.registry.step(job, JobState.COMPILING, f"with calibration set {set_id}", calibration_id=set_id)
        began = time.perf_counter()
        if early is not None:
            answer, encoded = await early.task
        else:
            assert submitted is not None
            request, parts = submitted
            answer, encoded = await self.client.compile(_compile_request(request, calibration), parts, calibration)
        job.spent("compile", answer.seconds)
        job.spent("handover", max(0.0, time.perf_counter() - began - answer.seconds))
        if not self.registry.alive(job):
            return
        seconds, limits = sum(chunk.seconds for chunk in answer.chunks), self.calibrations.basis.device.limits
        if not info.chunks_done:  # what plays already, of an older version too, goes on to its end
            check_rack_time(seconds, info.options, limits, f"job {info.job_id}", at_least=False)
            size = sum(chunk.bytes for chunk in answer.chunks)
            check_result_size(size, info.options, limits, f"job {info.job_id}", at_least=False)
            self.registry.store.store.disk.check_result(size)
        job.chunks, at = answer.chunks, 0
        for chunk in answer.chunks:
            job.chunk_parts.append(encoded[at : at + chunk.parts])
            at += chunk.parts
        if info.chunks_done:
            job.stored = await self._finished_chunks(job)
            if not self.registry.alive(job):
                return
        self.registry.forget_payload(job)
        job.since = time.perf_counter()
        missing = [chunk.seconds for index, chunk in enumerate(job.chunks) if index not in job.stored]
        self.registry.queue.compiled(info.job_id, missing[0] if missing else None)
        made = f"chunks {len(job.chunks)}, {seconds:.3g} s of pulses, compiled in {answer.seconds:.3g} s"
        self.registry.step(job, JobState.READY, made, chunks=len(job.chunks))
        self.registry.to_play.set()

    async def _submitted(self, job: ActiveJob) -> tuple[JobRequest, Sequence[Part]]:
        payload = job.payload
        if payload is None:
            payload = await self.registry.store.call_patiently(Store.payload, job.info.job_id)
        return messages.read_submission(payload)

    async def _calibration_for(self, info: JobInfo) -> CalibrationSet:
        """Return the set that the job names, or a half-played one began with, else the active one."""
        wanted = info.calibration_id if info.chunks_done else info.options.calibration_id
        if wanted is None:
            return self.calibrations.active
        return await self.calibrations.named(wanted)  # the rack may be another one since the job was accepted

    async def _finished_chunks(self, job: ActiveJob) -> dict[int, ChunkResult]:
        """Return the chunks that need not be played again, without their arrays."""
        store = self.registry.store
        finished = {}
        for index in await store.call_patiently(Store.chunk_numbers, job.info.job_id):
            # One at a time: together they may be large.
            blob = await store.call_patiently(Store.chunk, job.info.job_id, index)
            if blob is None or index >= len(job.chunks):
                continue
            head = decode_chunk(unpack_frames(blob)[0])
            if _is_same(head, job.chunks[index]):
                finished[index] = head
        return finished


def _compile_request(request: JobRequest, calibration: CalibrationSet) -> messages.Compile:
    return messages.Compile(
        request.job_id, request.kinds, request.num_programs, request.options, request.gates,
        calibration.calibration_id, bindings=request.bindings,
    )  # fmt: skip


def _is_same(stored: ChunkResult, chunk: messages.ChunkInfo) -> bool:
    """Whether a stored chunk holds what a compiled one would play: another version may cut jobs differently."""
    return (
        (stored.first_program, stored.first_shot, len(stored.programs))
        == (chunk.first_program, chunk.first_shot, chunk.programs)
        and all(program.shots == chunk.shots for program in stored.programs)
    )  # fmt: skip
