"""All jobs of one daemon: accepted, durable, compiled, played, durable, sent."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pulsed.daemon import logs
from pulsed.daemon.jobs.accounts import Accounts, nobody
from pulsed.daemon.jobs.admission import check_submission
from pulsed.daemon.jobs.calibration_basis import RackCalibrations
from pulsed.daemon.jobs.compile_stage import CompileStage
from pulsed.daemon.jobs.estimates import OVERHEAD, StartEstimates
from pulsed.daemon.jobs.execution_stage import ExecutionStage
from pulsed.daemon.jobs.interlocks import Interlocks
from pulsed.daemon.jobs.prefixes import SHORTEST, SHOWN, not_the_only
from pulsed.daemon.jobs.queue_listing import QueueListing
from pulsed.daemon.jobs.queue_mode import QueueModes
from pulsed.daemon.jobs.registry import ActiveJob, ChunkWaiter, JobRegistry, Waiter, error_of
from pulsed.daemon.store_thread import StoreThread
from pulsed.daemon.workers import messages
from pulsed.daemon.workers.compile_client import CompileWorkerClient
from pulsed.daemon.workers.rack_connection import RackConnection
from pulsed.model import result as results
from pulsed.model.chunk_results import Assembly, decode_chunk
from pulsed.model.errors import (
    IncompatibleError,
    InvalidValueError,
    NotAllowedError,
    NotFoundError,
    QueueClosedError,
    QuotaError,
    SessionEndedError,
)
from pulsed.model.job import FINAL_STATES, JobInfo, JobLogEntry, JobRequest, JobState
from pulsed.model.payload import Part, pack_frames, unpack_frames
from pulsed.model.queue import QueueEntry
from pulsed.model.rack_time import least_seconds
from pulsed.model.run_options import RUN_OPTIONS
from pulsed.model.session import SessionInfo
from pulsed.store.jobs import Changes
from pulsed.store.store import Store
from pulsed.wire.messages import AnyEvent, CalibrationChanged, JobChanged
from pulsed.wire.roles import Role

RACK_WAIT = 20.0
"""Seconds that the job whose turn it is waits for instruments that do not answer; then it fails with their error."""
MOST_CHANGES = 100
"""Changes of the name or the tags of one job."""
MOST_JOINED = 256 * 2**20
"""Bytes of a result that is joined for a client which does not know of chunks."""
_CHANGED = "changed"
"""What the log says of such a change."""
_DETAIL = 1000
"""Letters of what it says of the change itself."""


class Jobs:
    """Takes in jobs and moves them to their end.

    For the arguments see :class:`JobRegistry`; ``role_of`` tells the role of a user, ``mode_changed`` is called when
    the mode of the queue has changed, or what holds it; ``log`` and ``audited`` are those of :class:`Interlocks`.
    """

    def __init__(
        self, calibrations: RackCalibrations, store: StoreThread, compiler: CompileWorkerClient, rack: RackConnection,
        publish: Callable[[AnyEvent], None], failed: Callable[[BaseException], None], *, rack_wait: float = RACK_WAIT,
        role_of: Callable[[str], Role | None] = nobody, mode_changed: Callable[[], None] = lambda: None,
        log: Path = Path("daemon.jsonl"), audited: Callable[[str, str], None] = lambda _what, _detail: None,
    ) -> None:  # fmt: skip
        device = calibrations.basis.device
        self.device, self.store, self.calibrations = device, store, calibrations
        self._compiler, self._rack = compiler, rack
        self.accounts = Accounts(store, device.sharing, device.quotas, role_of)
        self._registry = JobRegistry(store, publish, failed, self.accounts)
        self.modes = QueueModes(self._registry, mode_changed)
        self._compile_stage = CompileStage(self._registry, compiler, calibrations)
        self.interlocks = Interlocks(device, self._registry, rack, log, mode_changed, audited)
        self._execution_stage = ExecutionStage(
            self._registry, rack, device, rack_wait, lambda: self.interlocks.fails_jobs
        )
        self.sessions = self._registry.sessions
        self._estimates = StartEstimates(self._registry, device.limits, lambda: self.running)
        self._listing = QueueListing(self._registry, self._estimates)
        self._accepting: dict[str, asyncio.Future[JobInfo]] = {}
        self._updating = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def qpy(self) -> tuple[int, int]:
        """Lowest and highest QPY version that is read."""
        return self._compiler.qpy

    @property
    def running(self) -> str:
        """The job on the rack, empty when there is none."""
        return self._execution_stage.running

    @property
    def pending(self) -> int:
        """How many jobs wait: for their turn, or to be compiled. The one on the rack waits no longer."""
        return len(self._registry.queue) - (self.running in self._registry.queue)

    @property
    def waiting_since(self) -> float | None:
        """When the job came (Unix time, seconds) that has waited longest; None when none waits.

        It is the first of the registry, so that nobody looks at 10,000 of them; those that the last daemon left stand
        there in the order of the queue.
        """
        waiting = (JobState.QUEUED, JobState.COMPILING, JobState.READY)
        return next((job.info.created for job in self._registry.jobs.values() if job.info.state in waiting), None)

    @property
    def occupied(self) -> bool:
        """Whether somebody has the rack: a job has not ended, or a session holds it."""
        return bool(self._registry.jobs) or self.sessions.holder is not None

    @property
    def others_may_play(self) -> bool:
        """Whether any job may have its turn: no session holds the rack, and the queue is open."""
        queue = self._registry.queue
        return not queue.holder and not queue.held and queue.mode.plays

    async def recover(self) -> None:
        """Resume every job of the store that has not ended."""
        await self.accounts.recover()
        await self.modes.recover()
        await self.sessions.recover()
        sizes = await self.store.call_patiently(Store.unfinished_sizes)
        for info in await self.store.call_patiently(Store.unfinished):
            job = ActiveJob(info, size=sizes.get(info.job_id, 0), expected=self._expected(info), resumed=True)
            self.accounts.demands.enter(info.job_id, info.owner, Accounts.demand(info, job.size, job.expected))
            self._registry.enter(job)
            if info.state is JobState.RUNNING:
                self._registry.step(job, JobState.INTERRUPTED, "the daemon ended while it was played")
            if job.info.state is not JobState.QUEUED:
                self._registry.step(job, JobState.QUEUED, "the daemon has started again")
        if self._registry.jobs:
            logs.get("jobs").info("jobs resumed", jobs=len(self._registry.jobs))

    def start(self) -> None:
        """Start to compile and play."""
        self._tasks = [
            asyncio.create_task(self._compile_stage.run(), name="compile jobs"),
            asyncio.create_task(self._execution_stage.run(), name="play jobs"),
            asyncio.create_task(self.sessions.run(), name="end sessions"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Stop all loops. Jobs and sessions stay as they are and go on at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.sessions.keep(time.time())
        for job in self._registry.jobs.values():
            if job.info.state is JobState.RUNNING and not job.finishing:
                self._registry.step(job, JobState.INTERRUPTED, "the daemon stops", stops=job.info.stops + 1)

    async def submit(self, request: JobRequest, parts: Sequence[Part], user: str) -> JobInfo:
        """Accept a job; it is durable when this returns.

        Raises what :func:`check_submission` and :meth:`Sessions.arriving` do.
        """
        began = time.perf_counter()
        check_submission(request, parts, self.device, self.qpy[1])
        named = request.options.calibration_id
        if named is not None:
            await self.calibrations.named(named)
        job_id = request.job_id
        if job_id in self._accepting:
            await asyncio.wait([self._accepting[job_id]])
        known = self._registry.jobs.get(job_id)
        if known is not None:
            if known.info.owner != user:
                raise NotAllowedError("this job id belongs to another user", subject=f"job {job_id}")
            return self._registry.told(known.info)
        try:
            self.modes.check_accepts(user)
            with self.sessions.arriving(request.session_id, user) as arrival:
                added = await self._add(request, parts, user, began)
        except (SessionEndedError, QueueClosedError, QuotaError):
            with contextlib.suppress(NotFoundError):  # sent again, after it was accepted before the end
                return await self.store.call(Store.job, job_id)
            raise
        if arrival.cancelled:
            self.cancel(job_id, user)
        return self._registry.told(added.info) if isinstance(added, ActiveJob) else added

    async def _add(self, request: JobRequest, parts: Sequence[Part], user: str, began: float) -> ActiveJob | JobInfo:
        """Store a job and enter it into the registry; return one that has ended before as it is."""
        job_id, now = request.job_id, time.time()
        info = JobInfo(
            job_id=job_id, backend=self.device.name, state=JobState.QUEUED, owner=user, created=now,
            num_programs=request.num_programs, options=request.options, name=request.name, tags=request.tags,
            priority=request.priority, session_id=request.session_id, due=request.due,
            times={str(JobState.QUEUED): now},
        )  # fmt: skip
        payload = pack_frames([messages.encode(request), *parts])
        seconds = self._expected(request)
        self.accounts.check(request, len(payload), seconds, user)
        self.accounts.demands.enter(job_id, user, Accounts.demand(request, len(payload), seconds))
        adding = self._accepting[job_id] = self.store.add(info, payload)
        early = self._compile_stage.begin(request, parts)  # it only plays once it is durable
        accepted = False
        try:
            stored = await asyncio.shield(adding)
            accepted = stored.state is JobState.QUEUED and stored.created == info.created
        finally:
            del self._accepting[job_id]
            if not accepted:
                self.accounts.demands.leave(job_id)
        if not accepted:
            return stored  # a second submission of a job that has ended
        job = ActiveJob(stored, early=early, size=len(payload), expected=seconds)
        job.spent("store", time.perf_counter() - began)
        self._registry.keep_payload(job, payload)
        self._registry.enter(job)
        self._registry.changed(job)
        return job

    def _expected(self, job: JobRequest | JobInfo) -> float:
        return OVERHEAD + least_seconds(job.num_programs, 0.0, job.options, self.device.limits)

    def close_session(self, info: SessionInfo, user: str, *, cancel: bool) -> SessionInfo:
        """Take no more jobs into a session, as ``user`` wants it; with ``cancel`` cancel those it has, too.

        One that has ended by its time may still have jobs; otherwise it is returned as it is.
        """
        if not cancel:
            return info if info.ended is not None else self.sessions.close(info.session_id, user)
        info = self.sessions.cancel(info, user)
        for job in list(self._registry.jobs.values()):
            if job.info.session_id == info.session_id:
                self.cancel(job.info.job_id, user)
        return info

    async def commit_calibration(self, calibration_id: str, expected: str, user: str, why: str) -> None:
        """Make a stored set the active one. Jobs that are compiled play with the set they were made with.

        For the errors see :meth:`RackCalibrations.commit`.
        """
        if await self.calibrations.commit(calibration_id, expected, user, why):
            self._registry.publish(CalibrationChanged(0, calibration_id))

    def known(self, job_id: str) -> JobInfo | None:
        """Return a job that has not ended, None when there is no such one in memory."""
        job = self._registry.jobs.get(job_id)
        return None if job is None else self._registry.told(job.info)

    async def find(self, job_id: str) -> JobInfo:
        """Return any job. Raises :class:`NotFoundError`."""
        known = self.known(job_id)
        return known if known is not None else await self.store.call(Store.job, job_id)

    async def look_up(self, start: str) -> JobInfo:
        """Return the job with this id, or the only one whose id begins like this. Raises :class:`NotFoundError`."""
        try:
            return await self.find(start)
        except NotFoundError as none:
            long = len(start) >= SHORTEST
            found = await self.store.call(Store.jobs_beginning_with, start, SHOWN + 1) if long else []
            if len(found) == 1:
                return self.known(found[0].job_id) or found[0]
            raise not_the_only(start, [info.job_id for info in found], none, "job", "pulsed jobs") from none

    async def update(self, job_id: str, name: str | None, tags: tuple[str, ...] | None, user: str) -> JobInfo:
        """Give a job another name or other tags.

        Raises :class:`NotFoundError`, and :class:`InvalidValueError` for a change too many: the log bears each.
        """
        changes: Changes = {}
        if name is not None:
            changes["name"] = RUN_OPTIONS["job_name"].read(name, self.device)
        if tags is not None:
            changes["tags"] = RUN_OPTIONS["job_tags"].read(tags, self.device)
        if not changes:
            raise InvalidValueError("nothing to change", subject=f"job {job_id}", legal="a name, tags, or both")
        said = ", ".join(f"{what} {value!r}" for what, value in changes.items())
        changes["log"] = (JobLogEntry(time.time(), _CHANGED, f"by {user}: {said[:_DETAIL]}"),)
        async with self._updating:  # each counts those before it
            done = sum(entry.what == _CHANGED for entry in await self.store.call(Store.job_log, job_id))
            if done >= MOST_CHANGES:
                raise InvalidValueError(
                    "was changed too often", subject=f"job {job_id}", value=done + 1, legal=f"{MOST_CHANGES} times"
                )
            job = self._registry.jobs.get(job_id)
            if job is not None:
                self._registry.update(job, **changes)
                return self._registry.told(job.info)
            info = await self.store.write(Store.update, job_id, **changes)
        self._registry.publish(JobChanged(0, info))
        return info

    async def log(self, job_id: str) -> list[JobLogEntry]:
        """Return what was written down about a job, in order. Raises :class:`NotFoundError`."""
        info = await self.find(job_id)
        accepted = JobLogEntry(info.created, "accepted", f"from {info.owner}")
        return [accepted, *await self.store.call(Store.job_log, job_id)]

    def refused(self, job_id: str, what: str, user: str) -> None:
        """Write down that ``user`` asked for what only the owner may; once, and only of a job that has not ended."""
        job = self._registry.jobs.get(job_id)
        if job is not None and (what, user) not in job.refused:
            job.refused.add((what, user))
            self._registry.note(job, "refused", f"{what} by {user}")

    async def submission(self, job_id: str) -> tuple[JobRequest, Sequence[Part]]:
        """Return what was submitted. Raises :class:`NotFoundError`."""
        return messages.read_submission(await self.store.call(Store.payload, job_id))

    def cancel(self, job_id: str, user: str) -> bool:
        """Cancel a job, as ``user`` wants it; False when it has ended, or played to its end."""
        job = self._registry.jobs.get(job_id)
        if job is None or job.finishing:
            return False
        if job.info.state is JobState.RUNNING:
            self._rack.client.abort(job_id)
        else:
            self._compiler.abort(job_id)
        self._registry.end(job, JobState.CANCELLED, messages.job_cancelled(job_id).to_info(), user)
        return True

    async def wait(self, info: JobInfo, waiter: Waiter) -> None:
        """Call ``waiter`` once, now or when the job that was found has ended. Raises :class:`NotFoundError`."""
        job_id = info.job_id
        while job_id not in self._registry.jobs:
            if job_id in self._accepting:
                await asyncio.wait([self._accepting[job_id]])
                continue
            if info.state not in FINAL_STATES:
                info = await self.store.call(Store.job, job_id)
            if info.state is JobState.DONE:
                waiter(info, unpack_frames(await self.store.call(Store.result, job_id)))
                return
            if info.state in FINAL_STATES:
                waiter(info, error_of(info))
                return
        self._registry.wait(job_id, waiter)

    def forget(self, job_id: str, waiter: Callable[..., None]) -> None:
        """Do not call ``waiter`` any more: nobody is there whom it would answer."""
        self._registry.forget(job_id, waiter)

    async def wait_for_chunk(self, job_id: str, index: int, waiter: ChunkWaiter) -> None:
        """Call ``waiter`` once, now or when this chunk is stored or the job has ended.

        Raises :class:`NotFoundError` and :class:`InvalidValueError`.
        """
        if index < 0:
            raise InvalidValueError("not a chunk", subject=f"job {job_id}", value=index, legal="0 on")
        job = self._registry.jobs.get(job_id)
        if job is not None and job.chunks and index > len(job.chunks):  # after the last one comes the end
            raise InvalidValueError(
                "not a chunk", subject=f"job {job_id}", value=index, legal=f"0 to {len(job.chunks)}"
            )
        if job is not None and index in job.stored:
            blob = await self.store.call(Store.chunk, job_id, index)
            if blob is not None:
                head, *parts = unpack_frames(blob)
                waiter(job.info, decode_chunk(head), parts)
                return
        if job_id in self._registry.jobs:
            self._registry.wait_for_chunk(job_id, index, waiter)
            return
        info = await self.store.call(Store.job, job_id)
        blob = await self.store.call(Store.chunk, job_id, index) if index < info.result_chunks else None
        if blob is None:
            waiter(info, None, ())
        else:
            head, *parts = unpack_frames(blob)
            waiter(info, decode_chunk(head), parts)

    async def joined(self, info: JobInfo, parts: Sequence[Part]) -> Sequence[Part]:
        """Return a result that is kept in chunks in one piece, for a client that knows no other.

        ``parts`` are what is kept beside the chunks. Raises :class:`IncompatibleError` for one that is too large.
        """
        result, heads = results.decode(parts)
        assembly = Assembly([decode_chunk(head) for head in heads], info.num_programs, info.options.shots)
        size = 0
        for index in range(info.result_chunks):
            blob = await self.store.call(Store.chunk, info.job_id, index)
            if blob is None:
                raise NotFoundError("a chunk of the result is not there", subject=f"job {info.job_id}", value=index)
            size += len(blob)
            if size > MOST_JOINED:
                raise IncompatibleError(
                    "this version of the client takes results in one piece only, and this one is too large for that: "
                    "install the daemon's version", subject=f"job {info.job_id}", legal=f"up to {MOST_JOINED} bytes",
                )  # fmt: skip
            assembly.add(index, unpack_frames(blob)[1:])
        programs, arrays = assembly.programs()
        return results.encode(msgspec.structs.replace(result, programs=programs), arrays)

    def estimated(self, info: JobInfo) -> JobInfo:
        """Return a job with the times at which it may be expected to start and to end, if it waits."""
        return self._estimates.of(info, time.time())

    def entries(self, limit: int) -> tuple[tuple[QueueEntry, ...], int]:
        """Return the first ``limit`` jobs of the queue in order, with what decides about them, and how many it has."""
        return self._listing.entries(limit, self.running, time.time())

    def progress(self, job_id: str, what: str, fraction: float) -> None:
        """The rack worker reports."""
        self._execution_stage.progress(job_id, what, fraction)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._registry.failed(error)
