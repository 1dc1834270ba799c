"""What the terminal shows of calibration sets: which were active, what differs, what a value has been."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from pulsed.cli.screens.status import TableOrLines, calibration_screen
from pulsed.cli.screens.terminal import plain, plain_table
from pulsed.model.calibration import CalibrationSet, Fault, LogEntry, PastValue, Value
from pulsed.model.units import format_quantity
from pulsed.model.visible import visible
from pulsed.model.wording import show_value, when

_NAMED = 3
"""Names that a line of the log lists."""
_SUBJECTS = 6
"""Subjects that it lists instead when there are more names."""
_DIFFERENCES = 30
"""Lines that are shown after a change."""
_BEYOND = 3.0
"""Standard errors by which two values differ for sure."""


def set_screen(calibration: CalibrationSet, *, in_force: bool) -> RenderableType:
    """Return the screen of `pulsed cal show`."""
    state = Text("active", "green") if in_force else Text("not active", "yellow")
    return Group(calibration_screen(calibration, state))


def log_screen(entries: Sequence[LogEntry]) -> RenderableType:
    """Return the screen of `pulsed cal log`."""
    if not entries:
        return Text("no set became active that changed this", "dim")
    table = plain_table("since", "set", "by", "changed", "why", "tags", words=("changed", "why", "tags"))
    lines: list[RenderableType] = []
    for i, entry in enumerate(entries):
        changed, tags = named(entry.changed), plain(", ".join(entry.tags), "cyan")
        name = plain(entry.calibration_id, "bold" if i == 0 else "")
        table.add_row(when(entry.since), name, entry.by or "-", changed, entry.why, tags)
        lines.append(Text.assemble(when(entry.since), "  ", name, visible(f"  {entry.by or '-'}  "), tags))
        lines.append(Padding(plain(f"{changed}: {entry.why}" if entry.why else changed, "dim"), (0, 0, 0, 4)))
    return TableOrLines(table, lines)


def named(names: Sequence[str]) -> str:
    """Return the names of what changed, or when they are many how many of which subjects."""
    if len(names) <= _NAMED:
        return ", ".join(names) or "nothing"
    subjects = list(dict.fromkeys(name.partition(".")[0] for name in names))
    more = ", …" if len(subjects) > _SUBJECTS else ""
    return f"{len(names)} values of {', '.join(subjects[:_SUBJECTS])}{more}"


def diff_screen(old: CalibrationSet, new: CalibrationSet) -> RenderableType:
    """Return the screen of `pulsed cal diff`: what differs, and by how much."""
    changed = old.changed(new)
    if not changed:
        return plain(f"{old.calibration_id} and {new.calibration_id} hold the same values", "dim")
    parts: list[RenderableType] = []
    if old.cooldown != new.cooldown:
        parts.append(plain(f"cooldown {old.cooldown or 'none'} → {new.cooldown or 'none'}", "yellow"))
    sets = old.calibration_id, new.calibration_id
    table = plain_table("", *sets, "difference", words=(), less=("difference", *sets))
    for name in changed:
        subject, _, parameter = name.rpartition(".")
        if parameter == "fault":
            table.add_row(f"{subject} faulty", _fault(old.faults.get(subject)), _fault(new.faults.get(subject)), "")
        else:
            before, after = old.values.get(name), new.values.get(name)
            table.add_row(name, _value(before), _value(after), difference(before, after))
    return Group(*parts, table)


def change_screen(old: CalibrationSet, new: CalibrationSet) -> RenderableType:
    """Return what is said after a change: the set that is active now, and what differs."""
    head = Text.assemble((visible(new.calibration_id), "bold"), visible(f" is active, instead of {old.calibration_id}"))
    changed = old.changed(new)
    if len(changed) > _DIFFERENCES:
        more = f"see `pulsed cal diff {old.calibration_id} {new.calibration_id}`"
        return Group(head, f"changed: {named(changed)}; {more}")
    return Group(head, "", diff_screen(old, new))


def history_screen(name: str, values: Sequence[PastValue]) -> RenderableType:
    """Return the screen of `pulsed cal history`: the newest value first, each with the step to it."""
    if not values:
        return plain(f"{name} has had no value yet", "dim")
    less = "quality", "routine", "set", "step"
    table = plain_table("since", name, "step", "routine", "quality", "set", words=(), less=less)
    for i, past in enumerate(values):
        before = values[i + 1].value if i + 1 < len(values) else None
        step = difference(before, past.value) if before is not None else Text("")
        value = past.value
        table.add_row(when(past.since), show_value(value), step, value.routine, value.quality, past.calibration_id)
    return table


def difference(old: Value | None, new: Value | None) -> Text:
    """Return how far two values are apart: in their unit, and in standard errors where both are known."""
    if old is None or new is None:
        return Text("new" if old is None else "gone", "yellow")
    if isinstance(old.value, tuple) or isinstance(new.value, tuple):
        return Text("" if old.value == new.value else "other numbers")
    if old.value == new.value:
        return plain("measured again" if old.quality == new.quality else f"now {new.quality}", "dim")
    step = new.value - old.value
    text = format_quantity(step, new.unit, 3) if new.unit in ("Hz", "s", "A") else f"{step:.3g}"
    sigma = math.hypot(old.stderr or 0.0, new.stderr or 0.0)
    if old.stderr and new.stderr:
        return Text(f"{_signed(text)} ({abs(step) / sigma:.1f} σ)", "bold" if abs(step) > _BEYOND * sigma else "")
    return Text(_signed(text))


def _signed(text: str) -> str:
    return text if text.startswith("-") else f"+{text}"


def _value(value: Value | None) -> Text:
    return Text("-", "dim") if value is None else plain(show_value(value))


def _fault(fault: Fault | None) -> Text:
    return Text("-", "dim") if fault is None else plain(fault.why, "red")
