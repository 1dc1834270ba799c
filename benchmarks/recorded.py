"""What a job unavoidably costs on the rack: its SCPI traffic, recorded, and the sequence the chip is asked for.

A rack of our own plays the chunk through the real drivers, with a proxy before each instrument that writes down the
bytes. :class:`NullRack` then answers the same requests with the same bytes at once, from a process of its own.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from pulsed.compiler.program import Chunk
from pulsed.drivers.rack.rack import Rack
from pulsed.model.device import DeviceDescription
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.sequence import PulseSequence
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.instruments.conductor import Conductor
from pulsed.simulator.instruments.server import InstrumentServer
from pulsed.simulator.rack import build_instruments, connect_cables

Exchange = tuple[str, bytes, bytes]
"""Instrument, request, answer."""
PLAYS = 3
"""Times that a recording plays a chunk, so that nothing is left to upload."""


class _Physics(Engine):
    """The chip, which keeps the last sequence it was asked for, the CPU seconds of each play and the bursts of all."""

    last: PulseSequence | None = None
    spent: list[float]
    bursts: int = 0

    def play(self, sequence: PulseSequence, *args: Any) -> Any:
        self.last = sequence
        self.bursts += len(sequence.bursts)
        began = time.thread_time()  # other threads here are other processes in a rack
        try:
            return super().play(sequence, *args)
        finally:
            self.spent.append(time.thread_time() - began)


class _Tap:
    """A proxy before one instrument."""

    def __init__(self, name: str, port: int, log: list[tuple[str, str, bytes]]) -> None:
        self.name, self.port, self.log = name, port, log

    async def _pass(self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 20):
            self.log.append((self.name, way, data))
            writer.write(data)
        writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        await asyncio.gather(self._pass("request", reader, back), self._pass("answer", there, writer))


class Recording:
    """A rack in a thread of this process; :meth:`play` returns what one play exchanges."""

    def __init__(self, device: DeviceDescription, chip: Path) -> None:
        self._device = device
        self.physics = _Physics(load_chip(chip))
        self.physics.spent = []
        self.physics.warm_up()  # as a rack does before it says that it is ready
        self._loop = asyncio.new_event_loop()
        self._log: list[tuple[str, str, bytes]] = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        addresses = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(30)
        self._rack = Rack(device.with_addresses(addresses))
        self._rack.connect(time.monotonic() + 30)

    async def _open(self) -> dict[str, str]:
        conductor = Conductor(self.physics, self._loop.call_soon_threadsafe)
        instruments = build_instruments(self._device, conductor)
        connect_cables(self._device, self.physics.chip, instruments, conductor)
        addresses = {}
        for name, instrument in instruments.items():
            port = await InstrumentServer(name, instrument).open("127.0.0.1", 0)
            tap = await asyncio.start_server(_Tap(name, port, self._log).serve, "127.0.0.1", 0)
            addresses[name] = f"TCPIP::127.0.0.1::{tap.sockets[0].getsockname()[1]}::SOCKET"
        return addresses

    def play(self, chunk: Chunk) -> tuple[list[Exchange], PulseSequence]:
        """Play ``chunk`` until nothing is left to upload, then once more; return that play's traffic and sequence."""
        for _ in range(PLAYS):
            self._log.clear()
            self._rack.play(chunk)
        assert self.physics.last is not None
        return _exchanges(self._log), self.physics.last

    def close(self) -> None:
        """Close the instruments."""
        self._rack.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


def _exchanges(log: list[tuple[str, str, bytes]]) -> list[Exchange]:
    """Join what belongs to one request and its answer, instrument by instrument, in the order of the requests."""
    result: list[list[Any]] = []
    open_by_name: dict[str, list[Any]] = {}
    for name, way, data in log:
        current = open_by_name.get(name)
        if way == "request" and (current is None or current[2]):
            current = open_by_name[name] = [name, b"", b""]
            result.append(current)
        assert current is not None, "an answer before any request"
        current[1 if way == "request" else 2] += data
    return [(name, request, answer) for name, request, answer in result]


def _serve(exchanges: list[Exchange], ports: Connection) -> None:
    """Answer the requests of each instrument, in turn and without end."""
    names = list(dict.fromkeys(name for name, _, _ in exchanges))
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports.send({name: server.getsockname()[1] for name, server in zip(names, servers, strict=True)})

    def answer(name: str, server: socket.socket) -> None:
        script = [(len(request), answer) for who, request, answer in exchanges if who == name]
        connection, _ = server.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            for size, reply in script:
                if not _receive(connection, size):
                    return
                connection.sendall(reply)

    threads = [threading.Thread(target=answer, args=pair) for pair in zip(names, servers, strict=True)]
    for thread in threads:
        thread.start()


def _receive(connection: socket.socket, size: int) -> bool:
    while size:
        data = connection.recv(min(size, 1 << 20))
        if not data:
            return False
        size -= len(data)
    return True


class NullRack:
    """A process that answers recorded traffic at once, and the sockets to ask it with."""

    def __init__(self, exchanges: list[Exchange]) -> None:
        self._exchanges = exchanges
        here, there = get_context("spawn").Pipe()
        self._process = get_context("spawn").Process(target=_serve, args=(exchanges, there), daemon=True)
        self._process.start()
        self._sockets = {name: socket.create_connection(("127.0.0.1", port)) for name, port in here.recv().items()}
        for item in self._sockets.values():
            item.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for item in self._sockets.values():
            item.close()
        self._process.join(5)

    def replay(self) -> None:
        """Make every exchange once, one after the other."""
        for name, request, answer in self._exchanges:
            connection = self._sockets[name]
            connection.sendall(request)
            if not _receive(connection, len(answer)):
                raise ConnectionError("the null rack is gone")
