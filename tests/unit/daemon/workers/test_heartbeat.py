"""Who gives no sign of life is ended, and nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from types import SimpleNamespace
from typing import Any

import pytest

from pulsed.daemon.workers import heartbeat, messages
from pulsed.daemon.workers.heartbeat import MISSED, Heartbeat, processor_time
from pulsed.daemon.workers.rack_client import RackWorkerClient
from pulsed.daemon.workers.supervisor import ChildState


class Peer:
    """A worker that answers pings while it is told to."""

    def __init__(self, *, answers: bool, state: ChildState = ChildState.UP) -> None:
        self.answers, self.state, self.pid = answers, state, 1
        self.received = self.pings = 0
        self.killed_after: list[int] = []

    def send(self, request: Any) -> None:
        assert isinstance(request, messages.Ping)
        self.pings += 1
        self.received += self.answers

    def kill(self) -> None:
        self.killed_after.append(self.pings)
        self.pings = 0


async def beats(monkeypatch: pytest.MonkeyPatch, peer: Peer, until: int, *, computes: bool = False) -> None:
    monkeypatch.setattr(heartbeat, "EVERY", 0)
    rpc: Any = SimpleNamespace(worker=peer, kill=peer.kill, name="rack worker")
    task = asyncio.create_task(Heartbeat(rpc, computes=computes).run())
    turns = 0
    while turns < until:
        await asyncio.sleep(0)
        turns += 1
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_worker_that_answers_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = Peer(answers=True)
    await beats(monkeypatch, peer, 500)
    assert peer.pings > 200
    assert peer.killed_after == []


@pytest.mark.parametrize("state", [ChildState.UP, ChildState.STARTING])
async def test_a_silent_worker_is_ended_after_so_many_pings(monkeypatch: pytest.MonkeyPatch, state: ChildState) -> None:
    peer = Peer(answers=False, state=state)
    await beats(monkeypatch, peer, 500)
    assert peer.killed_after
    assert max(peer.killed_after) <= MISSED[state] + 1
    assert MISSED[ChildState.UP] + 2 < 10 / 1.0, "seconds until a hung worker is noticed"


@pytest.mark.parametrize("computes", [True, False])
async def test_a_worker_that_cannot_answer_because_it_computes_is_alive(
    monkeypatch: pytest.MonkeyPatch, computes: bool
) -> None:
    ticks = iter(range(1000))
    monkeypatch.setattr(heartbeat, "processor_time", lambda _: next(ticks) if computes else 7)
    peer = Peer(answers=False)
    await beats(monkeypatch, peer, 100, computes=True)
    assert bool(peer.killed_after) != computes


def test_the_processor_time_of_a_process_grows() -> None:
    before = processor_time(os.getpid())
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    assert processor_time(os.getpid()) > before
    assert processor_time(2**22 + 1) == 0, "there is no such process"


async def test_nobody_is_ended_where_there_is_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = Peer(answers=False, state=ChildState.DOWN)
    await beats(monkeypatch, peer, 200)
    peer.state, peer.answers = ChildState.UP, True
    await beats(monkeypatch, peer, 20)
    assert peer.killed_after == []


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_worker_that_does_not_leave_a_cancelled_job_is_ended(
    monkeypatch: pytest.MonkeyPatch, leaves: bool
) -> None:
    monkeypatch.setattr("pulsed.daemon.workers.rack_client.HEED_SECONDS", 0)
    client = RackWorkerClient.__new__(RackWorkerClient)
    sent: list[Any] = []
    kills: list[bool] = []
    playing = messages.PlayChunk("job", 0, 60.0)
    client.rpc = SimpleNamespace(  # type: ignore[assignment]
        pending=playing, worker=SimpleNamespace(send=sent.append), kill=lambda: kills.append(True)
    )
    client.abort("job")
    if leaves:
        client.rpc.pending = None  # type: ignore[misc]
    await asyncio.sleep(0.05)
    assert sent == [messages.Abort("job")]
    assert kills == [True] * (not leaves)
