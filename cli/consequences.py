"""What a change of calibrated values makes stale, and the command that mends it."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from pulsed.calibration.bringup import CalibrationSession
from pulsed.calibration.graph.graph import Node
from pulsed.calibration.graph.status import Event, NodeStatus
from pulsed.cli.screens.graph import alike
from pulsed.cli.screens.status import STATES
from pulsed.cli.screens.terminal import plain, plain_table
from pulsed.client import Client
from pulsed.wire.messages import Status

_NAMED = 6
"""Targets that the command names one by one."""


def events(status: Status) -> list[Event]:
    """Return what the daemon knows to have happened to instruments: each was connected, or identified again."""
    return [Event(item.since, name, "was identified again") for name, item in status.instruments.items() if item.since]


@dataclass(frozen=True)
class Consequences:
    """Nodes that are not fresh any more, or for another reason than before."""

    stale: Mapping[Node, NodeStatus]

    @property
    def command(self) -> str:
        """What to type; empty when there is nothing to mend."""
        targets = list(dict.fromkeys(node.target for node in self.stale))
        if not targets:
            return ""
        named = [f"--target {target}" for target in targets] if len(targets) <= _NAMED else []
        return " ".join(["pulsed cal maintain", *named])

    def plain(self) -> list[dict[str, Any]]:
        """Return it for JSON."""
        return [
            {"routine": node.routine, "target": node.target, "status": state.status, "why": state.why}
            for node, state in self.stale.items()
        ]

    def screen(self) -> RenderableType:
        """Return what the terminal shows: a line per reason, then the command."""
        if not self.stale:
            return Text("nothing is stale because of it", "dim")
        table = plain_table("stale now", "", "why", words=("stale now", "why"))
        for (status, what, why), targets in alike(self.stale).items():
            table.add_row(f"{what} {', '.join(dict.fromkeys(targets))}".strip(), Text(status, STATES[status][1]), why)
        return Group(table, Text.assemble("mend it with: ", plain(self.command, "bold")))


class ConsequenceWatch:
    """Looks at the graph before a change, and after it.

    Age alone is none of a change's consequences: both looks are of one moment.
    """

    def __init__(self, client: Client) -> None:
        now = time.time()
        happened = events(client.status())
        self._session = CalibrationSession(client, Path(), events=lambda: happened, clock=lambda: now)
        self._calibration, self._before = client.calibration(), self._session.states()

    @property
    def session(self) -> CalibrationSession:
        """The graph, and what the daemon knows of it."""
        return self._session

    def look(self) -> Consequences:
        """Return what has become stale, failed or unmeasured since, or is so for a reason that the change has made."""
        changed = self._calibration.changed(self._session.connection.calibration())
        return Consequences({
            node: state for node, state in self._session.states().items()
            if state.status in ("stale", "failed", "never") and self._made(self._before[node], state, changed)
        })  # fmt: skip

    def _made(self, was: NodeStatus, state: NodeStatus, changed: Collection[str]) -> bool:
        if was.status == "fresh":
            return True
        name = state.why.partition(" ")[0]
        old = state.untouched or (name in self._calibration.values and name not in changed)
        return (state.status, state.why) != (was.status, was.why) and not old
