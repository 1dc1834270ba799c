"""`pulsed queue`."""

from __future__ import annotations

import time

import click

from pulsed.cli.options import as_json_option, daemon_options
from pulsed.cli.screens.queue import queue_screen
from pulsed.cli.screens.terminal import show_answer
from pulsed.cli.screens.text import note
from pulsed.client import Client
from pulsed.model.queue import QueueMode


@click.group(invoke_without_command=True)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many jobs.")
@daemon_options
@as_json_option
@click.pass_context
def queue(context: click.Context, limit: int, url: str | None, key: str | None, as_json: bool) -> None:
    """Show the queue in order: who is next and why; pause, drain or lock it.

    With the jobs comes what each user has used of the rack. Operators begin another mode; its reason is told with the
    status to everybody, and it stays when the daemon starts again.
    """
    if context.invoked_subcommand is not None:
        return
    with Client(url, key) as client:
        found = client.queue(limit)
    show_answer(found, queue_screen(found, time.time()), as_json=as_json)
    if found.total > len(found.entries):
        note(f"{len(found.entries)} of {found.total} jobs shown; --limit shows more")


def _begin(mode: QueueMode, reason: str, url: str | None, key: str | None, *, as_json: bool) -> None:
    with Client(url, key) as client:
        found = client.set_queue(mode, reason)
    show_answer(found, queue_screen(found, time.time()), as_json=as_json)


_reason = click.option("--reason", metavar="TEXT", required=True, help="Told to everybody.")


@queue.command()
@click.option("--now", is_flag=True, help="Cancel the job on the rack too: outputs off.")
@_reason
@daemon_options
@as_json_option
def pause(now: bool, reason: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Start no more jobs; the one that plays stops after its chunk. Jobs are accepted."""
    if not now:
        _begin(QueueMode.PAUSED, reason, url, key, as_json=as_json)
        return
    with Client(url, key) as client:
        found = client.stop_now(reason)
    show_answer(found, queue_screen(found, time.time()), as_json=as_json)
    note(f"job {found.stopped} is cancelled" if found.stopped else "no job was on the rack")


@queue.command()
@_reason
@daemon_options
@as_json_option
def drain(reason: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Accept no more jobs; those in the queue are played."""
    _begin(QueueMode.DRAINING, reason, url, key, as_json=as_json)


@queue.command()
@_reason
@daemon_options
@as_json_option
def lock(reason: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Accept and play jobs of operators alone; those of others wait."""
    _begin(QueueMode.LOCKED, reason, url, key, as_json=as_json)


@queue.command()
@daemon_options
@as_json_option
def resume(url: str | None, key: str | None, as_json: bool) -> None:
    """Accept and play the jobs of everybody again."""
    _begin(QueueMode.OPEN, "", url, key, as_json=as_json)
