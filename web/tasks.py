"""Commands that measure, started from a page: what they say, and how they are stopped."""

from __future__ import annotations

import itertools
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from pulsed.client.speaking import person
from pulsed.model.errors import BusyError, NotFoundError
from pulsed.model.visible import visible
from pulsed.web.children import CommandLine

_KEPT = 20
_AT_ONCE = 4
_ENDING = 20.0
"""Seconds that a command has to stop when the page ends: its job is cancelled, and what it measured is written."""


@dataclass
class Task:
    """One command."""

    number: int
    words: tuple[str, ...]
    person: str
    child: subprocess.Popen[bytes]
    started: float
    """Unix time, seconds."""
    ended: float = 0.0
    code: int | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=200))

    @property
    def command(self) -> str:
        """The command as one types it."""
        return shlex.join(("pulsed", *self.words))

    @property
    def state(self) -> str:
        """``running``, ``done``, or ``failed`` (something that it measured was not good, or it could not)."""
        return (
            "running"
            if self.code is None
            else "done"
            if self.code == 0
            else "cancelled"
            if self.code == 130
            else "failed"
        )


class Tasks:
    """The commands of this page, the last ones; ``tell`` is called when one has begun, says something, or ended."""

    def __init__(self, commands: CommandLine, tell: Callable[[], None]) -> None:
        self._commands, self._tell = commands, tell
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._tasks: dict[int, tuple[Task, threading.Thread]] = {}

    def listed(self) -> list[Task]:
        """Return them, the newest first."""
        with self._lock:
            return [task for task, _ in reversed(self._tasks.values())]

    def start(self, url: str, *words: str) -> Task:
        """Start a command. Raises :class:`BusyError` when there are many already."""
        with self._lock:
            if sum(task.code is None for task, _ in self._tasks.values()) >= _AT_ONCE:
                raise BusyError(
                    "so many commands run already: wait for one, or stop it", subject="this page", value=_AT_ONCE,
                    legal=f"up to {_AT_ONCE}",
                )  # fmt: skip
            task = Task(next(self._numbers), words, person(), self._commands.start(url, *words), time.time())
            thread = threading.Thread(target=self._follow, args=(task,), name=f"task-{task.number}", daemon=True)
            self._tasks[task.number] = task, thread
            for number in list(self._tasks):
                if len(self._tasks) > _KEPT and self._tasks[number][0].code is not None:
                    del self._tasks[number]
            thread.start()
        self._tell()
        return task

    def stop(self, number: int) -> Task:
        """Stop a command as Ctrl-C does; it cancels its job and keeps what it has. Raises :class:`NotFoundError`."""
        with self._lock:
            if number not in self._tasks:
                raise NotFoundError("no such command", value=number, legal=", ".join(map(str, self._tasks)) or "none")
            task = self._tasks[number][0]
        if task.code is None:
            task.child.send_signal(signal.SIGINT)
        return task

    def close(self) -> None:
        """Stop all, and wait until they have."""
        with self._lock:
            running = [(task, thread) for task, thread in self._tasks.values() if task.code is None]
        for task, _ in running:
            task.child.send_signal(signal.SIGINT)
        until = time.monotonic() + _ENDING
        for task, thread in running:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                task.child.kill()

    def _follow(self, task: Task) -> None:
        assert task.child.stdout is not None
        for line in task.child.stdout:
            said = visible(line.decode(errors="replace").rstrip())
            if said:
                task.lines.append(said)
                self._tell()
        task.child.stdout.close()
        code = task.child.wait()
        task.ended, task.code = time.time(), code
        self._tell()
