"""Keys of the clients of this machine's daemon."""

from __future__ import annotations

import click
from rich.console import Console
from rich.text import Text

from pulsed.cli.screens import plain_table
from pulsed.client.keys import add_client, home_directory, load_key
from pulsed.model.errors import KeyFileError


def show(home: str | None) -> None:
    """List the clients, their roles and files. A file that the daemon would not use says why."""
    directory = home_directory(home) / "clients"
    table = plain_table("name", "role", "file")
    for path in sorted(path for path in directory.glob("*") if path.suffix in {".key", ".pub"}):
        try:
            key = load_key(path, secret=path.suffix == ".key")
        except KeyFileError as error:
            table.add_row(path.stem, Text("not used", "red"), str(error))
        else:
            table.add_row(path.stem, key.role or "viewer", str(path))
    if table.row_count:
        Console(highlight=False).print(table)
    else:
        click.echo(f"no keys in {directory}: `pulsed serve` makes the first ones")


def add(name: str, role: str, home: str | None) -> None:
    """Make a key for the client ``name`` and print its file."""
    click.echo(add_client(home_directory(home), name, role))
