"""What the terminal shows of runs of routines: of those just measured, and of those on record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from pulsed.cli.screens.calibration import difference
from pulsed.cli.screens.terminal import plain, plain_table
from pulsed.model.calibration import CalibrationSet, RunRecord, Value
from pulsed.model.visible import visible
from pulsed.model.wording import duration, show_value, when

if TYPE_CHECKING:
    from pulsed.calibration.routine import Routine
    from pulsed.calibration.runner.result import RunResult
    from pulsed.calibration.runner.transaction import Transaction

_COLOURS = {"good": "green", "out of spec": "yellow", "bad data": "red", "failed": "red", "stopped": "yellow"}
_NAMED = 3
"""Values that a line names."""
_INDENT = 20
"""Columns, the width of a time, by which what a run found is set in."""


def seen(routine: Routine, item: RunResult) -> dict[str, Value]:
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
    """Return the names of what the routine has made active for a target."""
    return [full for name in routine.gives if (full := f"{target}.{name}") in calibration.values]


def check_screen(
    routine: Routine,
    finished: Mapping[str, RunResult],
    found: Mapping[str, Mapping[str, Value]],
    calibration: CalibrationSet,
) -> RenderableType:  # fmt: skip
    """Return what a check saw beside what is active, and why a target is out of spec."""
    less = "active", "difference"
    table = plain_table("target", "outcome", "value", "active", "seen", "difference", words=("value",), less=less)
    reasons: list[RenderableType] = []
    for target, item in finished.items():
        record = item.record
        outcome = "in spec" if record.outcome == "good" else record.outcome
        head = (target, Text(outcome, _COLOURS[record.outcome]))
        if record.reason:
            reasons.append(plain(f"{target}: {record.reason}", _COLOURS[record.outcome]))
        for full, value in (found[target] or dict.fromkeys(_in_force(routine, target, calibration))).items():
            old = calibration.values.get(full)
            seen_as = ("-", "") if value is None else (show_value(value), difference(old, value))
            name, before = full.removeprefix(f"{target}."), "-" if old is None else show_value(old)
            table.add_row(*head, name, before, *seen_as)
            head = ("", Text(""))
        if head[0]:
            table.add_row(*head)
    return Group(table, *reasons)


def result_screen(finished: Mapping[str, RunResult], written: Transaction | None) -> RenderableType:
    """Return what each target gave, why it is not active where it is not, and the set that is."""
    from pulsed.calibration.graph.precedence import left

    refused = {} if written is None else written.refused
    table = plain_table("target", "outcome", "value", "", "note", words=("value", "note"))
    below: list[RenderableType] = []
    for target, item in finished.items():
        record = item.record
        head = (target, Text(record.outcome, _COLOURS[record.outcome]))
        if not record.values:
            table.add_row(*head, record.reason)
        finer = item.good and left(record)
        if finer:
            below.append(plain(f"{target}: {record.reason}; --force makes it active all the same", "yellow"))
        for full, value in record.values.items():
            table.add_row(*head, full, show_value(value), refused.get(full, "" if finer else record.reason))
            head = ("", Text(""))
    if written is not None and written.written:
        below.append(plain(f"calibration set {written.calibration.calibration_id} is active"))
    return Group(table, *below)


def runs_screen(runs: Sequence[RunRecord]) -> RenderableType:
    """Return the screen of `pulsed cal runs`: what came of each measurement, with what it proposed or why not."""
    if not runs:
        return Text("no such measurement yet", "dim")
    lines: list[RenderableType] = []
    for run in runs:
        head = plain(f"{when(run.started)} {run.routine:22} {run.target:6} {run.kind:9} ")
        head.append(f"{run.outcome:11} ", _COLOURS.get(run.outcome, "red")).append(duration(run.ended - run.started))
        values = ", ".join(f"{name} {show_value(value)}" for name, value in list(run.values.items())[:_NAMED])
        more = f" and {len(run.values) - _NAMED} more" if len(run.values) > _NAMED else ""
        lines.append(head)
        if text := plain(run.reason or values + more):
            lines.append(Padding(text, (0, 0, 0, _INDENT)))
        if run.file:  # a path that is folded or cut off could not be copied
            lines.append(Text(" " * _INDENT + visible(run.file), "dim", no_wrap=True, overflow="ignore"))
    return Group(*lines)
