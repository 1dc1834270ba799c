"""ZeroMQ sockets in the event loop, and who is let in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import zmq

from pulsed.client.keys import Key, KnownClients
from pulsed.daemon import logs
from pulsed.model.payload import Part

Context = zmq.Context[zmq.Socket[bytes]]
_AT_ONCE = 100
"""Messages read in one turn, so that the rest of the daemon gets its turns."""


class Pump:
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

    def send(self, frames: Sequence[Part]) -> bool:
        """Send without waiting; False when the peer has gone or takes nothing."""
        try:
            self.socket.send_multipart(frames, zmq.NOBLOCK, copy=False)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                raise
            return False
        finally:
            self._later()
        return True

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


class Gate:
    """Answers the question whether a key may connect (ZAP, https://rfc.zeromq.org/spec/27/)."""

    def __init__(self, context: Context, clients: KnownClients) -> None:
        self._clients = clients
        socket = context.socket(zmq.REP)
        socket.linger = 0
        socket.bind("inproc://zeromq.zap.01")
        self._pump = Pump(socket, self._asked)

    def close(self) -> None:
        """Let nobody in any more."""
        self._pump.close()

    def _asked(self, frames: list[zmq.Frame]) -> None:
        version, request_id, _domain, address, _identity, mechanism, *credentials = (f.bytes for f in frames)
        found = None
        if version == b"1.0" and mechanism == b"CURVE" and len(credentials) == 1:
            found = self._clients.of_public(credentials[0])
        for problem in self._clients.problems:
            logs.get("keys").warning("a client's key is not used", error=str(problem))
        self._clients.problems.clear()
        if found is None:
            logs.get("keys").warning("an unknown key was turned away", address=address.decode(errors="replace"))
            self._pump.send([b"1.0", request_id, b"400", b"unknown key", b"", b""])
        else:
            self._pump.send([b"1.0", request_id, b"200", b"OK", found[0].encode(), b""])


def server_socket(
    context: Context, kind: int, key: Key, url: str, max_bytes: int = -1
) -> tuple[zmq.Socket[bytes], str]:
    """Return a bound CURVE socket and its endpoint. Raises ``zmq.ZMQError``.

    A peer that sends a frame of more than ``max_bytes`` is disconnected.
    """
    socket = context.socket(kind)
    socket.linger = 500
    socket.maxmsgsize = max_bytes
    socket.curve_server = True
    socket.curve_secretkey = key.secret.encode()
    socket.curve_publickey = key.public.encode()
    socket.zap_domain = b"pulsed"
    socket.heartbeat_ivl, socket.heartbeat_timeout = 5000, 15000
    with contextlib.ExitStack() as stack:
        stack.callback(socket.close)
        socket.bind(url)
        stack.pop_all()
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    return socket, endpoint.decode().rstrip("\0") if isinstance(endpoint, bytes) else str(endpoint)
