"""The daemon has its rack looked after when nobody uses it: `pulsed cal maintain` as a child process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from pulsed.daemon import logs
from pulsed.daemon.store_thread import StoreThread
from pulsed.daemon.supervisor import Child, ChildState
from pulsed.model.device import Maintenance

_LOOK = 1.0
"""Seconds between two looks at the queue."""


class Errand(Child):
    """One command that is run when it is its time, and not started again by itself."""

    async def run(self) -> int:
        """Run it and return its exit code."""
        self._process = await self._spawn()
        self._step(ChildState.STARTING)
        self._step(ChildState.UP)
        code = await self._process.wait()
        self._process = None
        self._step(ChildState.DOWN)
        return code


def seconds_until_due(plan: Maintenance, now: float, last: float, idle_since: float | None) -> float:
    """Return how long to wait at least before the next pass; 0 when it is due. Times are Unix times.

    Args:
        plan: with ``every``.
        now: the time.
        last: when the last pass or measurement ended.
        idle_since: when the last job ended; None while there is one.

    """
    assert plan.every is not None
    if idle_since is None:
        return max(_LOOK, last + plan.every - now)
    return max(0.0, last + plan.every - now, idle_since + plan.idle - now)


class Timetable:
    """Runs ``command`` as ``plan`` says.

    Args:
        plan: of the rack.
        errand: what is run.
        pending: tells how many jobs there are.
        store: where the records of measurements are.

    """

    def __init__(self, plan: Maintenance, errand: Errand, pending: Callable[[], int], store: StoreThread) -> None:
        self.plan, self.errand = plan, errand
        self._pending, self._store = pending, store
        self._began = self._idle_since = time.time()
        self._last = 0.0

    async def run(self) -> None:
        """Look after the rack until cancelled."""
        while True:
            wait = self._wait()
            if wait == 0:
                self._last = max(self._last, await self._measured())
                wait = self._wait()
            if wait > 0:
                await asyncio.sleep(min(wait, _LOOK))
                continue
            logs.get("maintenance").info("begins")
            try:
                code = await self.errand.run()
            except OSError as error:  # no process to be had: the next pass may have one, and jobs go on
                logs.get("maintenance").error("cannot begin", error=str(error))
                self._last = self._idle_since = time.time()
                continue
            report = logs.get("maintenance").info if code == 0 else logs.get("maintenance").warning
            report("ended", code=code)
            self._last = self._idle_since = time.time()

    def _wait(self) -> float:
        now, busy = time.time(), bool(self._pending())
        if busy:
            self._idle_since = now
        return seconds_until_due(self.plan, now, self._last, None if busy else self._idle_since)

    async def _measured(self) -> float:
        """Return when the last measurement ended, whoever made it; without any, when the daemon began.

        What clients say of the time is believed up to now: a clock that is ahead does not put the passes off.
        """
        newest = await self._store.call(self._store.store.runs, limit=1)
        return min(newest[0].ended, time.time()) if newest else self._began


def maintain_command(python: str, url: str, key: str, data: str) -> Sequence[str]:
    """Return the command that makes one pass, with the key file ``key``."""
    return (python, "-m", "pulsed.cli", "cal", "maintain", "--url", url, "--key", key, "--data", data, "--json")
