"""What a notebook shows of a value. All text is escaped: names and reasons are what users wrote."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

_CELL = 'style="text-align: left; vertical-align: top"'


def heading(text: str) -> str:
    """Return a line in bold."""
    return f"<div><b>{escape(text)}</b></div>"


def line(text: str) -> str:
    """Return a line."""
    return f"<div>{escape(text)}</div>"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; a row may be shorter than ``columns``."""
    head = "".join(f"<th {_CELL}>{escape(column)}</th>" for column in columns)
    cells = ("".join(f"<td {_CELL}>{escape(str(cell))}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def folded(summary: str, content: str) -> str:
    """Return what is shown once somebody opens it; ``content`` is HTML."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def image(png: bytes, description: str) -> str:
    """Return a picture."""
    return f'<img alt="{escape(description)}" src="data:image/png;base64,{b64encode(png).decode()}">'
