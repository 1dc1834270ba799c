"""What the terminal shows of the daemon: `pulsed status`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from pulsed.cli.screens.alerts import alert_lines
from pulsed.cli.screens.interlocks import interlock_lines
from pulsed.cli.screens.status import STATES
from pulsed.cli.screens.terminal import plain, plain_table
from pulsed.model.calibration import RunRecord
from pulsed.model.errors import ErrorInfo, from_info
from pulsed.model.visible import visible
from pulsed.model.wording import duration
from pulsed.wire.messages import Status

_STANDS = {"never": "never measured"}


def identity(text: str) -> str:
    """Return the answer to ``*IDN?`` for people: ``pulsed AWG8, serial AWG8-0001, firmware 0.1.0``."""
    vendor, model, serial, firmware, *_ = [*(part.strip() for part in text.split(",")), "", "", "", ""]
    details = [f"serial {serial}" if serial else "", f"firmware {firmware}" if firmware else ""]
    return ", ".join([f"{vendor} {model}".strip(), *filter(None, details)])


def status_screen(status: Status, now: float, tests: Sequence[RunRecord] = ()) -> RenderableType:
    """Return the screen of `pulsed status`; ``tests``: the records of self-tests, the newest first."""
    state = Text("operational", "bold green") if status.operational else Text("not operational", "bold red")
    head = Text.assemble((visible(status.backend), "bold"), "  ", state, visible(f"  pulsed {status.version}"))
    if status.started:
        head.append(f", up {duration(now - status.started)}")
    lines: list[RenderableType] = [head]
    if status.message:
        lines.append(plain(status.message, "yellow"))
    running = status.running or "none"
    lines.append(_calibration(status, now))
    lines.append(plain(f"jobs waiting {status.pending_jobs}, on the rack {running}"))
    if status.session is not None:
        until = max(0.0, (status.session.ends or now) - now)
        lines.append(plain(f"session {status.session.session_id} of {status.session.owner}, {duration(until)} left"))
    lines += [plain(f"{subject} is faulty: {why}", "red") for subject, why in sorted(status.faults.items())]
    told = [alert for alert in status.alerts if alert.rule != "drift" or alert.subject not in status.faults]
    lines += [*alert_lines(told, now), *interlock_lines(status.interlocks)]
    lines += _tested(tests, now)
    instruments = plain_table("instrument", "", "what it says it is", words=("what it says it is",))
    for name, item in status.instruments.items():
        if item.error is None and item.identity:
            instruments.add_row(name, Text("connected", "green"), identity(item.identity))
        else:
            instruments.add_row(name, Text("absent", "red"), _problem(item.error))
    workers = plain_table("process", "", "pid", "restarts", "confined by", right=("pid", "restarts"), words=())
    for name, worker in status.workers.items():
        workers.add_row(name, worker.state, str(worker.pid or "-"), str(worker.restarts), worker.confined)
    for table in (instruments, workers):
        if table.row_count:
            lines += ["", table]
    return Group(*lines)


def _calibration(status: Status, now: float) -> Text:
    """Return one line on the calibration: the active set, and how the nodes of the graph stood at the last look."""
    line = plain(f"calibration set {status.calibration_id or 'none'}")
    nodes = {state: status.calibration_nodes.get(state, 0) for state in STATES}
    if not status.calibration_looked:
        return line.append(": not looked at yet, `pulsed cal graph` does" if status.calibration_id else "", "dim")
    wanted = sum(number for state, number in nodes.items() if state != "unused")
    line.append(f": {nodes['fresh']} of {wanted} nodes fresh", "green" if nodes["fresh"] == wanted else "")
    for state in ("stale", "never", "failed", "faulty"):
        if nodes[state]:
            line.append(", ").append(f"{nodes[state]} {_STANDS.get(state, state)}", STATES[state][1])
    return line.append(f" ({duration(max(0.0, now - status.calibration_looked))} ago)", "dim")


def _tested(tests: Sequence[RunRecord], now: float) -> list[RenderableType]:
    """Return what the last self-test of each port found: one line when all were seen, else one per dead port."""
    last: dict[str, RunRecord] = {}
    for test in tests:
        last.setdefault(test.target, test)
    if not last:
        return []
    ago = f"{duration(max(0.0, now - max(test.ended for test in last.values())))} ago"
    dead = [test for test in last.values() if test.outcome != "good"]
    lines: list[RenderableType] = [plain(f"self-test {ago}: {len(last) - len(dead)} of {len(last)} ports alive")]
    return lines + [plain(f"port {test.target} is dead: {test.reason}", "red") for test in dead]


def _problem(error: ErrorInfo | None) -> str:
    """Say what is wrong with an instrument beside its name: of a wrong one, who it is and who it should be."""
    return "" if error is None else str(from_info(msgspec.structs.replace(error, subject="")))
