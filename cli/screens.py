"""What the terminal shows: values of `model` and `wire` in, rich renderables out. No connection is used here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.job import JobInfo, JobState
from pulsed.model.units import format_quantity
from pulsed.wire.messages import Status

_STYLE = {
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "yellow",
    JobState.INTERRUPTED: "yellow",
    JobState.RUNNING: "bold cyan",
}
_BARS = " ▏▎▍▌▋▊▉█"


def plain_table(*columns: str, title: str = "", right: Sequence[str] = ()) -> Table:
    """Return an empty table in the style of all screens; the columns named in ``right`` hold numbers."""
    table = Table(
        title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 3, 0, 0)
    )
    for column in columns:
        table.add_column(column, header_style="dim", justify="right" if column in right else "left", overflow="fold")
    return table


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


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
    instruments = plain_table("instrument", "", "what it says it is")
    for name, item in status.instruments.items():
        if item.error is None and item.identity:
            instruments.add_row(name, Text("connected", "green"), identity(item.identity))
        else:
            instruments.add_row(name, Text("absent", "red"), item.error.message if item.error else "")
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
    table = plain_table("job", "state", "created", "programs", "shots", "owner", "name", right=("programs", "shots"))
    for job in jobs:
        table.add_row(job.job_id, state_text(job.state), _when(job.created), str(job.num_programs),
                      str(job.options.shots), job.owner, job.name)  # fmt: skip
    return table


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


def _error_line(job: JobInfo) -> str:
    from pulsed.model.errors import from_info

    return str(from_info(job.error)) if job.error is not None else ""


def times_table(job: JobInfo) -> Table:
    """Return when a job took each step, and what each kind of work took."""
    table = plain_table("step", "when", "after", right=("after",))
    steps = sorted((time, name) for name, time in job.times.items() if not name.startswith("seconds."))
    table.add_row("created", _when(job.created), "")
    for time, name in steps:
        table.add_row(name, _when(time), duration(time - job.created))
    for name, seconds in job.times.items():
        if name.startswith("seconds."):
            table.add_row(f"  {name.removeprefix('seconds.')}", "", duration(seconds))
    return table


def show_value(value: Value) -> str:
    """Return one calibrated value for people, with its standard error where there is one."""
    if isinstance(value.value, tuple):
        if len(value.value) > 5:
            return f"{len(value.value)} values"
        return "(" + ", ".join(f"{item:.4g}" for item in value.value) + f") {value.unit}".rstrip()
    prefixed = value.unit in {"Hz", "s"}
    text = format_quantity(value.value, value.unit, 7) if prefixed else f"{value.value:.5g} {value.unit}".rstrip()
    if value.stderr is not None:
        text += f" ± {format_quantity(value.stderr, value.unit, 2) if prefixed else f'{value.stderr:.2g}'}"
    return text


def calibration_screen(calibration: CalibrationSet) -> RenderableType:
    """Return the screen of `pulsed cal show`: subjects as columns, parameters as rows, by kind of subject."""
    head = Text.assemble(
        "calibration set ",
        (calibration.calibration_id, "bold"),
        f" of {calibration.device}, made {calibration.created}",
    )
    parent = Text(f"parent {calibration.parent}" if calibration.parent else "no parent", "dim")
    kinds: dict[str, dict[str, dict[str, Value]]] = {}
    for name, value in calibration.values.items():
        subject, parameter = name.split(".", 1)
        kind = "pair, control first" if "-" in subject else "qubit" if subject.startswith("Q") else "port"
        kinds.setdefault(kind, {}).setdefault(parameter, {})[subject] = value
    parts: list[RenderableType] = [head, parent]
    for kind in sorted(kinds, key=["qubit", "pair, control first", "port"].index):
        parameters = kinds[kind]
        subjects = sorted({subject for values in parameters.values() for subject in values})
        table = plain_table(kind, *subjects, right=subjects)
        for parameter, values in parameters.items():
            table.add_row(parameter, *(show_value(values[s]) if s in values else "-" for s in subjects))
        parts += ["", table]
    return Group(*parts)


def truth_screen(truth: Mapping[str, Any]) -> RenderableType:
    """Return the screen of `pulsed rack truth`: the chip as it is, which no daemon knows."""
    qubits = truth["qubits"]
    names = [f"Q{q}" for q in range(len(qubits))]
    table = plain_table("qubit", *names, right=names)
    for key, value in qubits[0].items():
        if isinstance(value, float):
            unit = "s" if key.startswith("t1") or key.startswith("t2") else "" if key in {"thermal", "n_crit"} else "Hz"
            table.add_row(key, *(show_value(Value(qubit[key], unit)) for qubit in qubits))
    pairs = plain_table("pair", "j", "zz", right=("j", "zz"))
    for pair in truth["couplings"]:
        first, second = pair["qubits"]
        pairs.add_row(f"Q{first}-Q{second}", format_quantity(pair["j"], "Hz"), format_quantity(pair["zz"], "Hz", 4))
    return Group(Text.assemble("the truth about chip ", (str(truth["name"]), "bold")), "", table, "", pairs)
