"""Everything that watches the daemon, started and ended with it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from pulsed.client.keys import LOCAL, client_path
from pulsed.daemon.front.request_server import RequestServer
from pulsed.daemon.jobs.jobs import Jobs
from pulsed.daemon.observe.alert_center import AlertCenter
from pulsed.daemon.observe.calibration_look import CalibrationLook, look_command
from pulsed.daemon.observe.metrics import DaemonMetrics
from pulsed.daemon.observe.metrics_server import MetricsServer
from pulsed.daemon.observe.snapshot import CalibrationHealth, DaemonSnapshot
from pulsed.daemon.observe.systemd import SystemdNotifier
from pulsed.daemon.workers.rack_connection import RackConnection
from pulsed.model.device import DeviceDescription
from pulsed.wire.messages import AnyEvent, CalibrationChanged, JobChanged, Status


@dataclass(frozen=True)
class Observed:
    """What is watched."""

    device: DeviceDescription
    home: Path
    status: Callable[[], Status]
    jobs: Jobs
    rack: RackConnection
    server: RequestServer


class Observers:
    """Watch one daemon. ``changed`` is called when the status may be another one because of what they found."""

    def __init__(self, device: DeviceDescription, changed: Callable[[], None]) -> None:
        self.alerts = AlertCenter(device, changed)
        self.metrics_url = ""
        """Where the page of metrics is, empty when it is not served."""
        self._changed = changed
        self._systemd = SystemdNotifier()
        self._metrics = DaemonMetrics()
        self._look: CalibrationLook | None = None
        self._moved = time.time()

    @property
    def calibration_health(self) -> CalibrationHealth:
        """How the calibration graph stands, as of the last look at it."""
        return CalibrationHealth() if self._look is None else self._look.health

    @property
    def drifted(self) -> float:
        """When the calibration was looked at last, if checks have found drift (Unix time, seconds); else 0."""
        health = self.calibration_health
        return health.looked if health.drifted else 0.0

    def saw(self, event: AnyEvent) -> None:
        """Take note of what all subscribers are told."""
        if isinstance(event, JobChanged):
            self._moved = time.time()
        elif isinstance(event, CalibrationChanged) and self._look is not None:
            self._look.changed()
        self._metrics.saw(event)

    @contextlib.asynccontextmanager
    async def watching(self, observed: Observed, endpoint: str) -> AsyncIterator[None]:
        """Watch while the block runs. Raises :class:`ConfigError` when the metrics cannot be served."""
        plan, server = observed.device.metrics, None
        tasks = [
            asyncio.create_task(self._systemd.run(observed.status), name="tell systemd"),
            asyncio.create_task(self.alerts.run(lambda: self._snapshot(observed)), name="look for alerts"),
        ]
        if plan.calibration is not None:
            command = look_command(sys.executable, endpoint, str(client_path(observed.home, LOCAL)))
            output = observed.home / "logs" / "calibration-look.json"
            self._look = CalibrationLook(command, output, plan.calibration, self._changed)
            tasks.append(asyncio.create_task(self._look.run(), name="look at the calibration"))
        try:
            if plan.listen is not None:
                server = MetricsServer(plan.listen, lambda: self._page(observed))
                await server.start()
                self.metrics_url = server.url
            yield
        finally:
            self._systemd.stopping()
            if server is not None:
                await server.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def ready(self) -> None:
        """Jobs are accepted."""
        self._systemd.ready()

    async def _page(self, observed: Observed) -> bytes:
        snapshot = self._snapshot(observed)
        return await asyncio.to_thread(self._metrics.page, snapshot)

    def _snapshot(self, observed: Observed) -> DaemonSnapshot:
        jobs, door = observed.jobs, observed.server.counts
        return DaemonSnapshot(
            now=time.time(), status=observed.status(), calibration=jobs.calibrations.active,
            waiting_since=jobs.waiting_since, moved=self._moved, free_disk=jobs.store.store.disk.free,
            health=self.calibration_health, changes=dict(observed.rack.instruments.changes),
            connections=observed.server.open_connections, requests=dict(door.requests), refused=dict(door.refusals),
            ended=dict(door.ended),
        )  # fmt: skip
