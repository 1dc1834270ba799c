"""How the bytes of a :class:`~pulsed.drivers.scpi.Session` travel: over a bare socket, or in HiSLIP messages (IVI-6.1).

Both take the sockets of a session that pyvisa-py opened. A deadline that passes is a TimeoutError, a connection that
breaks another OSError, and a message that makes no sense a ValueError.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import pyvisa.rname

from pulsed.drivers.contract import remaining

_HEADER = struct.Struct("!2sBBIQ")
_INITIALIZE, _INITIALIZE_RESPONSE, _DATA, _DATA_END = 0, 1, 6, 7
_FIRST_NUMBER, _ANY_NUMBER = 0xFFFFFF00, 0xFFFFFFFF
_PORT = 4880
_JOIN = 1 << 16
"""Pieces smaller than this are joined before they are sent."""
Piece = bytes | memoryview


class Transport(Protocol):
    """What a session needs of its connection."""

    def send(self, pieces: Sequence[Piece], deadline: float) -> None:
        """Send whole lines."""

    def receive(self, into: memoryview, deadline: float) -> int:
        """Receive some bytes of answers and return how many; 0 at the end of the connection."""


def _timed(peer: socket.socket, deadline: float) -> socket.socket:
    # Zero would make the socket non-blocking.
    peer.settimeout(max(1e-4, remaining(deadline)))
    return peer


class SocketTransport:
    """Bare SCPI over TCP."""

    def __init__(self, interface: Any) -> None:
        self._socket: socket.socket = interface
        # pyvisa-py takes a refused connection for an open one until the first byte.
        self._socket.getpeername()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, pieces: Sequence[Piece], deadline: float) -> None:
        """Send whole lines."""
        for piece in _joined(pieces):
            _timed(self._socket, deadline).sendall(piece)

    def receive(self, into: memoryview, deadline: float) -> int:
        """Receive some bytes of answers and return how many; 0 at the end of the connection."""
        return _timed(self._socket, deadline).recv_into(into)


class HislipTransport:
    """SCPI in the messages of HiSLIP's synchronous channel. What answers an older message is thrown away."""

    def __init__(self, interface: Any) -> None:
        self._socket: socket.socket = interface._sync
        self._limit = int(interface.max_msg_size)
        self._number, self._last = _FIRST_NUMBER, _FIRST_NUMBER
        self._left = 0
        self._ends = self._delivered = False

    def send(self, pieces: Sequence[Piece], deadline: float) -> None:
        """Send whole lines as one message, in as many parts as the instrument takes."""
        left = sum(map(len, pieces))
        parts = _cut(pieces, self._limit)
        while left:
            size = min(left, self._limit)
            left -= size
            self._last = self._number
            self._number = (self._number + 2) & 0xFFFFFFFF
            kind = _DATA if left else _DATA_END
            message: list[Piece] = [_HEADER.pack(b"HS", kind, int(self._delivered), self._last, size)]
            while size:
                message.append(next(parts))
                size -= len(message[-1])
            self._delivered = False
            for piece in _joined(message):
                _timed(self._socket, deadline).sendall(piece)

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
        size = _timed(self._socket, deadline).recv_into(into[: self._left])
        self._left -= size
        self._delivered = self._ends and not self._left
        return size

    def _exactly(self, size: int, deadline: float) -> bytes:
        """Return so many bytes, or none at the end of the connection."""
        data = bytearray()
        while len(data) < size:
            more = _timed(self._socket, deadline).recv(size - len(data))
            if not more:
                return b""
            data += more
        return bytes(data)


def _joined(pieces: Sequence[Piece]) -> Sequence[Piece]:
    return pieces if any(len(piece) > _JOIN for piece in pieces) else (b"".join(pieces),)


def _cut(pieces: Sequence[Piece], limit: int) -> Iterator[memoryview]:
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
        _timed(peer, deadline).sendall(_HEADER.pack(b"HS", _INITIALIZE, 0, 0x0100 << 16, len(text)) + text)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while len(answer) < _HEADER.size and (more := _timed(peer, deadline).recv(_HEADER.size - len(answer))):
                answer += more
    if not answer:
        raise ConnectionResetError("the instrument closed the connection")
    if len(answer) < _HEADER.size or answer[:3] != b"HS" + bytes((_INITIALIZE_RESPONSE,)):
        raise ValueError(f"no answer of a HiSLIP server: {answer!r}")
