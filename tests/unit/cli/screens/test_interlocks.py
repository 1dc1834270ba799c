"""Interlocks on a terminal: in a list of their own, and in the status."""

from __future__ import annotations

import io

from pulsed.cli.screens.daemon import status_screen
from pulsed.cli.screens.interlocks import interlocks_screen
from pulsed.cli.screens.terminal import Terminal
from pulsed.model.interlock_status import InterlockState, InterlockStatus
from pulsed.wire.messages import Status

FOUND = (
    InterlockStatus(
        "still", InterlockState.TRIPPED, "up to 1.2", 1.63, "K", "is 1.63, above 1.2", 1e9 - 4000,
        "its value is 1.7, above 1.2 K",
    ),
    InterlockStatus("door", InterlockState.ARMED, "closed", "closed", since=1e9 - 60),
    InterlockStatus("water", InterlockState.ARMED, "up to 8", 9.1, "l/min", "is 9.1, above 8"),
    InterlockStatus("pump", InterlockState.UNREAD, "up to 1", problem="cannot be read: no route to host"),
)  # fmt: skip


def shown(renderable: object, width: int = 100) -> str:
    file = io.StringIO()
    Terminal(file=file, width=width).print(renderable)
    return file.getvalue()


def test_each_is_shown_with_its_value_and_what_is_good() -> None:
    text = shown(interlocks_screen(FOUND, 1e9))
    rows = [line.split() for line in text.splitlines()]
    assert ["still", "tripped", "1", "h", "7", "min", "1.63", "K", "up", "to", "1.2"] in rows
    assert ["door", "armed", "60", "s", "closed", "closed"] in rows
    assert "interlock still has tripped: its value is 1.7, above 1.2 K" in text
    assert "interlock water is about to trip: its value is 9.1, above 8" in text
    assert "interlock pump was not read yet: cannot be read: no route to host" in text
    assert "no interlocks" in shown(interlocks_screen((), 1e9))


def test_the_status_has_those_that_matter() -> None:
    text = shown(status_screen(Status("sim5", "0.2.0", False, interlocks=FOUND), 1e9))
    assert "interlock still has tripped" in text
    assert "water is about to trip" in text
    assert "door" not in text
