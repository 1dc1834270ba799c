import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pulsed.model.device import load_device

CONFIG = Path(__file__).parents[2] / "configs" / "sim5.toml"


BIAS = """
[instruments.bias]
driver = "gs200"
address = "TCPIP::127.0.0.1::5817::SOCKET"
"""


class RackProcess:
    """sim5 with a bias source in a process of its own; it ends with its standard input."""

    def __init__(self, ports="ephemeral"):
        self.directory = tempfile.TemporaryDirectory()
        config = Path(self.directory.name) / "rack.toml"
        config.write_text(CONFIG.read_text().replace("chips/", f"{CONFIG.parent}/chips/") + BIAS)
        command = [sys.executable, "-m", "pulsed.simulator.rack", "--device", str(config), "--ports", ports]
        self.process = subprocess.Popen(
            [*command, "--exit-with-stdin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        line = self.process.stdout.readline()
        assert line, f"the rack ended with {self.process.wait()}"
        ready = json.loads(line)
        self.addresses, self.control = ready["addresses"], ready["control"]
        self.device = load_device(config).with_addresses(self.addresses)

    @property
    def ports(self):
        return ",".join(self.addresses[name].split("::")[2] for name in self.device.instruments)

    def ask(self, operation, **fields):
        """Ask the control socket; return its whole answer."""
        host, port = self.control.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(json.dumps({"op": operation, **fields}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                return json.loads(answers.readline())

    def kill(self):
        self.process.kill()
        self.close()

    def close(self):
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()
        self.process.wait(30)
        self.directory.cleanup()


@pytest.fixture(scope="session")
def rack_process():
    process = RackProcess()
    yield process
    process.close()


@pytest.fixture
def start_rack():
    """Starts further processes, for tests that harm them."""
    processes = []

    def start(ports="ephemeral"):
        processes.append(RackProcess(ports))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
