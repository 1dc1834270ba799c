"""Calls to a worker: every way in which one ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from pulsed.daemon.workers import messages
from pulsed.daemon.workers.rpc import WorkerRpc
from pulsed.daemon.workers.supervisor import ChildState
from pulsed.model.errors import InstrumentUnreachableError, WorkerDiedError

UNREACHABLE = InstrumentUnreachableError("nothing answers", subject="instrument awg1")
CONNECT = messages.Connect(1.0)


class Scene:
    """A call and its worker, of which there is no process: what it would say is said by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, started: bool = True) -> None:
        self.seen: list[Any] = []
        self.sent: list[Any] = []
        self.kills = 0
        self.rpc = WorkerRpc("rack", "none", list, lambda: None, self.seen.append, lambda: self.seen.append("ended"))
        monkeypatch.setattr(self.rpc.worker, "send", self._send)
        monkeypatch.setattr(self.rpc.worker, "kill", self._kill)
        self.rpc.worker.state = ChildState.STARTING
        if started:
            self.says(messages.Ready())
            self.seen.clear()

    def _send(self, request: Any, _parts: Sequence[Any] = ()) -> None:
        self.sent.append(request)

    def _kill(self) -> None:
        self.kills += 1

    def says(self, reply: Any, *parts: bytes) -> None:
        self.rpc._on_message([memoryview(messages.encode(reply)), *map(memoryview, parts)])

    async def asked(self, seconds: float = 60.0) -> asyncio.Task[Any]:
        count = len(self.sent)
        call = asyncio.create_task(self.rpc.call(CONNECT, (), seconds, messages.Connected))
        while len(self.sent) == count:
            await asyncio.sleep(0)
        return call


async def test_reply_comes_with_its_parts_and_progress_does_not_end_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    call = await scene.asked()
    assert scene.rpc.pending is CONNECT
    progress, reply = messages.PlayProgress("j", "played", 0.5), messages.Connected({"awg1": "A"})
    scene.says(messages.Pong())
    scene.seen.clear()
    scene.says(progress)
    assert scene.rpc.pending is CONNECT
    scene.says(reply, b"part")
    assert scene.rpc.pending is None
    found, parts = await call
    assert (found, [bytes(part) for part in parts]) == (reply, [b"part"])
    assert scene.seen == [progress, reply]


async def test_second_call_waits_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    first = await scene.asked()
    second = asyncio.create_task(scene.rpc.call(CONNECT, (), 60.0, messages.Connected))
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(scene.sent) == 1
    scene.says(messages.Connected({"n": "1"}))
    await first
    while len(scene.sent) < 2:
        await asyncio.sleep(0)
    scene.says(messages.Connected({"n": "2"}))
    assert (await second)[0] == messages.Connected({"n": "2"})


async def test_error_of_the_worker_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    call = await scene.asked()
    scene.says(messages.RequestFailed(UNREACHABLE.to_info()))
    with pytest.raises(InstrumentUnreachableError, match="awg1"):
        await call
    assert scene.rpc.error is None


async def test_worker_that_ends_or_answers_something_else_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    call = await scene.asked()
    scene.says(messages.HealthReport())
    with pytest.raises(WorkerDiedError, match="got HealthReport; legal: Connected"):
        await call
    call = await scene.asked()
    scene.rpc._on_end()
    with pytest.raises(WorkerDiedError, match="ended before it answered"):
        await call
    assert scene.seen[-1] == "ended"
    with pytest.raises(WorkerDiedError, match="rack worker: the process is not running"):
        await scene.rpc.call(CONNECT, (), 60.0, messages.Connected)


async def test_worker_that_is_silent_is_killed_and_takes_no_request_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    with pytest.raises(TimeoutError):
        await (await scene.asked(seconds=0.01))
    assert scene.kills == 1
    assert not scene.rpc.ready.is_set()
    scene.says(messages.Connected({}))  # too late: nobody waits for it
    assert scene.rpc.pending is None


async def test_worker_that_cannot_start_says_why_until_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, started=False)
    scene.says(messages.RequestFailed(UNREACHABLE.to_info()))
    assert scene.rpc.settled.is_set()
    assert (scene.rpc.error, scene.kills) == (UNREACHABLE.to_info(), 1)
    assert not scene.rpc.ready.is_set()
    scene.rpc.worker.state = ChildState.STARTING
    scene.says(messages.Ready())
    assert scene.rpc.error is None
    assert scene.rpc.ready.is_set()


async def test_a_cancellation_that_comes_with_the_answer_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops the daemon waits for the task that plays."""
    scene = Scene(monkeypatch)
    call = await scene.asked()
    scene.says(messages.Connected({"awg1": "A"}))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert scene.rpc.pending is None
