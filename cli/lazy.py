"""A group of commands of which each is imported when it is used: to list them needs click alone."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from pulsed.cli.screens.text import note

_MARGIN = 6
"""Columns that click leaves around a list of commands."""


class LazyGroup(click.Group):
    """A group that lists its commands in the order in which a person meets them, and imports the one that is used.

    Args:
        lazy: by name: where the command is, as ``module:attribute`` within ``pulsed.cli.commands``, and the first
            sentence of its help.
        former: what a command was called before, and what it is called now: the old name still works, with a note.
        arguments: those of :class:`click.Group`.

    """

    def __init__(
        self,
        *arguments: Any,
        lazy: Mapping[str, tuple[str, str]],
        former: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(*arguments, **more)
        self.lazy = lazy
        self.former = former or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; its module is imported."""
        if cmd_name not in self.commands and cmd_name in self.lazy:
            module, _, attribute = self.lazy[cmd_name][0].partition(":")
            found = getattr(importlib.import_module(f"pulsed.cli.commands.{module}"), attribute)
            self.add_command(found, cmd_name)
        return self.commands.get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant; an old name says what it is called now."""
        if args and (now := self.former.get(args[0])):
            path = ctx.command_path
            note(f"`{path} {args[0]}` is now `{path} {now}`; the old name goes in the next version")
            args = [now, *args[1:]]
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table."""
        limit = formatter.width - _MARGIN - max(map(len, self.lazy))
        rows = [(n, click.Command(n, help=text).get_short_help_str(limit)) for n, (_, text) in self.lazy.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names from the table."""
        found = [CompletionItem(n, help=text) for n, (_, text) in self.lazy.items() if n.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)
