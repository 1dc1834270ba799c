"""`pulsed config`: rack configurations."""

from __future__ import annotations

import click

from pulsed.cli.options import as_json_option


@click.group()
def config() -> None:
    """Check rack configurations."""


@config.command()
@click.argument("file", metavar="FILE|NAME")
@as_json_option
@click.pass_context
def check(context: click.Context, file: str, as_json: bool) -> None:
    """Check a rack configuration: every problem with its key, the bad value and the legal ones."""
    from pulsed.cli.config_check import check as check_file  # drivers, simulator and provider are loaded for it

    context.exit(check_file(file, as_json=as_json))
