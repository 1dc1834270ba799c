"""What is printed on this terminal: lines, notes, JSON. Loads nothing heavy."""

from __future__ import annotations

from typing import Any

import click

from pulsed.model.visible import visible, visible_json


def say(*lines: str, error: bool = False) -> None:
    """Print lines of text, in red on the error stream when it is an ``error``."""
    for line in lines:
        click.secho(visible(line), err=error, fg="red" if error else None)


def note(line: str) -> None:
    """Print a line about what is going on to the error stream, which leaves the output to the answer."""
    click.echo(visible(line), err=True)


def say_json(value: Any) -> None:
    """Print ``value`` as JSON for people."""
    import msgspec

    say_json_text(msgspec.json.format(msgspec.json.encode(value), indent=1).decode())


def say_json_line(value: Any) -> None:
    """Print ``value`` as JSON on one line, at once: for what comes one after the other."""
    import msgspec

    say_json_text(msgspec.json.encode(value).decode())


def say_json_text(text: str) -> None:
    """Print JSON, in which what a terminal would act on is written as JSON's own escapes."""
    click.echo(visible_json(text.rstrip("\n")))
