"""Stop now waits for nothing: what plays is cancelled before anything is written down."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pulsed.daemon.front.handlers import Peer
from pulsed.daemon.front.queue_requests import QueueHandlers
from pulsed.daemon.jobs.jobs import Jobs
from pulsed.daemon.jobs.queue_mode import QueueModes
from pulsed.daemon.jobs.registry import JobRegistry
from pulsed.model.errors import InvalidValueError, StoreError
from pulsed.model.queue import QueueMode
from pulsed.wire.queue_messages import QueueReply, SetQueue
from pulsed.wire.roles import Role

PEER = Peer(b"address", "anna", Role.OPERATOR)


class Store:
    """Writes when told, or fails."""

    def __init__(self) -> None:
        self.go_on, self.written, self.fails = asyncio.Event(), list[Any](), False

    async def write(self, _what: Any, *arguments: Any) -> None:
        await self.go_on.wait()
        if self.fails:
            raise StoreError("the disk is gone")
        self.written += arguments


class Lab:
    """A queue with a job on the rack."""

    def __init__(self) -> None:
        self.store, self.cancelled, self.running = Store(), list[str](), "playing"
        self.queue = SimpleNamespace(mode=QueueMode.OPEN)
        registry = SimpleNamespace(store=self.store, queue=self.queue, turns_changed=lambda: None)
        self.modes = QueueModes(cast("JobRegistry", registry), lambda: None)
        self.accounts = SimpleNamespace(listed=list)

    def cancel(self, job_id: str, _user: str) -> bool:
        self.cancelled.append(job_id)
        return True

    def entries(self, _limit: int) -> tuple[tuple[()], int]:
        return (), 0

    async def told(self, mode: QueueMode = QueueMode.PAUSED, *, stop: bool, reason: str = "smoke") -> QueueReply:
        handlers = QueueHandlers(cast("Jobs", self)).handlers
        answer = handlers[SetQueue](SetQueue(1, mode, reason, stop), (), PEER)
        return cast("QueueReply", (await cast("Any", answer))[0])


async def test_stop_now_does_not_wait_for_the_store() -> None:
    lab = Lab()
    answer = asyncio.ensure_future(lab.told(stop=True))
    await asyncio.sleep(0.05)
    assert lab.cancelled == ["playing"]
    assert lab.queue.mode is lab.modes.control.mode is QueueMode.PAUSED
    assert not answer.done()  # it is durable when it is answered
    lab.store.go_on.set()
    assert (await answer).stopped == "playing"
    assert [control.mode for control in lab.store.written] == [QueueMode.PAUSED]


async def test_what_was_stopped_stays_so_when_it_cannot_be_written_down() -> None:
    lab = Lab()
    lab.store.fails = True
    lab.store.go_on.set()
    with pytest.raises(StoreError):
        await lab.told(stop=True)
    assert lab.cancelled == ["playing"]
    assert lab.queue.mode is QueueMode.PAUSED


async def test_nothing_is_stopped_without_a_word_of_it_or_for_no_reason() -> None:
    lab = Lab()
    lab.store.go_on.set()
    assert (await lab.told(stop=False)).stopped == ""
    with pytest.raises(InvalidValueError, match="only a queue that is paused"):
        await lab.told(QueueMode.DRAINING, stop=True)
    with pytest.raises(InvalidValueError, match="not a reason"):
        await lab.told(stop=True, reason="x" * 201)
    assert lab.cancelled == []
    lab.running = ""
    assert (await lab.told(stop=True)).stopped == ""


async def test_another_mode_begins_when_it_is_durable() -> None:
    lab = Lab()
    answer = asyncio.ensure_future(lab.told(QueueMode.DRAINING, stop=False))
    await asyncio.sleep(0.05)
    assert str(lab.queue.mode) == "open"
    lab.store.go_on.set()
    await answer
    assert str(lab.queue.mode) == "draining"
