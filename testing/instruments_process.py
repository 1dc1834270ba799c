"""The simulated rack as a test has it: in a process of its own, asked past the daemon, killed, and started again."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

from pulsed.testing.daemon_process import CONFIGS
from pulsed.testing.jobs import PATIENCE

OUTPUTS = {"awg1": ("OUTP1?", "OUTP2?", "OUTP3?", "OUTP4?"), "awg2": ("OUTP1?", "OUTP2?"), "sgs1": ("OUTP?",)}
"""A query of each output that a job of these tests may have switched on."""


class InstrumentsProcess:
    """The simulated rack in a process of its own; started again it has the same addresses.

    Args:
        options: of its command line, such as ``"--real-time"``.
        device: file of the device description.

    """

    def __init__(self, *options: str, device: Path = CONFIGS / "sim5.toml") -> None:
        self.addresses: dict[str, str] = {}
        self.control = ""
        """HOST:PORT of its control socket."""
        self._options, self._device = options, device
        self.start()

    def start(self) -> None:
        """Start the process and wait until it listens."""
        ports = ",".join(address.split("::")[2] for address in self.addresses.values()) or "ephemeral"
        command = [sys.executable, "-m", "pulsed.simulator.rack", "--device", str(self._device)]
        command += ["--ports", ports, "--exit-with-stdin", *self._options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self.addresses, self.control = told["addresses"], told["control"]

    def say(self, name: str, line: str) -> str:
        """Send one line to an instrument and return its answer; the line ends in a query."""
        _, host, port, _ = self.addresses[name].split("::")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as peer, peer.makefile("rb") as answers:
            peer.sendall(line.encode() + b"\n")
            return answers.readline().decode().strip()

    def on(self) -> set[str]:
        """Return the outputs that are on."""
        return {
            f"{name} {query}" for name, queries in OUTPUTS.items() for query in queries if self.say(name, query) == "1"
        }

    def kill(self) -> None:
        """End the process at once, as when the power fails."""
        self.process.kill()
        self._gone()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._gone()

    def _gone(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.wait(PATIENCE)
