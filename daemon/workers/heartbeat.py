"""The heartbeat of a worker: one that gives no sign of life is ended, and another one takes its place."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from pulsed.daemon import logs
from pulsed.daemon.workers import messages
from pulsed.daemon.workers.rpc import WorkerRpc
from pulsed.daemon.workers.supervisor import ChildState

EVERY = 1.0
"""Seconds between two pings."""
MISSED = {ChildState.STARTING: 60, ChildState.UP: 7}
"""Pings without a sign of life after which the worker is taken for hung; one that starts imports for a while."""


class Heartbeat:
    """Asks the worker of ``rpc`` for signs of life: a process that is stopped, or stuck with all its threads, has none.

    Its thread that reads answers while the other one works, so a long request is no silence. One that is stuck alone
    is found by the deadline that each request bears.

    Args:
        rpc: the calls to the worker.
        computes: whether a worker that computes is alive, too: compiled code may keep its other thread from answering.

    """

    def __init__(self, rpc: WorkerRpc, *, computes: bool = False) -> None:
        self.rpc, self.computes = rpc, computes

    async def run(self) -> None:
        """Ping until cancelled."""
        worker, heard, missed = self.rpc.worker, (-1, 0), 0
        while True:
            # Pings are counted, not seconds: while this process was stopped nobody could be heard.
            await asyncio.sleep(EVERY)
            signs = worker.received, processor_time(worker.pid) if self.computes else 0
            silent = worker.state in MISSED and signs == heard
            heard, missed = signs, missed + 1 if silent else 0
            if silent and missed > MISSED[worker.state]:
                name = self.rpc.name
                log = logs.get(name.removesuffix(" worker"))
                log.error(f"the {name} hangs and is ended", seconds=missed * EVERY, pid=worker.pid)
                missed = 0
                self.rpc.kill()
            else:
                worker.send(messages.Ping())


def processor_time(pid: int) -> int:
    """Return the processor time that a process has had, in ticks of the system; 0 where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    return 0
