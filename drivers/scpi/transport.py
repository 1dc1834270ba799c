"""How the bytes of a :class:`~pulsed.drivers.scpi.session.Session` travel: in a bare socket, or as HiSLIP (IVI-6.1).

Both take the sockets of a session that pyvisa-py opened. A deadline that passes is a TimeoutError, a connection that
breaks another OSError, and a message that makes no sense a ValueError.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import pyvisa.rname

from pulsed.drivers.contract import remaining
from pulsed.model.errors import IncompatibleError

_HEADER = struct.Struct("!2sBBIQ")
_INITIALIZE, _INITIALIZE_RESPONSE, _DATA, _DATA_END = 0, 1, 6, 7
_FIRST_NUMBER, _ANY_NUMBER = 0xFFFFFF00, 0xFFFFFFFF
_PORT = 4880
_JOIN = 1 << 16
"""Pieces smaller than this are joined before they are sent."""
Buffer = bytes | memoryview


class Transport(Protocol):
    """What a session needs of its connection."""

    def send(self, pieces: Sequence[Buffer], deadline: float) -> None:
        """Send whole lines."""

    def receive(self, into: memoryview, deadline: float) -> int:
        """Receive some bytes of answers and return how many; 0 at the end of the connection."""


def _patient(peer: socket.socket, call: Callable[[memoryview], int], data: memoryview, deadline: float) -> int:
    """Call a method of ``peer``, which waits until ``deadline``."""
    while True:
        left, has = remaining(deadline), peer.gettimeout()
        # To set it is a system call, so one that is about right stays: never too long, and a shorter wait goes on.
        if has is None or not left / 2 <= has <= left:
            peer.settimeout(max(1e-4, left))  # zero would make the socket non-blocking
        try:
            return call(data)
        except TimeoutError:
            if not remaining(deadline):
                raise


def _receive(peer: socket.socket, into: memoryview, deadline: float) -> int:
    return _patient(peer, peer.recv_into, into, deadline)


def _send(peer: socket.socket, piece: Buffer, deadline: float) -> None:
    view = memoryview(piece)
    while view:
        view = view[_patient(peer, peer.send, view, deadline) :]


class SocketTransport:
    """Bare SCPI over TCP."""

    def __init__(self, interface: Any) -> None:
        self._socket: socket.socket = interface
        # pyvisa-py takes a refused connection for an open one until the first byte.
        self._socket.getpeername()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, pieces: Sequence[Buffer], deadline: float) -> None:
        """Send whole lines."""
        for piece in _joined(pieces):
            _send(self._socket, piece, deadline)

    def receive(self, into: memoryview, deadline: float) -> int:
        """Receive some bytes of answers and return how many; 0 at the end of the connection."""
        return _receive(self._socket, into, deadline)


class HislipTransport:
    """SCPI in the messages of HiSLIP's synchronous channel. What answers an older message is thrown away."""

    def __init__(self, interface: Any) -> None:
        synchronous = getattr(interface, "_sync", None)  # pyvisa-py has no public name for it
        if not isinstance(synchronous, socket.socket):
            raise IncompatibleError(
                "the synchronous channel of HiSLIP is not where pyvisa-py 0.8 has it", subject="pyvisa-py",
                value=type(synchronous).__name__, legal="pyvisa-py>=0.8,<0.9",
            )  # fmt: skip
        self._socket: socket.socket = synchronous
        self._limit = int(interface.max_msg_size)
        self._number, self._last = _FIRST_NUMBER, _FIRST_NUMBER
        self._left = 0
        self._ends = self._delivered = False

    def send(self, pieces: Sequence[Buffer], deadline: float) -> None:
        """Send whole lines as one message, in as many parts as the instrument takes."""
        left = sum(map(len, pieces))
        parts = _cut(pieces, self._limit)
        while left:
            size = min(left, self._limit)
            left -= size
            self._last = self._number
            self._number = (self._number + 2) & 0xFFFFFFFF
            kind = _DATA if left else _DATA_END
            message: list[Buffer] = [_HEADER.pack(b"HS", kind, int(self._delivered), self._last, size)]
            while size:
                message.append(next(parts))
                size -= len(message[-1])
            self._delivered = False
            for piece in _joined(message):
                _send(self._socket, piece, deadline)

    def receive(self, into: memoryview, deadline: float) -> int:
        """Receive some bytes of answers and return how many; 0 at the end of the connection."""
        while not self._left:
            header = self._exactly(_HEADER.size, deadline)
            if not header:
                return 0
            prologue, kind, _, number, self._left = _HEADER.unpack(header)
            if prologue != b"HS" or kind not in (_DATA, _DATA_END):
                raise ValueError(f"HiSLIP message {header.hex(' ')}")
            self._ends = kind == _DATA_END
            if number not in (self._last, _ANY_NUMBER):
                while self._left:
                    self._left -= len(self._exactly(min(self._left, _JOIN), deadline)) or self._left
        size = _receive(self._socket, into[: self._left], deadline)
        self._left -= size
        self._delivered = self._ends and not self._left
        return size

    def _exactly(self, size: int, deadline: float) -> bytes:
        """Return so many bytes, or none at the end of the connection."""
        data, have = bytearray(size), 0
        while have < size:
            more = _receive(self._socket, memoryview(data)[have:], deadline)
            if not more:
                return b""
            have += more
        return bytes(data)


def _joined(pieces: Sequence[Buffer]) -> Sequence[Buffer]:
    return pieces if any(len(piece) > _JOIN for piece in pieces) else (b"".join(pieces),)


def _cut(pieces: Sequence[Buffer], limit: int) -> Iterator[memoryview]:
    """Yield all pieces, cut where messages of ``limit`` bytes end."""
    room = limit
    for piece in pieces:
        view = memoryview(piece)
        while view:
            yield view[:room]
            used = min(room, len(view))
            view = view[used:]
            room = room - used or limit


def transport_kind(parsed: object) -> type[SocketTransport] | type[HislipTransport] | None:
    """Return how a parsed VISA address is spoken to; None for one that nobody here can speak to."""
    if isinstance(parsed, pyvisa.rname.TCPIPSocket):
        return SocketTransport
    if isinstance(parsed, pyvisa.rname.TCPIPInstr) and parsed.lan_device_name.lower().startswith("hislip"):
        return HislipTransport
    return None


def probe_hislip(parsed: Any, deadline: float) -> None:
    """Raise OSError unless a HiSLIP server answers in time, ValueError when something else answers.

    pyvisa-py itself waits for five seconds, whatever it is told.
    """
    sub_address, _, port = parsed.lan_device_name.partition(",")
    text = sub_address.encode()
    with socket.create_connection((parsed.host_address, int(port or _PORT)), max(1e-3, remaining(deadline))) as peer:
        _send(peer, _HEADER.pack(b"HS", _INITIALIZE, 0, 0x0100 << 16, len(text)) + text, deadline)
        answer, have = bytearray(_HEADER.size), 0
        with contextlib.suppress(ConnectionResetError):
            while have < len(answer) and (more := _receive(peer, memoryview(answer)[have:], deadline)):
                have += more
    if not have:
        raise ConnectionResetError("the instrument closed the connection")
    if have < len(answer) or answer[:3] != b"HS" + bytes((_INITIALIZE_RESPONSE,)):
        raise ValueError(f"no answer of a HiSLIP server: {bytes(answer[:have])!r}")
