"""The daemon of one rack, from start to stop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import zmq
from sqlalchemy import make_url

import pulsed
from pulsed.client.home import DEFAULT_URL, RunningDaemon, announced, home_directory
from pulsed.client.key_changes import take_over
from pulsed.client.keys import LOCAL, client_path, make_keys, write_private
from pulsed.client.known_clients import KnownClients
from pulsed.daemon import logs
from pulsed.daemon.front.instrument_requests import InstrumentHandlers
from pulsed.daemon.front.interlock_requests import InterlockHandlers
from pulsed.daemon.front.note_requests import NoteHandlers
from pulsed.daemon.front.request_server import RequestServer
from pulsed.daemon.front.sockets import reachable
from pulsed.daemon.jobs.calibration_basis import RackChanged, open_calibrations
from pulsed.daemon.jobs.jobs import RACK_WAIT, Jobs
from pulsed.daemon.maintenance import (
    MaintenanceScheduler,
    OneShotProcess,
    first_self_test,
    maintain_command,
    self_test_command,
)
from pulsed.daemon.observe.observers import Observed, Observers
from pulsed.daemon.observe.requests import ObservationHandlers
from pulsed.daemon.observe.status_report import StatusReport
from pulsed.daemon.retention import RetentionKeeper
from pulsed.daemon.store_thread import StoreThread
from pulsed.daemon.workers.compile_client import CompileWorkerClient
from pulsed.daemon.workers.heartbeat import Heartbeat
from pulsed.daemon.workers.rack_connection import OUTPUTS_UNKNOWN, RackConnection
from pulsed.daemon.workers.supervisor import Child
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ConfigError, OutputsNotConfirmedError, StoreError, WorkerDiedError, from_info
from pulsed.store.errors import LeaseError
from pulsed.store.store import Store
from pulsed.wire.messages import AnyEvent, Status, StatusChanged

COMPILER = "pulsed.compiler.compile:Compiler"
RACK = "pulsed.drivers.rack.rack:Rack"
_RENEW = 3.0
_MOST_FILES = 65_536
_START_SECONDS = 300.0


class Daemon:
    """One rack, its queue and its sockets. See :func:`serve` for the arguments."""

    def __init__(
        self, device: DeviceDescription, calibration: CalibrationSet | None, home: Path, url: str, *,
        companion: Sequence[str] | None, store: str | None, events_url: str | None, compiler: str, rack: str,
        rack_wait: float, maintain: Sequence[str] | None, rack_changed: RackChanged,
    ) -> None:  # fmt: skip
        self.device, self.home, self.url = device, home, url
        self.started = time.time()
        self._start_from, self._events_url = calibration, events_url
        self._companion_argv, self._rack_wait = companion, rack_wait
        self._maintain, self._rack_changed = maintain, rack_changed
        self._store_url = store or f"sqlite:///{home.absolute() / 'pulsed.sqlite'}"
        self._compiler_factory, self._rack_factory = compiler, rack
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None
        self._server: RequestServer | None = None
        self._children: list[Child] = []
        self._one_shots: list[OneShotProcess] = []
        self._observers = Observers(device, self._changed)
        self._companion: Child | None = None

    async def run(self, ready: Callable[[str], None] | None) -> None:
        """Serve until :meth:`stop`. Raises what keeps the daemon from starting or going on."""
        log = self.home / "logs" / "daemon.jsonl"
        async with contextlib.AsyncExitStack() as stack:
            take_over(self.home)
            key, clients = make_keys(self.home), _known_clients(self.home)
            store = StoreThread(Store(self._store_url, self.device.name, free_disk=self.device.limits.free_disk))
            store.start()
            stack.push_async_callback(store.stop)
            await store.call(Store.open, time.time(), f"{socket.gethostname()}:{self.home.absolute()}")
            stack.callback(store.call, Store.close)
            calibrations = await open_calibrations(self.device, store, self._start_from, self._rack_changed)
            self._renewing = asyncio.create_task(self._renew(store), name="renew the lease")
            stack.push_async_callback(_cancelled, self._renewing)

            self._compiler = CompileWorkerClient(
                self.device, lambda: calibrations.active, self._compiler_factory, log, self._changed,
                private=self._private_files(),
            )  # fmt: skip
            self._rack = RackConnection(self.device, self._rack_factory, log, self._changed, self._progress)
            self._jobs = Jobs(
                calibrations, store, self._compiler, self._rack, self._publish, self._fail, rack_wait=self._rack_wait,
                role_of=clients.role_of, mode_changed=self._changed, log=log,
                audited=lambda what, detail: server.audit.told(what, detail),  # noqa: PLW0108 - it comes later
            )  # fmt: skip
            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            stack.callback(context.destroy, 500)
            server = RequestServer(self.device, self._jobs, clients, self.status, self.stop)
            stack.callback(server.release)
            try:
                endpoint = server.bind(context, key, self.url, self._events_url)
            except zmq.ZMQError as error:
                raise ConfigError(f"cannot listen: {error.strerror}", subject="url", value=self.url) from error
            await store.call(Store.announce, reachable(endpoint), key.public)
            await self._jobs.interlocks.recover()
            self._start_children(stack)
            await self._jobs.recover()
            await self._warm()
            for more in (
                ObservationHandlers(self._observers.alerts), InstrumentHandlers(self._jobs, self._rack),
                InterlockHandlers(self._jobs.interlocks), NoteHandlers(self.device, store, self._publish),
            ):  # fmt: skip
                server.handlers.update(more.handlers)
            server.open()
            self._server = server
            stack.push_async_callback(self._close_server, server)
            self._jobs.start()
            stack.push_async_callback(self._jobs.stop)
            self._start_maintenance(stack, store, endpoint)
            self._start_self_test(stack, endpoint)
            observed = Observed(self.device, self.home, self.status, self._jobs, self._rack, server)
            await stack.enter_async_context(self._observers.watching(observed, endpoint))
            stack.enter_context(self._announced(endpoint, server.instance))
            logs.get("daemon").info("ready", url=endpoint, seconds=time.time() - self.started)
            self._observers.ready()
            if ready is not None:
                ready(endpoint)
            await self._stopping.wait()
            logs.get("daemon").info("stopping")
        if self._failure is not None:
            raise self._failure
        if not self._rack.outputs_known:
            raise OutputsNotConfirmedError(
                OUTPUTS_UNKNOWN, subject=f"rack {self.device.name}", value=f"see {log}",
                legal="look at the instruments, or start the daemon again: it switches the outputs off",
            )  # fmt: skip

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
        report = StatusReport(self.device, self.started, self._jobs, self._compiler, self._rack, self._companion)
        observers = self._observers
        return report.make(
            self._children, self._one_shots, observers.alerts.active, observers.calibration_health,
            observers.metrics_url,
        )  # fmt: skip

    def _private_files(self) -> list[Path]:
        """Return what the compile worker must not read."""
        files = [self.home / "server.key", client_path(self.home, LOCAL)]
        url = make_url(self._store_url)
        return [*files, Path(url.database)] if url.get_backend_name() == "sqlite" and url.database else files

    # --- inside ------------------------------------------------------------------------------------------------

    def _start_children(self, stack: contextlib.AsyncExitStack) -> None:
        """Start them so that they end in reverse: the rack makes its outputs safe while its instruments live."""
        self._children = [self._compiler.rpc.worker, self._rack.client.rpc.worker]
        if self._companion_argv:
            output = self.home / "logs" / "companion.log"
            output.parent.mkdir(parents=True, exist_ok=True)
            companion = Child("companion", self._companion_argv, self._changed, output)
            self._companion = companion
            self._children.append(companion)
            companion.start()
            stack.push_async_callback(companion.stop)
        self._compiler.rpc.worker.start()
        stack.push_async_callback(self._compiler.rpc.worker.stop)
        self._run_in_background(stack, Heartbeat(self._compiler.rpc, computes=True).run())
        self._rack.start()
        self._children.append(self._rack.client.guard)
        stack.push_async_callback(self._rack.stop)
        interlocks = self._jobs.interlocks
        if interlocks.any:
            self._children.append(interlocks.rpc.worker)
            interlocks.rpc.worker.start()
            stack.push_async_callback(interlocks.rpc.worker.stop)
            self._run_in_background(stack, interlocks.run())

    def _start_maintenance(self, stack: contextlib.AsyncExitStack, store: StoreThread, endpoint: str) -> None:
        if self.device.retention.deletes:
            self._run_in_background(stack, RetentionKeeper(self.device.retention, store).run())
        plan = self.device.maintenance
        if plan.every is None:
            return
        key, data = str(client_path(self.home, LOCAL)), str(self.home / "runs")
        command = self._maintain or maintain_command(sys.executable, endpoint, key, data)
        process = self._one_shot("maintenance", command)
        scheduler = MaintenanceScheduler(
            plan, process, lambda: self._jobs.occupied, store, lambda: self._jobs.others_may_play,
            lambda: self._observers.drifted,
        )  # fmt: skip
        self._run_in_background(stack, scheduler.run())

    def _start_self_test(self, stack: contextlib.AsyncExitStack, endpoint: str) -> None:
        wanted = self.device.maintenance.self_test
        if wanted if wanted is not None else self.device.simulator is None:
            command = self_test_command(sys.executable, endpoint, str(client_path(self.home, LOCAL)))
            self._run_in_background(stack, first_self_test(self._one_shot("self-test", command), self._rack.available))

    def _one_shot(self, name: str, command: Sequence[str]) -> OneShotProcess:
        self._one_shots.append(OneShotProcess(name, command, self._changed, self.home / "logs" / f"{name}.log"))
        return self._one_shots[-1]

    def _run_in_background(self, stack: contextlib.AsyncExitStack, run: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(run)
        task.add_done_callback(self._background_ended)
        stack.push_async_callback(_cancelled, task)  # ends the process, too

    def _background_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    async def _warm(self) -> None:
        """Wait until the compiler has compiled and the rack has been tried.

        Raises why a worker cannot start, or that the command beside the daemon has ended and what it said.
        """

        async def up() -> None:
            await self._compiler.rpc.settled.wait()
            await self._rack.tried.wait()

        companion = self._companion
        tasks = [asyncio.create_task(up()), asyncio.create_task(_until(self._stopping))]
        if companion is not None:
            tasks.append(asyncio.create_task(_until(companion.failed)))
        try:
            done, _ = await asyncio.wait(tasks, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise WorkerDiedError("were not ready in time", subject="workers", legal=f"within {_START_SECONDS:g} s")
        finally:
            for task in tasks:
                await _cancelled(task)
        if companion is not None and companion.failed.is_set() and not self._stopping.is_set():
            raise WorkerDiedError(
                f"ended at its start: {companion.last_words} (more in {self.home / 'logs' / 'companion.log'})",
                subject="the simulated rack" if self.device.simulator is not None else "the command beside the daemon",
            )
        for error in (self._compiler.rpc.error, self._rack.client.rpc.error, self._rack.instruments.taken):
            if error is not None:
                raise from_info(error)

    async def _renew(self, store: StoreThread) -> None:
        while True:
            await asyncio.sleep(_RENEW)
            try:
                await store.write(Store.renew, time.time())
            except LeaseError as error:
                self._fail(error)
                return
            except StoreError as error:  # nobody else can have the rack before the lease has run out
                logs.get("daemon").error("the lease could not be renewed", error=str(error))

    async def _close_server(self, server: RequestServer) -> None:
        self._server = None
        await server.close()

    def _publish(self, event: AnyEvent) -> None:
        self._observers.saw(event)
        if self._server is not None:
            self._server.publish(event)

    def _progress(self, job_id: str, what: str, fraction: float) -> None:
        self._jobs.progress(job_id, what, fraction)

    def _changed(self) -> None:
        if self._server is not None:
            self._publish(StatusChanged(0, self.status()))

    @contextlib.contextmanager
    def _announced(self, endpoint: str, instance: str) -> Iterator[None]:
        path = self.home / "daemon.json"
        metrics = self._observers.metrics_url
        here = RunningDaemon(
            endpoint, os.getpid(), self.device.name, pulsed.__version__, self.started, metrics, instance
        )
        write_private(path, msgspec.json.encode(here))
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _known_clients(home: Path) -> KnownClients:
    """Return the clients with their roles, which count for the queue before one of them connects."""
    clients = KnownClients(home)
    clients.refresh()
    return clients


def serve(
    device: DeviceDescription, calibration: CalibrationSet | None, home: Path | str | None = None,
    url: str = DEFAULT_URL, companion: Sequence[str] | None = None, *, ready: Callable[[str], None] | None = None,
    store: str | None = None, events_url: str | None = None, compiler: str = COMPILER, rack: str = RACK,
    rack_wait: float = RACK_WAIT, maintain: Sequence[str] | None = None, rack_changed: RackChanged = "refuse",
) -> int:  # fmt: skip
    """Run the daemon of one rack until SIGINT, SIGTERM or an admin's request; return the exit code.

    Args:
        device: the rack.
        calibration: the set to start from when the store has none.
        home: directory for keys, store and logs, see :func:`pulsed.client.home.home_directory`.
        url: where to listen; port ``*`` takes a free one.
        companion: a command that runs beside the daemon, is started again when it ends, and ends with it.
        ready: called with the endpoint when jobs are accepted.
        store: URL of the database; SQLite in ``home`` when not given.
        events_url: where events are sent; a free port of the same host when not given.
        compiler: ``"module:name"`` of the compiler.
        rack: ``"module:name"`` of the rack.
        rack_wait: seconds that the job whose turn it is waits for instruments that do not answer. Then it fails with
            their error; those behind it wait on.
        maintain: the command that looks after the rack on its schedule; `pulsed cal maintain` when not given.
        rack_changed: when the active set was made for another rack: refuse to start, keep its values all the same, or
            begin again with ``calibration``.

    Raises:
        ConfigError: what is given cannot work.
        LeaseError: another daemon has this home directory, or this rack.
        OutputsNotConfirmedError: it has stopped, and not every instrument has confirmed that its outputs are off.

    """
    directory = home_directory(home)
    os.umask(0o077)  # what clients sent and got is nobody else's; holds for the children too
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    _close_to_others(directory)

    async def main() -> None:
        daemon = Daemon(
            device, calibration, directory, url, companion=companion, store=store, events_url=events_url,
            compiler=compiler, rack=rack, rack_wait=rack_wait, maintain=maintain, rack_changed=rack_changed,
        )  # fmt: skip
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, daemon.stop, signal.Signals(number).name)
        await daemon.run(ready)

    _allow_connections()
    with _alone(directory):
        logs.set_up(directory / "logs" / "daemon.jsonl", "daemon", console=True, rotate=True)
        asyncio.run(main())
    return 0


def _allow_connections() -> None:
    """Let this process have as many files open as it may: each connection is one, or two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


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
            raise LeaseError(
                "another daemon runs here", subject=str(home), value=_who_runs(home),
                legal="`pulsed status` shows it, `pulsed stop` stops it; a second one needs a home of its own (--home)",
            ) from None  # fmt: skip
        yield


def _who_runs(home: Path) -> str:
    """Return who has announced itself at ``home``; one that still starts, or already stops, has not."""
    if (there := announced(home)) is None:
        return "it is starting or stopping"
    since = datetime.fromtimestamp(there.started, UTC).astimezone()
    return f"{there.backend} at {there.url}, process {there.pid}, since {since:%Y-%m-%d %H:%M:%S}"


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
