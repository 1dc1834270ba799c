"""Alerts: what a person is told of a daemon, as values."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class AlertState(StrEnum):
    """What is told of something that is wrong."""

    FIRING = "firing"
    REPEATED = "repeated"
    OVER = "over"
    TEST = "test"


class Alert(msgspec.Struct, frozen=True):
    """One message. Times are Unix times in seconds."""

    rule: str
    """That of the configuration, ``"instrument_lost"``."""
    subject: str
    """What it is about: an instrument, a worker, ``"disk"``."""
    state: AlertState
    message: str
    backend: str
    since: float
    """When it began."""
    time: float
    """When it was told."""

    @property
    def line(self) -> str:
        """The alert in one line."""
        return f"[{self.backend}] {self.state}: {' '.join(self.message.split())}"


class Receiver(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who is told, and whether that works."""

    name: str
    """``"webhook HOST"`` or ``"mail TO"``; addresses of the web may hold secrets, and are not told."""
    sent: int = 0
    failed: int = 0
    """Attempts that came to nothing."""
    waiting: int = 0
    error: str = ""
    """Of the last attempt; empty when it succeeded."""
