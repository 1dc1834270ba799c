"""The compile worker as the event loop sees it: one job at a time, bounded in time, and left when it is cancelled."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pulsed.daemon import logs
from pulsed.daemon.workers import messages
from pulsed.daemon.workers.confinement import lend_kernels, own_environment, own_folder
from pulsed.daemon.workers.kept_compilations import KeptCompilations
from pulsed.daemon.workers.rpc import WorkerRpc
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import NOT_TOLD, DeviceDescription
from pulsed.model.errors import JobFailedError
from pulsed.model.payload import Part

COMPILE_MEMORY = 3 * 2**30
"""Bytes of data of the compile worker."""
HEED_SECONDS = 2.0
"""For the compile worker to leave a job that was cancelled; then it is ended."""


class CompileWorkerClient:
    """Compiles jobs in the compile worker.

    Args:
        device: the rack.
        active: returns the active calibration set, with which a new worker warms up.
        factory: ``"module:name"`` of the compiler.
        log: file that the worker's log is appended to.
        changed: called when the worker comes or goes.
        private: files that the worker must not read.

    """

    def __init__(
        self, device: DeviceDescription, active: Callable[[], CalibrationSet], factory: str, log: Path,
        changed: Callable[[], None], private: Sequence[Path] = (),
    ) -> None:  # fmt: skip
        self.qpy = (0, 0)
        """Lowest and highest QPY version that the worker reads."""
        self._device, self._active, self._factory, self._log = device, active, factory, log
        self._private = tuple(map(str, private))
        self._kept = KeptCompilations()
        self._sent = ""
        """The set that the worker was sent last."""
        self._aborted = ""
        """The job that was aborted last."""
        folder = own_folder(log.parent)
        lend_kernels(folder)
        self.rpc = WorkerRpc(
            "compile", "pulsed.daemon.workers.compile_worker", self._set_up, changed, self._observe, lambda: None,
            own_environment(os.environ, folder),
        )  # fmt: skip

    def _set_up(self) -> list[Part]:
        calibration = self._active()
        self._sent = calibration.calibration_id
        request = messages.SetUp(self._factory, str(self._log), COMPILE_MEMORY, self._private)
        return [
            messages.encode(request),
            self._device.model_dump_json(exclude=NOT_TOLD).encode(),
            calibration.to_json(),
        ]

    def _observe(self, reply: messages.AnyReply) -> None:
        if isinstance(reply, messages.Ready):
            self.qpy = reply.qpy
            self.rpc.worker.confined = reply.confined
            logs.get("compile").info("confined", by=reply.confined)

    async def compile(
        self, request: messages.Compile, parts: Sequence[Part], calibration: CalibrationSet
    ) -> tuple[messages.Compiled, Sequence[Part]]:
        """Compile one job, when the worker is ready. A submission may be compiled before it has its place in the queue.

        What was compiled lately of the same content is not compiled again.

        Raises its error, :class:`WorkerDiedError`, :class:`JobFailedError` out of time, or :class:`JobCancelledError`
        when it was aborted.
        """
        key = self._kept.key(request, parts)
        if (found := self._kept.find(key, request.job_id)) is not None:
            return found
        async with self.rpc.turn:
            await self.rpc.ready.wait()
            if self._aborted == request.job_id:
                raise messages.job_cancelled(request.job_id)
            if request.calibration_id != self._sent:
                self._sent = request.calibration_id
                request = msgspec.structs.replace(request, with_calibration=True)
                parts = [*parts, calibration.to_json()]
            seconds = self._device.limits.compile_seconds
            try:
                compiled = await self.rpc.exchange(request, parts, seconds, messages.Compiled)
            except TimeoutError:
                raise JobFailedError(
                    "compiling took too long: split the job into smaller ones", subject=f"job {request.job_id}",
                    legal=f"{seconds:g} s",
                ) from None  # fmt: skip
        self._kept.keep(key, compiled)
        return compiled

    def abort(self, job_id: str) -> None:
        """Stop compiling a job: the worker leaves it, or is ended when it does not within a moment."""
        self._aborted, request = job_id, self.rpc.pending
        if not isinstance(request, messages.Compile) or request.job_id != job_id:
            return
        self._sent = ""  # the set may have been cut off with the job
        self.rpc.worker.interrupt()
        asyncio.get_running_loop().call_later(HEED_SECONDS, self._end, request)

    def _end(self, aborted: messages.Compile) -> None:
        if self.rpc.pending is aborted:
            logs.get("compile").warning("ended, it did not leave a cancelled job", job=aborted.job_id)
            self.rpc.kill()
