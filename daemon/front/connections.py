"""The connections of one ZeroMQ socket, each bounded: before its key is known, and in what it leaves lying.

ZeroMQ hides its connections. Its monitor tells of each by file descriptor, which a message bears, too; so one that asks
too much can be ended by itself, without the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket as sockets
import struct
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable

import zmq

from pulsed.daemon.front.refusals import Refusals
from pulsed.daemon.front.sockets import AsyncSocket, ZmqSocket, key_of
from pulsed.model.errors import InvalidValueError

MOST_UNPROVEN = 64
"""Connections that have not said anything under a known key yet; of more, the oldest are ended."""
MOST_SUBSCRIPTIONS = 32
"""Frames that one subscriber may send, which are its topics."""
MOST_OF_A_KEY = 1024
"""Connections that clients with one key may have at once on one socket."""
UNPROVEN_SECONDS = 10.0
UNPROVEN_BYTES = 1 << 14
"""Of one such connection. A handshake has less than a kilobyte."""
BACKLOG = 2 * 2**20
"""Bytes that a connection may leave lying, beside one message that is on its way; what it asks for then waits. With an
answer of this size that is 4 MiB."""
MOST_WAITING = 20_000
"""Requests of one connection that wait: for room, or for what a job has yet to bring."""
STUCK_SECONDS = 30.0
"""Without taking a byte of its backlog, after which a connection is ended."""
_LOOK = 0.1
"""Seconds between two looks at what is not as it shall be."""
_EVENT = struct.Struct("=HI")
_RECEIVED = struct.Struct("=Q"), 128
"""``tcpi_bytes_received`` of Linux's ``struct tcp_info``, and where it is."""
_LEAST_INFO = 136


def _nothing() -> None:
    """Do nothing: what a request that has no connection any longer waits with."""


class PeerConnection:
    """One connection. ``socket`` is a second handle of it, so that its number cannot come to mean another one."""

    def __init__(self, socket: sockets.socket | None) -> None:
        self.socket = socket
        self.since = time.monotonic()
        self.proven = False
        """It has said something, which it can only with a known key."""
        self.ended = False
        self.key = ""
        """The public key that it has shown."""
        self.subscriptions = 0
        self.address = b""
        self.turn = asyncio.Lock()
        """Held while a large answer is fetched for it."""
        self.waiting: dict[object, Callable[[], None]] = {}
        """Requests that wait for room, or for what a job has yet to bring, each with what forgets it."""
        self._sent: deque[tuple[zmq.MessageTracker, int]] = deque()
        self._moved = self.since

    def sent(self, tracker: zmq.MessageTracker, size: int) -> None:
        """Take note of a message that is on its way."""
        if not self._sent:
            self._moved = time.monotonic()
        self._sent.append((tracker, size))

    @property
    def backlog(self) -> int:
        """Bytes that it has not taken yet."""
        while self._sent and self._sent[0][0].done:
            self._sent.popleft()
            self._moved = time.monotonic()
        return sum(size for _, size in self._sent)

    @property
    def is_stuck(self) -> bool:
        """Whether it has taken nothing for long of what lies there."""
        return self.backlog > 0 and time.monotonic() - self._moved > STUCK_SECONDS

    @property
    def host(self) -> str:
        """The address of the peer, empty when it is not known."""
        if self.socket is None:
            return ""
        with contextlib.suppress(OSError):
            return str(self.socket.getpeername()[0])
        return ""

    @property
    def received(self) -> int:
        """Bytes that came over it; 0 where the system does not tell."""
        if self.socket is None or not hasattr(sockets, "TCP_INFO"):
            return 0
        with contextlib.suppress(OSError):
            info = self.socket.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_INFO, 256)
            if len(info) >= _LEAST_INFO:
                return int(_RECEIVED[0].unpack_from(info, _RECEIVED[1])[0])
        return 0

    def is_at(self, handle: int) -> bool:
        """Whether it is what this number stands for now: ZeroMQ may have given it up, and got it for another one."""
        if self.socket is None:
            return False
        try:
            here, there = os.fstat(self.socket.fileno()), os.fstat(handle)
        except OSError:
            return False
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)

    def end(self) -> None:
        """Break it; ZeroMQ then forgets it, with all that lies there for it."""
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(sockets.SHUT_RDWR)


class PeerConnections:
    """All connections of ``socket``, which has to be monitored before it is bound: see :func:`monitored`."""

    def __init__(self, monitor: ZmqSocket, name: str, refusals: Refusals) -> None:
        self.name = name
        self._refusals = refusals
        self._of_key: Counter[str] = Counter()
        self._monitor = AsyncSocket(monitor, self._event)
        self._by_handle: dict[int, PeerConnection] = {}
        self._by_address: dict[bytes, PeerConnection] = {}
        self._looking = asyncio.create_task(self._look(), name=f"connections of {name}")

    def prove(self, frame: zmq.Frame) -> PeerConnection | None:
        """Return the connection that a message came over, by any of its frames: it has a known key.

        None for what ZeroMQ made up itself, such as that a topic has lost its last subscriber.
        """
        try:
            handle = frame.get(zmq.SRCFD)
        except zmq.ZMQError:
            return None
        if not isinstance(handle, int):
            return None
        connection = self._by_handle.get(handle)
        if connection is None or (connection.ended and not connection.is_at(handle)):
            connection = self._enter(handle)
        if not connection.proven:
            connection.proven, connection.key = True, key_of(frame)
            self._of_key[connection.key] += 1
            if self._of_key[connection.key] > MOST_OF_A_KEY:
                self._refuse(connection, "too many connections with one key")
        return connection

    def subscribed(self, frame: zmq.Frame) -> PeerConnection | None:
        """Take note of what a subscriber sends; return its connection."""
        connection = self.prove(frame)
        if connection is not None and not connection.ended:
            connection.subscriptions += 1
            if connection.subscriptions > MOST_SUBSCRIPTIONS:
                self._refuse(connection, "too many subscriptions of one connection")
        return connection

    def heard(self, address: zmq.Frame, key: str) -> None:
        """Take note of a message of a ROUTER, whose first frame is the ``address`` of a connection with this key.

        A peer may choose its address, also one that somebody else had before.
        """
        name = address.bytes
        known = self._by_address.get(name)
        if (known is None or known.key != key) and (connection := self.prove(address)) is not None:
            connection.address = name
            self._by_address[name] = connection

    def __len__(self) -> int:
        return len(self._by_handle)

    def overrun(self, address: bytes) -> None:
        """End a connection that has left so many small answers lying that one more finds no room."""
        connection = self.of(address)
        if connection is not None and not connection.ended:
            self._refuse(connection, "left too many answers lying")

    def forget(self) -> None:
        """Forget all connections: the address that they came to has been given up, and with it ZeroMQ leaves them."""
        for handle in list(self._by_handle):
            self._leave(handle)

    def end_others(
        self, may_stay: Callable[[str], object], why: str = "its key was revoked or has expired"
    ) -> None:  # fmt: skip
        """End the connections whose key may not stay."""
        for connection in list(self._by_handle.values()):
            if connection.key and not connection.ended and not may_stay(connection.key):
                self._refuse(connection, why)

    def of(self, address: bytes) -> PeerConnection | None:
        """Return the connection with this address, if it is still there."""
        return self._by_address.get(address)

    def has_room(self, address: bytes) -> bool:
        """Whether the peer takes what it is sent, and nothing waits before."""
        connection = self.of(address)
        return connection is None or connection.backlog <= BACKLOG

    @contextlib.asynccontextmanager
    async def room(self, address: bytes) -> AsyncIterator[None]:
        """Wait until the peer has taken what lies there for it, and for the large answers before this one."""
        connection = self.of(address)
        if connection is None:
            yield
            return
        done = self.waits(address)
        try:
            async with connection.turn:
                while connection.backlog > BACKLOG and self.of(address) is connection:
                    await asyncio.sleep(_LOOK / 10)
                yield
        finally:
            done()

    def waits(self, address: bytes, gone: Callable[[], None] = _nothing) -> Callable[[], None]:
        """Count one more request of this peer that waits; return what counts it off again.

        ``gone`` is called when the connection goes while it waits. Raises :class:`InvalidValueError` when too many do.
        """
        connection = self.of(address)
        if connection is None:
            return _nothing
        if len(connection.waiting) >= MOST_WAITING:
            raise InvalidValueError(
                "too many requests of one connection wait", subject="connection", value=len(connection.waiting) + 1,
                legal=f"at most {MOST_WAITING}",
            )  # fmt: skip
        token = object()
        connection.waiting[token] = gone

        def done() -> None:
            connection.waiting.pop(token, None)

        return done

    async def close(self) -> None:
        """Look no more; the connections are left to their socket."""
        self._looking.cancel()
        await asyncio.gather(self._looking, return_exceptions=True)
        self._monitor.close()
        for handle in list(self._by_handle):
            self._leave(handle)

    def _event(self, frames: list[zmq.Frame]) -> None:
        event, handle = _EVENT.unpack(frames[0].bytes)
        if event == zmq.EVENT_DISCONNECTED:
            self._leave(handle)
        elif event == zmq.EVENT_ACCEPTED:
            # Its first messages may have come before it, and the last ones of another one that had its number.
            known = self._by_handle.get(handle)
            if known is None or not known.is_at(handle):
                self._enter(handle)
            unproven = [one for one in self._by_handle.values() if not one.proven and not one.ended]
            for connection in unproven[:-MOST_UNPROVEN]:
                self._refuse(connection, "too many connections without a known key")

    def _enter(self, handle: int) -> PeerConnection:
        self._leave(handle)
        connection = PeerConnection(_pinned(handle))
        self._by_handle[handle] = connection
        return connection

    def _leave(self, handle: int) -> None:
        connection = self._by_handle.pop(handle, None)
        if connection is None:
            return
        if connection.key:
            self._of_key[connection.key] -= 1
            if not self._of_key[connection.key]:
                del self._of_key[connection.key]
        if self._by_address.get(connection.address) is connection:
            del self._by_address[connection.address]
        waiting, connection.waiting = connection.waiting, {}
        for gone in waiting.values():
            gone()
        if connection.socket is not None:
            connection.socket.close()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            now = time.monotonic()
            for connection in list(self._by_handle.values()):
                if connection.ended:
                    continue
                if connection.proven:
                    if connection.is_stuck:
                        self._refuse(connection, f"took nothing of its answers for {STUCK_SECONDS:g} s")
                elif now - connection.since > UNPROVEN_SECONDS:
                    self._refuse(connection, f"no known key within {UNPROVEN_SECONDS:g} s")
                elif connection.received > UNPROVEN_BYTES:
                    self._refuse(connection, f"more than {UNPROVEN_BYTES} bytes without a known key")

    def _refuse(self, connection: PeerConnection, why: str) -> None:
        self._refusals.ended(why, connection.host, socket=self.name)
        connection.end()
        connection.ended = True


def monitored(socket: ZmqSocket) -> ZmqSocket:
    """Return the monitor of a socket that is not bound yet."""
    return socket.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)


def _pinned(handle: int) -> sockets.socket | None:
    """Return a second handle of a TCP connection of this process; None when it has gone already."""
    try:
        found = sockets.socket(fileno=os.dup(handle))
    except OSError:
        return None
    if found.family not in (sockets.AF_INET, sockets.AF_INET6):
        found.close()
        return None
    return found
