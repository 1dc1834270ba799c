"""A compiler that tries to reach what it must not, when a circuit asks for it."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pulsed.compiler.compile import Compiler
from pulsed.model.errors import CircuitError
from pulsed.model.job import RunOptions

PROBE = "probe"
"""Name of the circuit."""


class ProbingCompiler(Compiler):
    """Compiles; a circuit called :data:`PROBE` fails with what the process could do, as JSON."""

    def compile(
        self, programs: Sequence[Any], options: RunOptions, gates: Any = None, bindings: Any = None
    ) -> list[Any]:
        """Compile, or probe."""
        if programs[0].name == PROBE:
            raise CircuitError(json.dumps(_probe(Path(os.environ["PULSED_TEST_SCRIPT"]).parent)))
        return super().compile(programs, options, gates, bindings)


def _probe(home: Path) -> dict[str, bool]:
    own = Path(os.environ["TMPDIR"]) / f"probe{os.getpid()}"
    return {
        "read the server's key": _can((home / "server.key").read_bytes),
        "read a client's key": _can((home / "clients" / "local.key").read_bytes),
        "read the store": _can((home / "pulsed.sqlite").read_bytes),
        "read the audit log": _can((home / "audit" / "head.json").read_bytes),
        "list the home directory": _can(lambda: list(home.iterdir())),
        "write in the home directory": _can(lambda: (home / "written").write_text("x")),
        "write beside the sources": _can(lambda: (Path(__file__).parent / "written").write_text("x")),
        "connect": _can(_connect),
        "signal the daemon": _can(lambda: os.kill(os.getppid(), signal.SIGURG)),
        "know the home by its environment": "PULSED_HOME" in os.environ,
        "write to its own folder": _can(lambda: own.write_text("x")),
    }


def _connect() -> None:
    """Connect to what this process listens on itself, so that only a refusal of the system keeps it from that."""
    with socket.socket() as listening:
        listening.listen()  # at a port of the system's choice
        socket.create_connection(listening.getsockname(), 1).close()


def _can(act: Callable[[], object]) -> bool:
    """Whether an act is not refused; one that fails in another way says nothing, and fails the probe."""
    try:
        act()
    except PermissionError:
        return False
    return True
