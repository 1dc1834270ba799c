"""What serves a request: its form, and who asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec

from pulsed.client.speaking import check_person, named
from pulsed.model.errors import InvalidValueError, NotFoundError
from pulsed.model.payload import Part
from pulsed.wire.messages import AnyReply, AnyRequest
from pulsed.wire.roles import Role

MAX_LISTED = 1000
"""Rows of one answer."""


class Peer(msgspec.Struct, frozen=True):
    """Where a request came from: the connection, the key's name and its role."""

    address: bytes
    user: str
    role: Role
    key: str = ""
    """The public key."""
    host: str = ""
    person: str = ""
    """Whom the holder of the key speaks for."""

    @property
    def named(self) -> str:
        """Who it was, for others to read: the person, and the key that vouches for the name."""
        return named(self.user, self.person)


def spoken_for(peer: Peer, person: str) -> Peer:
    """Return ``peer`` as it speaks for ``person``. Raises :class:`InvalidValueError` for what is no name."""
    return msgspec.structs.replace(peer, person=check_person(person)) if person else peer


HandlerReply = tuple[AnyReply, Sequence[Part]]
Handler = Callable[[Any, Sequence[Part], Peer], "HandlerReply | Awaitable[HandlerReply | None]"]


def check_backend(named: str | None, backend: str) -> None:
    """Raise :class:`NotFoundError` when a request names another backend than ``backend``."""
    if named not in (None, backend):
        raise NotFoundError("no such backend", subject="backend", value=named, legal=backend)


class Outlet(Protocol):
    """How answers leave that come later than the turn of their request."""

    def answer(self, peer: Peer, reply: AnyReply, parts: Sequence[Part] = ()) -> None:
        """Send an answer."""

    def later(self, answer: Awaitable[HandlerReply | None], message: AnyRequest, peer: Peer) -> None:
        """Answer ``message`` when ``answer`` has come, or with its error."""

    def has_room(self, peer: Peer) -> bool:
        """Whether the peer takes what it is sent."""

    def waits(self, peer: Peer, gone: Callable[[], None]) -> Callable[[], None]:
        """Count one more request of the peer that waits; return what counts it off again.

        ``gone`` is called when the peer goes while it waits.
        """

    def room(self, peer: Peer) -> AbstractAsyncContextManager[None]:
        """Wait until it does, and until the large answers before this one have left."""


def check_limit(limit: int) -> None:
    """Raise :class:`InvalidValueError` unless so many rows may be asked for at once."""
    if not 0 < limit <= MAX_LISTED:
        raise InvalidValueError(
            "not a number of rows to list", subject="limit", value=limit, legal=f"1 to {MAX_LISTED}"
        )
