"""What `pulsed cal bringup | maintain | diagnose | graph | report` do."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from pulsed.calibration import bringup
from pulsed.calibration.bringup import Lab
from pulsed.calibration.graph import Graph, Node
from pulsed.calibration.maintain import Action
from pulsed.calibration.order import usual
from pulsed.calibration.states import Event, State
from pulsed.cli.asking import show
from pulsed.cli.measuring import Behind, stoppable
from pulsed.cli.screens import plain_table
from pulsed.client import Client
from pulsed.client.keys import home_directory

if TYPE_CHECKING:
    from pulsed.wire.messages import Status

STYLES = {
    "fresh": ("●", "green"), "stale": ("◐", "yellow"), "never": ("○", "dim"), "failed": ("✗", "red"),
    "faulty": ("⊘", "dim red"), "unused": ("·", "dim"),
}  # fmt: skip
_VERDICTS = {"in spec": "green", "out of spec": "yellow", "bad data": "red"}


def files(data: str | None) -> Path:
    """Return the folder of the runs' files; it is made when it is not there."""
    folder = home_directory() / "runs" if data is None else Path(data)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def events(status: Status) -> list[Event]:
    """Return what the daemon knows to have happened to instruments: each was connected, or identified anew."""
    return [Event(item.since, name, "was identified anew") for name, item in status.instruments.items() if item.since]


def _pass(
    work: Callable[[Lab, Callable[[Action], None]], Sequence[Action]], without: Sequence[str], data: str | None,
    url: str | None, key: str | None, *, as_json: bool, priority: int = 0,
) -> None:  # fmt: skip
    """Do ``work`` with a lab, show each step on the error stream as it ends, and say how everything stands."""
    console = Console(stderr=True, highlight=False)
    bars = Progress(
        TextColumn("{task.description}"), BarColumn(30), TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(), console=console, transient=True, disable=not sys.stderr.isatty(),
    )  # fmt: skip
    with stoppable(), Behind(url, key, priority) as client:
        playing = bars.add_task("schedules", total=1, visible=False)

        def progress(done: int, total: int) -> None:
            bars.update(playing, completed=done, total=total, visible=True)

        lab = Lab(
            client, files(data), usual(without=without), lambda: events(client.status()), getpass.getuser(),
            progress=progress,
        )  # fmt: skip
        walked = bars.add_task("up to date", total=len(lab.graph.nodes))
        bars.update(walked, completed=_fresh(lab.states()))

        def tell(action: Action) -> None:
            console.print(action_line(action), soft_wrap=True)
            bars.update(walked, completed=_fresh(lab.states()))

        try:
            with bars:
                done = work(lab, tell)
        except KeyboardInterrupt:
            console.print("stopped; what was measured is kept, and the next pass goes on from here", style="yellow")
            raise
        _say(lab, done, as_json=as_json)  # after the bars are gone: they redraw the lines that they take for theirs
        found = lab.states()
    if not all_well(done, found):
        raise SystemExit(1)


def all_well(done: Sequence[Action], states: Mapping[Node, State]) -> bool:
    """Return whether everything that was measured came out well in the end."""
    return not any(states[action.node].status in ("failed", "faulty") for action in done)


def _fresh(states: Mapping[Node, State]) -> int:
    return sum(state.status not in ("stale", "never") for state in states.values())


def action_line(action: Action) -> Text:
    """Return one line: what was done to which target, and what came of it."""
    line = Text(f"{action.kind:9} {action.node.routine:24} {action.node.target:8} ")
    line.append(action.verdict, _VERDICTS[action.verdict])
    return line.append(f"  {action.why}", "dim") if action.why else line


def bring_up(
    targets: Sequence[str], without: Sequence[str], data: str | None, url: str | None, key: str | None, *, as_json: bool
) -> None:
    """Tune up."""
    _pass(lambda lab, tell: bringup.bringup(lab, targets, tell=tell), without, data, url, key, as_json=as_json)


def maintain(
    targets: Sequence[str], without: Sequence[str], data: str | None, url: str | None, key: str | None, *,
    as_json: bool, priority: int,
) -> None:  # fmt: skip
    """Bring up to date."""
    _pass(
        lambda lab, tell: bringup.maintain(lab, targets, tell=tell), without, data, url, key, as_json=as_json,
        priority=priority,
    )  # fmt: skip


def diagnose(
    target: str, routine: str | None, data: str | None, url: str | None, key: str | None, *, as_json: bool
) -> None:
    """Find a cause."""
    _pass(lambda lab, tell: bringup.diagnose(lab, target, routine, tell=tell), (), data, url, key, as_json=as_json)


def _say(lab: Lab, done: Sequence[Action], *, as_json: bool) -> None:
    """Print what was done and how everything stands."""
    found = lab.states()
    calibration = lab.connection.calibration()
    actions = [
        {"kind": a.kind, "routine": a.node.routine, "target": a.node.target, "verdict": a.verdict, "why": a.why}
        for a in done
    ]
    answer = {
        "calibration_id": calibration.calibration_id, "actions": actions, "states": _plain(found),
        "faults": {subject: fault.why for subject, fault in calibration.faults.items()},
    }  # fmt: skip
    checks = sum(action.kind == "check" for action in done)
    measured = sum(action.kind == "calibrate" for action in done)
    head = Text(f"{checks} checks, {measured} calibrations; set {calibration.calibration_id} is in force")
    show(answer, Group(head, graph_screen(lab.graph, found)), as_json=as_json)


def _plain(found: Mapping[Node, State]) -> list[dict[str, Any]]:
    return [{"routine": node.routine, "target": node.target, **asdict(state)} for node, state in found.items()]


def graph(image: str | None, url: str | None, key: str | None, *, as_json: bool) -> None:
    """Show the graph."""
    with Client(url, key) as client:
        lab = Lab(client, Path(), events=lambda: events(client.status()))
        found = lab.states()
    if image is not None:
        from pulsed.calibration.pictures import draw_graph, graph_size, save

        save(lambda figure: draw_graph(lab.graph, found, figure), Path(image), graph_size(lab.graph))
    show(_plain(found), graph_screen(lab.graph, found), as_json=as_json)


def graph_screen(graph: Graph, found: Mapping[Node, State]) -> RenderableType:
    """Return a table of routines, a column per kind of target, and the reason of each that is not fresh."""
    table = plain_table("routine", "targets")
    for step, targets in graph.rows(graph.nodes):
        marks = (STYLES[found[Node(step.routine, target)].status] for target in targets)
        cells = [Text(f"{mark} {target}", style) for target, (mark, style) in zip(targets, marks, strict=True)]
        table.add_row(step.routine, Columns(cells, padding=(0, 2)))
    reasons = plain_table("not fresh", "", "why")
    for (status, what, why), others in _alike(found).items():
        those = ", ".join(dict.fromkeys(others))
        reasons.add_row(f"{what} {those}".strip(), Text(status, STYLES[status][1]), why)
    legend = Text("  ".join(f"{mark} {status}" for status, (mark, _) in STYLES.items()), "dim")
    return Group(table, legend, "", reasons) if reasons.row_count else Group(table, legend)


def _alike(found: Mapping[Node, State]) -> dict[tuple[str, str, str], list[str]]:
    """Return which targets are not fresh for one reason, by status, routine and reason; faulty ones without routine."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for node, state in found.items():
        if state.why and state.status in ("stale", "failed", "faulty"):
            routine = "" if state.status == "faulty" else node.routine
            alike.setdefault((state.status, routine, state.why), []).append(node.target)
    return alike


def report(out: str, data: str | None, url: str | None, key: str | None) -> None:
    """Write the page."""
    from pulsed.calibration.report import write_report

    with Client(url, key) as client:
        lab = Lab(client, files(data), events=lambda: events(client.status()))
        path = write_report(lab, Path(out))
    click.echo(f"wrote {path}")
