"""Commands of the command line as children of the page: what needs more than a page should load, and what measures."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from pulsed.client.speaking import VARIABLE, person
from pulsed.model.errors import BusyError, InvalidValueError
from pulsed.model.visible import visible

_LONGEST = 300.0
"""Seconds that a question may take."""
_AT_ONCE = threading.BoundedSemaphore(2)
"""Questions: each is a process that loads much."""
_WAITING = threading.BoundedSemaphore(2 + 4)
"""Questions, with those that wait for their turn; who comes then is told so at once."""
_PATIENCE = 60.0
"""Seconds that a question waits for its turn."""
_THREADS = anyio.CapacityLimiter(12)
"""Of pages that ask; those of all others are the server's, which none of these can take away."""


class CommandLine:
    """Runs `pulsed COMMAND` with a key on a daemon, in the name of who is signed in.

    Args:
        key: the file of the key.
        home: the home directory; None for the usual one.

    """

    def __init__(self, key: str, home: str | None) -> None:
        self._key, self._home = key, home

    def words(self, url: str | None, *words: str) -> list[str]:
        """Return the words of a process, with the daemon's ``url`` and the key; None for a command without daemon."""
        daemon = [] if url is None else ["--url", url, "--key", self._key]
        return [sys.executable, "-m", "pulsed.cli", *words[: _depth(words)], *daemon,
                *words[_depth(words):]]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """Return what the process finds in its environment."""
        home = {} if self._home is None else {"PULSED_HOME": self._home}
        return {**os.environ, **home, VARIABLE: person(), "NO_COLOR": "1", "COLUMNS": "160"}

    def start(self, url: str | None, *words: str) -> subprocess.Popen[bytes]:
        """Start a command whose output is read as it comes."""
        return subprocess.Popen(
            self.words(url, *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=self.environment(),
        )  # fmt: skip

    def ask(self, url: str | None, *words: str, good: Sequence[int] = (0,)) -> bytes:
        """Return what a command prints. Raises :class:`InvalidValueError` with what it says when it fails."""
        with _turn(words[0]):
            return self._answer(url, *words, good=good)

    def _answer(self, url: str | None, *words: str, good: Sequence[int]) -> bytes:
        try:
            done = subprocess.run(
                self.words(url, *words), stdin=subprocess.DEVNULL, capture_output=True, timeout=_LONGEST, check=False,
                env=self.environment(),
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise BusyError(f"took longer than {_LONGEST:g} s", subject=f"pulsed {words[0]}") from error
        if done.returncode not in good:
            said = visible(done.stderr.decode(errors="replace").strip()).removeprefix("error: ")
            raise InvalidValueError(said.rpartition("\n")[2] or f"exit code {done.returncode}", subject="the command")
        return done.stdout


@contextlib.contextmanager
def _turn(name: str) -> Iterator[None]:
    """Wait for a turn. Raises :class:`BusyError` when many wait already, or when it does not come."""
    busy = BusyError("too much is asked for at once: try it again in a moment", subject=f"pulsed {name}")
    if not _WAITING.acquire(blocking=False):
        raise busy
    try:
        if not _AT_ONCE.acquire(timeout=_PATIENCE):
            raise busy
        try:
            yield
        finally:
            _AT_ONCE.release()
    finally:
        _WAITING.release()


def asking(endpoint: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that asks as one that waits in a thread of its own kind: Stop now never waits for it."""

    async def asked(request: Request) -> Response:
        return await anyio.to_thread.run_sync(endpoint, request, limiter=_THREADS)

    return asked


class Answers:
    """What commands printed in the last ``seconds``, the last ones; one that is asked for twice at once runs once."""

    def __init__(self, most: int = 16, seconds: float = float("inf")) -> None:
        self._most, self._seconds = most, seconds
        self._lock = threading.Lock()
        self._made: OrderedDict[str, tuple[threading.Lock, list[tuple[float, bytes]]]] = OrderedDict()

    def get(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return what ``make`` printed under this name, now or before."""
        with self._lock:
            turn, made = self._made.setdefault(name, (threading.Lock(), []))
            self._made.move_to_end(name)
            while len(self._made) > self._most:
                self._made.popitem(last=False)
        with turn:
            if not made or time.monotonic() - made[0][0] > self._seconds:
                made[:] = [(time.monotonic(), make())]
            return made[0][1]

    def forget(self) -> None:
        """Make all anew from now on."""
        with self._lock:
            self._made.clear()


def _depth(words: Sequence[str]) -> int:
    """Return of how many words the name of a command is made: ``cal run``, ``audit list``, ``note``."""
    return 2 if words[0] in ("cal", "audit", "keys", "queue") else 1
