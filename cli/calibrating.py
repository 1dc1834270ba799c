"""`pulsed cal run`: measure with a routine, and bring what it finds into force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console, Group, RenderableType
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
    _show(finished, written, as_json=as_json)
    if not all(item.good for item in finished.values()):
        raise SystemExit(1)


@contextlib.contextmanager
def _bar(console: Console, what: str) -> Iterator[Progress]:
    """Show on the error stream what is measured, and how many schedules of a job have been played."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(30), TextColumn("{task.fields[played]}"))
    with Bars(*columns, TimeElapsedColumn(), console=console, transient=True) as bars:
        task = bars.add_task(what, total=None, played="")
        yield lambda done, total: bars.update(task, completed=done, total=total, played=f"{done}/{total}")


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
