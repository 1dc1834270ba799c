"""The heartbeat of the rack worker: one that gives no sign of life is ended, and another one takes its place."""

from __future__ import annotations

import asyncio

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

    Its thread that reads answers while the other one plays, so a long chunk is no silence. One that is stuck alone is
    found by the deadline that each request bears.
    """

    def __init__(self, rpc: WorkerRpc) -> None:
        self.rpc = rpc

    async def run(self) -> None:
        """Ping until cancelled."""
        worker, heard, missed = self.rpc.worker, -1, 0
        while True:
            # Pings are counted, not seconds: while this process was stopped nobody could be heard.
            await asyncio.sleep(EVERY)
            silent = worker.state in MISSED and worker.received == heard
            heard, missed = worker.received, missed + 1 if silent else 0
            if silent and missed > MISSED[worker.state]:
                logs.get("rack").error("the rack worker hangs and is ended", seconds=missed * EVERY, pid=worker.pid)
                missed = 0
                self.rpc.kill()
            else:
                worker.send(messages.Ping())
