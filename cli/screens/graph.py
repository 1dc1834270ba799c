"""What the terminal shows of the calibration graph, and of a pass over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.text import Text

from pulsed.cli.screens.status import STATES
from pulsed.cli.screens.terminal import plain, plain_table
from pulsed.model.visible import visible
from pulsed.model.wording import show_value

if TYPE_CHECKING:
    from pulsed.calibration.graph.graph import Graph, Node
    from pulsed.calibration.graph.maintenance import Action
    from pulsed.calibration.graph.status import NodeStatus

_SHOWN = 4
"""Values that a line of a pass shows."""
_VERDICTS = {"in spec": "green", "out of spec": "yellow", "bad data": "red"}


def action_line(action: Action) -> Text:
    """Return one line: what was done to which target, and what came of it."""
    line = plain(f"{action.kind:9} {action.node.routine:24} {action.node.target:8} ")
    line.append(action.verdict, _VERDICTS[action.verdict])
    found = ", ".join(
        f"{name.removeprefix(f'{action.node.target}.')} {show_value(value)}"
        for name, value in list(action.values.items())[:_SHOWN]
    )
    more = f", and {len(action.values) - _SHOWN} more" if len(action.values) > _SHOWN else ""
    return line.append(visible(f"  {action.why or found + more}").rstrip(), "dim")


def graph_screen(graph: Graph, found: Mapping[Node, NodeStatus]) -> RenderableType:
    """Return a table of routines, a column per kind of target, and the reason of each that is not fresh."""
    table = plain_table("routine", "targets", words=("targets",))
    for step, targets in graph.rows(graph.nodes):
        marks = (STATES[found[graph.node(step.routine, target)].status] for target in targets)
        cells = [Text(f"{mark} {target}", style) for target, (mark, style) in zip(targets, marks, strict=True)]
        table.add_row(step.routine, Columns(cells, padding=(0, 2)))
    reasons = plain_table("not fresh", "", "why", words=("not fresh", "why"))
    told = {node: state for node, state in found.items() if state.why and state.status not in ("fresh", "unused")}
    for (status, what, why), others in alike(told).items():
        those = ", ".join(dict.fromkeys(others))
        reasons.add_row(f"{what} {those}".strip(), Text(status, STATES[status][1]), why)
    legend = Text("  ".join(f"{mark} {status}" for status, (mark, _) in STATES.items()), "dim")
    below: list[RenderableType] = ["", reasons] if reasons.row_count else []
    if command := mending(found):
        below.append(Text.assemble("mend it with: ", (command, "bold")))
    return Group(table, legend, *below)


def mending(found: Mapping[Node, NodeStatus]) -> str:
    """Return the command that brings everything up to date, as far as it is in use; empty where everything is fresh.

    Bring-up also tries again what failed before; it is what a machine begins with of which nothing has been measured.
    """
    stand = {state.status for state in found.values()}
    if not stand & {"stale", "never", "failed"}:
        return ""
    return "pulsed cal bringup" if "failed" in stand or "fresh" not in stand else "pulsed cal maintain"


def plain_states(found: Mapping[Node, NodeStatus]) -> list[dict[str, Any]]:
    """Return the states of nodes for JSON."""
    return [{"routine": node.routine, "target": node.target, **asdict(state)} for node, state in found.items()]


def alike(found: Mapping[Node, NodeStatus]) -> dict[tuple[str, str, str], list[str]]:
    """Return targets by status, routine and reason; faulty ones without the routine: the target itself is."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for node, state in found.items():
        routine = "" if state.status == "faulty" else node.routine
        groups.setdefault((state.status, routine, state.why), []).append(node.target)
    return groups
