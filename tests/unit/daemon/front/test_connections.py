"""Who has shown a key stays: on the socket of the events that is every subscriber."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from typing import Any

import pytest
import zmq

from pulsed.client.keys import Key, new_key
from pulsed.daemon.front import connections as module
from pulsed.daemon.front.connections import PeerConnections, monitored
from pulsed.daemon.front.refusals import DoorCounts, Refusals
from pulsed.daemon.front.sockets import AsyncSocket, bind, event_socket

SERVER = new_key("server")
TOPIC = b"event"


def subscriber(context: zmq.Context[Any], endpoint: str, key: Key) -> Any:
    socket = context.socket(zmq.SUB)
    socket.linger = 0
    socket.curve_publickey, socket.curve_secretkey = key.public.encode(), key.secret.encode()
    socket.curve_serverkey = SERVER.public.encode()
    socket.subscribe(TOPIC)
    socket.connect(endpoint)
    return socket


async def test_every_subscriber_stays_and_the_last_may_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNPROVEN_SECONDS", 1e6)
    loop, failures = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, problem: failures.append(problem))
    seen: list[bytes] = []

    def subscribed(frames: list[zmq.Frame]) -> None:
        seen.append(frames[0].bytes)
        subscribers.prove(frames[0])

    async def settled(count: int) -> None:
        async with asyncio.timeout(60):
            while len(seen) < count:
                await asyncio.sleep(0.01)

    context: zmq.Context[Any] = zmq.Context()
    try:
        events = event_socket(context, SERVER)
        subscribers = PeerConnections(monitored(events), "events", Refusals(DoorCounts(), lambda *_: None))
        endpoint = bind(events, "tcp://127.0.0.1:*")
        publisher = AsyncSocket(events, subscribed)
        peers = [subscriber(context, endpoint, new_key(name)) for name in ("ann", "bob", "eve")]
        await settled(3)
        monkeypatch.setattr(module, "UNPROVEN_SECONDS", 0.0)
        await asyncio.sleep(0.5)  # some looks at all connections
        publisher.send([TOPIC])
        for peer in peers:
            peer.rcvtimeo = 60_000
            received = await loop.run_in_executor(None, peer.recv)
            while received != TOPIC:  # the welcome comes first
                received = await loop.run_in_executor(None, peer.recv)
        for peer in peers:
            peer.close()
        await settled(4)
        assert seen == [b"\1" + TOPIC] * 3 + [b"\0" + TOPIC]
        publisher.close()
        await subscribers.close()
        await asyncio.sleep(0)
    finally:
        context.destroy(0)
    assert failures == []


async def test_one_key_has_a_bounded_number_of_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OF_A_KEY", 2)
    counts = DoorCounts()
    context: zmq.Context[Any] = zmq.Context()
    try:
        events = event_socket(context, SERVER)
        subscribers = PeerConnections(monitored(events), "events", Refusals(counts, lambda *_: None))
        endpoint = bind(events, "tcp://127.0.0.1:*")
        publisher = AsyncSocket(events, lambda frames: subscribers.prove(frames[0]) and None)
        peers = [subscriber(context, endpoint, new_key("ann")) for _ in range(4)]
        async with asyncio.timeout(60):
            while counts.ended["too many connections with one key"] < 2:
                await asyncio.sleep(0.01)
        for peer in peers:
            peer.close()
        async with asyncio.timeout(60):
            while len(subscribers):
                await asyncio.sleep(0.01)
        publisher.close()
        await subscribers.close()
        await asyncio.sleep(0)
    finally:
        context.destroy(0)


class Number:
    """A message as far as connections look at it: over which file descriptor it came."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def get(self, what: object) -> object:
        return self.handle if what == zmq.SRCFD else "somebody"


class Door:
    """What ZeroMQ tells of connections, told by the test; they are real, and their numbers are given again."""

    def __init__(self) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        monitor, self.events = self.context.socket(zmq.PAIR), self.context.socket(zmq.PAIR)
        self.events.bind("inproc://events")
        monitor.connect("inproc://events")
        self.counts = DoorCounts()
        self.subscribers = PeerConnections(monitor, "events", Refusals(self.counts, lambda *_: None))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.number = os.dup(self.listener.fileno())

    def connect(self) -> socket.socket:
        """Return the peer's end of a new connection, whose end here has the number."""
        os.dup2(self.listener.fileno(), self.number)  # nothing else is to get it meanwhile
        peer = socket.create_connection(self.listener.getsockname())
        here, _ = self.listener.accept()
        os.dup2(here.fileno(), self.number)
        here.close()
        return peer

    async def tell(self, event: int) -> None:
        self.events.send_multipart([struct.pack("=HI", event, self.number), b""])
        await asyncio.sleep(0.05)  # the loop reads it

    def subscribe(self, times: int) -> None:
        for _ in range(times):
            self.subscribers.subscribed(Number(self.number))  # type: ignore[arg-type]

    async def close(self) -> None:
        await self.subscribers.close()
        os.close(self.number)
        self.listener.close()
        self.context.destroy(0)


def is_broken(peer: socket.socket) -> bool:
    peer.setblocking(False)
    try:
        return peer.recv(1) == b""
    except BlockingIOError:
        return False


async def test_what_is_left_of_a_connection_does_not_hide_the_next_one_with_its_number() -> None:
    """A peer that comes again at once has the same number; it used to be taken for the one before, which was ended."""
    door = Door()
    first = door.connect()
    await door.tell(zmq.EVENT_ACCEPTED)
    door.subscribe(module.MOST_SUBSCRIPTIONS + 1)
    assert is_broken(first)
    os.close(door.number)  # as ZeroMQ does
    await door.tell(zmq.EVENT_DISCONNECTED)
    door.subscribe(module.MOST_SUBSCRIPTIONS + 1)  # what lay there of it
    for again in range(3):
        peer = door.connect()
        if again != 1:  # its first messages may come before the news of it
            await door.tell(zmq.EVENT_ACCEPTED)
        door.subscribe(module.MOST_SUBSCRIPTIONS)
        await door.tell(zmq.EVENT_ACCEPTED)
        assert not is_broken(peer)
        assert len(door.subscribers) == 1
        door.subscribe(1)
        assert is_broken(peer), "what came before the news counts, too"
        peer.close()
    first.close()
    await door.close()
