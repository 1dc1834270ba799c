"""`pulsed status`."""

from __future__ import annotations

import time

import click

from pulsed.cli.options import as_json_option, daemon_options
from pulsed.cli.screens.daemon import status_screen
from pulsed.cli.screens.terminal import show_answer
from pulsed.client import Client
from pulsed.model.calibration import SELF_TEST


@click.command()
@daemon_options
@as_json_option
def status(url: str | None, key: str | None, as_json: bool) -> None:
    """Show the daemon, its instruments and its queue."""
    with Client(url, key) as client:
        found, tests = client.status(), client.runs(SELF_TEST)
    show_answer(found, status_screen(found, time.time(), tests), as_json=as_json)
