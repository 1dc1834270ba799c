"""Child processes that are kept alive: started again with growing pauses, ended from the outside in.

Ending goes request → SIGTERM → SIGKILL. No child outlives the daemon: a worker sees the end of its pipe, and the kernel
ends the others, when the daemon is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from pulsed.daemon import logs
from pulsed.daemon.workers import messages, parent_death
from pulsed.daemon.workers.pipe import DaemonPipe
from pulsed.model.errors import IllegalStepError
from pulsed.model.payload import Part
from pulsed.wire.messages import WorkerStatus

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 10.0
_WELL_AFTER = 20.0
"""Seconds of life after which a child that ends is started again without a longer pause."""
_LAST_WORDS = 4096
"""Bytes of a child's output that are looked through for the reason of its end."""
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}

MessageParts = list[memoryview]


class ChildState(StrEnum):
    """Where a child process is."""

    DOWN = "down"
    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"


_S = ChildState
CHILD_STEPS: dict[ChildState, frozenset[ChildState]] = {
    _S.DOWN: frozenset({_S.STARTING}),
    _S.STARTING: frozenset({_S.UP, _S.DOWN, _S.STOPPING}),
    _S.UP: frozenset({_S.DOWN, _S.STOPPING}),
    _S.STOPPING: frozenset({_S.DOWN}),
}
"""The legal steps."""


class Child:
    """One command that is kept running. ``changed`` is called after every step."""

    def __init__(
        self, name: str, command: Sequence[str], changed: Callable[[], None], output: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ):  # fmt: skip
        self.name = name
        self.state = ChildState.DOWN
        self.restarts = 0
        self.last_words = ""
        """The last line of what it wrote when it last ended by itself, for a reason; empty once it lives long."""
        self.failed = asyncio.Event()
        """It has ended by itself, for a reason."""
        self.exit_code: int | None = None
        """Of the process that ended last; the negative number of the signal that killed it."""
        self.confined = ""
        """What keeps it from keys, store and network, in words."""
        self._command, self._changed, self._output = list(command), changed, output
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._wanted = False
        self._spoken = 0

    @property
    def pid(self) -> int:
        """Of the process, 0 when there is none."""
        return self._process.pid if self._process is not None else 0

    def status(self) -> WorkerStatus:
        """Return the child as it is told to clients."""
        return WorkerStatus(str(self.state), self.pid, self.restarts, self.confined if self.pid else "")

    def start(self) -> None:
        """Start the process and keep it running until :meth:`stop`."""
        self._wanted = True
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    def kill(self) -> None:
        """End the process at once; it is started again."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        # Not the method of the process: that one looks for the exit code first and takes it from who waits for it.
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    async def stop(self, grace: float = 5.0) -> None:
        """End the process for good."""
        self._wanted = False
        process = self._process
        if process is not None:
            await self._end(process, grace)
        if self._keeper is not None:
            if process is None:
                self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    async def _end(self, process: asyncio.subprocess.Process, grace: float) -> None:
        """End a process from the outside in; when this returns it has gone, or cannot be ended."""
        self._step(ChildState.STOPPING)
        for end, seconds in (
            (self._ask_to_end, grace),
            (lambda: self._signal(signal.SIGTERM), 2.0),
            (self.kill, 5.0),
        ):
            end()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await process.wait()
                return

    def _step(self, state: ChildState) -> None:
        if state not in CHILD_STEPS[self.state]:
            legal = ", ".join(sorted(CHILD_STEPS[self.state]))
            raise IllegalStepError(f"cannot go from {self.state} to {state}", subject=f"child {self.name}", legal=legal)
        self.state = state
        logs.get("supervisor").info("child", child=self.name, state=str(state), pid=self.pid)
        self._changed()

    async def _keep(self) -> None:
        pause = _FIRST_PAUSE
        while self._wanted:
            born = time.monotonic()
            self._process = await self._spawn()
            self.exit_code = None
            self._step(ChildState.STARTING)
            await self._started()
            self.exit_code = code = await self._process.wait()
            await self._ended()
            self._process = None
            self._hear(code, time.monotonic() - born)
            if self._wanted:
                logs.get("supervisor").warning("a child process ended", child=self.name, code=code)
            self._step(ChildState.DOWN)
            if not self._wanted:
                return
            pause = _FIRST_PAUSE if time.monotonic() - born > _WELL_AFTER else min(pause * 2, _LONGEST_PAUSE)
            self.restarts += 1
            await asyncio.sleep(pause)

    def _hear(self, code: int, lived: float) -> None:
        """Keep what a process that ended by itself has said last; one that was killed had no say in it."""
        if self._wanted and code > 0 and self._output is not None:
            with contextlib.suppress(OSError), self._output.open("rb") as output:
                output.seek(max(self._spoken, output.seek(0, os.SEEK_END) - _LAST_WORDS))
                lines = output.read().decode(errors="replace").split("\n")
                self.last_words = next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {code}")
            self.failed.set()
        elif lived > _WELL_AFTER:
            self.last_words = ""

    async def _spawn(self, **handles: Sequence[int]) -> asyncio.subprocess.Process:
        if self._output is not None:
            logs.begin_again(self._output)
            self._spoken = self._output.stat().st_size if self._output.exists() else 0
        output = None if self._output is None else self._output.open("ab")
        try:
            return await asyncio.create_subprocess_exec(
                *self._argv(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**_ENVIRONMENT, **(os.environ if self._environment is None else self._environment)},
                pass_fds=handles.get("pass_fds", ()),
            )  # fmt: skip
        finally:
            if output is not None:
                output.close()

    def _argv(self) -> list[str]:
        return [sys.executable, "-S", "-E", parent_death.__file__, str(os.getpid()), *self._command]

    async def _started(self) -> None:
        self._step(ChildState.UP)

    async def _ended(self) -> None:
        pass

    def _ask_to_end(self) -> None:
        self._signal(signal.SIGTERM)


class Worker(Child):
    """A child that runs a module of ours and speaks over a pipe.

    ``on_message`` gets what it says; ``on_end`` is called when it has gone, whatever it was doing.
    """

    def __init__(
        self, name: str, module: str, hello: Callable[[], list[Part]], changed: Callable[[], None],
        on_message: Callable[[MessageParts], None], on_end: Callable[[], None],
        environment: Mapping[str, str] | None = None,
    ):  # fmt: skip
        super().__init__(name, [sys.executable, "-m", module], changed, environment=environment)
        self._hello, self._on_message, self._on_end = hello, on_message, on_end
        self.handles: Sequence[int] = ()
        """Files that the process gets, beside its pipe: their numbers are its last arguments."""
        self._pipe: DaemonPipe | None = None
        self._theirs: socket.socket | None = None

    @property
    def received(self) -> int:
        """Bytes that came from the process; 0 when there is none."""
        return 0 if self._pipe is None else self._pipe.received

    def send(
        self,
        request: messages.AnyRequest,
        parts: Sequence[Part] = (),
    ) -> None:
        """Give a request; nothing happens when the worker has gone."""
        if self._pipe is not None:
            self._pipe.send([messages.encode(request), *parts])

    def interrupt(self) -> None:
        """Have the worker leave what it does."""
        self._signal(signal.SIGUSR1)

    def up(self) -> None:
        """The worker has said that it is ready; too late when it is being ended."""
        if self.state is ChildState.STARTING:
            self._step(ChildState.UP)

    async def _spawn(self, **_: Sequence[int]) -> asyncio.subprocess.Process:
        ours, theirs = socket.socketpair()
        with theirs:
            self._theirs = theirs
            process = await super()._spawn(pass_fds=[theirs.fileno(), *self.handles])
            self._theirs = None
        ours.setblocking(False)
        pipe = DaemonPipe(self._on_message, self._lost)
        await asyncio.get_running_loop().create_connection(lambda: pipe, sock=ours)
        self._pipe = pipe
        return process

    def _argv(self) -> list[str]:
        handle = self._theirs.fileno() if self._theirs is not None else -1
        return [*self._command, str(handle), str(os.getpid()), *map(str, self.handles)]

    def _lost(self) -> None:
        """The pipe has ended: so will the process, by itself or now."""
        self._pipe = None
        if self._wanted:
            self.kill()

    async def _started(self) -> None:
        assert self._pipe is not None
        self._pipe.send(self._hello())

    async def _ended(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        self._on_end()

    def _ask_to_end(self) -> None:
        self.send(messages.Quit())
