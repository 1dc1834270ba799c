"""ZeroMQ sockets in the event loop, and which keys may connect."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence

import zmq

from pulsed.client.keys import Key
from pulsed.client.known_clients import KnownClients
from pulsed.client.transport import WELCOME
from pulsed.daemon import logs
from pulsed.model.payload import Part

ZmqSocket = zmq.Socket[bytes]
ZmqContext = zmq.Context[ZmqSocket]
_EVERYWHERE = ("0.0.0.0", "*", "::", "[::]")
_HANDSHAKE = 10_000
"""Milliseconds for a peer to show its key."""
TRACKED = 8192
"""Bytes from which a frame is sent without a copy, and may be followed until the peer takes it."""
_SUBSCRIPTION = 4096
"""Bytes of what a subscriber may send in one frame: a topic, or its part of the handshake."""
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
        self._again = False
        self._loop.add_reader(self._handle, self._read)
        self._later()

    def send(self, frames: Sequence[Part], *, track: bool = False) -> zmq.MessageTracker | None:
        """Send without waiting, unless the peer has gone or takes nothing.

        With ``track``, which costs a tenth of a millisecond, return what tells when the peer has taken it.
        """
        try:
            return self.socket.send_multipart(frames, zmq.NOBLOCK, copy=False, track=track)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
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
        if not self._again:
            self._again = True
            self._loop.call_soon(self._read)

    def _read(self) -> None:
        self._again = False
        if self.socket.closed:
            return
        for _ in range(_AT_ONCE):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            self._on_message(frames)
        self._later()


class ZapAuthenticator:
    """Answers the question whether a key may connect (ZAP, https://rfc.zeromq.org/spec/27/)."""

    def __init__(self, context: ZmqContext, clients: KnownClients) -> None:
        self._clients = clients
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
        if found is None:
            logs.get("keys").warning("an unknown key was refused", address=address.decode(errors="replace"))
            self._socket.send([b"1.0", request_id, b"400", b"unknown key", b"", b""])
        else:
            self._socket.send([b"1.0", request_id, b"200", b"OK", found[0].encode(), b""])


def server_socket(context: ZmqContext, kind: int, key: Key, max_bytes: int) -> ZmqSocket:
    """Return a CURVE socket that is not bound yet.

    A peer that sends a frame of more than ``max_bytes``, be it without a known key, is disconnected.
    """
    socket = context.socket(kind)
    socket.linger = 500
    socket.maxmsgsize = max_bytes
    socket.handshake_ivl = _HANDSHAKE
    socket.copy_threshold = TRACKED
    socket.curve_server = True
    socket.curve_secretkey = key.secret.encode()
    socket.curve_publickey = key.public.encode()
    socket.zap_domain = b"pulsed"
    socket.heartbeat_ivl, socket.heartbeat_timeout = 5000, 15000
    return socket


def event_socket(context: ZmqContext, key: Key) -> ZmqSocket:
    """Return the socket that sends events, not bound yet.

    It welcomes every subscriber, and hands up every subscription: by default only the first one to a topic.
    """
    socket = server_socket(context, zmq.XPUB, key, _SUBSCRIPTION)
    socket.setsockopt(zmq.XPUB_WELCOME_MSG, WELCOME)
    socket.setsockopt(zmq.XPUB_VERBOSE, 1)
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
