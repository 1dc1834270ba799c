"""`pulsed sessions` and `pulsed session`."""

from __future__ import annotations

import time
import uuid
from datetime import datetime

import click

from pulsed.cli.options import as_json_option, daemon_options
from pulsed.cli.screens.sessions import as_told, sessions_screen
from pulsed.cli.screens.terminal import show_answer
from pulsed.client import Client
from pulsed.model.session import read_length


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


def _seconds(text: str) -> float:
    length = read_length(text if not text.replace(".", "", 1).isdigit() else f"{text}s")
    if length is None:
        raise click.BadParameter("not a time: seconds, or as 1h30m", param_hint="--for")
    return length


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise click.BadParameter(f"not a time: {text}; write it as 2026-11-21T14:00", param_hint="--start") from None


@click.group()
def session() -> None:
    """Show, book or end one session or batch; SESSION is its id, or the beginning of it."""


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
@click.option("--start", metavar="TIME", required=True, help="When it begins: ISO 8601, local time without a zone.")
@click.option("--for", "max_time", metavar="TIME", required=True, help="How long: seconds, or as 1h30m.")
@click.option("--id", "session_id", metavar="ID", help="Its id; a new one unless given.")
@daemon_options
@as_json_option
def book(
    start: str, max_time: str, session_id: str | None, url: str | None, key: str | None, as_json: bool
) -> None:  # fmt: skip
    """Book the rack: from the start on a session holds it, with a job or without.

    What would not end before is not started, and a job of several chunks stops between two of them.
    """
    with Client(url, key) as client:
        found = client.open_session(
            session_id or str(uuid.uuid4()), max_time=_seconds(max_time), start=_moment(start)
        )  # fmt: skip
    show_answer(found, sessions_screen([found], time.time()), as_json=as_json)


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
