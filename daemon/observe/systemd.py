"""Tells systemd that the daemon is ready, what it does, and that its event loop turns (sd_notify(3))."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, MutableMapping

from pulsed.wire.messages import Status

_STATUS_EVERY = 5.0
"""Seconds between two looks at the status, where no watchdog asks for more."""
_BEATS = 3
"""Signs of life within the time that the watchdog gives: one may be lost, and one late."""


class SystemdNotifier:
    """Sends datagrams to the socket that ``environment`` names; does nothing where it names none.

    The variables are taken out of ``environment``: children of the daemon have nothing to say there.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        self._address = environment.pop("NOTIFY_SOCKET", "")
        microseconds = environment.pop("WATCHDOG_USEC", "")
        meant = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog = int(microseconds) / 1e6 if microseconds.isdecimal() and meant else 0.0
        """Seconds without a sign of life after which systemd ends the daemon; 0: it waits for none."""
        self._said = ""

    def ready(self) -> None:
        """Jobs are accepted."""
        self._send("READY=1")

    def stopping(self) -> None:
        """The daemon ends."""
        self._send("STOPPING=1")

    async def run(self, status: Callable[[], Status]) -> None:
        """Say how the daemon is, and that it lives, until cancelled."""
        if not self._address:
            return
        every = min(_STATUS_EVERY, self.watchdog / _BEATS) if self.watchdog else _STATUS_EVERY
        while True:
            if self.watchdog:
                self._send("WATCHDOG=1")
            if (line := status_line(status())) != self._said:
                self._said = line
                self._send(f"STATUS={line}")
            await asyncio.sleep(every)

    def _send(self, text: str) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)  # who does not read must not stop the daemon
            sender.sendto(text.encode(), address)


def status_line(status: Status) -> str:
    """Return the line that `systemctl status` shows."""
    state = "operational" if status.operational else f"not operational: {status.message}"
    jobs = f"{status.pending_jobs} waiting, {status.running or 'none'} on the rack"
    return " ".join(f"{status.backend}: {state}; jobs: {jobs}".split())
