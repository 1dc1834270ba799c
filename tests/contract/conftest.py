import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from pulsed.model.device import load_device
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.instruments.conductor import Conductor
from pulsed.simulator.instruments.fault_board import FaultBoard
from pulsed.simulator.instruments.server import InstrumentServer
from pulsed.simulator.rack import build_instruments, choose_ports, connect_cables

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


def _server(driver, name, instrument):
    if driver != "qblox":
        return InstrumentServer(name, instrument)
    from pulsed.simulator.instruments.qblox.server import ClusterServer

    return ClusterServer(name, instrument)


class Behind:
    """A rack of ``config`` in a thread of this process: ``device`` has its addresses, ``last`` what it played last."""

    def __init__(self, config, chip, real_time=False):
        described = load_device(config)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        engine = Engine(load_chip(chip), 1)
        self.conductor = Conductor(engine, self.loop.call_soon_threadsafe, real_time)
        self.device = asyncio.run_coroutine_threadsafe(self._open(described, engine.chip), self.loop).result(30)

    async def _open(self, described, chip):
        instruments = build_instruments(described, self.conductor)
        connect_cables(described, chip, instruments, self.conductor)
        endpoints, addresses, self.servers = choose_ports(described, "ephemeral"), {}, {}
        for name, instrument in instruments.items():
            self.servers[name] = _server(described.instruments[name].driver, name, instrument)
            host, wanted = endpoints[name]
            addresses[name] = f"TCPIP::{host}::{await self.servers[name].open(host, wanted)}::SOCKET"
        return described.with_addresses(addresses)

    def ask(self, operation, **fields):
        """Set and clear faults as the control socket does."""
        task = getattr(FaultBoard(self.servers), operation)(fields)
        return asyncio.run_coroutine_threadsafe(task, self.loop).result(10)

    @property
    def last(self):
        return self.conductor.last

    def close(self):
        async def close():
            for server in self.servers.values():
                await server.close()

        asyncio.run_coroutine_threadsafe(close(), self.loop).result(30)
        self.conductor.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture(scope="module")
def start_behind():
    """Starts racks in threads of this process."""
    racks = []

    def start(*args, **options):
        racks.append(Behind(*args, **options))
        return racks[-1]

    yield start
    for rack in racks:
        rack.close()
