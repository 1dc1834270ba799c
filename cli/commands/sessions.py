"""`pulsed sessions` and `pulsed session`."""

from __future__ import annotations

import time

import click

from pulsed.cli.options import as_json_option, daemon_options
from pulsed.cli.screens.sessions import as_told, sessions_screen
from pulsed.cli.screens.terminal import show_answer
from pulsed.client import Client


@click.command()
@click.option("--all", "ended", is_flag=True, help="With those that have ended.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, newest first.")
@daemon_options
@as_json_option
def sessions(ended: bool, limit: int, url: str | None, key: str | None, as_json: bool) -> None:
    """List the sessions and batches that have not ended.

    It says who holds the rack, and for how long.
    """
    with Client(url, key) as client:
        found = client.sessions(ended=ended, limit=limit)
    show_answer([as_told(one) for one in found], sessions_screen(found, time.time()), as_json=as_json)


@click.group()
def session() -> None:
    """Show or end one session or batch; SESSION is its id, or the beginning of it."""


@session.command()
@click.argument("session_id", metavar="SESSION")
@daemon_options
@as_json_option
def show(session_id: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Show one session or batch."""
    with Client(url, key) as client:
        found = client.session(session_id)
    show_answer(as_told(found), sessions_screen([found], time.time()), as_json=as_json)


@session.command()
@click.argument("session_id", metavar="SESSION")
@click.option("--cancel", is_flag=True, help="Cancel its jobs, the one on the rack too, and end it at once.")
@daemon_options
@as_json_option
def close(session_id: str, cancel: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """Take no more jobs into a session; it ends when those that it has have been played.

    Operators may close the sessions of others.
    """
    with Client(url, key) as client:
        found = client.close_session(client.session(session_id).session_id, cancel=cancel)
    show_answer(as_told(found), sessions_screen([found], time.time()), as_json=as_json)
