"""However often something is refused, the lines about it are few, and the count is right."""

from __future__ import annotations

import time

import pytest

from pulsed.daemon.front import refusals as module
from pulsed.daemon.front.refusals import LINES, WINDOW, DoorCounts, Refusals


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def test_lines_are_bounded_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told = Clock(monkeypatch), []
    refusals = Refusals(DoorCounts(), lambda what, peer, more: told.append((what, peer, more)))
    for _ in range(10 * LINES):
        refusals.refused("unknown_key", "an unknown key was refused", "eve", audited=True)
    refusals.refused("not_allowed", "refused", "bob", audited=True, request="stop")
    assert len(told) == LINES + 1
    assert told[-1] == ("refused", "bob", {"request": "stop"})
    assert refusals.counts.refusals == {"unknown_key": 10 * LINES, "not_allowed": 1}
    clock.now += WINDOW + 1
    left_out = {"why": "unknown_key", "more": str(9 * LINES)}
    refusals.flush()
    assert told[LINES + 1 :] == [("an unknown key was refused", "eve", left_out)]
    refusals.refused("unknown_key", "an unknown key was refused", "eve", audited=True)
    assert told[-1] == ("an unknown key was refused", "eve", {})
    refusals.refused("not_found", "refused", "bob", audited=False)
    assert told[-1][1] == "eve", "what is not audited is for the daemon's log alone"


def test_peers_beyond_those_that_are_told_apart_share_their_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    monkeypatch.setattr(module, "_PEERS", 3)
    told: list[str] = []
    refusals = Refusals(DoorCounts(), lambda what, peer, more: told.append(peer))
    for number in range(1000):
        refusals.refused("no known key", "refused", f"10.0.0.{number}", audited=True)
    assert len(told) == 3 + LINES
    assert refusals.counts.refusals == {"no known key": 1000}
