"""`pulsed alerts`: what needs a person, who is told, and whether that works."""

from __future__ import annotations

import time

import click

from pulsed.cli.options import as_json_option, daemon_options
from pulsed.cli.screens.alerts import alerts_screen
from pulsed.cli.screens.terminal import show_answer
from pulsed.client import Client


@click.group()
def alerts() -> None:
    """Show what needs a person and who is told, or send a test message.

    The rules and the receivers are in the table [alerts] of the configuration.
    """


@alerts.command("list")
@daemon_options
@as_json_option
def listed(url: str | None, key: str | None, as_json: bool) -> None:
    """Show the alerts that are not over, and who is told of alerts."""
    with Client(url, key) as client:
        found = client.alerts()
    show_answer(found, alerts_screen(found, time.time()), as_json=as_json)


@alerts.command()
@daemon_options
@as_json_option
@click.pass_context
def test(context: click.Context, url: str | None, key: str | None, as_json: bool) -> None:
    """Send a test message to every receiver; the exit code is 1 when one did not take it."""
    with Client(url, key) as client:
        found = client.test_alerts()
    show_answer(found, alerts_screen(found, time.time()), as_json=as_json)
    context.exit(int(not found.receivers or any(receiver.error for receiver in found.receivers)))
