"""`pulsed cal run` and `pulsed cal runs`: measure with a routine, and list what has been measured."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from pulsed.cli.measuring import stoppable
from pulsed.cli.options import as_json_option, daemon_options, live_option
from pulsed.cli.screens.calibration_runs import check_screen, result_screen, runs_screen, seen
from pulsed.cli.screens.terminal import Terminal, loading, plain, show_answer
from pulsed.cli.screens.text import note, say_json
from pulsed.client import Client
from pulsed.client.home import home_directory
from pulsed.model.errors import InvalidValueError

if TYPE_CHECKING:
    from pulsed.calibration.executor import Executor, Progress
    from pulsed.calibration.routine import Routine
    from pulsed.calibration.runner.result import RunResult
    from pulsed.calibration.runner.transaction import Transaction
    from pulsed.cli.consequences import Consequences
    from pulsed.model.calibration import RunKind, Value


def parse_parameters(settings: Sequence[str]) -> dict[str, Any]:
    """Return ``KEY=VALUE`` texts as parameters of a routine. Raises :class:`InvalidValueError`."""
    found: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InvalidValueError("not a parameter", subject="--set", value=setting, legal="KEY=VALUE: points=41")
        found[key.strip()] = None if value.strip() == "none" else value.strip()
    return found


@click.command()
@click.option("--routine", metavar="NAME", help="Only those of this routine.")
@click.option("--target", metavar="TARGET", help="Only those of Q2, Q1-Q0, d0, ...")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, newest first.")
@daemon_options
@as_json_option
def runs(routine: str | None, target: str | None, limit: int, url: str | None, key: str | None, as_json: bool) -> None:
    """List measurements, good and bad: what came of each, why, and where its data lie."""
    with Client(url, key) as client:
        found = client.runs(routine, target, limit)
    show_answer(found, runs_screen(found), as_json=as_json)


@click.command()
@click.argument("name", metavar="ROUTINE")
@click.argument("targets", nargs=-1)
@click.option(
    "--set", "settings", metavar="KEY=VALUE", multiple=True, help="A parameter of the routine, e.g. points=41."
)
@click.option("--check", is_flag=True, help="Only look whether the active values are right: a few points.")
@click.option("--no-commit", is_flag=True, help="Measure and show, change nothing.")
@click.option("--force", is_flag=True, help="Put also rough values in the place of those of a finer routine.")
@click.option("--figures", is_flag=True, help="Draw each run beside its file, and say where.")
@click.option("--folder", metavar="DIRECTORY", help="For the data. Default: runs/ in the home directory.")
@live_option
@daemon_options
@as_json_option
def run(
    name: str, targets: tuple[str, ...], settings: tuple[str, ...], check: bool, no_commit: bool, force: bool,
    figures: bool, folder: str | None, live: bool, url: str | None, key: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Measure TARGETS (Q0, Q1-Q0, d0; by default all) with ROUTINE, and make what it finds active.

    Every run is kept as a file and a record, good or bad. Bad data change nothing. A value that a finer routine of the
    graph has measured stays as it is, and so does what was found with it of the same gate; all of these are named, and
    the rest becomes active. What is stale because of the run is shown, with the command that mends it.
    """
    with loading("loading the calibration routines ..."):
        from pulsed.calibration.executor import Executor
        from pulsed.calibration.graph.precedence import kept
        from pulsed.calibration.routine import find_routine
        from pulsed.calibration.runner.commit import commit_and_verify
        from pulsed.calibration.runner.runner import run as run_routine
        from pulsed.cli.consequences import ConsequenceWatch

    routine = find_routine(name)(**parse_parameters(settings))
    if check and not routine.checkable():
        raise InvalidValueError(
            "a check of it compares nothing with what is active", subject=f"routine {name}", value="--check",
            legal="a run, with --no-commit to change nothing",
        )  # fmt: skip
    console = Terminal(error=True)
    with stoppable(), telling() as ended, Client(url, key) as client:
        with console.status("connecting ...") as status:
            executor = Executor(client)
            chosen = _chosen(routine, targets, executor)
            status.update("reading the calibration graph ...")
            watch = ConsequenceWatch(client)
        where = Path(folder) if folder is not None else home_directory(None) / "runs"
        with _bar(console, f"{name} on {', '.join(chosen)}") as progress:
            executor = Executor(client, executor.calibration, progress=progress)
            kind: RunKind = "check" if check else "calibrate"
            seen_by = client.tell_measurement if live else None
            finished = run_routine(routine, chosen, executor, folder=where, kind=kind, tell=ended.append, live=seen_by)
            written = None
            if not no_commit:
                names = [] if force else [full for item in finished.values() for full in item.values]
                keep = kept(watch.session.graph, name, names, executor.calibration)
                finished, written = commit_and_verify(type(routine), finished, executor, folder=where, keep=keep)
        with console.status("reading the calibration graph ..."):
            consequences = watch.look()
    drawn = _draw(routine, finished) if figures else {}
    found = {target: seen(routine, item) for target, item in finished.items()} if check else {}
    if as_json:
        _print_json(finished, written, found, consequences, drawn)
    else:
        screen = (
            check_screen(routine, finished, found, executor.calibration) if check else result_screen(finished, written)
        )
        console = Terminal()
        console.print(screen)
        for target, path in drawn.items():
            console.print(plain(f"figure of {target}: {path}"), soft_wrap=True)
        console.print(consequences.screen())
    if not all(item.good for item in finished.values()):
        raise SystemExit(1)


def _chosen(routine: Routine, targets: Sequence[str], executor: Executor) -> list[str]:
    """Return the targets to measure: those that are named, or all that are in use."""
    from pulsed.calibration.routine import qubits_of

    legal = routine.targets(executor.device)
    for target in targets:
        qubits_of(target, executor.device)
        if target not in legal:
            raise InvalidValueError(
                "not a target of this routine", subject=f"routine {routine.name}", value=target,
                legal=", ".join(legal) or "none of this rack",
            )  # fmt: skip
    return list(targets) or [target for target in legal if not executor.calibration.faulty(target)]


@contextlib.contextmanager
def telling() -> Iterator[list[RunResult]]:
    """Say at Ctrl-C what was kept of the targets that have ended until then, which are those of the list."""
    ended: list[RunResult] = []
    try:
        yield ended
    except KeyboardInterrupt:
        for item in ended:
            record = item.record
            kept_as = f"kept in {record.file}" if record.file else "nothing was measured"
            note(f"{record.target}: {record.outcome}{f', {record.reason}' if record.reason else ''}; {kept_as}")
        if not ended:
            note("nothing was measured")
        elif all(item.record.outcome != "good" for item in ended):
            note("no value was made active")
        else:
            note("`pulsed cal log` shows whether a value was made active")
        raise


@contextlib.contextmanager
def _bar(console: Console, what: str) -> Iterator[Progress]:
    """Show on the error stream what is measured, and how many schedules of a job have been played."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(30),
               TextColumn("{task.fields[played]}", markup=False))  # fmt: skip
    shown = console.is_terminal
    with Bars(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not shown) as bars:
        task = bars.add_task(what, total=None, played="")
        yield lambda done, total: bars.update(task, completed=done, total=total, played=f"{done}/{total}")


def _draw(routine: Routine, finished: Mapping[str, RunResult]) -> dict[str, str]:
    """Draw each run beside its file; return where, by target."""
    from pulsed.calibration.results.run_plots import save_figure

    return {
        target: str(save_figure(routine, item.data, item.outcome, Path(item.record.file).with_suffix(".png")))
        for target, item in finished.items() if item.data is not None
    }  # fmt: skip


def _print_json(
    finished: Mapping[str, RunResult], written: Transaction | None, found: Mapping[str, Mapping[str, Value]],
    consequences: Consequences, drawn: Mapping[str, str],
) -> None:  # fmt: skip
    answer: dict[str, Any] = {
        "runs": [item.record for item in finished.values()],
        "calibration_id": None if written is None else written.calibration.calibration_id,
        "written": [] if written is None else sorted(written.written),
        "refused": {} if written is None else written.refused,
        "stale": consequences.plain(),
        "mend": consequences.command,
    }
    answer |= {name: more for name, more in (("seen", found), ("figures", drawn)) if more}
    say_json(answer)
