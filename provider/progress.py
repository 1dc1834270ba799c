"""How far a job is, on a terminal or in a notebook, while a program waits for it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from pulsed.client.following import followed, spoken
from pulsed.model.job import FINAL_STATES, JobInfo

if TYPE_CHECKING:
    from pulsed.client import Client


class _Bar:
    """A job as a notebook shows it: a bar, and the words beside it; as text the words alone."""

    def __init__(self, job_id: str, info: JobInfo | None = None) -> None:
        self._job_id, self._info = job_id, info

    def __repr__(self) -> str:
        return f"job {self._job_id}" + ("" if self._info is None else f" {spoken(self._info)}")

    def _repr_html_(self) -> str:
        info, bar = self._info, "<progress></progress>"
        if info is not None and (info.chunks or info.state in FINAL_STATES):
            done, of = (1, 1) if info.state in FINAL_STATES else (info.chunks_done, info.chunks)
            bar = f'<progress value="{done}" max="{of}"></progress>'
        return f"{bar} {escape(repr(self))}"


def _notebook() -> Any:
    """Return IPython's display function in a notebook, None elsewhere."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython
    from IPython.display import display

    shell = get_ipython()
    return display if shell is not None and getattr(shell, "kernel", None) is not None else None


@contextlib.contextmanager
def shown(client: Client, job_id: str) -> Iterator[None]:
    """Show how far a job is inside of the block."""
    display = _notebook()
    if display is not None:
        handle = display(_Bar(job_id), display_id=True)
        with followed(client, job_id, lambda info: handle.update(_Bar(job_id, info))):
            yield
            handle.update(_Bar(job_id, client.job(job_id)))
        return
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(20), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(f"job {job_id}", total=None)

        def take(info: JobInfo) -> None:
            said = f"job {info.job_id} {spoken(info)}"
            bars.update(task, description=said, total=info.chunks or None, completed=info.chunks_done)

        with followed(client, job_id, take):
            yield
