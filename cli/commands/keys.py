"""`pulsed keys`: who may speak to this machine's daemon."""

from __future__ import annotations

import click
from rich.text import Text

from pulsed.cli.options import home_option
from pulsed.cli.screens.terminal import Terminal, plain_table
from pulsed.cli.screens.text import say
from pulsed.client.home import home_directory
from pulsed.client.keys import add_client, load_key
from pulsed.model.errors import KeyFileError


@click.group()
def keys() -> None:
    """Manage the keys of this machine's daemon: who may connect, and with which role."""


@keys.command("list")
@home_option
def list_keys(home: str | None) -> None:
    """List the clients that the daemon lets in, with their roles.

    A file that the daemon would not use says why.
    """
    directory = home_directory(home) / "clients"
    table = plain_table("name", "role", "file", words=("file",))
    for path in sorted(path for path in directory.glob("*") if path.suffix in {".key", ".pub"}):
        try:
            key = load_key(path, secret=path.suffix == ".key")
        except KeyFileError as error:
            table.add_row(path.stem, Text("not used", "red"), str(error))
        else:
            table.add_row(path.stem, key.role or "viewer", str(path))
    if table.row_count:
        Terminal().print(table)
    else:
        say(f"no keys in {directory}: `pulsed serve` makes the first ones")


@keys.command("add")
@click.argument("name")
@click.option("--role", default="experimenter", show_default=True, help="viewer, experimenter, operator or admin.")
@home_option
def add_key(name: str, role: str, home: str | None) -> None:
    """Make a key for another client and print the path of its file. Give the file to its user."""
    say(str(add_client(home_directory(home), name, role)))
