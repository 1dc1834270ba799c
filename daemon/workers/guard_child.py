"""The guard of the outputs as a child of the daemon."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Sequence

from pulsed.daemon.workers import outputs_guard
from pulsed.daemon.workers.pipe import pack
from pulsed.daemon.workers.supervisor import Child
from pulsed.model.payload import Part


class OutputsGuard(Child):
    """Keeps :mod:`pulsed.daemon.workers.outputs_guard` running, which outlives the daemon.

    Args:
        message: has a rack worker take over the instruments of one that has gone.
        changed: called after every step.

    """

    def __init__(self, message: Sequence[Part], changed: Callable[[], None]) -> None:
        worker = [sys.executable, "-m", "pulsed.daemon.workers.rack_worker"]
        super().__init__("outputs-guard", worker, changed)
        self._message = pack(message)
        self._read, self.write = -1, -1
        """Ends of the pipe; rack workers get the second one, and nobody else."""
        self._file = -1

    def start(self) -> None:
        """Start the process, with a pipe that lasts as long as the daemon."""
        self._read, self.write = os.pipe()
        os.set_blocking(self.write, False)  # a guard that is stopped must not stop a rack worker
        with tempfile.TemporaryFile() as file:
            file.write(self._message)
            file.flush()
            self._file = os.dup(file.fileno())
        super().start()

    async def stop(self, grace: float = 5.0) -> None:
        """End the process: what there was to do, the daemon has done."""
        await super().stop(grace)
        for handle in (self._read, self.write, self._file):
            os.close(handle)

    async def _spawn(self, **_: Sequence[int]) -> asyncio.subprocess.Process:
        return await super()._spawn(pass_fds=[self._read, self._file])

    def _argv(self) -> list[str]:
        # The first one has heard nothing, a later one does not know what the one before has heard.
        word = outputs_guard.TAKEN if self.restarts else outputs_guard.SAFE
        script = [sys.executable, "-S", "-E", outputs_guard.__file__]
        return [*script, str(self._read), str(self._file), word, *self._command]

    def _ask_to_end(self) -> None:
        self.kill()
