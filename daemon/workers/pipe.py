"""Messages between the daemon and its workers: parts over a socket pair.

On the pipe a message is its length as 8 bytes and then :func:`pulsed.model.payload.frame_table` and the parts. The end
of the pipe tells each side at once that the other one has gone.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Sequence

from pulsed.model.errors import ProtocolError
from pulsed.model.payload import Part, frame_table, unpack_frames

_LENGTH = struct.Struct("<Q")
MAX_MESSAGE = 2 * 2**30
"""Bytes of one message."""


_LARGE = 1 << 16
"""Bytes from which a message, or a part of one, is not copied to be joined with others, or cut from them."""


def pack(parts: Sequence[Part]) -> bytes:
    """Return a message as it goes over the pipe."""
    return b"".join(pieces(parts))


def pieces(parts: Sequence[Part]) -> list[Part]:
    """Return a message as it goes over the pipe, in pieces: what is large is not copied."""
    table = frame_table(parts)
    size = len(table) + sum(memoryview(part).nbytes for part in parts)
    joined: list[Part] = [_LENGTH.pack(size) + table]
    for part in parts:
        if memoryview(part).nbytes < _LARGE and len(joined[-1]) < _LARGE:
            joined[-1] = b"".join((joined[-1], part))
        else:
            joined.append(part)
    return joined


class MessageReader:
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
            messages.append(unpack_frames(self._cut()))
            self._need = _LENGTH.size
        return messages

    def _cut(self) -> Part:
        """Take the first message, which is whole: a small one out of the buffer, a large one with it."""
        if self._need < _LARGE:
            blob = bytes(memoryview(self._data)[_LENGTH.size : self._need])
            del self._data[: self._need]
            return blob
        whole = self._data
        self._data = whole[self._need :]
        return memoryview(whole)[_LENGTH.size : self._need]


class DaemonPipe(asyncio.Protocol):
    """The daemon's end, in its event loop."""

    def __init__(self, on_message: Callable[[list[memoryview]], None], on_end: Callable[[], None]) -> None:
        self.received = 0
        """Bytes: any of them is a sign of life."""
        self._on_message, self._on_end = on_message, on_end
        self._reader = MessageReader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:  # noqa: D102
        self.received += len(data)
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
        message = pieces(parts)
        with self._lock:
            for piece in message:
                self._socket.sendall(piece)

    def receive(self) -> list[memoryview] | None:
        """Wait for a message; None when the daemon has gone."""
        head = self._exactly(_LENGTH.size)
        blob = None if head is None else self._exactly(_LENGTH.unpack(head)[0])
        return None if blob is None else unpack_frames(blob)

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
