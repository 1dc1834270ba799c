"""Requests that wait for what a job has yet to bring are counted, by connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import zmq

from pulsed.daemon.front import connections as module
from pulsed.daemon.front.connections import PeerConnection, PeerConnections, monitored
from pulsed.daemon.front.handlers import Peer
from pulsed.daemon.front.job_requests import JobHandlers
from pulsed.daemon.front.refusals import DoorCounts, Refusals
from pulsed.daemon.front.sockets import AsyncSocket
from pulsed.daemon.jobs.registry import JobRegistry
from pulsed.model.errors import InvalidValueError, NotFoundError
from pulsed.model.job import JobInfo, JobState
from pulsed.wire.job_messages import GetChunk
from pulsed.wire.messages import GetResult
from pulsed.wire.roles import Role

ME, OTHER = (Peer(address, "me", Role.EXPERIMENTER) for address in (b"me", b"other"))


class JobsDouble:
    """One job that does not end before it is told to."""

    info = JobInfo("job", "sim5", JobState.RUNNING, "me", 0.0)

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    async def find(self, job_id: str) -> JobInfo:
        return self.info

    async def wait(self, job_id: str, waiter: Callable[..., None]) -> None:
        self.waiting.append(lambda: waiter(self.info, []))

    async def wait_for_chunk(self, job_id: str, index: int, waiter: Callable[..., None]) -> None:
        if index > 1:
            raise NotFoundError("no such chunk", subject="job job", value=index)
        self.waiting.append(lambda: waiter(self.info, None, []))


class OutletDouble:
    """Takes answers, and counts what waits as the server does."""

    def __init__(self, connections: PeerConnections) -> None:
        self.connections, self.sent = connections, 0

    def answer(self, *_: Any) -> None:
        self.sent += 1

    def has_room(self, peer: Peer) -> bool:
        return True

    def waits(self, peer: Peer, gone: Callable[[], None]) -> Callable[[], None]:
        return self.connections.waits(peer.address, gone)

    def room(self, peer: Peer) -> Any:
        return self.connections.room(peer.address)


async def test_waiting_requests_are_bounded_by_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 10)
    context: zmq.Context[Any] = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    connections = PeerConnections(monitored(socket), "requests", Refusals(DoorCounts(), lambda *_: None))
    try:
        for peer in (ME, OTHER):
            connections._by_address[peer.address] = PeerConnection(None)
        jobs, outlet = JobsDouble(), OutletDouble(connections)
        handlers = JobHandlers(jobs, outlet).handlers  # type: ignore[arg-type]

        async def ask(message: Any, peer: Peer = ME) -> None:
            await handlers[type(message)](message, (), peer)  # type: ignore[misc]

        for number in range(4):
            await ask(GetChunk(number, "job", 0))
            await ask(GetResult(number, "job"))
            with pytest.raises(NotFoundError):  # it waits no longer
                await ask(GetChunk(number, "job", 5))
        await ask(GetChunk(8, "job", 1))  # itself it counts twice while it asks for room
        for message in (GetChunk(9, "job", 1), GetResult(9, "job")):
            with pytest.raises(InvalidValueError, match="too many requests of one connection wait"):
                await ask(message)
        assert len(jobs.waiting) == 9
        await ask(GetChunk(12, "job", 0), OTHER)
        asked = len(jobs.waiting)
        for deliver in jobs.waiting:
            deliver()
        assert outlet.sent == asked
        assert [connections.of(peer.address).waiting for peer in (ME, OTHER)] == [{}, {}]  # type: ignore[union-attr]
    finally:
        await connections.close()
        context.destroy(0)


async def test_what_waits_for_a_connection_goes_with_it() -> None:
    context: zmq.Context[Any] = zmq.Context()
    router = context.socket(zmq.ROUTER)
    connections = PeerConnections(monitored(router), "requests", Refusals(DoorCounts(), lambda *_: None))
    heard: list[bytes] = []

    def received(frames: list[zmq.Frame]) -> None:
        connections.heard(frames[0], "")
        heard.append(frames[0].bytes)

    reader = AsyncSocket(router, received)
    router.bind("tcp://127.0.0.1:*")
    peers = [context.socket(zmq.DEALER) for _ in range(2)]
    registry = JobRegistry(None, lambda _: None, lambda _: None)  # type: ignore[arg-type]
    try:
        told: list[bytes] = []
        for number, peer in enumerate(peers, 1):
            peer.linger = 0
            peer.connect(router.getsockopt_string(zmq.LAST_ENDPOINT))
            peer.send(b"")
            await soon(lambda count=number: len(heard) == count)  # type: ignore[misc]
            for wait in (registry.wait, lambda job, waiter: registry.wait_for_chunk(job, 0, waiter)):
                waiter = partial(told.append, heard[-1])
                connections.waits(heard[-1], partial(registry.forget, "job", waiter))
                wait("job", waiter)  # type: ignore[arg-type]
        assert registry.waiting_for("job") == 4
        peers[0].close()
        await soon(lambda: registry.waiting_for("job") == 2)
        peers[1].close()
        await soon(lambda: registry.waiting_for("job") == 0)
        assert told == [], "nobody was there to be told"
    finally:
        reader.close()
        await connections.close()
        context.destroy(0)


async def soon(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)
