"""What a daemon tells as it happens, one line for each thing that is news."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.text import Text

from pulsed.cli.screens.status import state_text
from pulsed.cli.screens.terminal import plain
from pulsed.client.following import spoken
from pulsed.model.errors import ErrorInfo, from_info
from pulsed.model.job import FINAL_STATES, JobInfo, JobState
from pulsed.model.session import SessionInfo
from pulsed.wire.measurement_messages import MeasurementChanged
from pulsed.wire.messages import (
    AnyEvent,
    CalibrationChanged,
    JobChanged,
    Progress,
    Status,
    StatusChanged,
)
from pulsed.wire.note_messages import NoteAdded
from pulsed.wire.session_messages import SessionChanged

KINDS: dict[str, type[AnyEvent]] = {
    "job": JobChanged, "progress": Progress, "calibration": CalibrationChanged, "status": StatusChanged,
    "session": SessionChanged, "note": NoteAdded, "measurement": MeasurementChanged,
}  # fmt: skip
"""The kinds of events by the names that a user gives."""
_JOB_WIDTH = 8
_KIND_WIDTH = 12


class EventLines:
    """Makes lines of events. Of the status, which is sent every few seconds, only what is another than before."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def lines(self, event: AnyEvent, now: float) -> Iterator[Text]:
        """Yield the lines of an event that came at the Unix time ``now``."""
        for kind, text in self._said(event):
            time = datetime.fromtimestamp(now, UTC).astimezone().strftime("%H:%M:%S")
            yield Text.assemble((f"{time}  ", "dim"), (f"{kind:{_KIND_WIDTH}}", "cyan"), text)

    def _said(self, event: AnyEvent) -> Iterator[tuple[str, Text]]:
        if isinstance(event, JobChanged):
            yield "job", _job(event.job)
        elif isinstance(event, Progress):
            done = f"{event.what or 'plays'} {event.fraction:.0%} of chunk {event.chunk + 1} of {event.chunks}"
            yield "progress", plain(f"{event.job_id[:_JOB_WIDTH]}  {done}", "dim")
        elif isinstance(event, CalibrationChanged):
            yield "calibration", plain(f"set {event.calibration_id} is active")
        elif isinstance(event, SessionChanged):
            yield "session", _session(event.session)
        elif isinstance(event, NoteAdded):
            yield "note", plain(f"{event.note.about}: {event.note.text.splitlines()[0]}  by {event.note.by}")
        elif isinstance(event, MeasurementChanged):
            done = event.outcome or f"{event.done}/{event.total}"
            yield "measurement", plain(f"{event.routine} {event.target}: {done}")
        elif isinstance(event, StatusChanged):
            before, self._status = self._status, event.status
            yield from _differences(before, event.status)


def _job(job: JobInfo) -> Text:
    line = Text.assemble(plain(job.job_id[:_JOB_WIDTH], "bold"), "  ", state_text(job.state))
    line.append("  ").append(plain(job.owner, "dim"))
    if job.name:
        line.append("  ").append(plain(job.name))
    if job.error is not None and job.state is JobState.FAILED:
        line.append("  ").append(plain(_error(job.error), "red"))
    elif job.state not in FINAL_STATES and (job.queue_position or job.waits_for or job.chunks):
        line.append("  ").append(plain(spoken(job), "dim"))
    return line


def _session(session: SessionInfo) -> Text:
    line = plain(f"{session.session_id[:_JOB_WIDTH]}  {session.mode} of {session.owner}: {session.state}")
    if session.ended_as is not None:
        line.append(plain(f" ({session.ended_as}{f' by {session.ended_by}' if session.ended_by else ''})"))
    return line


def _error(error: ErrorInfo | None) -> str:
    return "" if error is None else str(from_info(error))


def _differences(old: Status, new: Status) -> Iterator[tuple[str, Text]]:
    """Yield what of a status is another than before."""
    if (old.operational, old.message) != (new.operational, new.message):
        word = plain("operational", "green") if new.operational else plain("not operational", "bold red")
        yield "status", word.append(plain(f": {new.message}") if new.message else "")
    for name, item in new.instruments.items():
        before = old.instruments.get(name)
        if before is None or (bool(before.identity), before.error) == (bool(item.identity), item.error):
            continue
        well = item.identity and item.error is None
        yield "instrument", plain(f"{name} is connected" if well else f"{name}: {_error(item.error) or 'absent'}",
                                  "green" if well else "red")  # fmt: skip
    for name, worker in new.workers.items():
        known = old.workers.get(name)
        if known is None or (known.state, known.restarts) != (worker.state, worker.restarts):
            yield "process", plain(f"{name} is {worker.state}", "" if worker.state == "up" else "yellow")
    for alert in new.alerts:
        if all((alert.rule, alert.subject) != (one.rule, one.subject) for one in old.alerts):
            yield "alert", plain(alert.message, "bold red")
    for alert in old.alerts:
        if all((alert.rule, alert.subject) != (one.rule, one.subject) for one in new.alerts):
            yield "alert", plain(f"over: {alert.message}", "green")
    if new.faults != old.faults:
        yield "calibration", plain(f"faulty: {', '.join(sorted(new.faults)) or 'nothing'}", "yellow")
