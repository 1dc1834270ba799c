"""What is known by an id, or by the beginning of it."""

from __future__ import annotations

from collections.abc import Sequence

from pulsed.model.errors import NotFoundError

SHORTEST = 4
"""Letters of the beginning of an id."""
SHOWN = 5
"""Ids that are named when several begin alike."""


def not_the_only(start: str, ids: Sequence[str], none: NotFoundError, what: str, command: str) -> NotFoundError:
    """Return why ``start`` names nothing: none begins like that, several do, or it is too short.

    Args:
        start: what was asked for.
        ids: those that begin like that, :data:`SHOWN` and one more at most.
        none: the error that there is no such id.
        what: one of them in words.
        command: that lists them.

    """
    if ids:
        message = f"more than one {what} begins like this"
    else:
        message = none.message if len(start) >= SHORTEST else f"too short for the beginning of a {what}'s id"
    named = [*ids[:SHOWN], *(["..."] if len(ids) > SHOWN else [])]
    legal = ", ".join(named) or f"an id, or its first {SHORTEST} letters or more (`{command}`)"
    return NotFoundError(message, subject=none.subject, value=start, legal=legal)
