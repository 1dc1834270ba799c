"""The commands that ask the daemon something and show the answer."""

from __future__ import annotations

import time
from typing import Any

import click
import msgspec
from rich.console import Console, RenderableType

from pulsed.cli import screens
from pulsed.client import Client


def show(value: Any, screen: RenderableType | None, *, as_json: bool) -> None:
    """Print ``value`` as JSON, or its ``screen``."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(value), indent=1))
    else:
        Console(highlight=False).print(screen)


def status(url: str | None, key: str | None, *, as_json: bool) -> None:
    """Show how the daemon is."""
    with Client(url, key) as client:
        found = client.status()
    show(found, screens.status_screen(found, time.time()), as_json=as_json)


def jobs(limit: int, url: str | None, key: str | None, *, as_json: bool) -> None:
    """List the newest ``limit`` jobs."""
    with Client(url, key) as client:
        found = client.jobs(limit=limit)
    show(found, screens.jobs_screen(found), as_json=as_json)


def job(job_id: str, url: str | None, key: str | None, *, as_json: bool) -> None:
    """Show one job."""
    with Client(url, key) as client:
        found = client.job(job_id)
    show(found, screens.job_screen(found), as_json=as_json)


def cancel(job_id: str, url: str | None, key: str | None) -> None:
    """Cancel a job, or say that it had ended."""
    with Client(url, key) as client:
        cancelled = client.cancel(job_id)
    click.echo(f"{job_id} cancelled" if cancelled else f"{job_id} had ended before")


def stop(url: str | None, key: str | None) -> None:
    """Stop the daemon."""
    with Client(url, key) as client:
        client.stop_daemon()
    click.echo("the daemon stops")
