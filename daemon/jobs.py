"""All jobs of one daemon: accepted, durable, compiled, played, durable, sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from pulsed.daemon import logs, orders
from pulsed.daemon.admission import check_submission
from pulsed.daemon.book import ActiveJob, Book, Waiter, error_of
from pulsed.daemon.compiling import Compiling
from pulsed.daemon.desks import CompileDesk, RackDesk
from pulsed.daemon.playing import Playing
from pulsed.daemon.store_thread import StoreThread
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import JobCancelledError, NotAllowedError
from pulsed.model.job import FINAL_STATES, JobInfo, JobRequest, JobState
from pulsed.model.payload import Part, join, split
from pulsed.wire.messages import AnyNotice, CalibrationChanged

RACK_WAIT = 20.0
"""Seconds that the job whose turn it is waits for instruments that do not answer; then it fails with their error."""


class Jobs:
    """Takes in jobs and moves them to their end. For the arguments see :class:`Book`."""

    def __init__(
        self, device: DeviceDescription, store: StoreThread, compiler: CompileDesk, rack: RackDesk,
        publish: Callable[[AnyNotice], None], failed: Callable[[BaseException], None], *, rack_wait: float = RACK_WAIT,
    ) -> None:  # fmt: skip
        self.device, self.store = device, store
        self._compiler, self._rack = compiler, rack
        self._book = Book(store, publish, failed)
        self._compiling = Compiling(self._book, compiler)
        self._playing = Playing(self._book, rack, device, rack_wait)
        self._accepting: dict[str, asyncio.Future[JobInfo]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def calibration(self) -> CalibrationSet:
        """The set in force."""
        return self._compiling.calibration

    @property
    def qpy(self) -> tuple[int, int]:
        """Lowest and highest QPY version that is read."""
        return self._compiler.qpy

    @property
    def running(self) -> str:
        """The job on the rack, empty when there is none."""
        return self._playing.running

    @property
    def pending(self) -> int:
        """How many jobs have not ended."""
        return len(self._book.jobs)

    async def recover(self) -> None:
        """Take up every job of the store that has not ended."""
        for info in await self.store.call(self.store.store.unfinished):
            job = ActiveJob(info)
            self._book.enter(job)
            if info.state is JobState.RUNNING:
                self._book.step(job, JobState.INTERRUPTED)
            if job.info.state is not JobState.QUEUED:
                self._book.step(job, JobState.QUEUED)
        if self._book.jobs:
            logs.get("jobs").info("taken up", jobs=len(self._book.jobs))

    def start(self) -> None:
        """Start to compile and play."""
        self._tasks = [
            asyncio.create_task(self._compiling.run(), name="compile jobs"),
            asyncio.create_task(self._playing.run(), name="play jobs"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Stop both loops. Jobs stay as they are and go on at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for job in self._book.jobs.values():
            if job.info.state is JobState.RUNNING and not job.finishing:
                # A stop in good order is no attempt that failed.
                self._book.step(job, JobState.INTERRUPTED, attempts=job.info.attempts - 1)

    async def submit(self, request: JobRequest, parts: Sequence[Part], user: str) -> JobInfo:
        """Accept a job; it is durable when this returns. Raises what :func:`check_submission` does."""
        began = time.perf_counter()
        check_submission(request, parts, self.device, self.qpy[1])
        named = request.options.calibration_id
        if named not in (None, self.calibration.calibration_id):
            await self.store.call(self.store.store.calibration, named)  # NotFoundError for one that is not there
        job_id = request.job_id
        if job_id in self._accepting:
            await asyncio.wait([self._accepting[job_id]])
        known = self._book.jobs.get(job_id)
        if known is not None:
            if known.info.owner != user:
                raise NotAllowedError("this id belongs to the job of another", subject=f"job {job_id}")
            return self._book.told(known.info)
        now = time.time()
        info = JobInfo(
            job_id=job_id, backend=self.device.name, state=JobState.QUEUED, owner=user, created=now,
            num_programs=request.num_programs, options=request.options, name=request.name, tags=request.tags,
            priority=request.priority, times={str(JobState.QUEUED): now},
        )  # fmt: skip
        payload = join([orders.encode(request), *parts])
        adding = self._accepting[job_id] = self.store.add(info, payload)
        early = self._compiling.begin(request, parts)  # it only plays once it is durable
        try:
            stored = await asyncio.shield(adding)
        finally:
            del self._accepting[job_id]
        if stored.state is not JobState.QUEUED or stored.created != info.created:
            return stored  # a second submission of a job that has ended
        job = ActiveJob(stored, early=early)
        job.spent("store", time.perf_counter() - began)
        self._book.keep_payload(job, payload)
        self._book.enter(job)
        self._book.changed(job)
        return self._book.told(stored)

    async def commit_calibration(self, calibration_id: str, expected: str, user: str, why: str) -> None:
        """Put a stored set in force if ``expected`` is. Jobs that are compiled play with the set they were made with.

        Raises :class:`NotFoundError`, :class:`ConflictError`.
        """
        commit = self.store.store.commit_calibration
        new = await self.store.call(commit, calibration_id, expected, time.time(), user, why)
        if new.calibration_id != self.calibration.calibration_id:
            self._compiling.calibration = self._compiler.calibration = new
            self._book.publish(CalibrationChanged(0, new.calibration_id))

    def known(self, job_id: str) -> JobInfo | None:
        """Return a job that has not ended, None when there is no such one in memory."""
        job = self._book.jobs.get(job_id)
        return None if job is None else self._book.told(job.info)

    async def find(self, job_id: str) -> JobInfo:
        """Return any job. Raises :class:`NotFoundError`."""
        known = self.known(job_id)
        return known if known is not None else await self.store.call(self.store.store.job, job_id)

    def cancel(self, job_id: str) -> bool:
        """Cancel a job; False when it has ended, or played to its end."""
        job = self._book.jobs.get(job_id)
        if job is None or job.finishing:
            return False
        if job.info.state is JobState.RUNNING:
            self._rack.abort(job_id)
        else:
            self._compiler.abort(job_id)
        error = JobCancelledError("was cancelled", subject=f"job {job_id}")
        self._book.end(job, JobState.CANCELLED, error.to_info())
        return True

    async def wait(self, job_id: str, waiter: Waiter) -> None:
        """Call ``waiter`` once, now or when the job has ended. Raises :class:`NotFoundError`."""
        while job_id not in self._book.jobs:
            if job_id in self._accepting:
                await asyncio.wait([self._accepting[job_id]])
                continue
            info = await self.store.call(self.store.store.job, job_id)
            if info.state is JobState.DONE:
                waiter(info, split(await self.store.call(self.store.store.result, job_id)))
                return
            if info.state in FINAL_STATES:
                waiter(info, error_of(info))
                return
        self._book.wait(job_id, waiter)

    def progress(self, job_id: str, what: str, fraction: float) -> None:
        """The rack worker reports."""
        self._playing.progress(job_id, what, fraction)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._book.failed(error)
