"""Looks at the daemon every few seconds, and has those told who want to know."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import msgspec

from pulsed.daemon import logs
from pulsed.daemon.observe.alert_rules import AlertTable, RestartCount, conditions
from pulsed.daemon.observe.delivery import Courier, couriers
from pulsed.daemon.observe.snapshot import DaemonSnapshot
from pulsed.model.alerts import Alert, AlertState, Receiver
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import BusyError

EVERY = 2.0
"""Seconds between two looks."""
_TEST_SECONDS = 8.0
"""For all receivers to take a test message, while a client waits."""


class AlertCenter:
    """The alerts of one daemon. ``changed`` is called when those that are active have changed."""

    def __init__(self, device: DeviceDescription, changed: Callable[[], None]) -> None:
        self._rules, self._backend, self._changed = device.alerts, device.name, changed
        self._table = AlertTable(device.alerts, device.name)
        self._restarts = RestartCount()
        self._couriers: list[Courier] = []
        self._testing = False
        self.active: tuple[Alert, ...] = ()
        """What was told and is not over."""

    @property
    def receivers(self) -> tuple[Receiver, ...]:
        """Who is told, and whether that works."""
        return tuple(courier.receiver for courier in self._couriers)

    async def run(self, snapshot: Callable[[], DaemonSnapshot]) -> None:
        """Look until cancelled."""
        self._couriers = couriers(self._rules)
        while True:
            self.look(snapshot())
            await asyncio.sleep(EVERY)

    def look(self, snapshot: DaemonSnapshot) -> None:
        """Look once."""
        workers = {name: worker.restarts for name, worker in snapshot.status.workers.items()}
        restarts = self._restarts.step(workers, snapshot.now)
        news = self._table.step(conditions(snapshot, self._rules, restarts), snapshot.now)
        for alert in news:
            logs.get("alerts").warning(str(alert.state), rule=alert.rule, subject=alert.subject, message=alert.message)
            for courier in self._couriers:
                courier.take(alert)
        active = tuple(self._table.active)
        if news or len(active) != len(self.active):
            self.active = active
            self._changed()

    async def test(self, user: str) -> tuple[Receiver, ...]:
        """Send a message to every receiver now, whatever waits; return what came of it.

        Raises :class:`BusyError` while another one is on its way.
        """
        if self._testing:
            raise BusyError("a test message is on its way", subject="alerts", legal="again in a moment")
        now = time.time()
        text = f"this is a test, sent by {user}: alerts of {self._backend} arrive here"
        alert = Alert("test", user, AlertState.TEST, text, self._backend, now, now)
        attempts = [asyncio.create_task(asyncio.to_thread(courier.attempt, alert)) for courier in self._couriers]
        self._testing = bool(attempts)
        for attempt in attempts:
            attempt.add_done_callback(lambda _: self._tested(attempts))
        if attempts:
            await asyncio.wait(attempts, timeout=_TEST_SECONDS)
        late = [one for one, attempt in zip(self._couriers, attempts, strict=True) if not attempt.done()]
        return tuple(
            msgspec.structs.replace(one.receiver, error=f"no answer within {_TEST_SECONDS:g} s")
            if one in late else one.receiver for one in self._couriers
        )  # fmt: skip

    def _tested(self, attempts: Sequence[asyncio.Task[str]]) -> None:
        self._testing = any(not attempt.done() for attempt in attempts)
