"""What the terminal shows: values of `model` and `wire` in, rich renderables out. No connection is used here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pulsed.cli.screens.terminal import plain, plain_table
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.errors import from_info
from pulsed.model.job import JobInfo, JobLogEntry, JobState
from pulsed.model.units import format_quantity, parse_quantity
from pulsed.model.visible import visible
from pulsed.model.wording import SHORT_UNITS, concise, duration, moment, show_value, when

_STYLE = {
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "yellow",
    JobState.INTERRUPTED: "yellow",
    JobState.RUNNING: "bold cyan",
}
MARKS = {"design": "°", "set": "*", "suspect": "?", "unverified": "~"}
"""What stands behind a value that is not simply good: of the design sheet, set by hand, doubted, imported."""
STATES = {
    "fresh": ("●", "green"), "stale": ("◐", "yellow"), "never": ("○", "dim"), "failed": ("✗", "red"),
    "faulty": ("⊘", "dim red"), "unused": ("·", "dim"),
}  # fmt: skip
"""The mark and the style of each state of a node of the calibration graph."""
_STATE_WIDTH = max(map(len, JobState))
_ANY_WIDTH = 1000
_BARS = " ▏▎▍▌▋▊▉█"


def bar(fraction: float, width: int) -> str:
    """Return a horizontal bar of ``width`` characters at most, in eighths of a character."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    return "█" * (eighths // 8) + _BARS[eighths % 8].strip()


def counts_chart(counts: Mapping[str, int], width: int = 40, most: int = 32) -> RenderableType:
    """Return a bar chart of ``counts``; beyond ``most`` outcomes the rarest are summed up in one line."""
    total = sum(counts.values())
    shown = sorted(counts.items())
    rest = 0
    if len(shown) > most:
        shown = sorted(shown, key=lambda item: -item[1])
        rest = sum(count for _, count in shown[most:])
        shown = sorted(shown[:most])
    table = plain_table("outcome", "counts", "share", "", right=("counts", "share"), words=(), less=("",))
    for outcome, count in shown:
        share = count / total
        table.add_row(plain(outcome, "bold"), str(count), f"{share:.4f}", Text(bar(share, width), "cyan"))
    if rest:
        table.add_row(Text("others", "dim"), str(rest), f"{rest / total:.4f}", Text(bar(rest / total, width), "dim"))
    return table


def state_text(state: JobState) -> Text:
    """Return the state of a job in its colour."""
    return Text(str(state), _STYLE.get(state, ""))


_NAME_WIDTH = 32
"""Characters of a job's name in a list."""


def shortened(text: str, most: int = _NAME_WIDTH) -> str:
    """Return ``text`` with its middle left out where it is longer than ``most``: names differ at their ends."""
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def jobs_screen(jobs: Sequence[JobInfo]) -> RenderableType:
    """Return the screen of `pulsed jobs`."""
    if not jobs:
        return Text("no jobs", "dim")
    table = plain_table("job", "state", "created", "shots", "owner", "name", right=("shots",), words=())
    lines: list[RenderableType] = []
    for job in jobs:
        shots = f"{job.num_programs}×{job.options.shots}"
        created = when(job.created)[len("2026-") : -len(":00")]
        name = shortened(job.name)
        table.add_row(job.job_id, state_text(job.state), created, shots, job.owner, name)
        state = state_text(job.state)
        state.pad_right(max(0, _STATE_WIDTH - len(state)))
        lines.append(Text.assemble((visible(job.job_id), "bold"), "  ", state, f"  {created}"))
        about = f"{shots} shots, by {job.owner}" + (f": {name}" if name else "")
        lines.append(Padding(plain(about, "dim"), (0, 0, 0, 4)))
    return TableOrLines(table, lines)


@dataclass
class TableOrLines:
    """A table where the terminal is wide enough for each of its rows on one line, else ``lines``."""

    table: Table
    lines: Sequence[RenderableType]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wanted = Measurement.get(console, options.update(max_width=_ANY_WIDTH), self.table).maximum
        yield from [self.table] if wanted <= options.max_width else self.lines


def job_screen(job: JobInfo) -> RenderableType:
    """Return the screen of `pulsed job ID`."""
    table = plain_table("what", "")
    table.columns[0].no_wrap = True
    table.show_header = False
    rows: list[tuple[str, Any]] = [
        ("job", job.job_id),
        ("name", job.name),
        ("tags", ", ".join(job.tags)),
        ("state", state_text(job.state)),
        ("backend", job.backend),
        ("owner", job.owner),
        ("session", job.session_id),
        ("programs", f"{job.num_programs}, {job.options.shots} shots each, level {job.options.meas_level}"),
        ("chunks", f"{job.chunks_done} of {job.chunks}" if job.chunks else ""),
        ("place in queue", "" if job.queue_position is None else str(job.queue_position)),
        ("waits for", f"session {job.waits_for}" if job.waits_for else ""),
        ("due", "" if job.due is None else when(job.due)),
        ("expected", "" if job.starts is None or job.ends is None else f"{when(job.starts)} to {when(job.ends)}"),
        ("calibration set", job.calibration_id),
        ("attempts", str(job.attempts) if job.attempts > 1 else ""),
    ]
    for key, value in rows:
        if value:
            table.add_row(Text(key, "dim"), value)
    parts: list[RenderableType] = [table]
    if job.error is not None:
        parts += ["", plain(f"{job.error.code}: {_error_line(job)}", "red")]
    if job.times:
        parts += ["", times_table(job)]
    return Group(*parts)


def log_screen(entries: Sequence[JobLogEntry]) -> RenderableType:
    """Return the screen of `pulsed job ID --log`."""
    table = plain_table("when", "what", "", words=("",))
    for entry in entries:
        table.add_row(when(entry.time), entry.what, entry.detail)
    return table


def _error_line(job: JobInfo) -> str:
    return str(from_info(job.error)) if job.error is not None else ""


def times_table(job: JobInfo) -> Table:
    """Return when a job took each step, and what each kind of work took."""
    table = plain_table("step", "when", "after", right=("after",), words=("step",))
    steps = sorted((time, name) for name, time in job.times.items() if not name.startswith("seconds."))
    table.add_row("created", when(job.created), "")
    for time, name in steps:
        table.add_row(name, when(time), duration(time - job.created))
    for name, seconds in job.times.items():
        if name.startswith("seconds."):
            table.add_row(f"  {name.removeprefix('seconds.')}", "", duration(seconds))
    return table


def _row(values: Sequence[Value | None]) -> tuple[str, list[str]]:
    """Return the unit that all values of a row share, with an SI prefix, and the values in it."""
    units = {value.unit for value in values if value is not None}
    unit = units.pop() if len(units) == 1 else ""
    scale, shown = 1.0, SHORT_UNITS.get(unit, unit)
    if unit in {"Hz", "s"}:
        largest = max(abs(value.value) for value in values if value is not None and not isinstance(value.value, tuple))
        shown = format_quantity(largest, unit).split()[1]
        scale = float(parse_quantity(f"1 {shown}", unit))
    texts = []
    for value in values:
        if value is None or isinstance(value.value, tuple):
            texts.append("-")
        else:
            number = concise(value.value / scale, None if value.stderr is None else value.stderr / scale)
            texts.append(number + MARKS.get(value.quality, ""))
    return shown, texts


def _clouds(value: Value) -> str:
    """Return a discriminator for people: where in the IQ plane each state lies, and how wide its cloud is."""
    if not isinstance(value.value, tuple):
        return show_value(value)
    re0, im0, re1, im1, variance, *two = value.value
    states = [(re0, im0), (re1, im1), *([(two[0], two[1])] if two else [])]
    places = ", ".join(f"{k} at ({re:.4g}, {im:.4g})" for k, (re, im) in enumerate(states))
    return f"{places}, σ {math.sqrt(variance):.2g} of full scale"


def kind_table(kind: str, parameters: Mapping[str, Mapping[str, Value]]) -> RenderableType:
    """Return the values of one kind of subject: scalars as a table, lists as lines below it."""
    subjects = sorted({subject for values in parameters.values() for subject in values})
    table = _Columns(kind, subjects, [])
    lists = plain_table("", "", "")
    lists.show_header = False
    for parameter, values in parameters.items():
        if any(isinstance(value.value, tuple) for value in values.values()):
            for subject, value in values.items():
                shown = _clouds(value) if parameter == "readout.discriminator" else show_value(value)
                lists.add_row(f"{subject}.{parameter}", shown + MARKS.get(value.quality, ""))
        else:
            table.rows.append((parameter, *_row([values.get(subject) for subject in subjects])))
    return Group(*(part for part, there in ((table, table.rows), (lists, lists.row_count)) if there))


@dataclass
class _Columns:
    """A table with a column per subject: as many side by side as the terminal is wide, the others below them."""

    kind: str
    subjects: Sequence[str]
    rows: list[tuple[str, str, list[str]]]
    """Parameter, unit, and a text per subject."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        names = max(len(self.kind), *(len(parameter) for parameter, _, _ in self.rows))
        left = names + max(len(unit) for _, unit, _ in self.rows) + 4
        rest = list(range(len(self.subjects)))
        while rest:
            widths = [max(len(self.subjects[k]), *(len(texts[k]) for _, _, texts in self.rows)) for k in rest]
            fitting = sum(left + end - 2 <= options.max_width for end in accumulate(width + 2 for width in widths))
            block, rest = rest[: max(1, fitting)], rest[max(1, fitting) :]
            shown = [self.subjects[k] for k in block]
            table = plain_table(self.kind, "", *shown, right=shown, words=())
            for parameter, unit, texts in self.rows:
                table.add_row(parameter, plain(unit, "dim"), *(texts[k] for k in block))
            yield table
            if rest:
                yield ""


def calibration_screen(calibration: CalibrationSet, state: Text | None = None) -> RenderableType:
    """Return a calibration set: by kind of subject, parameters as rows; ``state`` is added to its name."""
    head = Text.assemble(
        "calibration set ",
        (visible(calibration.calibration_id), "bold"),
        visible(f" of {calibration.device}, made {moment(calibration.created)}"),
    )
    if state is not None:
        head.append(", ").append_text(state)
    origin = [f"parent {calibration.parent}" if calibration.parent else "no parent"]
    if calibration.cooldown:
        origin.append(f"cooldown {calibration.cooldown}")
    kinds: dict[str, dict[str, dict[str, Value]]] = {}
    for name, value in calibration.values.items():
        subject, parameter = name.split(".", 1)
        kind = "pair" if "-" in subject else "qubit" if subject.startswith("Q") else "port"
        kinds.setdefault(kind, {}).setdefault(parameter, {})[subject] = value
    parts: list[RenderableType] = [head, plain(", ".join(origin), "dim")]
    parts += [plain(f"{subject} is faulty: {why}", "red") for subject, why in _faults(calibration)]
    for kind in sorted(kinds, key=["qubit", "pair", "port"].index):
        parts += ["", kind_table(kind, kinds[kind])]
    used = {value.quality for value in calibration.values.values()}
    legend = ", ".join(f"{mark} {quality}" for quality, mark in MARKS.items() if quality in used)
    if legend:
        parts += ["", Text(legend, "dim")]
    return Group(*parts)


def _faults(calibration: CalibrationSet) -> list[tuple[str, str]]:
    return [
        (subject, ", ".join(filter(None, (fault.why, fault.by, moment(fault.time)))))
        for subject, fault in sorted(calibration.faults.items())
    ]
