"""The rack worker as the event loop sees it: one coroutine per request, one typed error per way to fail."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pulsed.daemon import logs
from pulsed.daemon.workers import messages
from pulsed.daemon.workers.guard_child import OutputsGuard
from pulsed.daemon.workers.rpc import Reply, Request, WorkerRpc
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ErrorInfo, WorkerDiedError
from pulsed.model.payload import Part

CHECK_SECONDS = 60.0
"""For the limits of one chunk."""
_MARGIN = 10.0
"""Seconds beyond the deadline that a request bears, after which the worker is taken for stuck."""
HEED_SECONDS = 10.0
"""For the rack worker to leave a job that was cancelled; then it is ended."""


class RackWorkerClient:
    """Sends requests to the rack worker.

    Args:
        device: the rack.
        factory: ``"module:name"`` of the rack.
        log: file that the worker's log is appended to.
        changed: called when the worker comes or goes.
        observe: gets each message of the worker.
        ended: called when the worker has ended.
        outputs_known: whether the outputs are known to be off, or looked after.

    """

    def __init__(
        self, device: DeviceDescription, factory: str, log: Path, changed: Callable[[], None],
        observe: Callable[[messages.AnyReply], None], ended: Callable[[], None],
        outputs_known: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._device, self._factory, self._log = device, factory, log
        self._outputs_known = outputs_known
        self._halted = ""
        self._holder = f"the daemon in {log.absolute().parents[1]}, process {os.getpid()}"
        self.guard = OutputsGuard(self._first_message(self._holder), changed)
        """Looks after the outputs when this process and the worker are killed together."""
        self.rpc = WorkerRpc("rack", "pulsed.daemon.workers.rack_worker", self._set_up, changed, observe, ended)

    def _set_up(self) -> list[Part]:
        return self._first_message("" if self._outputs_known() else self._holder)

    def _first_message(self, holder: str) -> list[Part]:
        request = messages.SetUp(self._factory, str(self._log), holder=holder, halted=self._halted)
        return [messages.encode(request), self._device.model_dump_json().encode()]

    async def connect(self, seconds: float) -> dict[str, str]:
        """Connect all instruments, or connect them again; return who they say they are.

        Raises the error of the instrument that does not answer within ``seconds``, or :class:`WorkerDiedError`.
        """
        reply, _ = await self._call(messages.Connect(seconds, self._holder), (), seconds + _MARGIN, messages.Connected)
        return dict(reply.identities)

    async def check_health(self, seconds: float) -> dict[str, ErrorInfo]:
        """Return what is wrong with which idle instrument; each has to answer within ``seconds``."""
        reply, _ = await self._call(messages.CheckHealth(seconds), (), seconds + _MARGIN, messages.HealthReport)
        return reply.problems

    async def use_front_panel(
        self, instrument: str, settings: Mapping[str, float], reading: str, seconds: float
    ) -> dict[str, str]:
        """Set something of an instrument, and return what it has, when nothing plays."""
        request = messages.UseFrontPanel(instrument, dict(settings), reading, seconds)
        reply, _ = await self._call(request, (), seconds + _MARGIN, messages.FrontPanel)
        return reply.readings

    def halt(self, reason: str) -> None:
        """Have nothing played or set from now on, and what plays now stop; with an empty reason let that be again.

        A worker that does not leave what it plays within a moment is ended. Another one is told, too.
        """
        self._halted = reason
        self.rpc.worker.send(messages.Halt(reason))
        if reason and isinstance(request := self.rpc.pending, messages.PlayChunk):
            asyncio.get_running_loop().call_later(HEED_SECONDS, self._end, request)

    async def make_safe(self, seconds: float) -> tuple[ErrorInfo, ...]:
        """Switch all outputs off; return the errors of instruments that have not confirmed it within ``seconds``."""
        reply, _ = await self._call(messages.MakeSafe(seconds), (), seconds + _MARGIN, messages.MadeSafe)
        return reply.problems

    async def play(
        self, job_id: str, chunk: int, seconds: float, parts: Sequence[Part]
    ) -> tuple[messages.ChunkPlayed, Sequence[Part]]:
        """Play a chunk. Raises an :class:`InstrumentError`, or :class:`WorkerDiedError` when the worker ended."""
        request = messages.PlayChunk(job_id, chunk, seconds)
        return await self._call(request, parts, seconds + _MARGIN, messages.ChunkPlayed)

    async def check(self, job_id: str, chunk: int, wait: float, parts: Sequence[Part]) -> None:
        """Check a chunk against the rack's limits, whether its instruments answer or not.

        Raises what the rack refuses it with, or :class:`WorkerDiedError` when there is no worker for ``wait`` seconds.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self.rpc.ready.wait()
        await self._call(messages.CheckChunk(job_id, chunk), parts, CHECK_SECONDS, messages.ChunkChecked)

    def abort(self, job_id: str) -> None:
        """Stop playing a job as soon as may be; a worker that does not within a moment is ended."""
        self.rpc.worker.send(messages.Abort(job_id))
        if (request := self.rpc.pending) is not None:
            asyncio.get_running_loop().call_later(HEED_SECONDS, self._end, request)

    def _end(self, aborted: Request) -> None:
        if self.rpc.pending is aborted:
            logs.get("rack").warning("ended, it did not leave a job that was to stop")
            self.rpc.kill()

    async def _call(
        self, request: messages.RackRequest, parts: Sequence[Part], seconds: float, expected: type[Reply]
    ) -> tuple[Reply, Sequence[Part]]:
        try:
            return await self.rpc.call(request, parts, seconds, expected)
        except TimeoutError:
            raise WorkerDiedError(
                "did not answer in time and was ended", subject=self.rpc.name, legal=f"{seconds:g} s"
            ) from None
