"""How far one job is, on the error stream while `pulsed run` waits for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from pulsed.cli.screens.terminal import plain
from pulsed.client import Client
from pulsed.client.following import followed, spoken
from pulsed.model.job import JobInfo


@contextlib.contextmanager
def shown(client: Client, job_id: str, console: Console) -> Iterator[None]:
    """Show on a terminal how far a job is, and for how long it has been waited for; elsewhere nothing."""
    if not console.is_terminal:
        yield
        return
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(20), TimeElapsedColumn()
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task(plain(f"job {job_id}").plain, total=None)

        def take(info: JobInfo) -> None:
            said = plain(f"job {info.job_id} {spoken(info)}").plain
            bars.update(task, description=said, total=info.chunks or None, completed=info.chunks_done)

        with followed(client, job_id, take):
            yield
