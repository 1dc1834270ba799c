"""What serves a request: its form, and who asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from pulsed.model.errors import InvalidValueError
from pulsed.model.payload import Part
from pulsed.wire.messages import AnyReply
from pulsed.wire.roles import Role

MAX_LISTED = 1000
"""Rows of one answer."""


class Peer(msgspec.Struct, frozen=True):
    """Where a request came from: the connection, the key's name and its role."""

    address: bytes
    user: str
    role: Role


Answer = tuple[AnyReply, Sequence[Part]]
Handler = Callable[[Any, Sequence[Part], Peer], "Answer | Awaitable[Answer | None]"]


def check_limit(limit: int) -> None:
    """Raise :class:`InvalidValueError` unless so many rows may be asked for at once."""
    if not 0 < limit <= MAX_LISTED:
        raise InvalidValueError(
            "not a number of rows to list", subject="limit", value=limit, legal=f"1 to {MAX_LISTED}"
        )
