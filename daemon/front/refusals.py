"""What the door refuses is counted and told, in a bounded number of lines however often somebody asks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import msgspec

from pulsed.daemon import logs

LINES = 20
"""Lines about one kind of refusal of one peer in a :data:`WINDOW`; the others are counted and told together."""
WINDOW = 60.0
"""Seconds."""
_PEERS = 1000
"""Peers that are told apart; the lines of all others are bounded together."""
_OTHERS = "others"


class DoorCounts(msgspec.Struct):
    """What has come through the door since the start, for whoever shows it."""

    requests: Counter[str] = msgspec.field(default_factory=Counter)
    """Requests that were served or refused, by their kind."""
    refusals: Counter[str] = msgspec.field(default_factory=Counter)
    """What was refused, by the code of the error."""
    ended: Counter[str] = msgspec.field(default_factory=Counter)
    """Connections that were ended, by the reason."""


class Refusals:
    """Writes the lines of the log. ``tell`` gets those that are for the audit log, too: what, of whom, and the rest."""

    def __init__(self, counts: DoorCounts, tell: Callable[[str, str, dict[str, str]], None]) -> None:
        self.counts = counts
        self._tell = tell
        self._windows: dict[tuple[str, str, str], _Window] = {}

    def refused(self, error_code: str, what: str, peer: str, *, audited: bool, **more: str) -> None:
        """Tell that ``what`` a ``peer`` wanted was refused; ``more`` is written with it."""
        self.counts.refusals[error_code] += 1
        self._line((what, error_code, peer), more, audited)

    def ended(self, reason: str, peer: str, **more: str) -> None:
        """Tell that a connection of ``peer`` was ended."""
        self.counts.ended[reason] += 1
        self._line(("a connection was ended", reason, peer), {"why": reason, **more}, audited=False)

    def flush(self) -> None:
        """Tell how many lines were left out in the windows that are over."""
        now = time.monotonic()
        for told, window in list(self._windows.items()):
            if now - window.since > WINDOW:
                del self._windows[told]
                if window.lines > LINES:
                    what, why, peer = told
                    more = {"why": why, "more": str(window.lines - LINES)}
                    self._write(what, peer, more, window.audited)

    def _line(self, told: tuple[str, str, str], more: dict[str, str], audited: bool) -> None:
        if told not in self._windows and len(self._windows) >= _PEERS:
            self.flush()
            told = told if len(self._windows) < _PEERS else (*told[:2], _OTHERS)
        window = self._windows.setdefault(told, _Window(time.monotonic()))
        if time.monotonic() - window.since > WINDOW:
            self.flush()
            window = self._windows[told] = _Window(time.monotonic())
        window.lines += 1
        window.audited |= audited
        if window.lines <= LINES:
            self._write(told[0], told[2], more, audited)

    def _write(self, what: str, peer: str, more: dict[str, str], audited: bool) -> None:
        logs.get("front").warning(what, peer=peer, **more)
        if audited:
            self._tell(what, peer, more)


class _Window(msgspec.Struct):
    since: float
    lines: int = 0
    audited: bool = False
