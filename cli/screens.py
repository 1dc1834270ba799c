"""What the terminal shows: values of `model` and `wire` in, rich renderables out. No connection is used here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

import msgspec
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.errors import ErrorInfo, from_info
from pulsed.model.job import JobInfo, JobState
from pulsed.model.units import format_quantity, parse_quantity
from pulsed.wire.messages import Status

_STYLE = {
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "yellow",
    JobState.INTERRUPTED: "yellow",
    JobState.RUNNING: "bold cyan",
}
MARKS = {"design": "°", "set": "*", "suspect": "?"}
"""What stands behind a value that is not simply good: of the design sheet, set by hand, doubted."""
_SHORT = {"full scale": "FS"}
_STATE_WIDTH = max(map(len, JobState))
_ANY_WIDTH = 1000
_BARS = " ▏▎▍▌▋▊▉█"


def plain_table(*columns: str, title: str = "", right: Sequence[str] = ()) -> Table:
    """Return an empty table in the style of all screens; the columns named in ``right`` hold numbers."""
    table = Table(
        title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for column in columns:
        table.add_column(column, header_style="dim", justify="right" if column in right else "left", overflow="fold")
    return table


def when(seconds: float) -> str:
    """Return a Unix time as the local date and time."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def moment(text: str) -> str:
    """Return an ISO 8601 time as :func:`when` does; a date alone, or what is no time, as it is."""
    try:
        return when(datetime.fromisoformat(text).timestamp()) if "T" in text else text
    except ValueError:
        return text


def duration(seconds: float) -> str:
    """Return a time as people say it: ``12.3 ms``, ``4.56 s``, ``2 h 5 min``."""
    if abs(seconds) < 120:
        return format_quantity(seconds, "s", 3)
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def bar(fraction: float, width: int) -> str:
    """Return a horizontal bar of ``width`` characters at most, in eighths of a character."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    return "█" * (eighths // 8) + _BARS[eighths % 8].strip()


def identity(text: str) -> str:
    """Return the answer to ``*IDN?`` for people: ``pulsed AWG8, serial AWG8-0001, firmware 0.1.0``."""
    vendor, model, serial, firmware, *_ = [*(part.strip() for part in text.split(",")), "", "", "", ""]
    details = [f"serial {serial}" if serial else "", f"firmware {firmware}" if firmware else ""]
    return ", ".join([f"{vendor} {model}".strip(), *filter(None, details)])


def counts_chart(counts: Mapping[str, int], width: int = 40, most: int = 32) -> RenderableType:
    """Return a bar chart of ``counts``; beyond ``most`` outcomes the rarest are summed up in one line."""
    total = sum(counts.values())
    shown = sorted(counts.items())
    rest = 0
    if len(shown) > most:
        shown = sorted(shown, key=lambda item: -item[1])
        rest = sum(count for _, count in shown[most:])
        shown = sorted(shown[:most])
    table = plain_table("outcome", "counts", "share", "", right=("counts", "share"))
    for outcome, count in shown:
        share = count / total
        table.add_row(Text(outcome, "bold"), str(count), f"{share:.4f}", Text(bar(share, width), "cyan"))
    if rest:
        table.add_row(Text("others", "dim"), str(rest), f"{rest / total:.4f}", Text(bar(rest / total, width), "dim"))
    return table


def status_screen(status: Status, now: float) -> RenderableType:
    """Return the screen of `pulsed status`."""
    state = Text("operational", "bold green") if status.operational else Text("not operational", "bold red")
    head = Text.assemble((status.backend, "bold"), "  ", state, f"  pulsed {status.version}")
    if status.started:
        head.append(f", up {duration(now - status.started)}")
    lines: list[RenderableType] = [head]
    if status.message:
        lines.append(Text(status.message, "yellow"))
    running = status.running or "none"
    lines.append(Text(f"calibration set {status.calibration_id or 'none'}"))
    lines.append(Text(f"jobs waiting {status.pending_jobs}, on the rack {running}"))
    lines += [Text(f"{subject} is faulty: {why}", "red") for subject, why in sorted(status.faults.items())]
    instruments = plain_table("instrument", "", "what it says it is")
    for name, item in status.instruments.items():
        if item.error is None and item.identity:
            instruments.add_row(name, Text("connected", "green"), identity(item.identity))
        else:
            instruments.add_row(name, Text("absent", "red"), _problem(item.error))
    workers = plain_table("process", "", "pid", "restarts", right=("pid", "restarts"))
    for name, worker in status.workers.items():
        workers.add_row(name, worker.state, str(worker.pid or "-"), str(worker.restarts))
    for table in (instruments, workers):
        if table.row_count:
            lines += ["", table]
    return Group(*lines)


def state_text(state: JobState) -> Text:
    """Return the state of a job in its colour."""
    return Text(str(state), _STYLE.get(state, ""))


def jobs_screen(jobs: Sequence[JobInfo]) -> RenderableType:
    """Return the screen of `pulsed jobs`."""
    if not jobs:
        return Text("no jobs", "dim")
    table = plain_table("job", "state", "created", "shots", "owner", "name", right=("shots",))
    lines: list[RenderableType] = []
    for job in jobs:
        shots = f"{job.num_programs}×{job.options.shots}"
        created = when(job.created)[len("2026-") : -len(":00")]
        table.add_row(job.job_id, state_text(job.state), created, shots, job.owner, job.name)
        state = state_text(job.state)
        state.pad_right(max(0, _STATE_WIDTH - len(state)))
        lines.append(Text.assemble((job.job_id, "bold"), "  ", state, f"  {created}"))
        about = f"{shots} shots, by {job.owner}" + (f": {job.name}" if job.name else "")
        lines.append(Padding(Text(about, "dim"), (0, 0, 0, 4)))
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
    table = plain_table("", "")
    table.show_header = False
    rows: list[tuple[str, Any]] = [
        ("job", job.job_id),
        ("name", job.name),
        ("tags", ", ".join(job.tags)),
        ("state", state_text(job.state)),
        ("backend", job.backend),
        ("owner", job.owner),
        ("programs", f"{job.num_programs}, {job.options.shots} shots each, level {job.options.meas_level}"),
        ("chunks", f"{job.chunks_done} of {job.chunks}" if job.chunks else ""),
        ("place in queue", "" if job.queue_position is None else str(job.queue_position)),
        ("calibration set", job.calibration_id),
        ("attempts", str(job.attempts) if job.attempts > 1 else ""),
    ]
    for key, value in rows:
        if value:
            table.add_row(Text(key, "dim"), value)
    parts: list[RenderableType] = [table]
    if job.error is not None:
        parts += ["", Text(f"{job.error.code}: {_error_line(job)}", "red")]
    if job.times:
        parts += ["", times_table(job)]
    return Group(*parts)


def _problem(error: ErrorInfo | None) -> str:
    """Say what is wrong with an instrument beside its name: of a wrong one, who it is and who it should be."""
    return "" if error is None else str(from_info(msgspec.structs.replace(error, subject="")))


def _error_line(job: JobInfo) -> str:
    return str(from_info(job.error)) if job.error is not None else ""


def times_table(job: JobInfo) -> Table:
    """Return when a job took each step, and what each kind of work took."""
    table = plain_table("step", "when", "after", right=("after",))
    steps = sorted((time, name) for name, time in job.times.items() if not name.startswith("seconds."))
    table.add_row("created", when(job.created), "")
    for time, name in steps:
        table.add_row(name, when(time), duration(time - job.created))
    for name, seconds in job.times.items():
        if name.startswith("seconds."):
            table.add_row(f"  {name.removeprefix('seconds.')}", "", duration(seconds))
    return table


def show_value(value: Value) -> str:
    """Return one calibrated value for people, with its standard error where there is one."""
    if isinstance(value.value, tuple):
        if len(value.value) > 5:
            return f"{len(value.value)} values"
        unit = _SHORT.get(value.unit, value.unit)
        return "(" + ", ".join(f"{item:.4g}" for item in value.value) + f") {unit}".rstrip()
    prefixed = value.unit in {"Hz", "s"}
    unit = _SHORT.get(value.unit, value.unit)
    text = format_quantity(value.value, value.unit, 7) if prefixed else f"{value.value:.4g} {unit}".rstrip()
    if not value.stderr:
        return text
    scale = 1.0
    if prefixed:
        unit = text.partition(" ")[2]
        scale = float(parse_quantity(f"1 {unit}", value.unit))
    number = f"{value.value / scale:.{_decimals(value.stderr / scale)}f} {unit}".rstrip()
    error = format_quantity(value.stderr, value.unit, 2) if prefixed else f"{value.stderr:.2g}"
    return f"{number} ± {error}"


def _decimals(stderr: float) -> int:
    """Return how many decimals a value has whose error has one digit, or two when the first of them is a 1."""
    power = math.floor(math.log10(stderr))
    return max(0, -power + (stderr < 2 * 10.0**power))


def concise(value: float, stderr: float | None) -> str:
    """Return a value with its standard error as physicists write it: ``0.0131(8)``; five digits without one.

    The error has one digit, or two when the first of them is a 1.
    """
    if not stderr:
        return f"{value:.3g}" if abs(value) < 1e-3 else f"{value:.5g}"
    digits = _decimals(stderr)
    return f"{value:.{digits}f}({round(stderr * 10**digits)})"


def _row(values: Sequence[Value | None]) -> tuple[str, list[str]]:
    """Return the unit that all values of a row share, with an SI prefix, and the values in it."""
    units = {value.unit for value in values if value is not None}
    unit = units.pop() if len(units) == 1 else ""
    scale, shown = 1.0, _SHORT.get(unit, unit)
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


def _kind_table(kind: str, parameters: Mapping[str, Mapping[str, Value]]) -> RenderableType:
    """Return the values of one kind of subject: scalars as a table, lists as lines below it."""
    subjects = sorted({subject for values in parameters.values() for subject in values})
    table = _Columns(kind, subjects, [])
    lists = plain_table("", "", "")
    lists.show_header = False
    for parameter, values in parameters.items():
        if any(isinstance(value.value, tuple) for value in values.values()):
            for subject, value in values.items():
                lists.add_row(f"{subject}.{parameter}", show_value(value) + MARKS.get(value.quality, ""))
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
            table = plain_table(self.kind, "", *shown, right=shown)
            table.columns[0].no_wrap = True
            for parameter, unit, texts in self.rows:
                table.add_row(parameter, Text(unit, "dim"), *(texts[k] for k in block))
            yield table
            if rest:
                yield ""


def calibration_screen(calibration: CalibrationSet, state: Text | None = None) -> RenderableType:
    """Return a calibration set: by kind of subject, parameters as rows; ``state`` is added to its name."""
    head = Text.assemble(
        "calibration set ",
        (calibration.calibration_id, "bold"),
        f" of {calibration.device}, made {moment(calibration.created)}",
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
    parts: list[RenderableType] = [head, Text(", ".join(origin), "dim")]
    parts += [Text(f"{subject} is faulty: {why}", "red") for subject, why in _faults(calibration)]
    for kind in sorted(kinds, key=["qubit", "pair", "port"].index):
        parts += ["", _kind_table(kind, kinds[kind])]
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


def truth_screen(truth: Mapping[str, Any]) -> RenderableType:
    """Return the screen of `pulsed rack truth`: the chip as it is, which no daemon knows."""
    units = {"t1": "s", "t2_echo": "s", "t2_star": "s", "thermal": "", "n_crit": ""}
    qubits = {
        key: {f"Q{q}": Value(values[key], units.get(key, "Hz")) for q, values in enumerate(truth["qubits"])}
        for key, value in truth["qubits"][0].items()
        if isinstance(value, float)
    }
    names = ["Q{}-Q{}".format(*pair["qubits"]) for pair in truth["couplings"]]
    pairs = {
        key: {name: Value(pair[key], "Hz") for name, pair in zip(names, truth["couplings"], strict=True)}
        for key in ("j", "zz")
    }
    head = Text.assemble("the truth about chip ", (str(truth["name"]), "bold"))
    return Group(head, "", _kind_table("qubit", qubits), "", _kind_table("pair", pairs))
