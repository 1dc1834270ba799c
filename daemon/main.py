"""The daemon of one rack, from start to stop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import zmq

import pulsed
from pulsed.client.keys import (
    DEFAULT_URL,
    LOCAL,
    KnownClients,
    RunningDaemon,
    client_path,
    home_directory,
    make_keys,
    write_private,
)
from pulsed.daemon import logs
from pulsed.daemon.desks import CompileDesk, RackDesk
from pulsed.daemon.front import Front
from pulsed.daemon.jobs import RACK_WAIT, Jobs
from pulsed.daemon.store_thread import StoreThread
from pulsed.daemon.supervisor import Child
from pulsed.daemon.timetable import Errand, Timetable, maintain_command
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ConfigError, WorkerDiedError, from_info
from pulsed.store.errors import LeaseError
from pulsed.store.store import Store
from pulsed.wire.messages import AnyNotice, Status, StatusChanged

COMPILER = "pulsed.compiler.compile:Compiler"
RACK = "pulsed.drivers.rack:Rack"
_RENEW = 3.0
_START_SECONDS = 120.0


class Daemon:
    """One rack, its queue and its sockets. See :func:`serve` for the arguments."""

    def __init__(
        self, device: DeviceDescription, calibration: CalibrationSet | None, home: Path, url: str, *,
        companion: Sequence[str] | None, store: str | None, notices_url: str | None, compiler: str, rack: str,
        rack_wait: float, maintain: Sequence[str] | None,
    ) -> None:  # fmt: skip
        self.device, self.home, self.url = device, home, url
        self.started = time.time()
        self._start_from, self._notices_url = calibration, notices_url
        self._companion_argv, self._rack_wait = companion, rack_wait
        self._maintain = maintain
        self._store_url = store or f"sqlite:///{home.absolute() / 'pulsed.sqlite'}"
        self._compiler_factory, self._rack_factory = compiler, rack
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None
        self._front: Front | None = None
        self._children: list[Child] = []
        self._errand: Errand | None = None

    async def run(self, ready: Callable[[str], None] | None) -> None:
        """Serve until :meth:`stop`. Raises what keeps the daemon from starting or going on."""
        log = self.home / "logs" / "daemon.jsonl"
        async with contextlib.AsyncExitStack() as stack:
            key = make_keys(self.home)
            store = StoreThread(Store(self._store_url, self.device.name))
            store.start()
            stack.push_async_callback(store.stop)
            await store.call(store.store.open, time.time(), f"{socket.gethostname()}:{self.home.absolute()}")
            stack.callback(store.call, store.store.close)
            calibration = await self._calibration(store)
            self._renewing = asyncio.create_task(self._renew(store), name="renew the lease")
            stack.push_async_callback(_cancelled, self._renewing)

            self._compile = CompileDesk(self.device, calibration, self._compiler_factory, log, self._changed)
            self._rack = RackDesk(self.device, self._rack_factory, log, self._changed, self._progress)
            self._jobs = Jobs(
                self.device, store, self._compile, self._rack, self._publish, self._fail, rack_wait=self._rack_wait
            )
            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            stack.callback(context.destroy, 500)
            front = Front(self.device, self._jobs, KnownClients(self.home), self.status, self.stop)
            stack.callback(front.release)
            try:
                endpoint = front.bind(context, key, self.url, self._notices_url)
            except zmq.ZMQError as error:
                raise ConfigError(f"cannot listen: {error.strerror}", subject="url", value=self.url) from error
            self._start_children(stack)
            await self._jobs.recover()
            await self._warm()
            front.open()
            self._front = front
            stack.push_async_callback(self._close_front, front)
            self._jobs.start()
            stack.push_async_callback(self._jobs.stop)
            self._start_timetable(stack, store, endpoint)
            stack.enter_context(self._announced(endpoint))
            logs.get("daemon").info("ready", url=endpoint, seconds=time.time() - self.started)
            if ready is not None:
                ready(endpoint)
            await self._stopping.wait()
            logs.get("daemon").info("stopping")
        if self._failure is not None:
            raise self._failure

    def stop(self, reason: str) -> None:
        """End the daemon in good order."""
        logs.get("daemon").info("asked to stop", reason=reason)
        self._stopping.set()

    def _fail(self, error: BaseException) -> None:
        """The store does not keep what we tell it: nothing that we would tell a client is true."""
        if self._failure is None and not self._stopping.is_set():
            logs.get("daemon").error("the store failed", error=str(error))
            self._failure = error
            self._stopping.set()

    def status(self) -> Status:
        """How the daemon is."""
        waiting = [child.name for child in self._children if str(child.state) != "up"]
        operational = self._rack.available.is_set() and not waiting
        error = self._rack.error
        message = ""
        if not operational:
            broken = self._compile.error or self._rack.broken or error
            problem = str(from_info(broken)) if broken is not None else ""
            message = problem or f"waiting for: {', '.join(waiting) or 'the instruments'}"
        calibration = self._jobs.calibration
        processes = [*self._children, *([] if self._errand is None else [self._errand])]
        return Status(
            backend=self.device.name, version=pulsed.__version__, operational=operational, message=message,
            pending_jobs=self._jobs.pending, running=self._jobs.running,
            calibration_id=calibration.calibration_id, started=self.started,
            faults={subject: fault.why for subject, fault in calibration.faults.items()},
            instruments=self._rack.instruments(), workers={child.name: child.status() for child in processes},
        )  # fmt: skip

    # --- inside ------------------------------------------------------------------------------------------------

    def _start_children(self, stack: contextlib.AsyncExitStack) -> None:
        """Start them so that they end in reverse: the rack makes its outputs safe while its instruments live."""
        self._children = [self._compile.worker, self._rack.worker]
        if self._companion_argv:
            output = self.home / "logs" / "companion.log"
            output.parent.mkdir(parents=True, exist_ok=True)
            companion = Child("companion", self._companion_argv, self._changed, output)
            self._children.append(companion)
            companion.start()
            stack.push_async_callback(companion.stop)
        self._compile.worker.start()
        stack.push_async_callback(self._compile.worker.stop)
        self._rack.start()
        stack.push_async_callback(self._rack.stop)

    def _start_timetable(self, stack: contextlib.AsyncExitStack, store: StoreThread, endpoint: str) -> None:
        plan = self.device.maintenance
        if plan.every is None:
            return
        key, data = str(client_path(self.home, LOCAL)), str(self.home / "runs")
        command = self._maintain or maintain_command(sys.executable, endpoint, key, data)
        self._errand = Errand("maintenance", command, self._changed, self.home / "logs" / "maintenance.log")
        timetable = Timetable(plan, self._errand, lambda: self._jobs.pending, store)
        task = asyncio.create_task(timetable.run(), name="maintenance")
        task.add_done_callback(self._timetable_ended)
        stack.push_async_callback(_cancelled, task)  # ends the errand, too

    def _timetable_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    async def _warm(self) -> None:
        """Wait until the compiler has compiled and the rack has been tried. Raises why a worker cannot start."""

        async def up() -> None:
            await self._compile.settled.wait()
            await self._rack.tried.wait()

        tasks = [asyncio.create_task(up()), asyncio.create_task(_until(self._stopping))]
        try:
            done, _ = await asyncio.wait(tasks, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise WorkerDiedError("did not come up", subject="workers", legal=f"within {_START_SECONDS:g} s")
        finally:
            for task in tasks:
                await _cancelled(task)
        for error in (self._compile.error, self._rack.broken):
            if error is not None:
                raise from_info(error)

    async def _calibration(self, store: StoreThread) -> CalibrationSet:
        current = await store.call(store.store.current_calibration)
        if current is not None:
            return current
        if self._start_from is None:
            raise ConfigError(
                "there is no calibration set yet: name one to start from", subject=f"rack {self.device.name}"
            )
        now = time.time()
        await store.call(store.store.put_calibration, self._start_from, now)
        await store.call(store.store.set_current_calibration, self._start_from.calibration_id, now)
        return self._start_from

    async def _renew(self, store: StoreThread) -> None:
        while True:
            await asyncio.sleep(_RENEW)
            try:
                await store.call(store.store.renew, time.time())
            except LeaseError as error:
                self._fail(error)
                return

    async def _close_front(self, front: Front) -> None:
        self._front = None
        await front.close()

    def _publish(self, notice: AnyNotice) -> None:
        if self._front is not None:
            self._front.publish(notice)

    def _progress(self, job_id: str, what: str, fraction: float) -> None:
        self._jobs.progress(job_id, what, fraction)

    def _changed(self) -> None:
        if self._front is not None:
            self._publish(StatusChanged(0, self.status()))

    @contextlib.contextmanager
    def _announced(self, endpoint: str) -> Iterator[None]:
        path = self.home / "daemon.json"
        here = RunningDaemon(endpoint, os.getpid(), self.device.name, pulsed.__version__, self.started)
        write_private(path, msgspec.json.encode(here))
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def serve(
    device: DeviceDescription, calibration: CalibrationSet | None, home: Path | str | None = None,
    url: str = DEFAULT_URL, companion: Sequence[str] | None = None, *, ready: Callable[[str], None] | None = None,
    store: str | None = None, notices_url: str | None = None, compiler: str = COMPILER, rack: str = RACK,
    rack_wait: float = RACK_WAIT, maintain: Sequence[str] | None = None,
) -> int:  # fmt: skip
    """Run the daemon of one rack until SIGINT, SIGTERM or an admin's request; return the exit code.

    Args:
        device: the rack.
        calibration: the set to start from when the store has none.
        home: directory for keys, store and logs, see :func:`pulsed.client.keys.home_directory`.
        url: where to listen; port ``*`` takes a free one.
        companion: a command that runs beside the daemon, is started again when it ends, and ends with it.
        ready: called with the endpoint when jobs are accepted.
        store: URL of the database; SQLite in ``home`` when not given.
        notices_url: where notices are sent; a free port of the same host when not given.
        compiler: ``"module:name"`` of the compiler.
        rack: ``"module:name"`` of the rack.
        rack_wait: seconds that the job whose turn it is waits for instruments that do not answer. Then it fails with
            their error; those behind it wait on.
        maintain: the command that looks after the rack on its timetable; `pulsed cal maintain` when not given.

    Raises:
        ConfigError: what is given cannot work.
        LeaseError: another daemon has this home directory, or this rack.

    """
    directory = home_directory(home)
    os.umask(0o077)  # what clients sent and got is nobody else's; holds for the children too
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    _close_to_others(directory)

    async def main() -> None:
        daemon = Daemon(
            device, calibration, directory, url, companion=companion, store=store, notices_url=notices_url,
            compiler=compiler, rack=rack, rack_wait=rack_wait, maintain=maintain,
        )  # fmt: skip
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, daemon.stop, signal.Signals(number).name)
        await daemon.run(ready)

    with _alone(directory):
        logs.set_up(directory / "logs" / "daemon.jsonl", "daemon", console=True, rotate=True)
        asyncio.run(main())
    return 0


def _close_to_others(home: Path) -> None:
    """Take from others what the daemon wrote in a home directory under another umask. The directory is left alone."""
    for pattern in ("pulsed.sqlite*", "daemon.lock", "logs", "logs/*"):
        for path in home.glob(pattern):
            if path.stat().st_mode & 0o077:
                path.chmod(0o700 if path.is_dir() else 0o600)


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold the lock of a home directory; it goes with the process, however that ends."""
    with (home / "daemon.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LeaseError("another daemon runs here: stop it first (`pulsed stop`)", subject=str(home)) from None
        yield


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
