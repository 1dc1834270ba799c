"""Looks at the calibration graph now and then, in a process of its own: a daemon shall not load what it takes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pulsed.daemon import logs
from pulsed.daemon.maintenance import OneShotProcess
from pulsed.daemon.observe.snapshot import CalibrationHealth

FIRST = 120.0
"""Seconds after the start of the daemon, which has enough to do until then."""
SETTLING = 20.0
"""Seconds after a change of the active set: changes come in rows."""
_LONGEST = 300.0
_OUT_OF_SPEC = "a check found out of spec"


class _Node(msgspec.Struct):
    routine: str
    target: str
    status: str
    why: str = ""


_read = msgspec.json.Decoder(list[_Node]).decode


class CalibrationLook:
    """Runs ``command``, which prints the state of all nodes as JSON, every ``every`` seconds and after changes.

    ``output`` is the file for what it prints; ``looked`` is called after each look.
    """

    def __init__(self, command: Sequence[str], output: Path, every: float, looked: Callable[[], None]) -> None:
        self.health = CalibrationHealth()
        self._every, self._output, self._looked = every, output, looked
        self._process = OneShotProcess("calibration-look", ["nice", "-n", "19", *command], lambda: None, output)
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Another set is active: look again soon."""
        self._changed.set()

    async def run(self) -> None:
        """Look until cancelled."""
        await asyncio.sleep(FIRST)
        while True:
            self._changed.clear()
            await self.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self._every)
                await asyncio.sleep(SETTLING)

    async def look(self) -> None:
        """Look once; a look that comes to nothing leaves what was known."""
        self._output.parent.mkdir(parents=True, exist_ok=True)
        self._output.unlink(missing_ok=True)
        try:
            code = await self._process.run(_LONGEST)
            self.health = health_of(self._output.read_bytes(), time.time())
        except (OSError, msgspec.MsgspecError) as error:
            logs.get("calibration").warning("could not look at the graph", error=str(error))
            return
        logs.get("calibration").info("looked at the graph", code=code, **self.health.nodes)
        self._looked()


def health_of(printed: bytes, now: float) -> CalibrationHealth:
    """Return what ``pulsed cal graph --json`` has printed. Raises ``MsgspecError`` for anything else."""
    nodes = _read(printed)
    drifted = tuple(f"{node.routine} {node.target}" for node in nodes if node.why.startswith(_OUT_OF_SPEC))
    return CalibrationHealth(now, Counter(node.status for node in nodes), drifted)


def look_command(python: str, url: str, key: str) -> Sequence[str]:
    """Return the command that looks once, with the key file ``key``."""
    return (python, "-m", "pulsed.cli", "cal", "graph", "--url", url, "--key", key, "--json")
