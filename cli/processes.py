"""A daemon of one's own: started, waited for, and gone when the caller is, whichever way the caller ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from pulsed.client import Client
from pulsed.model.errors import ConnectionFailedError, WorkerDiedError

_TICK = 0.02
"""Seconds between two looks at a process that starts; nothing can push before it is there."""


class OwnDaemon:
    """`pulsed serve` as a child of this process, in ``home``.

    It runs in a session of its own, so that Ctrl-C reaches the caller alone, and it ends when its standard input
    closes, so that it does not outlive a caller that is killed.
    """

    def __init__(self, home: Path, config: str = "sim5", emulated: bool = False) -> None:
        self.home = home
        self.emulated = emulated
        """Whether the instruments of the configuration are emulated beside it."""
        self.config = config
        self.log = home / "serve.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._pids: set[int] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of the daemon. Raises :class:`WorkerDiedError` when it does not run."""
        if self._process is None:
            raise WorkerDiedError("is not running", subject="daemon")
        return self._process.pid

    def start(self) -> None:
        """Start the process; :meth:`wait` says when it answers."""
        command = [sys.executable, "-m", "pulsed.cli", "serve", "--config", self.config, "--home", str(self.home)]
        command += ["--url", "tcp://127.0.0.1:*", "--exit-with-stdin", *(["--emulated"] if self.emulated else [])]
        self.home.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )

    def wait(self, deadline: float = 120.0) -> Client:
        """Return a client once the rack plays.

        Raises :class:`WorkerDiedError` when the daemon ends, :class:`ConnectionFailedError` after ``deadline`` seconds.
        """
        end = time.monotonic() + deadline
        client: Client | None = None
        try:
            while time.monotonic() < end:
                self._check_alive()
                if client is None and (self.home / "daemon.json").exists():
                    client = Client(home=self.home).connect()
                if client is not None:
                    status = client.status()
                    self._pids |= {worker.pid for worker in status.workers.values() if worker.pid}
                    if status.operational:
                        return client
                time.sleep(_TICK)
            raise ConnectionFailedError(f"the daemon was not ready within {deadline:g} s{self._last_words()}")
        except BaseException:
            if client is not None:
                client.close()
            raise

    def _check_alive(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise WorkerDiedError(
                f"ended at its start{self._last_words()}",
                subject="daemon",
                value=f"exit code {self._process.returncode}",
            )

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return f"; the last line of its log: {lines[-1]}" if lines else ""

    def stop(self, grace: float = 15.0) -> int | None:
        """Stop the daemon and all that it started; return its exit code. Asks, then terminates, then kills."""
        process = self._process
        if process is None:
            return None
        assert process.stdin is not None
        # Ctrl-C while stopping must not leave anything behind.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN) if _in_main_thread() else None
        try:
            for end, seconds in ((process.stdin.close, grace), (process.terminate, 5.0), (process.kill, 5.0)):
                end()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
                    break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        finally:
            if before is not None:
                signal.signal(signal.SIGINT, before)
        self._process = None
        return process.returncode

    def survivors(self) -> list[int]:
        """Return the processes that the daemon told of and that are still there; after :meth:`stop` there are none."""
        return sorted(pid for pid in self._pids if _is_alive(pid))


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
