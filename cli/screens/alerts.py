"""What the terminal shows of alerts."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from pulsed.cli.screens.terminal import plain, plain_table
from pulsed.model.alerts import Alert
from pulsed.model.wording import duration
from pulsed.wire.observation_messages import AlertsReply


def alert_lines(alerts: Sequence[Alert], now: float) -> list[RenderableType]:
    """Return one line for each alert, the oldest first."""
    return [
        Text.assemble(("! ", "bold red"), plain(alert.message, "red"), (f"  for {duration(now - alert.since)}", "dim"))
        for alert in sorted(alerts, key=lambda alert: alert.since)
    ]


def alerts_screen(found: AlertsReply, now: float) -> RenderableType:
    """Return the screen of `pulsed alerts`."""
    lines = alert_lines(found.alerts, now) or [Text("nothing needs anybody", "green")]
    if not found.receivers:
        text = "nobody is told: name webhooks or mail in the table [alerts] of the configuration"
        return Group(*lines, "", Text(text, "yellow"))
    table = plain_table(
        "receiver", "", "sent", "failed", "waiting", "last error", right=("sent", "failed", "waiting"),
        words=("receiver", "last error"),
    )  # fmt: skip
    for one in found.receivers:
        state = Text("fails", "red") if one.error else Text("works", "green") if one.sent else Text("not tried", "dim")
        table.add_row(one.name, state, str(one.sent), str(one.failed), str(one.waiting), one.error)
    return Group(*lines, "", table)
