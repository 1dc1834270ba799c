"""How an interlock is, as it is told and kept."""

from __future__ import annotations

from enum import StrEnum

import msgspec

Value = float | str
"""What an interlock reads."""


class InterlockState(StrEnum):
    """Where an interlock is."""

    UNREAD = "unread"
    """No value was read yet since the daemon started: nothing plays."""
    ARMED = "armed"
    TRIPPED = "tripped"
    """All outputs are off and nothing plays, until an operator arms it again."""


class InterlockStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """One interlock as it is told to clients."""

    name: str
    state: InterlockState
    limits: str
    """What is good, in words."""
    value: Value | None = None
    """That was read last; None when the last attempt failed."""
    unit: str = ""
    problem: str = ""
    """What is wrong with the value at this moment, in words; empty when nothing is."""
    since: float = 0.0
    """Unix time, seconds, since which it is in this state."""
    reason: str = ""
    """Why it has tripped."""
    trips: int = 0
    """How often it has tripped since the daemon started."""

    def sentence(self) -> str:
        """Return what there is to say of one that keeps the rack from playing; empty for one that is armed."""
        if self.state is InterlockState.ARMED:
            return ""
        if self.state is InterlockState.UNREAD:
            return f"interlock {self.name} was not read yet" + (f": {self.problem}" if self.problem else "")
        return f"interlock {self.name} has tripped: {self.reason}"


class TrippedInterlock(msgspec.Struct, frozen=True):
    """What the store keeps of one that has tripped."""

    name: str
    reason: str
    since: float
    """Unix time, seconds."""
