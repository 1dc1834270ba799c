"""What users have queued and used, on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from pulsed.cli.screens.terminal import plain_table
from pulsed.model.queue import UserShare
from pulsed.model.wording import duration

_UNITS = ("B", "kB", "MB", "GB", "TB")


def users_screen(users: Sequence[UserShare]) -> RenderableType:
    """Return the screen of `pulsed users`."""
    if not users:
        return Text("nobody has used the rack, and nobody waits for it", "dim")
    numbers = ("jobs", "shots", "takes", "rack today", "bytes today", "share", "counts")
    table = plain_table("user", "role", *numbers, right=numbers, words=(), less=("counts", "share", "shots"))
    for one in users:
        quota = one.quota
        jobs = _against(str(one.jobs), quota.jobs and str(quota.jobs))
        today = _against(duration(one.today), quota.rack_seconds and duration(quota.rack_seconds))
        data = _against(size(one.bytes_today), quota.bytes and size(quota.bytes))
        takes, counts = duration(one.queued_seconds), duration(one.used)
        table.add_row(
            one.user, one.role or "-", jobs, str(one.queued_shots), takes, today, data, f"{one.weight:g}", counts
        )
    return table


def size(count: int) -> str:
    """Return a number of bytes as people say it: ``12.3 MB``."""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.3g} {_UNITS[unit]}"


def _against(value: str, limit: str | float | None) -> str:
    return f"{value} of {limit}" if limit else value
