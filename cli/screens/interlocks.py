"""Interlocks on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from pulsed.cli.screens.terminal import plain, plain_table
from pulsed.model.interlock_status import InterlockState, InterlockStatus
from pulsed.model.wording import duration

_STYLE = {InterlockState.ARMED: "green", InterlockState.UNREAD: "yellow", InterlockState.TRIPPED: "bold red"}


def interlocks_screen(found: Sequence[InterlockStatus], now: float) -> RenderableType:
    """Return the screen of `pulsed interlock list`."""
    if not found:
        return Text("no interlocks: the table [interlocks] of the configuration has none", "dim")
    table = plain_table("interlock", "state", "for", "value", "good", right=("for", "value"), words=("good",))
    for one in found:
        state = Text(str(one.state), _STYLE[one.state])
        table.add_row(one.name, state, duration(max(0.0, now - one.since)), reading(one), one.limits)
    return Group(table, *interlock_lines(found))


def interlock_lines(found: Sequence[InterlockStatus]) -> list[RenderableType]:
    """Return one line for each that keeps the rack from playing, or is about to."""
    lines: list[RenderableType] = []
    for one in found:
        if one.state is not InterlockState.ARMED:
            lines.append(plain(one.sentence(), "red"))
        elif one.problem:
            lines.append(plain(f"interlock {one.name} is about to trip: its value {one.problem}", "yellow"))
    return lines


def reading(one: InterlockStatus) -> str:
    """Return the value that was read last, with its unit; a dash when the last attempt failed."""
    if one.value is None:
        return "-"
    return f"{one.value if isinstance(one.value, str) else format(one.value, '.5g')} {one.unit}".rstrip()
