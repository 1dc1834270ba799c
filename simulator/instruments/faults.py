"""Injected faults: what tests and `pulsed rack inject-fault` do to an instrument. Manual: docs/instruments/control.md.

:class:`Faults` holds the faults of one instrument now; instrument, connection and server look them up where they act.
"""

from __future__ import annotations

from dataclasses import dataclass, field

OVERHEATED, REFERENCE_LOST = 101, 102
"""Device-dependent codes of the error queue."""


@dataclass
class Faults:
    """The active faults of one instrument: name, and seconds (0 for one that has none)."""

    active: dict[str, float] = field(default_factory=dict)

    def __contains__(self, kind: str) -> bool:
        return kind in self.active

    def seconds(self, kind: str) -> float:
        """Return the seconds of a fault, 0 when it is not active."""
        return self.active.get(kind, 0.0)

    def take(self, kind: str) -> bool:
        """Return whether a fault that acts once is active, and clear it."""
        return self.active.pop(kind, None) is not None

    @property
    def conditions(self) -> dict[int, str]:
        """The lasting faults that the instrument itself knows of: code and what is wrong."""
        known = {"overheat": (OVERHEATED, "96 C, legal up to 85 C"), "reference": (REFERENCE_LOST, "no 10 MHz input")}
        return dict(known[kind] for kind in self.active if kind in known)
