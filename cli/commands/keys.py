"""`pulsed keys`: who may speak to this machine's daemon."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec
from rich.text import Text

from pulsed.cli.audited import note_change
from pulsed.cli.options import as_json_option, home_option
from pulsed.cli.screens.terminal import plain_table, show_answer
from pulsed.cli.screens.text import say
from pulsed.cli.spans import date, span
from pulsed.client.home import home_directory
from pulsed.client.key_changes import revoke_client, rotate_client, rotate_server
from pulsed.client.keys import add_client, load_key
from pulsed.client.known_clients import key_files, read_last_seen
from pulsed.model.errors import InvalidValueError, KeyFileError
from pulsed.model.wording import duration, when

_OVERLAP = "7d"


class ListedKey(msgspec.Struct, frozen=True):
    """A row of `pulsed keys list`; times are Unix times in seconds, 0 for never."""

    name: str
    role: str
    state: str
    """``valid``, ``expired``, ``replaced`` (still valid beside the key that replaces it), or why it is not used."""
    expires: float
    last_seen: float
    file: str


@click.group()
def keys() -> None:
    """Manage the keys of this machine's daemon: who may connect, and with which role."""


@keys.command("list")
@home_option
@as_json_option
def list_keys(home: str | None, as_json: bool) -> None:
    """List the clients that the daemon lets in, with their roles.

    It says until when a key is valid and when its client was last heard of. A file that the daemon would not use says
    why.
    """
    directory = home_directory(home)
    seen = read_last_seen(directory)
    paths = sorted(key_files(directory / "clients"))
    rows = [_listed(path, seen.get(path.stem, 0.0)) for path in paths]
    if not rows and not as_json:
        say(f"no keys in {directory / 'clients'}: `pulsed serve` makes the first ones")
        return
    table = plain_table("name", "role", "state", "expires", "last seen", "file", words=("state", "file"))
    for row in rows:
        state = row.state if row.state in ("valid", "replaced") else Text(row.state, "red")
        last = when(row.last_seen) if row.last_seen else "never"
        table.add_row(row.name, row.role, state, when(row.expires) if row.expires else "never", last, row.file)
    show_answer(rows, table, as_json=as_json)


def _listed(path: Path, seen: float) -> ListedKey:
    try:
        key = load_key(path, secret=path.suffix == ".key")
    except KeyFileError as error:
        return ListedKey(path.stem, "", f"not used: {error}", 0.0, seen, str(path))
    state = "replaced" if path.suffix == ".old" else "valid"
    if key.expires and key.expires <= time.time():
        state = "expired"
    return ListedKey(path.stem, key.role or "viewer", state, key.expires, seen, str(path))


@keys.command("add")
@click.argument("name")
@click.option("--role", default="experimenter", show_default=True, help="viewer, experimenter, operator or admin.")
@click.option("--expires", type=date, metavar="DATE", help="End (UTC), such as 2027-01-31. Default: never.")
@home_option
def add_key(name: str, role: str, expires: float | None, home: str | None) -> None:
    """Make a key for another client and print the path of its file. Give the file to its user."""
    if expires is not None and expires <= time.time():
        raise InvalidValueError("is over", subject="--expires", value=when(expires), legal="a date to come")
    directory = home_directory(home)
    path = add_client(directory, name, role, expires or 0.0)
    note_change(directory, "keys.add", name, f"{role}, expires {when(expires) if expires else 'never'}")
    say(str(path))


@keys.command("revoke")
@click.argument("name")
@home_option
def revoke_key(name: str, home: str | None) -> None:
    """Delete the keys of a client.

    A daemon that runs ends its connections within a moment, and gives it no more notices and results. What it had
    submitted goes on.
    """
    directory = home_directory(home)
    there = revoke_client(directory, name)
    note_change(directory, "keys.revoke", name, ", ".join(path.name for path in there))
    for path in there:
        say(f"deleted {path}")


@keys.command("rotate")
@click.argument("name")
@click.option(
    "--overlap", type=span, default=_OVERLAP, show_default=True, metavar="SPAN",
    help="How long the old key stays valid, such as 12h; with 0 it ends at once.",
)  # fmt: skip
@home_option
def rotate_key(name: str, overlap: float, home: str | None) -> None:
    """Give a client a new key with the same role, and print the path of its file. Give the file to its user."""
    directory = home_directory(home)
    path = rotate_client(directory, name, overlap)
    note_change(directory, "keys.rotate", name, f"the old key is valid for {duration(overlap)}")
    say(str(path))


@keys.command("rotate-server")
@click.option(
    "--overlap", type=span, default=_OVERLAP, show_default=True, metavar="SPAN",
    help="How long the daemon keeps the old key, such as 12h; with 0 it takes the new one now.",
)  # fmt: skip
@home_option
def rotate_server_key(overlap: float, home: str | None) -> None:
    """Give the daemon a new key, which takes the old one's place after the overlap.

    Clients that connect until then learn of it by themselves; a key file that nobody uses meanwhile has to be handed
    out again.
    """
    directory = home_directory(home)
    rotate_server(directory, overlap)
    note_change(directory, "keys.rotate", "server", f"the old key is valid for {duration(overlap)}")
    say(f"the daemon takes its new key {'now' if overlap <= 0 else f'in {duration(overlap)}'}")
