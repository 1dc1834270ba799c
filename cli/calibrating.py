"""`pulsed cal run`: measure with a routine, and bring what it finds into force."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from pulsed.calibration.executor import Executor, Progress
from pulsed.calibration.figures import save_figure
from pulsed.calibration.routine import Routine, find_routine, qubits_of
from pulsed.calibration.runner import Finished
from pulsed.calibration.runner import run as run_routine
from pulsed.calibration.settling import settle
from pulsed.calibration.transaction import Transaction
from pulsed.cli.calibration_screens import difference
from pulsed.cli.measuring import stoppable
from pulsed.cli.screens import plain_table, show_value
from pulsed.client import Client
from pulsed.client.keys import home_directory
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.errors import InvalidValueError

_COLOURS = {"good": "green", "out of spec": "yellow", "bad data": "red", "failed": "red", "stopped": "yellow"}


def parse_parameters(settings: Sequence[str]) -> dict[str, Any]:
    """Return ``KEY=VALUE`` texts as parameters of a routine. Raises :class:`InvalidValueError`."""
    found: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InvalidValueError("not a parameter", subject="--set", value=setting, legal="KEY=VALUE: points=41")
        found[key.strip()] = None if value.strip() == "none" else value.strip()
    return found


def run(
    name: str, targets: Sequence[str], settings: Sequence[str], folder: str | None, url: str | None, key: str | None,
    *, check: bool, no_commit: bool, figures: bool, as_json: bool,
) -> None:  # fmt: skip
    """Measure ``targets`` with a routine and commit the values of those that gave good ones.

    Ends with exit code 1 when a target did not.
    """
    routine = find_routine(name)(**parse_parameters(settings))
    with stoppable(), Client(url, key) as client:
        bench = Executor(client)
        chosen = list(targets) or [t for t in routine.targets(bench.device) if not bench.calibration.faulty(t)]
        for target in chosen:
            qubits_of(target, bench.device)
            if target not in (legal := routine.targets(bench.device)):
                raise InvalidValueError(
                    "not a target of this routine", subject=f"routine {name}", value=target,
                    legal=", ".join(legal) or "none of this rack",
                )  # fmt: skip
        where = Path(folder) if folder is not None else home_directory(None) / "runs"
        console = Console(stderr=True, highlight=False)
        with _bar(console, f"{name} on {', '.join(chosen)}") as progress:
            bench = Executor(client, bench.calibration, progress=progress)
            kind = "check" if check else "calibrate"
            finished = run_routine(routine, chosen, bench, folder=where, kind=kind)  # type: ignore[arg-type]
            written = None
            if not no_commit:
                finished, written = settle(type(routine), finished, bench, folder=where)
    if figures:
        _draw(routine, finished)
    found = {target: seen(routine, item) for target, item in finished.items()} if check else {}
    if check and not as_json:
        Console(highlight=False).print(check_screen(routine, finished, found, bench.calibration))
    else:
        _show(finished, written, found, as_json=as_json)
    if not all(item.good for item in finished.values()):
        raise SystemExit(1)


@contextlib.contextmanager
def _bar(console: Console, what: str) -> Iterator[Progress]:
    """Show on the error stream what is measured, and how many schedules of a job have been played."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(30), TextColumn("{task.fields[played]}"))
    shown = console.is_terminal
    with Bars(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not shown) as bars:
        task = bars.add_task(what, total=None, played="")
        yield lambda done, total: bars.update(task, completed=done, total=total, played=f"{done}/{total}")


def seen(routine: Routine, item: Finished) -> dict[str, Value]:
    """Return what the few points of a check say by themselves, by full name; empty where they say nothing alone.

    A verdict may rest on something else: a routine judges in its own way.
    """
    if item.data is None:
        return {}
    try:
        outcome = routine.analyse(item.data)
    except Exception:  # noqa: BLE001 - the points of a check need not be those of a whole measurement
        return {}
    wanted = {name: found for name, found in outcome.values.items() if name in routine.tolerances and outcome.good}
    return {f"{item.record.target}.{name}": Value(v.value, v.unit, v.stderr) for name, v in wanted.items()}


def _in_force(routine: Routine, target: str, calibration: CalibrationSet) -> list[str]:
    """Return the names of what the routine has put in force for a target."""
    return [full for name in routine.gives if (full := f"{target}.{name}") in calibration.values]


def check_screen(
    routine: Routine,
    finished: Mapping[str, Finished],
    found: Mapping[str, Mapping[str, Value]],
    calibration: CalibrationSet,
) -> RenderableType:  # fmt: skip
    """Return what a check saw beside what is in force, and why a target is out of spec."""
    table = plain_table("target", "outcome", "value", "in force", "seen", "difference")
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    reasons: list[RenderableType] = []
    for target, item in finished.items():
        record = item.record
        outcome = "in spec" if record.outcome == "good" else record.outcome
        head = (target, Text(outcome, _COLOURS[record.outcome]))
        if record.reason:
            reasons.append(Text(f"{target}: {record.reason}", _COLOURS[record.outcome]))
        for full, value in (found[target] or dict.fromkeys(_in_force(routine, target, calibration))).items():
            old = calibration.values.get(full)
            seen_as = ("-", "") if value is None else (show_value(value), difference(old, value))
            name, before = full.removeprefix(f"{target}."), "-" if old is None else show_value(old)
            table.add_row(*head, name, before, *seen_as)
            head = ("", Text(""))
        if head[0]:
            table.add_row(*head)
    return Group(table, *reasons)


def _draw(routine: Routine, finished: dict[str, Finished]) -> None:
    for item in finished.values():
        if item.data is not None:
            save_figure(routine, item.data, item.outcome, Path(item.record.file).with_suffix(".png"))


def _show(
    finished: dict[str, Finished], written: Transaction | None, found: Mapping[str, Mapping[str, Value]], *,
    as_json: bool,
) -> None:  # fmt: skip
    refused = {} if written is None else written.refused
    if as_json:
        answer = {
            "runs": [item.record for item in finished.values()],
            "calibration_id": None if written is None else written.calibration.calibration_id,
            "written": [] if written is None else sorted(written.written),
            "refused": refused,
        } | ({"seen": found} if found else {})
        click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=1))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("target", "outcome", "value", "", ""):
        table.add_column(heading, overflow="fold")
    for target, item in finished.items():
        record = item.record
        head = (target, Text(record.outcome, _COLOURS[record.outcome]))
        if not record.values:
            table.add_row(*head, record.reason)
        for full, value in record.values.items():
            table.add_row(*head, full, show_value(value), refused.get(full, record.reason))
            head = ("", Text(""))
    console = Console(highlight=False)
    console.print(table)
    if written is not None and written.written:
        console.print(f"calibration set {written.calibration.calibration_id} is in force")
