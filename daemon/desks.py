"""The two workers as the event loop sees them: one coroutine per order, one typed error per way to fail."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pulsed.daemon import logs, orders
from pulsed.daemon.supervisor import ChildState, Message, Worker
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import (
    ErrorInfo,
    InstrumentDataError,
    InstrumentMemoryLostError,
    InstrumentReferenceLostError,
    InstrumentTimeoutError,
    InstrumentUnreachableError,
    JobCancelledError,
    JobFailedError,
    PulsedError,
    WorkerDiedError,
    WrongInstrumentError,
    from_info,
)
from pulsed.model.payload import Part
from pulsed.wire.messages import InstrumentStatus

COMPILE_MEMORY = 3 * 2**30
"""Bytes of data of the compile worker."""
START_SECONDS = 120.0
"""For a worker to import what it needs."""
CONNECT_SECONDS = 4.0
"""For all instruments to answer."""
HEED_SECONDS = 2.0
"""For the compile worker to leave a job that was cancelled; then it is ended."""
CHECK_SECONDS = 60.0
"""For the limits of one chunk."""
LOOK_EVERY = 5.0
"""Seconds without an order after which the instruments are asked how they are."""
_LOOK_SECONDS = 2.0
"""For each to answer that."""
_RETRY_FIRST, _RETRY_LONGEST = 0.2, 5.0
_PLAY_MARGIN = 10.0

_LOST = (InstrumentUnreachableError, InstrumentTimeoutError, InstrumentMemoryLostError, InstrumentDataError)
"""What an idle instrument is connected anew for."""
RackAnswer = orders.Connected | orders.Played | orders.Checked | orders.Looked
_RackOrder = orders.Connect | orders.Play | orders.Check | orders.Look


class CompileDesk:
    """The compile worker. ``changed`` is called when it comes or goes."""

    def __init__(
        self, device: DeviceDescription, calibration: CalibrationSet, factory: str, log: Path,
        changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self.calibration = calibration
        self.qpy = (0, 0)
        self.warm = asyncio.Event()
        self.settled = asyncio.Event()
        """Set when the worker is warm, or cannot start: then ``error`` says why."""
        self.error: ErrorInfo | None = None
        self._device, self._factory, self._log = device, factory, log
        self._answer: asyncio.Future[tuple[orders.Compiled, Sequence[Part]]] | None = None
        self._sent = ""
        self._turn = asyncio.Lock()
        """One order at a time: a submission may be compiled before it has its place in the queue."""
        self._job, self._aborted = "", ""
        """The job that is compiled, and the one that was aborted last."""
        self.worker = Worker(
            "compile", "pulsed.daemon.compile_worker", self._hello, changed, self._on_message, self._on_end
        )

    def _hello(self) -> list[Part]:
        self._sent = self.calibration.calibration_id
        order = orders.SetUp(self._factory, str(self._log), COMPILE_MEMORY)
        return [orders.encode(order), self._device.model_dump_json().encode(), self.calibration.to_json()]

    async def compile(
        self, order: orders.Compile, parts: Sequence[Part], calibration: CalibrationSet
    ) -> tuple[orders.Compiled, Sequence[Part]]:
        """Compile one job. Raises its error, :class:`WorkerDiedError`, or :class:`JobFailedError` out of time.

        Raises :class:`JobCancelledError` when it was aborted.
        """
        async with self._turn:
            try:
                return await self._compile(order, parts, calibration)
            finally:
                self._job = ""

    async def _compile(
        self, order: orders.Compile, parts: Sequence[Part], calibration: CalibrationSet
    ) -> tuple[orders.Compiled, Sequence[Part]]:
        self._job = order.job_id
        await self.warm.wait()
        if self._aborted == order.job_id:
            raise JobCancelledError("was cancelled", subject=f"job {order.job_id}")
        if order.calibration_id != self._sent:
            self._sent = order.calibration_id
            order = msgspec.structs.replace(order, with_calibration=True)
            parts = [*parts, calibration.to_json()]
        self._answer = asyncio.get_running_loop().create_future()
        self.worker.send(order, parts)
        seconds = self._device.limits.compile_seconds
        try:
            return await asyncio.wait_for(self._answer, seconds)
        except TimeoutError:
            self.warm.clear()
            self.worker.kill()
            raise JobFailedError(
                "compiling took too long: split the job into smaller ones", subject=f"job {order.job_id}",
                legal=f"{seconds:g} s",
            ) from None  # fmt: skip
        finally:
            self._answer = None

    def abort(self, job_id: str) -> None:
        """Stop compiling a job: the worker leaves it, or is ended when it does not within a moment."""
        self._aborted, answer = job_id, self._answer
        if job_id != self._job or answer is None or answer.done():
            return
        self._sent = ""  # the set may have been cut off with the job
        self.worker.interrupt()

        def end() -> None:
            if not answer.done():
                logs.get("compile").warning("ended, it did not leave a cancelled job", job=job_id)
                self.warm.clear()
                self.worker.kill()

        asyncio.get_running_loop().call_later(HEED_SECONDS, end)

    def _on_message(self, message: Message) -> None:
        answer = orders.answers.decode(message[0])
        if isinstance(answer, orders.Up):
            self.qpy = answer.qpy
            self.worker.up()
            self.warm.set()
            self.settled.set()
            self.error = None
            logs.get("compile").info("ready", seconds=answer.seconds)
        elif isinstance(answer, orders.Compiled):
            if self._answer is not None and not self._answer.done():
                self._answer.set_result((answer, message[1:]))
        elif isinstance(answer, orders.Failed):
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(from_info(answer.error))
            elif not answer.job_id:
                logs.get("compile").error("the compile worker cannot start", error=answer.error.message)
                self.error = answer.error
                self.settled.set()
                self.worker.kill()

    def _on_end(self) -> None:
        self.warm.clear()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(WorkerDiedError("ended while it compiled", subject="compile worker"))


class RackDesk:
    """The rack worker and the connection to the instruments, which it keeps up by itself.

    ``available`` is set while the instruments answer. ``progress`` gets (job, what, fraction).
    """

    def __init__(
        self, device: DeviceDescription, factory: str, log: Path, changed: Callable[[], None],
        progress: Callable[[str, str, float], None],
    ) -> None:  # fmt: skip
        self.available = asyncio.Event()
        self.error: ErrorInfo | None = None
        self.identities: dict[str, str] = {}
        self._since: dict[str, float] = {}
        self.tried = asyncio.Event()
        """Set after the first attempt to connect, whatever came of it."""
        self.broken: ErrorInfo | None = None
        """Why the worker cannot even start."""
        self._device, self._factory, self._log = device, factory, log
        self._changed, self._progress = changed, progress
        self._answer: asyncio.Future[tuple[RackAnswer, Sequence[Part]]] | None = None
        self._turn = asyncio.Lock()
        """One order at a time: a dry run may come while the rack connects."""
        self._up = asyncio.Event()
        self._lost = asyncio.Event()
        self._lost.set()
        self._unwell: dict[str, ErrorInfo] = {}
        """What the last look found of instruments that answer."""
        self._ordered = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self.worker = Worker("rack", "pulsed.daemon.rack_worker", self._hello, changed, self._on_message, self._on_end)

    def _hello(self) -> list[Part]:
        return [orders.encode(orders.SetUp(self._factory, str(self._log))), self._device.model_dump_json().encode()]

    def start(self) -> None:
        """Start the worker, connect, and look after the instruments."""
        self.worker.start()
        self._tasks = [
            asyncio.create_task(self._stay_connected(), name="stay connected"),
            asyncio.create_task(self._look_after(), name="look after the instruments"),
        ]

    async def stop(self) -> None:
        """Make the outputs safe and end the worker."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.worker.stop()

    def instruments(self) -> dict[str, InstrumentStatus]:
        """Return each instrument as it is told to clients."""
        status = {}
        for name in self._device.instruments:
            mine = self.error is not None and self.error.subject == f"instrument {name}"
            identity = self.identities.get(name, "")
            since = self._since.get(name, 0.0) if identity else 0.0
            status[name] = InstrumentStatus(identity, self.error if mine else self._unwell.get(name), since)
        return status

    async def play(
        self, job_id: str, chunk: int, seconds: float, parts: Sequence[Part]
    ) -> tuple[orders.Played, Sequence[Part]]:
        """Play a chunk. Raises an :class:`InstrumentError`, or :class:`WorkerDiedError` when the worker ended."""
        answer, arrays = await self._order(orders.Play(job_id, chunk, seconds), parts, seconds + _PLAY_MARGIN)
        if not isinstance(answer, orders.Played):
            raise WorkerDiedError("answered out of turn", subject="rack worker", value=type(answer).__name__)
        return answer, arrays

    async def check(self, job_id: str, chunk: int, wait: float, parts: Sequence[Part]) -> None:
        """Check a chunk against the rack's limits, whether its instruments answer or not.

        Raises what the rack refuses it with, or :class:`WorkerDiedError` when there is no worker for ``wait`` seconds.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._up.wait(), wait)
        await self._order(orders.Check(job_id, chunk), parts, CHECK_SECONDS)

    def abort(self, job_id: str) -> None:
        """Stop playing a job as soon as may be."""
        self.worker.send(orders.Abort(job_id))

    def lost(self, error: PulsedError) -> None:
        """An instrument does not answer: connect anew."""
        if not isinstance(error, WorkerDiedError):
            self.error = error.to_info()
            self.identities.pop(error.subject.removeprefix("instrument "), None)
        self.available.clear()
        self._lost.set()
        self._changed()

    async def _look_after(self) -> None:
        """See what happens to instruments that nobody uses; those that play are asked by what plays on them."""
        while True:
            await self.available.wait()
            await asyncio.sleep(max(0.1, self._ordered + LOOK_EVERY - time.monotonic()))
            if self.available.is_set() and not self._turn.locked() and time.monotonic() >= self._ordered + LOOK_EVERY:
                try:
                    answer, _ = await self._order(orders.Look(_LOOK_SECONDS), (), _LOOK_SECONDS + _PLAY_MARGIN)
                except PulsedError as error:
                    logs.get("rack").warning("cannot look after the instruments", error=str(error))
                else:
                    self._seen(answer.problems if isinstance(answer, orders.Looked) else {})

    def _seen(self, problems: dict[str, ErrorInfo]) -> None:
        """Take in how the instruments are: what lost its settings is connected anew, what is not well is told."""
        lost = {name: error for name, error in problems.items() if isinstance(from_info(error), _LOST)}
        unwell = {name: error for name, error in problems.items() if name not in lost}
        told, self._unwell = self._unwell, unwell
        for name in unwell.keys() ^ told.keys():
            if isinstance(from_info(unwell.get(name) or told[name]), InstrumentReferenceLostError):
                self._since[name] = time.time()  # its phase is another one, from now on and when it has locked again
        for name, error in problems.items():
            if told.get(name) != error:
                logs.get("rack").warning("an idle instrument is not well", instrument=name, error=error.message)
        for name in lost:
            self.identities.pop(name, None)
        if lost:
            self.lost(from_info(next(iter(lost.values()))))
        elif told != unwell:
            self._changed()

    async def recovered(self, seconds: float) -> None:
        """Wait until the instruments answer. Raises the error that keeps them away."""
        if self.available.is_set():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.available.wait(), seconds)
            return
        if self.error is not None:
            raise from_info(self.error)
        raise InstrumentUnreachableError("the rack does not come up", subject="rack worker")

    async def _order(
        self, order: _RackOrder, parts: Sequence[Part], seconds: float
    ) -> tuple[RackAnswer, Sequence[Part]]:
        async with self._turn:
            return await self._answered(order, parts, seconds)

    async def _answered(
        self, order: _RackOrder, parts: Sequence[Part], seconds: float
    ) -> tuple[RackAnswer, Sequence[Part]]:
        if self.worker.state is not ChildState.UP:
            raise WorkerDiedError("is not there", subject="rack worker")
        self._answer = asyncio.get_running_loop().create_future()
        self.worker.send(order, parts)
        try:
            return await asyncio.wait_for(self._answer, seconds)
        except TimeoutError:
            self.worker.kill()
            raise WorkerDiedError(
                "did not answer in time and was ended", subject="rack worker", legal=f"{seconds:g} s"
            ) from None
        finally:
            self._answer = None
            self._ordered = time.monotonic()

    async def _stay_connected(self) -> None:
        pause = _RETRY_FIRST
        while True:
            await self._lost.wait()
            await self._up.wait()
            try:
                answer, _ = await self._order(orders.Connect(CONNECT_SECONDS), (), CONNECT_SECONDS + _PLAY_MARGIN)
            except PulsedError as error:
                first = self.error is None or self.error.subject != error.subject
                if not isinstance(error, WorkerDiedError):
                    self.error = error.to_info()
                self.tried.set()
                if first:
                    logs.get("rack").warning("the rack does not connect", error=str(error))
                self._changed()
                wrong = isinstance(error, WrongInstrumentError)
                await asyncio.sleep(_RETRY_LONGEST if wrong else pause)
                pause = min(pause * 2, _RETRY_LONGEST)
                continue
            pause = _RETRY_FIRST
            if isinstance(answer, orders.Connected):
                now, same = time.time(), {n for n, one in answer.identities.items() if self.identities.get(n) == one}
                self._since = {name: self._since.get(name, now) if name in same else now for name in answer.identities}
                self.identities = dict(answer.identities)
            self.error = None
            self._unwell = {}
            self._lost.clear()
            self.available.set()
            self.tried.set()
            logs.get("rack").info("connected", instruments=self.identities)
            self._changed()

    def _on_message(self, message: Message) -> None:
        answer = orders.answers.decode(message[0])
        if isinstance(answer, orders.Playing):
            self._progress(answer.job_id, answer.what, answer.fraction)
        elif isinstance(answer, orders.Up):
            self.broken = None
            self.worker.up()
            self._up.set()
        elif isinstance(answer, orders.Failed):
            if answer.identities:
                self.identities = dict(answer.identities)
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(from_info(answer.error))
            else:
                self.error = self.broken = answer.error
                self.tried.set()
                logs.get("rack").error("the rack worker cannot start", error=answer.error.message)
                self.worker.kill()
        elif isinstance(answer, RackAnswer) and self._answer is not None and not self._answer.done():
            self._answer.set_result((answer, message[1:]))

    def _on_end(self) -> None:
        self._up.clear()
        self.available.clear()
        self._lost.set()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(WorkerDiedError("ended while it played", subject="rack worker"))
