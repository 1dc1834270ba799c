"""Both ends of the wire as state machines: frames in, values out. No sockets, no clock, no threads.

The daemon's end keeps nothing between messages: every request is judged by itself, by the key it came with. The
client's end keeps its unanswered requests. All requests can be repeated without harm (a submission names its job), so
after a lost connection they are simply sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec

from pulsed.model.errors import (
    ConnectionFailedError,
    ErrorInfo,
    IllegalStepError,
    IncompatibleError,
    InvalidValueError,
    ProtocolError,
    PulsedError,
)
from pulsed.model.job import RunOptions, Spectrum
from pulsed.model.payload import Part
from pulsed.wire.base import PROTOCOL, REVISION, Message, Request
from pulsed.wire.messages import (
    AnyEvent,
    AnyReply,
    AnyRequest,
    ErrorReply,
    Greeting,
    Hello,
    Submit,
)
from pulsed.wire.roles import Role, check_right

Frames = list[Part]

MAX_FRAMES = 8192
"""Frames of one message. A submission has one per program."""
MAX_HEAD = 16 * 2**20
"""Bytes of a head."""
MAX_SENDS = 3
"""How often one request is sent over connections that break."""

_encode = msgspec.msgpack.Encoder().encode
_requests = msgspec.msgpack.Decoder(AnyRequest)
_replies = msgspec.msgpack.Decoder(AnyReply)
_events = msgspec.msgpack.Decoder(AnyEvent)


class _Anything(msgspec.Struct):
    """What can be read of a message that is none of ours."""

    id: int = 0
    type: str = ""


class _JobAsWritten(msgspec.Struct):
    options: dict[str, msgspec.Raw] = {}


class _SubmitAsWritten(msgspec.Struct):
    """The options of a submission by the names that the client wrote."""

    job: _JobAsWritten


_anything = msgspec.msgpack.Decoder(_Anything)
_submitted = msgspec.msgpack.Decoder(_SubmitAsWritten)
_OPTIONS = frozenset(RunOptions.__struct_fields__)
_LOOK = frozenset(Spectrum.__struct_fields__)
_look = msgspec.msgpack.Decoder(dict[str, msgspec.Raw] | None)
REQUEST_TAGS = tuple(sorted(str(kind.__struct_config__.tag) for kind in AnyRequest.__args__))


def frames_of(message: Message, parts: Sequence[Part] = ()) -> Frames:
    """Return ``message`` and ``parts`` as frames."""
    return [_encode(message), *parts]


def _bounded(frames: Sequence[Part], max_bytes: int) -> None:
    if not frames:
        raise ProtocolError("a message without frames")
    if len(frames) > MAX_FRAMES:
        raise ProtocolError("too many frames", value=len(frames), legal=f"at most {MAX_FRAMES}")
    head = memoryview(frames[0]).nbytes
    if head > MAX_HEAD:
        raise ProtocolError("the head is too long", value=f"{head} bytes", legal=f"at most {MAX_HEAD}")
    size = sum(memoryview(part).nbytes for part in frames[1:])
    if size > max_bytes:
        raise ProtocolError("the message is too large", value=f"{size} bytes", legal=f"at most {max_bytes} bytes")


class Received(msgspec.Struct, frozen=True):
    """A request that may be served."""

    message: AnyRequest
    parts: Sequence[Part]


class Refused(msgspec.Struct, frozen=True):
    """A message that is not served; ``frames`` is the answer."""

    error: PulsedError
    frames: Frames
    kind: str = ""
    """What the message says that it is."""


class DaemonProtocol:
    """The daemon's end. ``max_bytes`` bounds the parts of one message."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes

    def receive(self, frames: Sequence[Part], user: str, role: Role) -> Received | Refused:
        """Read a message from the key ``user``. Nothing that a peer sends makes this raise."""
        try:
            _bounded(frames, self.max_bytes)
            message = self._decode(frames[0])
            check_right(message, user, role)
            if isinstance(message, Hello) and message.protocol != PROTOCOL:
                raise ProtocolError(
                    "the two sides speak different versions of the protocol: install the same version of pulsed",
                    subject=f"client {message.version}", value=message.protocol, legal=PROTOCOL,
                )  # fmt: skip
        except PulsedError as error:
            read = _read_anything(frames[0]) if frames else _Anything()
            return Refused(error, frames_of(ErrorReply(read.id, error.to_info())), read.type)
        return Received(message, frames[1:])

    @staticmethod
    def _decode(head: Part) -> AnyRequest:
        try:
            message: AnyRequest = _requests.decode(head)
            if isinstance(message, Submit):
                _check_options(head)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            kind = _read_anything(head).type
            if kind and kind not in REQUEST_TAGS:
                raise ProtocolError("no such message", value=kind, legal=", ".join(REQUEST_TAGS)) from error
            raise ProtocolError(f"the message cannot be read: {error}", subject=kind) from error
        return message


def _check_options(head: Part) -> None:
    """Raise :class:`InvalidValueError` for an option of a job that this daemon does not know: it would do nothing."""
    options = _submitted.decode(head).job.options
    unknown = sorted(options.keys() - _OPTIONS)
    looks = _look.decode(options["spectrum"]) if "spectrum" in options else None
    unknown += sorted(f"spectrum.{name}" for name in (looks or {}).keys() - _LOOK)
    if unknown:
        raise InvalidValueError(
            "this daemon knows no such option of a job; a newer one may", subject="options", value=", ".join(unknown),
            legal=", ".join(RunOptions.__struct_fields__),
        )  # fmt: skip


def _read_anything(head: Part) -> _Anything:
    if memoryview(head).nbytes > MAX_HEAD:
        return _Anything()
    try:
        return _anything.decode(head)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Anything()


class EventSource:
    """Numbers the events of a daemon."""

    def __init__(self) -> None:
        self.number = 0

    def frame(self, event: AnyEvent) -> bytes:
        """Return ``event`` under the next number; several, in order, make one message."""
        self.number += 1
        return _encode(msgspec.structs.replace(event, number=self.number))


class ClientState(StrEnum):
    """Where a connection is."""

    IDLE = "idle"
    GREETING = "greeting"
    OPEN = "open"
    LOST = "lost"
    CLOSED = "closed"


CLIENT_STEPS: dict[ClientState, frozenset[ClientState]] = {
    ClientState.IDLE: frozenset({ClientState.GREETING, ClientState.CLOSED}),
    ClientState.GREETING: frozenset({ClientState.OPEN, ClientState.LOST, ClientState.CLOSED}),
    ClientState.OPEN: frozenset({ClientState.LOST, ClientState.CLOSED}),
    ClientState.LOST: frozenset({ClientState.GREETING, ClientState.CLOSED}),
    ClientState.CLOSED: frozenset(),
}
"""The legal steps of a connection."""


class Greeted(msgspec.Struct, frozen=True):
    """The connection is open; ``again`` when it was before."""

    greeting: Greeting
    again: bool


class Answered(msgspec.Struct, frozen=True):
    """The reply to request ``id``."""

    id: int
    message: AnyReply
    parts: Sequence[Part]


class Failed(msgspec.Struct, frozen=True):
    """Request ``id`` got an error; 0 is the connection itself."""

    id: int
    error: ErrorInfo


class EventReceived(msgspec.Struct, frozen=True):
    """An event."""

    event: AnyEvent


class Gap(msgspec.Struct, frozen=True):
    """Notices may have been lost: whoever follows something has to ask."""

    expected: int
    got: int


ConnectionEvent = Greeted | Answered | Failed | EventReceived | Gap


class _Pending(msgspec.Struct):
    frames: Frames
    sends: int = 0


class ClientProtocol:
    """The client's end. ``outbox`` collects the messages to send; the owner of the socket empties it."""

    def __init__(self, version: str) -> None:
        self.state = ClientState.IDLE
        self.outbox: list[Frames] = []
        self.greeting: Greeting | None = None
        self._version = version
        self._last_id = 0
        self._hello_id = 0
        self._pending: dict[int, _Pending] = {}
        self._expected: int | None = None
        self._was_subscribed = False

    def _step(self, state: ClientState) -> None:
        if state not in CLIENT_STEPS[self.state]:
            legal = ", ".join(sorted(CLIENT_STEPS[self.state])) or "none"
            raise IllegalStepError(f"cannot go from {self.state} to {state}", subject="connection", legal=legal)
        self.state = state

    def connected(self) -> None:
        """The transport is up, for the first time or again: greet."""
        if self.state in (ClientState.GREETING, ClientState.OPEN):
            self.lost()
        self._step(ClientState.GREETING)
        self._last_id += 1
        self._hello_id = self._last_id
        self.outbox.append(frames_of(Hello(self._hello_id, PROTOCOL, self._version, REVISION)))

    def lost(self) -> None:
        """The transport broke."""
        self._step(ClientState.LOST)

    def close(self) -> list[ConnectionEvent]:
        """Nothing more will be sent; every unanswered request fails."""
        self._step(ClientState.CLOSED)
        error = ConnectionFailedError("the connection was closed before the answer came").to_info()
        events: list[ConnectionEvent] = [Failed(request_id, error) for request_id in self._pending]
        self._pending.clear()
        return events

    def request(self, kind: type[Request], parts: Sequence[Part] = (), **fields: Any) -> int:
        """Send a request, now or when the connection is open. Returns its id."""
        self._last_id += 1
        pending = _Pending(frames_of(kind(self._last_id, **fields), parts))
        self._pending[self._last_id] = pending
        if self.state is ClientState.OPEN:
            self._send(pending)
        return self._last_id

    def forget(self, request_id: int) -> None:
        """Nobody waits for this answer any longer."""
        self._pending.pop(request_id, None)

    def _send(self, pending: _Pending) -> None:
        pending.sends += 1
        self.outbox.append(pending.frames)

    def receive(self, frames: Sequence[Part]) -> list[ConnectionEvent]:
        """Read a reply. Raises :class:`ProtocolError` on what is none.

        One to a request of ours that cannot be read, of a newer daemon perhaps, fails that request alone.
        """
        try:
            message: AnyReply = _replies.decode(frames[0])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, IndexError) as error:
            return self._unreadable(_read_anything(frames[0]).id if frames else 0, error)
        if message.id == self._hello_id and self.state is ClientState.GREETING:
            return self._greeted(message)
        if isinstance(message, ErrorReply) and message.id == 0:
            return [Failed(0, message.error)]
        if self._pending.pop(message.id, None) is None:
            return []  # an answer that came twice, or that nobody waits for any longer
        if isinstance(message, ErrorReply):
            return [Failed(message.id, message.error)]
        return [Answered(message.id, message, frames[1:])]

    def _unreadable(self, request_id: int, error: Exception) -> list[ConnectionEvent]:
        daemon = "daemon" if self.greeting is None else f"daemon {self.greeting.version}"
        failure = ProtocolError(f"the daemon's answer cannot be read: {error}", subject=daemon)
        if self.state is ClientState.GREETING and request_id == self._hello_id:
            return [Failed(0, failure.to_info())]
        if self._pending.pop(request_id, None) is None:
            raise failure from error
        different = IncompatibleError(
            f"this version of pulsed cannot read the daemon's answer; install the daemon's version: {error}",
            subject=daemon, value=f"client {self._version}",
        )  # fmt: skip
        return [Failed(request_id, different.to_info())]

    def _greeted(self, message: AnyReply) -> list[ConnectionEvent]:
        if isinstance(message, ErrorReply):
            return [Failed(0, message.error)]
        if not isinstance(message, Greeting):
            raise ProtocolError("the daemon did not greet", subject="daemon", value=type(message).__name__)
        self._step(ClientState.OPEN)
        again = self.greeting is not None
        events: list[ConnectionEvent] = [Greeted(message, again)]
        self.greeting = message
        for request_id, pending in list(self._pending.items()):
            if pending.sends < MAX_SENDS:
                self._send(pending)
                continue
            del self._pending[request_id]
            error = ConnectionFailedError(f"the connection broke {MAX_SENDS} times while the daemon had this request")
            events.append(Failed(request_id, error.to_info()))
        return events

    def subscribed(self) -> list[ConnectionEvent]:
        """Notices come from now on. When they did before, some were lost in between."""
        again, self._was_subscribed, self._expected = self._was_subscribed, True, None
        return [Gap(0, 0)] if again else []

    def events(self, frames: Sequence[Part]) -> list[ConnectionEvent]:
        """Read the events of one message; a hole in the numbers gives a :class:`Gap` in its place.

        One of an unknown kind is counted only. Raises :class:`ProtocolError`.
        """
        return [event for frame in frames for event in self._event(frame)]

    def _event(self, frame: Part) -> list[ConnectionEvent]:
        event: AnyEvent | None = None
        try:
            event = _events.decode(frame)
            number = event.number
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            number = _number_of(frame)
        expected = number if self._expected is None else self._expected
        events: list[ConnectionEvent] = [] if number == expected else [Gap(expected, number)]
        self._expected = number + 1
        if event is not None:
            events.append(EventReceived(event))
        return events


class _Numbered(msgspec.Struct):
    number: int


def _number_of(frame: Part) -> int:
    try:
        return msgspec.msgpack.decode(frame, type=_Numbered).number
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"the event cannot be read: {error}", subject="daemon") from error
