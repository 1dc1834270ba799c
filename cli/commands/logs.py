"""`pulsed logs`: what this machine's daemon and its workers wrote into their log."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from pulsed.cli.options import as_json_option, home_option
from pulsed.cli.screens.terminal import plain_table, show_answer
from pulsed.client.home import home_directory
from pulsed.model.visible import visible

LEVELS = ("debug", "info", "warning", "error", "critical")
_OWN = ("timestamp", "level", "process", "event")


@click.command()
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many, the newest last."
)
@click.option("--level", type=click.Choice(LEVELS), default="info", show_default=True, help="From this one on.")
@click.option("--process", metavar="NAME", help="Of this process alone: daemon, rack, compile, ...")
@click.option("--grep", metavar="TEXT", default="", help="Lines with this text alone.")
@home_option
@as_json_option
def logs(limit: int, level: str, process: str | None, grep: str, home: str | None, as_json: bool) -> None:
    """Show the log of this machine's daemon and of its workers."""
    least, found = LEVELS.index(level), deque[dict[str, Any]](maxlen=limit)
    for line in _lines(home_directory(home) / "logs" / "daemon.jsonl"):
        if grep.lower() not in line.lower():
            continue
        try:
            record = json.loads(line)
        except ValueError:  # a line that is being written, or was cut off
            continue
        if not isinstance(record, dict):
            continue
        said = str(record.get("level", ""))
        if (LEVELS.index(said) if said in LEVELS else 1) >= least and process in (None, record.get("process")):
            found.append(record)
    table = plain_table("time", "level", "process", "what", "", words=("what", ""))
    colours = {"warning": "yellow", "error": "red", "critical": "red"}
    for record in found:
        rest = " ".join(f"{name}={value}" for name, value in record.items() if name not in _OWN)
        level_text = Text(str(record.get("level", "")), colours.get(str(record.get("level")), "dim"))
        time = str(record.get("timestamp", ""))[:19].replace("T", " ")
        table.add_row(
            time, level_text, str(record.get("process", "")), visible(str(record.get("event", ""))), visible(rest)
        )
    show_answer(list(found), table if found else Text("no lines", "dim"), as_json=as_json)


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of the log, and of the ones before it, the oldest first."""
    older = sorted(
        path.parent.glob(path.name + ".*"), key=lambda one: -int(one.suffix[1:]) if one.suffix[1:].isdigit() else 0
    )
    for one in (*older, path):
        if one.is_file():
            with one.open(encoding="utf-8", errors="replace") as lines:
                yield from lines
