"""HiSLIP (IVI-6.1, version 1.0) as bytes and states: messages around the lines and blocks of a :class:`ScpiConnection`.

A client has two TCP connections, the synchronous channel with commands and answers and the asynchronous one beside
it. Each is a :class:`HislipChannel`, driven by a transport as a :class:`ScpiConnection` is. Nothing here knows of
sockets.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from itertools import count
from typing import Protocol

from pulsed.simulator.instruments.connection import Dispatcher, ScpiConnection

_HEADER = struct.Struct("!2sBBIQ")
_VERSION = 0x0100
_VENDOR = int.from_bytes(b"PU", "big")
_LONGEST_TEXT = 256
"""Bytes of the payload of a message that is not data."""
_LARGEST = 1 << 20
"""Bytes of the payload of a message with data that is sent; a larger one may be received."""
_SMALL = 1 << 13
_SUB_ADDRESS = b"hislip0"
_RMT_DELIVERED = 1
_MESSAGE_AVAILABLE = 1 << 4


class MessageType(IntEnum):
    """The message types that occur here (IVI-6.1, table 4)."""

    INITIALIZE = 0
    INITIALIZE_RESPONSE = 1
    FATAL_ERROR = 2
    ERROR = 3
    ASYNC_LOCK = 4
    ASYNC_LOCK_RESPONSE = 5
    DATA = 6
    DATA_END = 7
    DEVICE_CLEAR_COMPLETE = 8
    DEVICE_CLEAR_ACKNOWLEDGE = 9
    ASYNC_REMOTE_LOCAL_CONTROL = 10
    ASYNC_REMOTE_LOCAL_RESPONSE = 11
    TRIGGER = 12
    ASYNC_MAX_MSG_SIZE = 15
    ASYNC_MAX_MSG_SIZE_RESPONSE = 16
    ASYNC_INITIALIZE = 17
    ASYNC_INITIALIZE_RESPONSE = 18
    ASYNC_DEVICE_CLEAR = 19
    ASYNC_STATUS_QUERY = 21
    ASYNC_STATUS_RESPONSE = 22
    ASYNC_DEVICE_CLEAR_ACKNOWLEDGE = 23
    ASYNC_LOCK_INFO = 24
    ASYNC_LOCK_INFO_RESPONSE = 25


_BAD_HEADER, _ONE_CHANNEL, _BAD_START = 1, 2, 3
"""Control codes of FatalError."""
_UNKNOWN_MESSAGE, _TOO_LARGE = 1, 4
"""Control codes of Error."""
_LOCK_FAILURE, _LOCK_ERROR = 0, 3


class StatusInstrument(Dispatcher, Protocol):
    """What a session needs of an instrument."""

    def status_byte(self, message_available: bool) -> int:
        """Return the status byte."""


def message(kind: MessageType, control: int = 0, parameter: int = 0, payload: bytes = b"") -> bytes:
    """Return a message as it goes on the wire."""
    return _HEADER.pack(b"HS", kind, control, parameter, len(payload)) + payload


class HislipSessions:
    """The sessions of one instrument: finds the synchronous channel to which an asynchronous one belongs."""

    def __init__(self, instrument: StatusInstrument) -> None:
        self.instrument = instrument
        self._channels: dict[int, HislipChannel] = {}
        self._numbers = count(1)

    def add(self, channel: HislipChannel) -> int:
        """Return the number of a new session."""
        number = next(n for n in (k & 0xFFFF for k in self._numbers) if n and n not in self._channels)
        self._channels[number] = channel
        return number

    def find(self, number: int) -> HislipChannel | None:
        """Return the synchronous channel of a session."""
        return self._channels.get(number)

    def remove(self, channel: HislipChannel) -> None:
        """Forget a session."""
        self._channels = {number: item for number, item in self._channels.items() if item is not channel}


class HislipChannel:
    """One of the two connections of a client. ``wake`` is called when the other channel has given it work."""

    def __init__(self, hub: HislipSessions, wake: Callable[[], None]) -> None:
        self._hub = hub
        self.wake = wake
        self.broken = False
        """Whether the transport shall close once everything that :meth:`pull` returns is sent."""
        self.partner: HislipChannel | None = None
        self._serve: dict[int, Callable[[int, int, bytes], None]] = {
            MessageType.INITIALIZE: self._initialize,
            MessageType.ASYNC_INITIALIZE: self._initialize_async,
            MessageType.FATAL_ERROR: lambda *_: self.end(),
        }
        self._out: deque[bytes | memoryview] = deque()
        self._header = bytearray(_HEADER.size)
        self._filled = self._left = 0
        self._message = (0, 0, 0)
        self._text: bytearray | None = None
        self.session: ScpiConnection | None = None
        """Where the data go; None for an asynchronous channel."""
        self._to_session = self._end_due = self._clearing = self.unread = False
        self._held = bytearray()
        self._number = 0
        self.limit = _LARGEST

    # What the transport calls.

    @property
    def waiting(self) -> float | None:
        """How long the present command may wait, seconds."""
        return self.session.waiting if self.session else None

    def expire(self) -> None:
        """End a wait: its time is over."""
        if self.session:
            self.session.expire()

    def closed(self) -> None:
        """The connection is gone: the asynchronous channel goes with the synchronous one.

        Not the other way round, because what was sent before a client closed both shall still be carried out.
        """
        self._hub.remove(self)
        if self.session and self.partner:
            self.partner.end()
            self.partner.wake()

    def get_buffer(self) -> memoryview:
        """Return where received bytes belong."""
        if not self._left:
            return memoryview(self._header)[self._filled :]
        if self._to_session and self.session:
            return self.session.get_buffer()[: self._left]
        if self._text is not None:
            return memoryview(self._text)[len(self._text) - self._left :]
        return memoryview(bytearray(min(self._left, _LARGEST)))

    def received(self, size: int) -> None:
        """Take note that ``size`` bytes were written to the buffer."""
        if self._left:
            if self._to_session and self.session:
                self.session.received(size)
            self._left -= size
            if not self._left:
                self._finish()
            return
        self._filled += size
        if self._filled == _HEADER.size:
            self._filled = 0
            self._begin()

    def pull(self) -> bytes | memoryview | None:
        """Go on until there is something to send; None when bytes or the end of a wait are needed first."""
        while not self._out:
            piece = self.session.pull() if self.session and not self.broken else None
            if piece is not None:
                self._frame(piece)
            elif self.session and self.session.broken:
                self._flush(MessageType.DATA)
                self.broken = True
                return self._out.popleft() if self._out else None
            elif self.session and self._end_due and self.session.waiting is None:
                self._end_due = False
                self.session.end_message()
            else:
                return None
        return self._out.popleft()

    # Messages that come.

    def _begin(self) -> None:
        """A header is complete: find out what to do with the payload."""
        prologue, kind, control, parameter, length = _HEADER.unpack(self._header)
        if prologue != b"HS":
            self._fail(_BAD_HEADER, b"a header begins with HS")
            return
        self._message, self._left = (kind, control, parameter), length
        self._to_session, self._text = False, None
        if kind in (MessageType.DATA, MessageType.DATA_END) or (kind == MessageType.TRIGGER and not length):
            self._begin_data(control, parameter)
        elif length <= _LONGEST_TEXT:
            self._text = bytearray(length)
        else:
            self._send(MessageType.ERROR, _TOO_LARGE, payload=b"a payload that is not data is short")
        if not self._left and not self.broken:
            self._finish()

    def _begin_data(self, control: int, parameter: int) -> None:
        if self.session is None or self.partner is None:
            self._fail(_ONE_CHANNEL, b"both channels first, and data on the synchronous one")
        elif not self._clearing:
            self._to_session, self._number = True, parameter
            self.unread = self.unread and not control & _RMT_DELIVERED

    def _finish(self) -> None:
        """A message is complete."""
        kind, control, parameter = self._message
        if self._to_session and self.session:
            if kind == MessageType.TRIGGER:
                self.session.trigger()
            self._end_due = kind == MessageType.DATA_END
        elif self._text is not None:
            serve = self._serve.get(kind, self._unknown)
            serve(control, parameter, bytes(self._text))

    def _unknown(self, control: int, parameter: int, text: bytes) -> None:
        if self._message[0] != MessageType.ERROR:
            self._send(MessageType.ERROR, _UNKNOWN_MESSAGE, payload=b"no such message on this channel")

    def _initialize(self, control: int, parameter: int, text: bytes) -> None:
        if text.lower() not in (b"", _SUB_ADDRESS):
            self._fail(_BAD_START, b"the sub-address is hislip0")
            return
        self.session = ScpiConnection(self._hub.instrument)
        number = self._hub.add(self)
        self._serve = {
            MessageType.DEVICE_CLEAR_COMPLETE: self._clear_complete,
            MessageType.FATAL_ERROR: lambda *_: self.end(),
        }
        self._send(MessageType.INITIALIZE_RESPONSE, 0, _VERSION << 16 | number)

    def _initialize_async(self, control: int, parameter: int, text: bytes) -> None:
        other = self._hub.find(parameter)
        if other is None or other.partner is not None:
            self._fail(_BAD_START, b"no session of this number waits for a channel")
            return
        self.partner, other.partner = other, self
        self._serve = {
            MessageType.ASYNC_MAX_MSG_SIZE: self._set_size,
            MessageType.ASYNC_DEVICE_CLEAR: self._clear,
            MessageType.ASYNC_STATUS_QUERY: self._tell_status,
            # There are no locks: the instruments serve all clients.
            MessageType.ASYNC_LOCK: lambda control, *_: self._send(
                MessageType.ASYNC_LOCK_RESPONSE, _LOCK_FAILURE if control else _LOCK_ERROR
            ),
            MessageType.ASYNC_LOCK_INFO: lambda *_: self._send(MessageType.ASYNC_LOCK_INFO_RESPONSE),
            MessageType.ASYNC_REMOTE_LOCAL_CONTROL: lambda *_: self._send(MessageType.ASYNC_REMOTE_LOCAL_RESPONSE),
            MessageType.FATAL_ERROR: lambda *_: self.end(),
        }
        self._send(MessageType.ASYNC_INITIALIZE_RESPONSE, 0, _VENDOR)

    def _set_size(self, control: int, parameter: int, text: bytes) -> None:
        if len(text) != 8:
            self._send(MessageType.ERROR, 0, payload=b"a size has 8 bytes")
            return
        if self.partner:
            self.partner.limit = max(1, min(_LARGEST, int.from_bytes(text, "big")))
        self._send(MessageType.ASYNC_MAX_MSG_SIZE_RESPONSE, payload=_LARGEST.to_bytes(8, "big"))

    def _tell_status(self, control: int, parameter: int, text: bytes) -> None:
        available = self.partner is not None and self.partner.unread and not control & _RMT_DELIVERED
        self._send(MessageType.ASYNC_STATUS_RESPONSE, self._hub.instrument.status_byte(available))

    def _clear(self, control: int, parameter: int, text: bytes) -> None:
        """Device clear, first half: forget what was received and not carried out, and what was not sent."""
        if self.partner:
            self.partner.clear()
            self.partner.wake()
        self._send(MessageType.ASYNC_DEVICE_CLEAR_ACKNOWLEDGE)

    def clear(self) -> None:
        """Forget what was received and not carried out, and what was not sent; drop data until the clear completes."""
        self.session = ScpiConnection(self._hub.instrument)
        self._out.clear()
        self._held.clear()
        self._to_session = self._end_due = self.unread = False
        self._clearing = True

    def _clear_complete(self, control: int, parameter: int, text: bytes) -> None:
        self._clearing = False
        self._send(MessageType.DEVICE_CLEAR_ACKNOWLEDGE)

    # Messages that go.

    def _send(self, kind: MessageType, control: int = 0, parameter: int = 0, payload: bytes = b"") -> None:
        self._out.append(message(kind, control, parameter, payload))

    def _fail(self, code: int, text: bytes) -> None:
        self._send(MessageType.FATAL_ERROR, code, payload=text)
        self._left = 0
        self.end()

    def end(self) -> None:
        """Have the transport close the connection once everything is sent."""
        self.broken = True

    def _frame(self, piece: bytes | memoryview) -> None:
        """Put a piece of an answer into messages."""
        if len(piece) <= min(_SMALL, self.limit):
            if len(self._held) + len(piece) > self.limit:
                self._flush(MessageType.DATA)
            self._held += piece
            if piece == b"\n" and isinstance(piece, bytes):
                self._flush(MessageType.DATA_END)
                self.unread = True
            return
        self._flush(MessageType.DATA)
        view = memoryview(piece)
        for start in range(0, len(view), self.limit):
            part = view[start : start + self.limit]
            self._out.append(_HEADER.pack(b"HS", MessageType.DATA, 0, self._number, len(part)))
            self._out.append(part)

    def _flush(self, kind: MessageType) -> None:
        if self._held:
            self._send(kind, 0, self._number, bytes(self._held))
            self._held.clear()
