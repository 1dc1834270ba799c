"""Whom a client speaks for: the person at a page or a script that others use with its key.

It is sent with every request and stands in the daemon's audit log beside the key, which vouches for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pulsed.model.errors import InvalidValueError

LONGEST = 64
"""Letters of a name."""
VARIABLE = "PULSED_PERSON"
"""Of the environment: whom all clients of a process speak for, and those of its children."""
_person: ContextVar[str | None] = ContextVar("pulsed_person", default=None)


@contextmanager
def speaking_for(person: str) -> Iterator[None]:
    """Have all clients speak for ``person`` within the block, in this context. Raises :class:`InvalidValueError`."""
    token = _person.set(check_person(person))
    try:
        yield
    finally:
        _person.reset(token)


def person() -> str:
    """Return whom clients speak for now; empty for nobody but the holder of the key."""
    found = _person.get()
    return os.environ.get(VARIABLE, "") if found is None else found


def named(user: str, speaker: str) -> str:
    """Return who it was, for others to read: the person, and the key that vouches for the name."""
    return f"{speaker} ({user})" if speaker else user


def check_person(name: str) -> str:
    """Return a name that a request may carry. Raises :class:`InvalidValueError`."""
    if len(name) > LONGEST or not (name.isprintable() and name == name.strip()):
        raise InvalidValueError(
            "not a name", subject="person", value=name[:LONGEST], legal=f"up to {LONGEST} letters on one line"
        )
    return name
