"""`pulsed events`."""

from __future__ import annotations

import queue
import time

import click

from pulsed.cli.options import as_json_option, daemon_options
from pulsed.cli.screens.events import KINDS, EventLines
from pulsed.cli.screens.terminal import Terminal
from pulsed.cli.screens.text import say_json_line
from pulsed.client import Client
from pulsed.wire.messages import AnyEvent, JobChanged, Progress

_USUAL = ("job", "calibration", "status", "session")


@click.command()
@click.option("--kind", "kinds", type=click.Choice([*KINDS]), multiple=True, metavar="KIND",
              help=f"Only these: {', '.join(KINDS)}; may be repeated. Default: all but progress.")  # fmt: skip
@click.option("--job", "job_id", metavar="JOB", help="Only what is about this job; its id, or the beginning of it.")
@click.option("--count", type=click.IntRange(1), help="End after so many events. Default: go on until Ctrl-C.")
@daemon_options
@as_json_option
def events(
    kinds: tuple[str, ...], job_id: str | None, count: int | None, url: str | None, key: str | None, as_json: bool
) -> None:
    """Show what the daemon tells as it happens: jobs, sessions, instruments, calibration sets, alerts.

    With --json each event is an object on a line of its own.
    """
    terminal = Terminal()
    came: queue.SimpleQueue[tuple[float, AnyEvent]] = queue.SimpleQueue()
    with Client(url, key) as client:
        wanted = None if job_id is None else client.job(job_id).job_id
        lines = EventLines(client.status())
        client.subscribe(lambda event: came.put((time.time(), event)), *(KINDS[kind] for kind in kinds or _USUAL))
        shown = 0
        while count is None or shown < count:
            now, event = came.get()
            if wanted is not None and _job_of(event) != wanted:
                continue
            if as_json:
                say_json_line({"kind": _name(event), "time": now, "event": event})
                shown += 1
                continue
            for line in lines.lines(event, now):
                terminal.print(line, soft_wrap=not terminal.is_terminal)
                shown += 1


def _job_of(event: AnyEvent) -> str:
    if isinstance(event, JobChanged):
        return event.job.job_id
    return event.job_id if isinstance(event, Progress) else ""


def _name(event: AnyEvent) -> str:
    return next(name for name, kind in KINDS.items() if isinstance(event, kind))
