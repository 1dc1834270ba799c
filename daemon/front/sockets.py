"""ZeroMQ sockets in the event loop, and which keys may connect."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Sequence

import zmq

from pulsed.client.keys import Key
from pulsed.client.known_clients import KnownClients
from pulsed.client.transport import WELCOME
from pulsed.daemon import logs
from pulsed.daemon.front.refusals import Refusals
from pulsed.model.payload import Part

ZmqSocket = zmq.Socket[bytes]
ZmqContext = zmq.Context[ZmqSocket]
_EVERYWHERE = ("0.0.0.0", "*", "::", "[::]")
_HANDSHAKE = 10_000
"""Milliseconds for a peer to show its key."""
TRACKED = 8192
"""Bytes from which a frame is sent without a copy, and may be followed until the peer takes it."""
_SUBSCRIPTION = 1024
"""Bytes of what a subscriber may send in one frame: a topic, or its part of the handshake."""
_SUBSCRIPTIONS = 16
"""Frames of one subscriber that are taken in at once. ZeroMQ keeps a node for every byte of a topic."""
_ANSWERS = 512
"""Answers below :data:`TRACKED` that may lie for one connection: 4 MiB; then it is ended."""
_REBIND_TRIES = 250
_AT_ONCE = 100
"""Messages read in one turn, so that the rest of the daemon gets its turns."""


class AsyncSocket:
    """Reads one socket whenever it has something; ``on_message`` gets the frames.

    The file descriptor of a ZeroMQ socket only tells of a change, so everything there is has to be read, and
    looked for again after each send.
    """

    def __init__(self, socket: zmq.Socket[bytes], on_message: Callable[[list[zmq.Frame]], None]) -> None:
        self.socket = socket
        self._on_message = on_message
        self._loop = asyncio.get_running_loop()
        self._handle = int(socket.fd)
        self._again = self._reading = False
        self._loop.add_reader(self._handle, self._read)
        self._later()

    def send(self, frames: Sequence[Part], *, track: bool = False) -> zmq.MessageTracker | None:
        """Send without waiting, unless the peer has gone. Raises ``zmq.Again`` when it takes nothing.

        With ``track``, which costs a tenth of a millisecond, return what tells when the peer has taken it.
        """
        try:
            return self.socket.send_multipart(frames, zmq.NOBLOCK, copy=False, track=track)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return None
        finally:
            self._later()

    def close(self) -> None:
        """Stop reading and close the socket."""
        if self.socket.closed:
            return
        self._loop.remove_reader(self._handle)
        self.socket.close()

    def _later(self) -> None:
        if not self._again and not self._reading:  # what reads looks again by itself
            self._again = True
            self._loop.call_soon(self._read)

    def _read(self) -> None:
        self._again, self._reading = False, True
        more = True
        try:
            for _ in range(_AT_ONCE):
                # To ask costs a tenth of the exception that tells of nothing to receive.
                if self.socket.closed or not int(self.socket.events) & zmq.POLLIN:
                    more = False
                    return
                self._on_message(self.socket.recv_multipart(zmq.NOBLOCK, copy=False))
        finally:
            self._reading = False
            if more:  # turns for the others first; also after a message that could not be handled
                self._later()


class ZapAuthenticator:
    """Answers the question whether a key may connect (ZAP, https://rfc.zeromq.org/spec/27/)."""

    def __init__(self, context: ZmqContext, clients: KnownClients, refusals: Refusals) -> None:
        self._clients, self._refusals = clients, refusals
        socket = context.socket(zmq.REP)
        socket.linger = 0
        socket.bind("inproc://zeromq.zap.01")
        self._socket = AsyncSocket(socket, self._asked)

    def close(self) -> None:
        """Accept no more connections."""
        self._socket.close()

    def _asked(self, frames: list[zmq.Frame]) -> None:
        version, request_id, _domain, address, _identity, mechanism, *credentials = (f.bytes for f in frames)
        found = None
        if version == b"1.0" and mechanism == b"CURVE" and len(credentials) == 1:
            found = self._clients.of_public(credentials[0])
        for problem in self._clients.problems:
            logs.get("keys").warning("a client's key is not used", error=str(problem))
        self._clients.problems.clear()
        if found is not None and found.is_valid(time.time()):
            # The key is the name of a connection: a name may get another key, whose rights are others.
            self._socket.send([b"1.0", request_id, b"200", b"OK", found.public.encode(), b""])
            return
        host = address.decode(errors="replace")
        if found is None:
            self._refusals.refused("unknown_key", "an unknown key was refused", host, audited=True)
        else:
            self._refusals.refused("expired_key", "an expired key was refused", host, audited=True, user=found.name)
        self._socket.send([b"1.0", request_id, b"400", b"unknown key", b"", b""])


def key_of(frame: zmq.Frame) -> str:
    """Return the public key (Z85) of the connection that a frame came over; empty where nobody has asked for one."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""


def server_socket(context: ZmqContext, kind: int, key: Key, max_bytes: int) -> ZmqSocket:
    """Return a CURVE socket that is not bound yet.

    A peer that sends a frame of more than ``max_bytes``, be it without a known key, is disconnected.
    """
    socket = context.socket(kind)
    socket.linger = 500
    socket.maxmsgsize = max_bytes
    socket.handshake_ivl = _HANDSHAKE
    socket.copy_threshold = TRACKED
    socket.sndhwm = _ANSWERS
    socket.curve_server = True
    socket.curve_secretkey = key.secret.encode()
    socket.curve_publickey = key.public.encode()
    socket.zap_domain = b"pulsed"
    socket.heartbeat_ivl, socket.heartbeat_timeout = 5000, 15000
    return socket


async def bind_with(socket: ZmqSocket, endpoint: str, key: Key) -> None:
    """Listen at the same ``endpoint`` with another key of the daemon. ZeroMQ leaves the connections that there are.

    Raises ``zmq.ZMQError`` when something else took the address in between.
    """
    socket.unbind(endpoint)
    socket.curve_secretkey, socket.curve_publickey = key.secret.encode(), key.public.encode()
    for tries_left in range(_REBIND_TRIES, -1, -1):
        try:
            socket.bind(endpoint)
            return
        except zmq.ZMQError as error:  # ZeroMQ closes the old one in its own time
            if error.errno != zmq.EADDRINUSE or not tries_left:
                raise
            await asyncio.sleep(0.02)


def event_socket(context: ZmqContext, key: Key) -> ZmqSocket:
    """Return the socket that sends events, not bound yet.

    It welcomes every subscriber, and hands up every subscription: by default only the first one to a topic.
    """
    socket = server_socket(context, zmq.XPUB, key, _SUBSCRIPTION)
    socket.setsockopt(zmq.XPUB_WELCOME_MSG, WELCOME)
    socket.setsockopt(zmq.XPUB_VERBOSE, 1)
    socket.rcvhwm = _SUBSCRIPTIONS
    return socket


def bind(socket: ZmqSocket, url: str) -> str:
    """Bind a socket and return its endpoint. Raises ``zmq.ZMQError``; then the socket is closed."""
    with contextlib.ExitStack() as stack:
        stack.callback(socket.close)
        socket.bind(url)
        stack.pop_all()
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    return endpoint.decode().rstrip("\0") if isinstance(endpoint, bytes) else str(endpoint)


def reachable(endpoint: str) -> str:
    """Return where others reach what listens at ``endpoint``: by this machine's name if on all its addresses."""
    host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
    return f"tcp://{socket.getfqdn()}:{port}" if host in _EVERYWHERE else endpoint
