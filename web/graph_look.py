"""Looks at the calibration graph in a process of its own: the pages shall not load what knows it."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from pulsed.model.errors import PulsedError

_LONGEST = 300.0
"""Seconds that a look may take."""


class GraphNode(msgspec.Struct, frozen=True):
    """How a routine on a target stands, as ``pulsed cal graph --json`` says it; times are Unix times, seconds."""

    routine: str
    target: str
    status: str
    why: str = ""
    calibrated: float | None = None
    seen: float | None = None


_read = msgspec.json.Decoder(list[GraphNode]).decode


class GraphLook:
    """What was seen at the last look; ``command()`` prints the nodes, ``tell`` is called when there are new ones."""

    def __init__(
        self, command: Callable[[], Sequence[str]], tell: Callable[[], None],
        environment: Callable[[], Mapping[str, str] | None] = lambda: None,
    ) -> None:  # fmt: skip
        self._command, self._tell, self._environment = command, tell, environment
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self.nodes: tuple[GraphNode, ...] = ()
        self.problem = ""
        """Why the last look came to nothing."""
        self.looked = 0.0
        """When it was (Unix time, seconds); 0 before the first."""
        self.looking = False
        self._closed = False

    def look(self) -> None:
        """Begin to look, unless somebody does already; nobody waits for it."""
        with self._lock:
            if self.looking or self._closed:
                return
            self.looking = True
            self._thread = threading.Thread(target=self._look, name="graph-look", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End a look under way."""
        with self._lock:
            self._closed = True
            child, thread = self._child, self._thread
        if child is not None:
            child.kill()
        if thread is not None:
            thread.join()

    def _look(self) -> None:
        problem, nodes = "", self.nodes
        try:
            child = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=self._environment(),
            )  # fmt: skip
            with self._lock:
                self._child = child
                if self._closed:  # before there was a child to end
                    child.kill()
            out, said = child.communicate(timeout=_LONGEST)
            if child.returncode:
                problem = said.decode(errors="replace").strip().rpartition("\n")[2] or f"exit code {child.returncode}"
            else:
                nodes = tuple(_read(out))
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            problem = f"it took longer than {_LONGEST:g} s"
        except (OSError, msgspec.MsgspecError, PulsedError) as error:
            problem = str(error)
        with self._lock:
            self.nodes, self.problem, self.looked, self.looking, self._child = nodes, problem, time.time(), False, None
        self._tell()
