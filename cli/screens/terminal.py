"""The one console of all commands, and the tables they show: text is text, and numbers stay whole."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from pulsed.cli.screens.text import say_json
from pulsed.model.visible import visible

_PIPED = 200
"""Columns where the output goes to no terminal: what reads it cuts as it likes."""
_ANY_WIDTH = 1000
_WORDS = 18
"""Columns that a cell of words is shown in at least."""


class Terminal(Console):
    """A console on which a string is text: brackets are no markup, and nothing in it is obeyed by the terminal.

    Args:
        error: print to the error stream.
        options: those of :class:`rich.console.Console`.

    """

    def __init__(self, *, error: bool = False, **options: Any) -> None:
        super().__init__(stderr=error, highlight=False, markup=False, emoji=False, **options)
        if "width" not in options and not self.is_terminal and "COLUMNS" not in os.environ:
            self.width = _PIPED

    def render_str(self, text: str, **options: Any) -> Text:
        """Return ``text`` as it is, on one line."""
        return super().render_str(visible(text), **options | {"markup": False, "emoji": False, "highlight": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of anything, of which none holds what the terminal would act on."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield (
                segment
                if control or text == "\n" or (text.isascii() and text.isprintable())
                else Segment("\n".join(map(visible, text.split("\n"))), style)
            )


def plain(text: str, style: str = "") -> Text:
    """Return the text of somebody else for use beside others: on one line, with nothing to obey in it."""
    return Text(visible(text), style)


class PlainTable(Table):
    """A table in the style of all screens whose cells are whole: where it is too narrow for a column, the column goes.

    Only columns of words are wrapped. Below the table it says which columns are missing.
    """

    def __init__(self, less: Sequence[str], **options: Any) -> None:
        super().__init__(box=None, pad_edge=False, padding=(0, 2, 0, 0), **options)
        self._less = less

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what fits, then what does not by name."""
        wanted = [self._least(console, options, column) for column in self.columns]
        kept = list(range(len(self.columns)))
        named = [str(column.header) for column in self.columns]
        order = [named.index(name) for name in self._less]
        order += [k for k in reversed(kept[1:]) if k not in order]
        while order and sum(wanted[k] + 2 for k in kept) - 2 > options.max_width:
            kept.remove(order.pop(0))
        shown = copy.copy(self)
        shown.columns = [dataclasses.replace(self.columns[k], _index=place) for place, k in enumerate(kept)]
        yield from Table.__rich_console__(shown, console, options)
        if gone := [name for k, name in enumerate(named) if name and k not in kept]:
            yield Text(f"no room here for {', '.join(gone)}: see a wider terminal, or --json", "dim italic")

    def _least(self, console: Console, options: ConsoleOptions, column: Column) -> int:
        """Return how many columns of the terminal a column needs."""
        free = options.update(max_width=_ANY_WIDTH)
        cells = [column.header, *column.cells] if self.show_header else [*column.cells]
        most = max((Measurement.get(console, free, cell).maximum for cell in cells), default=0)
        return most if column.no_wrap else min(most, _WORDS)


def plain_table(
    *columns: str, title: str = "", right: Sequence[str] = (), words: Sequence[str] | None = None,
    less: Sequence[str] = (),
) -> Table:  # fmt: skip
    """Return an empty table in the style of all screens.

    Args:
        columns: their headings.
        title: above it.
        right: the columns that hold numbers.
        words: the columns that are wrapped where the terminal is narrow; None for all that hold no numbers.
        less: the columns that go first when there is no room for all of them whole; then the others go, from the last
            to the second.

    """
    wrapped = [column for column in columns if column not in right] if words is None else words
    table = PlainTable(less, title=title or None, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(
            visible(column), header_style="dim", justify="right" if column in right else "left", overflow="fold",
            no_wrap=column not in wrapped,
        )  # fmt: skip
    return table


def show_answer(value: Any, screen: RenderableType | None, *, as_json: bool) -> None:
    """Print ``value`` as JSON, or its ``screen``."""
    if as_json:
        say_json(value)
    else:
        Terminal().print(screen, crop=False)


def loading(what: str) -> AbstractContextManager[object]:
    """Say on the terminal what is being waited for, as long as the block runs: what measures takes seconds to load."""
    return Terminal(error=True).status(what)
