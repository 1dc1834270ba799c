"""`pulsed note` and `pulsed notes`: what people write down."""

from __future__ import annotations

import click
from rich.text import Text

from pulsed.cli.options import as_json_option, daemon_options
from pulsed.cli.screens.terminal import plain_table, show_answer
from pulsed.cli.screens.text import say
from pulsed.client import Client
from pulsed.model.wording import when


@click.command()
@click.argument("about", metavar="ABOUT")
@click.argument("text", nargs=-1, required=True)
@daemon_options
def note(about: str, text: tuple[str, ...], url: str | None, key: str | None) -> None:
    """Write something down about a qubit (Q0), a pair (Q0-Q1), a run or a calibration set (their ids).

    It is kept with author and time, and stays as it was written.
    """
    with Client(url, key) as client:
        client.add_note(about, " ".join(text))
    say(f"noted about {about}")


@click.command()
@click.argument("about", metavar="ABOUT", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, newest first.")
@daemon_options
@as_json_option
def notes(about: str | None, limit: int, url: str | None, key: str | None, as_json: bool) -> None:
    """List what was written down about a qubit, a pair, a run or a set, or about all of them."""
    with Client(url, key) as client:
        found = client.notes(about, limit)
    table = plain_table("when", "about", "by", "note", words=("note",))
    for one in found:
        table.add_row(when(one.time), one.about, one.by, one.text)
    show_answer(found, table if found else Text("no notes", "dim"), as_json=as_json)
