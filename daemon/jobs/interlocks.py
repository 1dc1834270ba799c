"""The interlocks of a rack: one that has tripped stops what plays, has the outputs off, and holds the queue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from pulsed.daemon import logs
from pulsed.daemon.jobs.interlock_table import InterlockWatch
from pulsed.daemon.jobs.registry import JobRegistry
from pulsed.daemon.workers import messages
from pulsed.daemon.workers.heartbeat import Heartbeat
from pulsed.daemon.workers.rack_connection import RackConnection
from pulsed.daemon.workers.rpc import WorkerRpc
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError, NotFoundError, PulsedError, from_info
from pulsed.model.interlock_status import InterlockState, InterlockStatus, TrippedInterlock
from pulsed.model.payload import Part
from pulsed.store.store import Store

_TICK = 0.2
"""Seconds between two looks at what was not heard."""
_SAFE_SECONDS = 5.0
"""For all outputs to be off, where no bias has a slew rate that takes longer."""
_AGAIN = 1.0
"""Seconds between two attempts to switch outputs off that were not confirmed to be."""
_LONGEST = 200
"""Letters of a reason."""


class Interlocks:
    """The interlocks of ``device``; without any, nothing is started.

    Args:
        device: the rack.
        registry: has the queue that is held.
        rack: has the outputs.
        log: file that the log of the process is appended to.
        changed: called when what clients are told has changed.
        told: called with the kind and the details of what the audit log is to have.

    """

    def __init__(
        self, device: DeviceDescription, registry: JobRegistry, rack: RackConnection, log: Path,
        changed: Callable[[], None], told: Callable[[str, str], None],
    ) -> None:  # fmt: skip
        now = time.time()
        self._watches = {name: InterlockWatch(name, plan, now) for name, plan in device.interlocks.items()}
        self._device, self._registry, self._rack, self._log = device, registry, rack, log
        self._changed, self._told = changed, told
        self._held, self._known_to_be_off = "", True
        self._to_switch_off = asyncio.Event()
        self.rpc = WorkerRpc(
            "interlock", "pulsed.daemon.workers.interlock_worker", self._set_up, changed, self._observe, lambda: None
        )

    @property
    def any(self) -> bool:
        """Whether there are interlocks at all."""
        return bool(self._watches)

    @property
    def fails_jobs(self) -> bool:
        """Whether the job that is cut off fails, instead of going on when all is armed again."""
        return any(
            one.plan.jobs == "fail" for one in self._watches.values() if one.state is InterlockState.TRIPPED
        )  # fmt: skip

    def status(self) -> tuple[InterlockStatus, ...]:
        """Return all of them as they are told to clients."""
        return tuple(one.status() for one in self._watches.values())

    def sentence(self) -> str:
        """Return why nothing plays; empty when no interlock keeps the rack from playing."""
        unsure = "" if self._known_to_be_off else "; nothing has confirmed that the outputs are off"
        return f"{self._held}{unsure}" if self._held else ""

    async def recover(self) -> None:
        """Hold the queue until each was read; those that the last daemon left tripped stay so."""
        for one in await self._registry.store.call(Store.tripped_interlocks):
            if (watch := self._watches.get(one.name)) is None:
                logs.get("interlocks").warning("has tripped and is no longer configured", interlock=one.name)
            else:
                watch.trip(one.reason, one.since)
        self._hold()

    async def run(self) -> None:
        """Watch until cancelled."""
        tasks = [
            asyncio.create_task(self._switch_off(), name="outputs off"),
            asyncio.create_task(Heartbeat(self.rpc).run(), name="heartbeat of the interlock worker"),
        ]
        try:
            while True:
                # Short waits are counted, not the clock: while this process was stopped nobody could be heard.
                await asyncio.sleep(_TICK)
                now = time.time()
                for watch in self._watches.values():
                    if watch.passed(_TICK, now):
                        self._has_tripped(watch)
                self._check_tasks(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def rearm(self, name: str, reason: str, user: str) -> InterlockStatus:
        """Arm one again that has tripped; it is durable when this returns.

        Raises :class:`NotFoundError`, :class:`InvalidValueError` for what is no reason, and :class:`InterlockError`
        while its value is out of limits.
        """
        if name not in self._watches:
            legal = ", ".join(self._watches) or "none is configured"
            raise NotFoundError("no such interlock", subject="interlock", value=name[:_LONGEST], legal=legal)
        if not reason.strip() or len(reason) > _LONGEST or not reason.isprintable():
            raise InvalidValueError(
                "not a reason", subject="reason", value=reason[:_LONGEST], legal=f"1 to {_LONGEST} letters on one line"
            )
        watch = self._watches[name]
        watch.rearm(time.time())
        logs.get("interlocks").info("armed again", interlock=name, reason=reason, user=user)
        await self._keep()
        self._hold()
        return watch.status()

    # --- inside ------------------------------------------------------------------------------------------------

    def _set_up(self) -> list[Part]:
        tables = {name: plan.model_dump(mode="json") for name, plan in self._device.interlocks.items()}
        return [messages.encode(messages.SetUp("", str(self._log))), messages.json_of(tables)]

    def _observe(self, reply: messages.AnyReply) -> None:
        if not isinstance(reply, messages.InterlockReading) or reply.name not in self._watches:
            return
        watch = self._watches[reply.name]
        before = watch.state, watch.problem
        if watch.heard(reply.value, reply.unit, reply.error, time.time()):
            self._has_tripped(watch)
        elif (watch.state, watch.problem) != before:
            if watch.problem:
                logs.get("interlocks").warning("out of limits", interlock=watch.name, problem=watch.problem)
            self._hold()

    def _has_tripped(self, watch: InterlockWatch) -> None:
        logs.get("interlocks").error("tripped", interlock=watch.name, reason=watch.reason)
        self._hold()
        self._registry.must_succeed(self._keep())
        self._told("interlock.trip", f"{watch.name}: {watch.reason}")

    def _hold(self) -> None:
        """Let the rack play if, and only if, every interlock is armed."""
        held = "; ".join(filter(None, (one.sentence() for one in self.status())))
        if held == self._held:
            self._changed()
            return
        tripped = any(one.state is InterlockState.TRIPPED for one in self._watches.values())
        self._held = self._registry.queue.held = held
        self._rack.client.halt(held)
        if tripped:
            self._known_to_be_off = False
            self._to_switch_off.set()
        self._registry.turns_changed()
        self._changed()

    def _keep(self) -> asyncio.Future[None]:
        tripped = [
            TrippedInterlock(one.name, one.reason, one.since)
            for one in self._watches.values() if one.state is InterlockState.TRIPPED
        ]  # fmt: skip
        return self._registry.store.write(Store.put_tripped_interlocks, tripped)

    async def _switch_off(self) -> None:
        """Have the outputs off as often as an interlock trips, and until that is confirmed."""
        while True:
            await self._to_switch_off.wait()
            self._to_switch_off.clear()
            while self._held and not await self._confirmed():
                await asyncio.sleep(_AGAIN)
            self._known_to_be_off = True
            self._changed()

    async def _confirmed(self) -> bool:
        """Switch the outputs off, and return whether each instrument has said that they are."""
        try:
            problems = [from_info(one) for one in await self._rack.client.make_safe(_SAFE_SECONDS)]
        except PulsedError as error:  # the worker has gone: the next one connects, by which the outputs go off
            problems = [error]
        for problem in problems:
            logs.get("interlocks").error("the outputs are not known to be off", error=str(problem))
        return not problems

    @staticmethod
    def _check_tasks(tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            if task.done():
                task.result()  # raises what ended it
