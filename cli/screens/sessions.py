"""Sessions and batches on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import RenderableType
from rich.text import Text

from pulsed.cli.screens.terminal import plain_table
from pulsed.model.session import SessionInfo, SessionState, holds_rack, is_booked
from pulsed.model.wording import duration, when


def standing(session: SessionInfo) -> str:
    """Return in words how a session is."""
    if session.ended_as is not None:
        return f"ended: {session.ended_as}" + (f" by {session.ended_by}" if session.ended_by else "")
    if session.start is not None and is_booked(session):
        words = [f"booked for {when(session.start)}"]
    else:
        words = ["holds the rack" if holds_rack(session) else "begun" if session.started is not None else "waits"]
    if session.state is SessionState.CLOSING:
        words.append(f"closed by {session.ended_by}")
    return ", ".join(words)


def as_told(session: SessionInfo) -> dict[str, Any]:
    """Return a session as JSON has it: with its state, also where that is the one which goes without saying."""
    return {**msgspec.to_builtins(session), "state": str(session.state)}


def left(session: SessionInfo, now: float) -> str:
    """Return for how long a session may go on."""
    if session.state is SessionState.ENDED:
        return ""
    return duration(session.max_time if session.ends is None else max(0.0, session.ends - now))


def sessions_screen(sessions: Sequence[SessionInfo], now: float) -> RenderableType:
    """Return the screen of `pulsed sessions`."""
    if not sessions:
        return Text("no sessions", "dim")
    table = plain_table(
        "session", "state", "owner", "kind", "opened", "time left", right=("time left",), words=("state",)
    )
    for one in sessions:
        opened = when(one.created)[:-3]
        table.add_row(one.session_id, standing(one), one.owner, str(one.mode), opened, left(one, now))
    return table
