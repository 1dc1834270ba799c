"""What an instrument was set to and shall still have: compared with what it answers, not with what was sent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulsed.model.errors import InstrumentChangedError


@dataclass(frozen=True)
class HeldSetting:
    """One setting that decides what is measured."""

    parameter: Any
    """Of QCoDeS; its cache has what was sent last."""
    value: Any
    command: str
    """Sets it."""
    query: str
    """Asks for it."""
    read: Callable[[str], Any]
    """Makes an answer comparable with ``value``; raises ``ValueError`` for one that is none."""
    tolerance: float = 0.0
    """Of numbers: what the instrument rounds."""

    def is_in(self, answer: str) -> bool:
        """Whether the instrument has it."""
        try:
            return _same(self.read(answer), self.value, self.tolerance)
        except ValueError:
            return False


def read_switch(answer: str) -> bool:
    """Return whether a switch is on. Raises ``ValueError`` for another answer."""
    return answer.upper() == "ON" or (answer.upper() != "OFF" and int(answer) != 0)


def check_held(held: Mapping[str, HeldSetting], answers: Sequence[str], subject: str) -> None:
    """Compare ``held``, by its queries, with their ``answers``.

    Raises :class:`InstrumentChangedError` with what differs; what was sent of that then counts as not sent.
    """
    changed = [(item, answer) for item, answer in zip(held.values(), answers, strict=True) if not item.is_in(answer)]
    if not changed:
        return
    for item, _ in changed:
        item.parameter.cache.invalidate()
    raise InstrumentChangedError(
        "was changed by somebody else", subject=subject,
        value=", ".join(f"{item.query} {answer[:80]}" for item, answer in changed),
        legal=", ".join(item.command for item, _ in changed),
    )  # fmt: skip


def _same(found: Any, wanted: Any, tolerance: float) -> bool:
    if isinstance(wanted, tuple):
        return len(found) == len(wanted) and all(map(_same, found, wanted, [tolerance] * len(wanted)))
    if isinstance(wanted, float):
        return math.isclose(found, wanted, rel_tol=1e-12, abs_tol=tolerance)
    return bool(found == wanted)
