"""The connection to the instruments: it is kept up, and idle instruments are asked how they are."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from pulsed.daemon import logs
from pulsed.daemon.workers import messages
from pulsed.daemon.workers.heartbeat import Heartbeat
from pulsed.daemon.workers.instrument_states import InstrumentStates, is_loss
from pulsed.daemon.workers.rack_client import RackWorkerClient
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import (
    ErrorInfo,
    InstrumentUnreachableError,
    PulsedError,
    WorkerDiedError,
    WrongInstrumentError,
    from_info,
)

CONNECT_SECONDS = 4.0
"""For all instruments to answer."""
CHECK_EVERY = 5.0
"""Seconds without a request after which the instruments are asked how they are."""
_CHECK_SECONDS = 2.0
"""For each to answer that."""
OUTPUTS_UNKNOWN = "nothing has confirmed that the outputs are off"
_RETRY_FIRST, _RETRY_LONGEST = 0.2, 5.0
_AGAIN_SECONDS = 60.0
"""For another worker to start, when the one that is stopped has not made the outputs safe."""


class RackConnection:
    """Keeps the instruments connected.

    Args:
        device: the rack.
        factory: ``"module:name"`` of the rack.
        log: file that the worker's log is appended to.
        changed: called when what clients are told of the rack has changed.
        progress: gets (job, what, fraction) while a job plays.

    """

    def __init__(
        self, device: DeviceDescription, factory: str, log: Path, changed: Callable[[], None],
        progress: Callable[[str, str, float], None],
    ) -> None:  # fmt: skip
        self.client = RackWorkerClient(
            device, factory, log, changed, self._observe, self._ended, lambda: self.outputs_known
        )
        self.instruments = InstrumentStates(device.instruments)
        self.available = asyncio.Event()
        """Set while the instruments answer."""
        self.tried = asyncio.Event()
        """Set after the first attempt to connect, whatever came of it."""
        self.outputs_known = True
        """False when the worker has ended and nothing has confirmed yet that the outputs are off."""
        self._changed, self._progress = changed, progress
        self._lost = asyncio.Event()
        self._lost.set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the worker, connect, and look after the instruments."""
        self.client.guard.start()
        self.client.rpc.worker.handles = (self.client.guard.write,)
        self.client.rpc.worker.start()
        self._tasks = [
            asyncio.create_task(self._stay_connected(), name="stay connected"),
            asyncio.create_task(HealthMonitor(self).run(), name="health of idle instruments"),
            asyncio.create_task(Heartbeat(self.client.rpc).run(), name="heartbeat of the rack worker"),
        ]

    async def stop(self) -> None:
        """Make the outputs safe and end the worker; :attr:`outputs_known` then says whether that is confirmed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        rpc = self.client.rpc
        await rpc.worker.stop()
        if not self.outputs_known and rpc.worker.exit_code != messages.NOT_SAFE and rpc.error is None:
            await self._stop_again()
        await self.client.guard.stop()

    async def _stop_again(self) -> None:
        """Have another worker switch the outputs off: the one that is gone did not get to it."""
        worker = self.client.rpc.worker
        worker.start()
        with contextlib.suppress(TimeoutError, PulsedError):
            async with asyncio.timeout(_AGAIN_SECONDS):
                await self.client.rpc.ready.wait()
            await self.client.connect(CONNECT_SECONDS)
        await worker.stop()

    def lost(self, error: PulsedError) -> None:
        """An instrument, or the worker, does not answer: connect again."""
        if not isinstance(error, WorkerDiedError):
            self.instruments.lost(error.to_info())
        self.available.clear()
        self._lost.set()
        self._changed()

    def checked(self, problems: Mapping[str, ErrorInfo]) -> None:
        """Take in how idle instruments are: what lost its settings is connected again, other problems are reported."""
        new, changed = self.instruments.checked(problems, time.time())
        for name, error in new.items():
            logs.get("rack").warning("a health check found a problem", instrument=name, error=error.message)
        first = next((error for error in problems.values() if is_loss(error)), None)
        if first is not None:
            self.lost(from_info(first))
        elif changed:
            self._changed()

    async def recovered(self, seconds: float) -> None:
        """Wait until the instruments answer. Raises the error that keeps them away."""
        if self.available.is_set():
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.available.wait()
            return
        if self.instruments.error is not None:
            raise from_info(self.instruments.error)
        raise InstrumentUnreachableError("the rack did not become available", subject="rack worker")

    async def _stay_connected(self) -> None:
        pause = _RETRY_FIRST
        while True:
            await self._lost.wait()
            await self.client.rpc.ready.wait()
            try:
                identities = await self.client.connect(CONNECT_SECONDS)
            except PulsedError as error:
                self._not_connected(error)
                await asyncio.sleep(_RETRY_LONGEST if isinstance(error, WrongInstrumentError) else pause)
                pause = min(pause * 2, _RETRY_LONGEST)
                continue
            pause = _RETRY_FIRST
            self.instruments.connected(identities, time.time())
            self.outputs_known = True  # a driver that connects has switched them off
            self._lost.clear()
            self.available.set()
            self.tried.set()
            logs.get("rack").info("connected", instruments=identities)
            self._changed()

    def _not_connected(self, error: PulsedError) -> None:
        known = self.instruments.error
        if not isinstance(error, WorkerDiedError):
            self.instruments.error = error.to_info()
        self.tried.set()
        if known is None or known.subject != error.subject:
            logs.get("rack").warning("the rack cannot be connected", error=str(error))
        self._changed()

    def _observe(self, reply: messages.AnyReply) -> None:
        if isinstance(reply, messages.PlayProgress):
            self._progress(reply.job_id, reply.what, reply.fraction)
        elif isinstance(reply, messages.RequestFailed):
            if reply.identities:
                self.instruments.identities = dict(reply.identities)
            if self.client.rpc.error is not None:  # the worker cannot start
                self.instruments.error = self.client.rpc.error
                self.tried.set()

    def _ended(self) -> None:
        code = self.client.rpc.worker.exit_code
        if code != messages.NEVER_OWNED:
            self.outputs_known = code == 0
        if not self.outputs_known:
            logs.get("rack").error(f"the worker ended, and {OUTPUTS_UNKNOWN}", code=code)
        self.available.clear()
        self._lost.set()


class HealthMonitor:
    """Sees what happens to instruments that nobody uses; those that play are asked by what plays on them."""

    def __init__(self, connection: RackConnection) -> None:
        self.connection = connection

    async def run(self) -> None:
        """Check idle instruments until cancelled."""
        connection, rpc = self.connection, self.connection.client.rpc
        while True:
            await connection.available.wait()
            await asyncio.sleep(max(0.1, rpc.last_reply + CHECK_EVERY - time.monotonic()))
            idle = not rpc.turn.locked() and time.monotonic() >= rpc.last_reply + CHECK_EVERY
            if connection.available.is_set() and idle:
                try:
                    problems = await connection.client.check_health(_CHECK_SECONDS)
                except PulsedError as error:
                    logs.get("rack").warning("cannot check the instruments", error=str(error))
                else:
                    connection.checked(problems)
