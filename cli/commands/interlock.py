"""`pulsed interlock`."""

from __future__ import annotations

import time

import click

from pulsed.cli.options import as_json_option, daemon_options
from pulsed.cli.screens.interlocks import interlocks_screen
from pulsed.cli.screens.terminal import show_answer
from pulsed.client import Client


@click.group()
def interlock() -> None:
    """Show the interlocks, and arm one again that has tripped.

    An interlock is a value that is read all the time, such as a temperature of the fridge. When it is out of its limits
    for too long, or cannot be read, all outputs are switched off and no job plays until an operator arms it again.
    """


@interlock.command("list")
@daemon_options
@as_json_option
def list_all(url: str | None, key: str | None, as_json: bool) -> None:
    """Show every interlock, its value and its limits."""
    with Client(url, key) as client:
        found = client.status().interlocks
    show_answer(found, interlocks_screen(found, time.time()), as_json=as_json)


@interlock.command()
@click.argument("name")
@click.option("--reason", metavar="TEXT", required=True, help="Why it may play again; kept in the audit log.")
@daemon_options
@as_json_option
def rearm(name: str, reason: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Arm an interlock again; its value has to be within the limits. Jobs that wait go on."""
    with Client(url, key) as client:
        found = client.rearm_interlock(name, reason)
    show_answer(found, interlocks_screen(found, time.time()), as_json=as_json)
