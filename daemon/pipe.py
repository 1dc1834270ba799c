"""Messages between the daemon and its workers: parts over a socket pair, in one write each.

On the pipe a message is its length as 8 bytes and then :func:`pulsed.model.payload.join` of the parts. The end of
the pipe tells each side at once that the other one has gone.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Sequence

from pulsed.model.errors import ProtocolError
from pulsed.model.payload import Part, join, split

_LENGTH = struct.Struct("<Q")
MAX_MESSAGE = 2 * 2**30
"""Bytes of one message."""


def pack(parts: Sequence[Part]) -> bytes:
    """Return a message as it goes over the pipe."""
    blob = join(parts)
    return _LENGTH.pack(len(blob)) + blob


class Reader:
    """Cuts the stream of a pipe into messages."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._need = _LENGTH.size

    def feed(self, data: Part) -> list[list[memoryview]]:
        """Take bytes as they come; return the messages that are whole now. Raises :class:`ProtocolError`."""
        self._data += data
        messages = []
        while len(self._data) >= self._need:
            if self._need == _LENGTH.size:
                (length,) = _LENGTH.unpack_from(self._data)
                if length > MAX_MESSAGE:
                    raise ProtocolError("a message between daemon and worker is too long", value=length)
                self._need += length
                if length:
                    continue
            blob = bytes(memoryview(self._data)[_LENGTH.size : self._need])
            del self._data[: self._need]
            self._need = _LENGTH.size
            messages.append(split(blob))
        return messages


class DaemonPipe(asyncio.Protocol):
    """The daemon's end, in its event loop."""

    def __init__(self, on_message: Callable[[list[memoryview]], None], on_end: Callable[[], None]) -> None:
        self._on_message, self._on_end = on_message, on_end
        self._reader = Reader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:  # noqa: D102
        try:
            messages = self._reader.feed(data)
        except ProtocolError:
            self.close()
            return
        for message in messages:
            self._on_message(message)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: D102
        self._transport = None
        self._on_end()

    def send(self, parts: Sequence[Part]) -> None:
        """Send a message; nothing happens when the worker has gone."""
        if self._transport is not None:
            self._transport.write(pack(parts))

    def close(self) -> None:
        """Close this end; the worker sees it."""
        if self._transport is not None:
            self._transport.abort()


class WorkerPipe:
    """The worker's end, with blocking calls. Any thread may send, one may receive."""

    def __init__(self, handle: int) -> None:
        self._socket = socket.socket(fileno=handle)
        self._lock = threading.Lock()

    def send(self, parts: Sequence[Part]) -> None:
        """Send a message. Raises ``OSError`` when the daemon has gone."""
        data = pack(parts)
        with self._lock:
            self._socket.sendall(data)

    def receive(self) -> list[memoryview] | None:
        """Wait for a message; None when the daemon has gone."""
        head = self._exactly(_LENGTH.size)
        blob = None if head is None else self._exactly(_LENGTH.unpack(head)[0])
        return None if blob is None else split(blob)

    def _exactly(self, size: int) -> bytearray | None:
        data = bytearray(size)
        view = memoryview(data)
        at = 0
        while at < size:
            try:
                count = self._socket.recv_into(view[at:])
            except OSError:
                return None
            if count == 0:
                return None
            at += count
        return data
