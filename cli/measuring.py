"""What all commands that measure share: they stop cleanly, and their jobs may stand behind those of others."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from pulsed.client import Client
from pulsed.client.home import home_directory
from pulsed.model.job import JobInfo, JobRequest
from pulsed.model.payload import Part


class Behind(Client):
    """A client whose jobs all have the priority ``priority``."""

    def __init__(self, url: str | None, key: Path | str | None, priority: int) -> None:
        super().__init__(url, key)
        self._priority = priority

    def submit(self, request: JobRequest, parts: Sequence[Part], backend: str | None = None) -> JobInfo:
        """Submit a job with this client's priority; see :meth:`pulsed.client.Client.submit`."""
        return super().submit(msgspec.structs.replace(request, priority=self._priority), parts, backend)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM, and SIGINT even for a child of a shell's background, do what Ctrl-C does at a terminal.

    The job under way is cancelled, so that the outputs go off, and what has been measured is written.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def data_folder(data: str | None) -> Path:
    """Return the folder of the runs' files; it is made when it is not there."""
    folder = home_directory() / "runs" if data is None else Path(data)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
