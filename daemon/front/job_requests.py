"""Requests about jobs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence

from pulsed.daemon.front.handlers import Handler, HandlerReply, Outlet, Peer, check_backend, check_limit
from pulsed.daemon.jobs.jobs import Jobs
from pulsed.model.chunk_results import ChunkResult
from pulsed.model.errors import BusyError, InvalidValueError, NotAllowedError, PulsedError
from pulsed.model.job import JobInfo
from pulsed.model.payload import Part
from pulsed.store.job_lists import Conditions
from pulsed.store.store import Store
from pulsed.wire import messages as m
from pulsed.wire.job_messages import (
    ChunkReply,
    GetChunk,
    GetJobLog,
    GetSubmission,
    JobLogReply,
    SubmissionReply,
    UpdateJob,
)
from pulsed.wire.roles import check_options_right, check_owner

_AT_ONCE = 2
"""Largest submissions that are taken in at once."""


class JobHandlers:
    """One handler per request; ``outlet`` sends what comes later than the request's turn."""

    def __init__(self, jobs: Jobs, outlet: Outlet) -> None:
        self.jobs = jobs
        self._outlet = outlet
        self._arriving = 0
        """Bytes of submissions that the store does not have yet."""
        self._joining = asyncio.Lock()
        self.handlers: dict[type[m.AnyRequest], Handler] = {
            m.Submit: self._submit,
            m.GetJob: self._job,
            m.GetJobs: self._list,
            m.Cancel: self._cancel,
            m.GetResult: self._result,
            UpdateJob: self._update,
            GetSubmission: self._submission,
            GetJobLog: self._log,
            GetChunk: self._chunk,
        }

    async def _submit(self, message: m.Submit, parts: Sequence[Part], peer: Peer) -> HandlerReply:
        check_backend(message.backend, self.jobs.device.name)
        check_options_right(message.job.options, peer.user, peer.role)
        with self._taking_in(sum(memoryview(part).nbytes for part in parts)):
            return m.JobReply(message.id, await self.jobs.submit(message.job, parts, peer.user)), ()

    @contextlib.contextmanager
    def _taking_in(self, size: int) -> Iterator[None]:
        """Bound what is held of submissions at once. Raises :class:`BusyError`; one alone is always taken in."""
        most = _AT_ONCE * self.jobs.device.limits.max_payload
        if self._arriving and self._arriving + size > most:
            raise BusyError(
                "too much is being submitted at once: send it again in a moment", subject="submission",
                value=f"{self._arriving + size} bytes", legal=f"up to {most} bytes ({_AT_ONCE} x limits.max_payload)",
            )  # fmt: skip
        self._arriving += size
        try:
            yield
        finally:
            self._arriving -= size

    def _job(self, message: m.GetJob, _parts: Sequence[Part], _peer: Peer) -> HandlerReply | Awaitable[HandlerReply]:
        known = self.jobs.known(message.job_id)
        return self._find(message) if known is None else (m.JobReply(message.id, self.jobs.estimated(known)), ())

    async def _find(self, message: m.GetJob) -> HandlerReply:
        return m.JobReply(message.id, self.jobs.estimated(await self.jobs.look_up(message.job_id))), ()

    async def _list(self, message: m.GetJobs, _parts: Sequence[Part], _peer: Peer) -> HandlerReply:
        check_limit(message.limit)
        if message.skip < 0:
            raise InvalidValueError(
                "not a number of jobs to leave out", subject="skip", value=message.skip, legal="0 on"
            )
        wanted: Conditions = {
            "state": message.state, "owner": message.owner, "tags": message.tags, "session_id": message.session_id,
            "created_after": message.created_after, "created_before": message.created_before,
        }  # fmt: skip
        page: Conditions = {**wanted, "limit": message.limit, "skip": message.skip}
        found, key = await self.jobs.store.call(Store.page, message.beyond, **page)
        total = await self.jobs.store.call(Store.count, **wanted) if message.count else None
        return m.JobsReply(message.id, tuple(self.jobs.known(info.job_id) or info for info in found), key, total), ()

    async def _cancel(self, message: m.Cancel, _parts: Sequence[Part], peer: Peer) -> HandlerReply:
        await self._own(message.job_id, peer, "cancel")
        return m.CancelReply(message.id, self.jobs.cancel(message.job_id, peer.named)), ()

    async def _result(self, message: m.GetResult, _parts: Sequence[Part], peer: Peer) -> None:
        found = await self._own(message.job_id, peer)

        def deliver(info: JobInfo, outcome: Sequence[Part] | PulsedError) -> None:
            done()
            if isinstance(outcome, PulsedError):
                self._outlet.answer(peer, m.ErrorReply(message.id, outcome.to_info()), ())
            elif info.result_chunks and not message.chunks:
                self._outlet.later(self._in_one_piece(message, info, outcome, peer), message, peer)
            elif self._outlet.has_room(peer):
                self._outlet.answer(peer, m.ResultReply(message.id, info), outcome)
            else:  # from the store, when the peer has taken what it was sent: what lies there for it is bounded
                self._outlet.later(self._result(message, (), peer), message, peer)

        done = self._outlet.waits(peer, lambda: self.jobs.forget(message.job_id, deliver))
        with _unless_it_fails(done):
            async with self._outlet.room(peer):
                await self.jobs.wait(found, deliver)

    async def _in_one_piece(
        self, message: m.GetResult, info: JobInfo, parts: Sequence[Part], peer: Peer
    ) -> HandlerReply:
        """Answer a client that is too old for results in chunks; one at a time, and only when it takes what it gets."""
        async with self._joining, self._outlet.room(peer):
            return m.ResultReply(message.id, info), await self.jobs.joined(info, parts)

    async def _update(self, message: UpdateJob, _parts: Sequence[Part], peer: Peer) -> HandlerReply:
        await self._own(message.job_id, peer, "change")
        return m.JobReply(message.id, await self.jobs.update(message.job_id, message.name, message.tags, peer.user)), ()

    async def _submission(self, message: GetSubmission, _parts: Sequence[Part], peer: Peer) -> HandlerReply:
        await self._own(message.job_id, peer)
        async with self._outlet.room(peer):
            request, parts = await self.jobs.submission(message.job_id)
            return SubmissionReply(message.id, request), parts

    async def _chunk(self, message: GetChunk, _parts: Sequence[Part], peer: Peer) -> None:
        await self._own(message.job_id, peer)

        def deliver(info: JobInfo, chunk: ChunkResult | None, parts: Sequence[Part]) -> None:
            done()
            if self._outlet.has_room(peer):
                self._outlet.answer(peer, ChunkReply(message.id, info, chunk), parts)
            else:
                self._outlet.later(self._chunk(message, (), peer), message, peer)

        done = self._outlet.waits(peer, lambda: self.jobs.forget(message.job_id, deliver))
        with _unless_it_fails(done):
            async with self._outlet.room(peer):
                await self.jobs.wait_for_chunk(message.job_id, message.index, deliver)

    async def _log(self, message: GetJobLog, _parts: Sequence[Part], _peer: Peer) -> HandlerReply:
        return JobLogReply(message.id, tuple(await self.jobs.log(message.job_id))), ()

    async def _own(self, job_id: str, peer: Peer, what: str = "") -> JobInfo:
        """Return the job. Raises :class:`NotAllowedError` for one of somebody else, whose log says so for a change."""
        info = await self.jobs.find(job_id)
        try:
            check_owner(info.job_id, info.owner, peer.user, peer.role)
        except NotAllowedError:
            if what:
                self.jobs.refused(job_id, what, peer.user)
            raise
        return info


@contextlib.contextmanager
def _unless_it_fails(done: Callable[[], None]) -> Iterator[None]:
    """Call ``done`` when the block fails: then nothing waits that would."""
    try:
        yield
    except BaseException:
        done()
        raise
