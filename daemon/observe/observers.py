"""Everything that watches the daemon, started and ended with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from pulsed.daemon.observe.systemd import SystemdNotifier
from pulsed.wire.messages import Status


class Observers:
    """Watch one daemon. ``status`` tells how it is."""

    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status
        self._systemd = SystemdNotifier()

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch while the block runs."""
        tasks = [asyncio.create_task(self._systemd.run(self._status), name="tell systemd")]
        try:
            yield
        finally:
            self._systemd.stopping()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def ready(self) -> None:
        """Jobs are accepted."""
        self._systemd.ready()
