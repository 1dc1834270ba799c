"""`pulsed cal bringup`, `maintain` and `diagnose`: passes over the calibration graph."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click
from rich.console import Group
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from pulsed.cli.measuring import Behind, data_folder, stoppable
from pulsed.cli.options import as_json_option, daemon_options, data_option, live_option
from pulsed.cli.screens.graph import action_line, graph_screen, plain_states
from pulsed.cli.screens.terminal import Terminal, loading, show_answer
from pulsed.client.speaking import named, person

if TYPE_CHECKING:
    from pulsed.calibration.bringup import CalibrationSession
    from pulsed.calibration.graph.graph import Node
    from pulsed.calibration.graph.maintenance import Action
    from pulsed.calibration.graph.status import NodeStatus

targets_option = click.option(
    "--target",
    "targets",
    metavar="TARGET",
    multiple=True,
    help="Only Q2, Q1-Q0, ... and what they depend on; repeatable.",
)

without_option = click.option(
    "--without", metavar="ROUTINE", multiple=True, help="Leave this routine out, e.g. rb; repeatable."
)


def _pass_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what a pass takes: ``targets``, ``without``, ``data``, ``live``, ``url``, ``key`` and ``as_json``."""
    return targets_option(without_option(data_option(live_option(daemon_options(as_json_option(command))))))


@click.command()
@_pass_options
def bringup(
    targets: tuple[str, ...], without: tuple[str, ...], data: str | None, live: bool, url: str | None, key: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Tune the machine up, from the design sheet if need be, as far as it is not tuned yet.

    A target that fails is marked as faulty and leaves the others alone. Ctrl-C keeps what was measured; the next
    bring-up goes on where this one was. Ends with exit code 1 when a measurement did not succeed.
    """
    with loading("loading the calibration routines ..."):
        from pulsed.calibration.bringup import bringup as tune_up

    _pass(lambda session, tell: tune_up(session, targets, tell=tell), without, data, url, key, as_json=as_json,
          live=live)  # fmt: skip


@click.command()
@_pass_options
@click.option(
    "--priority",
    type=click.IntRange(-100, 100),
    default=0,
    show_default=True,
    help="Of its jobs: with -100 whatever else waits goes first.",
)
def maintain(
    targets: tuple[str, ...], without: tuple[str, ...], data: str | None, live: bool, url: str | None, key: str | None,
    as_json: bool, priority: int,
) -> None:  # fmt: skip
    """Check what is old or doubtful, and calibrate again what has drifted and what depends on it. Nothing else."""
    with loading("loading the calibration routines ..."):
        from pulsed.calibration.bringup import maintain as bring_up_to_date

    _pass(
        lambda session, tell: bring_up_to_date(session, targets, tell=tell), without, data, url, key, as_json=as_json,
        priority=priority, live=live,
    )  # fmt: skip


@click.command()
@click.argument("target")
@click.option("--routine", metavar="NAME", help="What is suspected; default: the last routines of the target.")
@data_option
@live_option
@daemon_options
@as_json_option
def diagnose(
    target: str, routine: str | None, data: str | None, live: bool, url: str | None, key: str | None, as_json: bool
) -> None:
    """Find out what is wrong with a target: check it, then what it depends on, and calibrate the cause."""
    with loading("loading the calibration routines ..."):
        from pulsed.calibration.bringup import diagnose as find_cause

    _pass(lambda session, tell: find_cause(session, target, routine, tell=tell), (), data, url, key, as_json=as_json,
          live=live)  # fmt: skip


def _pass(
    work: Callable[[CalibrationSession, Callable[[Action], None]], Sequence[Action]], without: Sequence[str],
    data: str | None, url: str | None, key: str | None, *, as_json: bool, priority: int = 0, live: bool = False,
) -> None:  # fmt: skip
    """Do ``work`` with a session, show each step on the error stream as it ends, and say how everything stands."""
    from pulsed.calibration.bringup import CalibrationSession
    from pulsed.calibration.graph.default_graph import default_steps
    from pulsed.cli.consequences import events

    console = Terminal(error=True)
    bars = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(30),
        TextColumn("{task.completed:.0f}/{task.total:.0f}", markup=False),
        TimeElapsedColumn(), console=console, transient=True, disable=not sys.stderr.isatty(),
    )  # fmt: skip
    with stoppable(), Behind(url, key, priority) as client:
        playing = bars.add_task("schedules", total=1, visible=False)

        def progress(done: int, total: int) -> None:
            bars.update(playing, completed=done, total=total, visible=True)

        def begun(kind: str, routine: str, targets: Sequence[str]) -> None:
            bars.update(playing, description=f"{kind} {routine} {', '.join(targets)}", completed=0, visible=True)

        session = CalibrationSession(
            client, data_folder(data), default_steps(without=without), lambda: events(client.status()),
            named(client.greeting.user, person()), progress=progress, begun=begun,
            live=client.tell_measurement if live else None,
        )  # fmt: skip
        walked = bars.add_task("up to date", total=len(session.graph.nodes))
        bars.update(walked, completed=_fresh(session.states()))

        def tell(action: Action) -> None:
            console.print(action_line(action), soft_wrap=True)
            bars.update(walked, completed=_fresh(session.states()))

        try:
            with bars:
                done = work(session, tell)
        except KeyboardInterrupt:
            console.print("stopped; what was measured is kept, and the next pass goes on from here", style="yellow")
            raise
        _say(session, done, as_json=as_json)  # after the bars are gone: they redraw the lines that they take for theirs
        found = session.states()
    if not all_well(done, found):
        raise SystemExit(1)


def all_well(done: Sequence[Action], states: Mapping[Node, NodeStatus]) -> bool:
    """Return whether everything that was measured came out well in the end."""
    return not any(states[action.node].status in ("failed", "faulty") for action in done)


def _fresh(states: Mapping[Node, NodeStatus]) -> int:
    return sum(state.status not in ("stale", "never") for state in states.values())


def _say(session: CalibrationSession, done: Sequence[Action], *, as_json: bool) -> None:
    """Print what was done and how everything stands."""
    found = session.states()
    calibration = session.connection.calibration()
    actions = [
        {
            "kind": a.kind,
            "routine": a.node.routine,
            "target": a.node.target,
            "verdict": a.verdict,
            "why": a.why,
            "values": a.values,
        }
        for a in done
    ]
    answer = {
        "calibration_id": calibration.calibration_id, "actions": actions, "states": plain_states(found),
        "faults": {subject: fault.why for subject, fault in calibration.faults.items()},
    }  # fmt: skip
    checks = sum(action.kind == "check" for action in done)
    measured = sum(action.kind == "calibrate" for action in done)
    head = Text(f"{checks} checks, {measured} calibrations; set {calibration.calibration_id} is active")
    show_answer(answer, Group(head, graph_screen(session.graph, found)), as_json=as_json)
