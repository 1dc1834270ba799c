"""The daemon has its rack looked after: `pulsed cal maintain` as a child process.

It is done when nobody uses the rack. On a rack that is never idle it is done when it is overdue, or when a check has
found drift: for a short time, with jobs of a priority above all others, to which a long job gives way between two of
its chunks.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

from pulsed.daemon import logs
from pulsed.daemon.store_thread import StoreThread
from pulsed.daemon.workers.supervisor import Child, ChildState
from pulsed.model.policies import Maintenance
from pulsed.store.store import Store

_LOOK = 1.0
"""Seconds between two looks at the queue."""
_STOPPING = 30.0
"""Seconds for a pass to cancel its job, to write what it has measured, and to end."""
_LOOKED_THROUGH = 200
"""Records among which the last check or calibration is looked for; behind more scans than that it was long ago."""
_SELF_TEST = 300.0
"""Seconds for a self-test, jobs before it included."""
PRIORITY = -100
"""Of the jobs of a pass: whatever else waits goes first."""
URGENT = 100
"""Of the jobs of a pass that is overdue: a job with a lower priority gives way between two of its chunks."""


class OneShotProcess(Child):
    """One command that is run when it is its time, and not started again by itself."""

    arguments: Sequence[str] = ()
    """Of this run, behind those that the command always has."""

    def _argv(self) -> list[str]:
        return [*super()._argv(), *self.arguments]

    async def run(self, limit: float | None = None, *arguments: str) -> int | None:
        """Run it, with some more arguments, and return its exit code; None when it was ended after ``limit`` seconds.

        Whoever cancels this ends the command, too: it has gone when the cancellation comes out.
        """
        self.arguments = arguments
        spawning = asyncio.ensure_future(self._spawn())
        try:
            self._process = await asyncio.shield(spawning)
        except asyncio.CancelledError:
            # A process that nobody knows of would be left; and if there is none, this is a cancellation all the same.
            with contextlib.suppress(OSError):
                self._process = await spawning
                self._step(ChildState.STARTING)
                await self._gone(self._process)
            raise
        self._step(ChildState.STARTING)
        self._step(ChildState.UP)
        process = self._process
        try:
            return await asyncio.wait_for(process.wait(), limit)
        except TimeoutError:
            return None
        finally:
            await self._gone(process)

    async def _gone(self, process: asyncio.subprocess.Process) -> None:
        """End the process, if it has not ended, with time to stop what it measures and to keep what it has."""
        if process.returncode is None:
            await self._end(process, _STOPPING)
        self._process = None
        self._step(ChildState.DOWN)


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


def is_overdue(plan: Maintenance, now: float, last: float, drifted: float) -> bool:
    """Return whether a pass has to be made although the rack is not idle. Times are Unix times.

    Args:
        plan: with ``every``.
        now: the time.
        last: when the last pass or measurement ended.
        drifted: when the calibration was last looked at, if checks have found drift; 0 when they have found none.

    """
    assert plan.every is not None
    if plan.overdue is None:
        return False
    return drifted > last or now >= last + plan.every + plan.overdue


async def first_self_test(process: OneShotProcess, available: asyncio.Event) -> None:
    """Run ``process`` once, when the instruments answer: it says which port is dead. Nothing depends on it."""
    await available.wait()
    try:
        code = await process.run(_SELF_TEST)
    except OSError as error:
        logs.get("self-test").error("cannot begin", error=str(error))
        return
    if code == 0:
        logs.get("self-test").info("every port is alive that can be heard")
    else:
        logs.get("self-test").warning("a port is dead, or the test had no end: see pulsed status", code=code)


class MaintenanceScheduler:
    """Runs ``command`` as ``plan`` says.

    Args:
        plan: of the rack.
        process: what is run.
        occupied: tells whether there is a job, or a session that holds the rack.
        store: where the records of measurements are.
        may_go_between: tells whether a job may go between others now: no session holds the rack, the queue is open.
        drifted: tells when drift was seen last, as :func:`is_overdue` takes it.

    """

    def __init__(
        self, plan: Maintenance, process: OneShotProcess, occupied: Callable[[], bool], store: StoreThread,
        may_go_between: Callable[[], bool] = lambda: False, drifted: Callable[[], float] = lambda: 0.0,
    ) -> None:  # fmt: skip
        self.plan, self.process = plan, process
        self._occupied, self._store = occupied, store
        self._may_go_between, self._drifted = may_go_between, drifted
        self._began = self._idle_since = time.time()
        self._last = 0.0

    async def run(self) -> None:
        """Look after the rack until cancelled."""
        while True:
            wait, overdue = self._wait(), self._overdue()
            if wait == 0 or overdue:
                self._last = max(self._last, await self._measured())
                wait, overdue = self._wait(), self._overdue()
            if wait > 0 and not overdue:
                await asyncio.sleep(min(wait, _LOOK))
                continue
            await self._pass(overdue=overdue and wait > 0)

    async def _pass(self, *, overdue: bool) -> None:
        limit, priority = (self.plan.overdue_limit, URGENT) if overdue else (self.plan.limit, PRIORITY)
        logs.get("maintenance").info("begins", between_jobs=overdue)
        try:
            code = await self.process.run(limit, "--priority", str(priority))
        except OSError as error:  # no process to be had: the next pass may have one, and jobs go on
            logs.get("maintenance").error("cannot begin", error=str(error))
        else:
            if code is None:
                logs.get("maintenance").warning("stopped: out of time", limit=limit)
            else:
                report = logs.get("maintenance").info if code == 0 else logs.get("maintenance").warning
                report("ended", code=code)
        self._last = self._idle_since = time.time()

    def _overdue(self) -> bool:
        return self._may_go_between() and is_overdue(self.plan, time.time(), self._last, self._drifted())

    def _wait(self) -> float:
        now, busy = time.time(), self._occupied()
        if busy:
            self._idle_since = now
        return seconds_until_due(self.plan, now, self._last, None if busy else self._idle_since)

    async def _measured(self) -> float:
        """Return when the last check or calibration ended, whoever made it; without any, when the daemon began.

        Scans say nothing about values, and put nothing off. What clients say of the time is believed up to now: a clock
        that is ahead does not put the passes off.
        """
        newest = await self._store.call_patiently(Store.runs, limit=_LOOKED_THROUGH)
        return next((min(run.ended, time.time()) for run in newest if run.kind != "scan"), self._began)


def maintain_command(python: str, url: str, key: str, data: str) -> Sequence[str]:
    """Return the command that makes one pass, with the key file ``key``; the priority of its jobs comes behind it."""
    return (python, "-m", "pulsed.cli", "cal", "maintain", "--url", url, "--key", key, "--data", data, "--json")


def self_test_command(python: str, url: str, key: str) -> Sequence[str]:
    """Return the command that tests every port once, with the key file ``key``."""
    return (python, "-m", "pulsed.cli", "self-test", "--url", url, "--key", key, "--json")
