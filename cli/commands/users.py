"""`pulsed users`."""

from __future__ import annotations

import click

from pulsed.cli.options import as_json_option, daemon_options
from pulsed.cli.screens.terminal import show_answer
from pulsed.cli.screens.users import users_screen
from pulsed.client import Client


@click.command()
@daemon_options
@as_json_option
def users(url: str | None, key: str | None, as_json: bool) -> None:
    """Show what each user has queued, and used of the rack today against their quota.

    JOBS, SHOTS and TAKES are of the queue; the day begins at 00:00 UTC. COUNTS is what decides about turns: rack time
    that counts half after each half-life, over the SHARE of the user.
    """
    with Client(url, key) as client:
        found = client.queue(limit=1).users
    show_answer(found, users_screen(found), as_json=as_json)
