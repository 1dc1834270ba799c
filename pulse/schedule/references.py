"""References of a block and the subroutines that they stand for."""

from __future__ import annotations

from collections import UserDict
from typing import Any

from pulsed import old_names
from pulsed.pulse.exceptions import PulseError

__getattr__ = old_names(__name__)


class ReferenceManager(UserDict[tuple[str, ...], Any]):
    """Keys of each reference of a scope → its subroutine, or None while it has none."""

    def unassigned(self) -> tuple[tuple[str, ...], ...]:
        """Return the keys without a subroutine."""
        return tuple(keys for keys, block in self.items() if block is None)

    def __repr__(self) -> str:
        return f"ReferenceManager(references={list(self)})"

    def __str__(self) -> str:
        lines = [f"  - {keys}: {_short(block)}" for keys, block in self.items()]
        return "\n".join([f"{type(self).__name__}:", *lines])


def _short(block: Any) -> str:
    text = repr(block)
    return text if len(text) <= 43 else f"{text[:40]}..."


def keys_of(given: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return keys as a tuple.

    Raises:
        PulseError: they are neither a string nor a tuple of strings.

    """
    keys = (given,) if isinstance(given, str) else given
    if not isinstance(keys, tuple) or not keys or not all(isinstance(key, str) for key in keys):
        raise PulseError("keys of a reference must be a string or a tuple of strings", value=given)
    return keys
