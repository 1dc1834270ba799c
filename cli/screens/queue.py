"""The queue on a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from pulsed.cli.screens.status import state_text
from pulsed.cli.screens.terminal import plain, plain_table
from pulsed.model.job import JobState
from pulsed.model.wording import duration, when
from pulsed.wire.queue_messages import QueueReply


def queue_screen(queue: QueueReply, now: float) -> RenderableType:
    """Return the screen of `pulsed queue`."""
    said = queue.control.sentence()
    lines: list[RenderableType] = []
    if said:
        lines.append(plain(f"{said} (since {when(queue.control.since)})", "yellow"))
    if queue.entries:
        table = plain_table(
            "job", "state", "user", "takes", "starts in", "why", right=("takes", "starts in"), words=("why",)
        )
        for entry in queue.entries:
            starts = "" if entry.starts is None else duration(max(0.0, entry.starts - now))
            state = state_text(JobState(entry.state))
            table.add_row(entry.job_id, state, entry.owner, duration(entry.seconds), starts, entry.why)
        lines.append(table)
    else:
        lines.append(Text("no jobs", "dim"))
    if queue.users:
        users = plain_table(
            "user", "share", "used", "today", "jobs", right=("share", "used", "today", "jobs"), words=()
        )
        for one in queue.users:
            users.add_row(one.user, f"{one.weight:g}", duration(one.used), duration(one.today), str(one.jobs))
        lines += ["", users]
    return Group(*lines)
