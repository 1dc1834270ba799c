"""What a client checks of an answer before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pulsed.model.errors import ConnectionFailedError, IncompatibleError, ProtocolError
from pulsed.model.payload import Part
from pulsed.wire.base import Request
from pulsed.wire.messages import AnyReply, Greeting
from pulsed.wire.revisions import REQUESTS

Reply = TypeVar("Reply", bound=AnyReply)


def expect(kind: type[Reply], message: AnyReply) -> Reply:
    """Return the answer. Raises :class:`ProtocolError` when it is of another kind."""
    if not isinstance(message, kind):
        raise ProtocolError("unexpected kind of answer", subject="daemon", value=type(message).__name__,
                            legal=kind.__name__)  # fmt: skip
    return message


def check_known(kind: type[Request], greeting: Greeting) -> None:
    """Raise :class:`IncompatibleError` for a request that the daemon is too old to know."""
    if not knows(greeting, kind):
        raise IncompatibleError(
            f"the daemon is too old for this ({kind.__name__}): update it", subject="daemon", value=greeting.version,
            legal=f"from revision {REQUESTS[kind.__name__]} of the wire on",
        )  # fmt: skip


def knows(greeting: Greeting, kind: type[Request]) -> bool:
    """Whether the daemon knows this kind of request."""
    return greeting.revision >= REQUESTS.get(kind.__name__, 0)


def only_part(parts: Sequence[Part]) -> Part:
    """Return the one part of an answer. Raises :class:`ProtocolError` when it has more or none."""
    if len(parts) != 1:
        raise ProtocolError("unexpected number of parts in the answer", subject="daemon", value=len(parts), legal="1")
    return parts[0]


def no_answer(url: str, timeout: float) -> ConnectionFailedError:
    """Return the error that a daemon has not answered in time."""
    return ConnectionFailedError(
        f"no answer within {timeout:g} s: is the daemon well? (`pulsed status`; start one with `pulsed serve`)",
        subject=url,
    )
