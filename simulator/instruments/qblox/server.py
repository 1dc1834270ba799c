"""The TCP edge of an emulated Cluster: lines and blocks at its port, and at one more for each of its modules."""

from __future__ import annotations

import asyncio
import os
from functools import partial

from pulsed.model.errors import ConfigError
from pulsed.simulator.instruments.qblox.cluster import VirtualCluster

PORT, FIRST_MODULE = 5025, 25000
"""The frame's port; that of slot 1 is one after the second."""
_LONGEST = 1 << 26
"""Bytes of a block."""


class ClusterServer:
    """One Cluster at one address: the maker's driver finds modules at ports of its own choice."""

    def __init__(self, name: str, instrument: VirtualCluster) -> None:
        self.name, self.instrument = name, instrument
        self._servers: list[asyncio.Server] = []
        self._clients: set[asyncio.StreamWriter] = set()
        self._woken, self._away = asyncio.Event(), False

    async def open(self, host: str, port: int) -> int:
        """Listen; return the frame's port. ConfigError when one is in use."""
        for slot, wanted in [(0, port), *((slot, FIRST_MODULE + slot) for slot in self.instrument.modules)]:
            try:
                server = await asyncio.start_server(partial(self._serve, slot), host, wanted)
            except OSError as error:
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise ConfigError(
                    f"cannot listen on {host}: {reason}", subject=f"instrument {self.name}", value=f"port {wanted}",
                    legal="an address of its own, such as 127.0.0.77, where nothing else listens",
                ) from error  # fmt: skip
            self._servers.append(server)
        return int(self._servers[0].sockets[0].getsockname()[1])

    async def _serve(self, slot: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._away:
            writer.transport.abort()
            return
        self._clients.add(writer)
        try:
            while (request := await _read(reader)) is not None:
                command, block = request
                if command:
                    await self._held_up()
                    answer = self.instrument.exchange(f"SLOT{slot}:{command}" if slot else command, block)
                    if (block or (answer or b"").startswith(b"#")) and self.instrument.faults.take("drop"):
                        writer.write((answer or b"")[: len(answer or b"") // 2])
                        writer.transport.abort()
                        return
                    if answer is not None:
                        writer.write(answer)
                        await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):  # the peer is gone, or speaks nonsense
            pass
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _held_up(self) -> None:
        """Wait as long as a fault says."""
        faults = self.instrument.faults
        if faults.seconds("late"):
            await asyncio.sleep(faults.seconds("late"))
        while "silent" in faults:
            self._woken.clear()
            await self._woken.wait()

    def wake(self) -> None:
        """Answer what was left unanswered."""
        self._woken.set()

    def reboot(self, seconds: float) -> None:
        """Drop all clients, forget everything, and take no connection for so many seconds."""
        self._drop()
        self.instrument.power_on()
        if seconds:
            self._away = True
            asyncio.get_running_loop().call_later(seconds, setattr, self, "_away", False)

    def _drop(self) -> None:
        for writer in tuple(self._clients):
            writer.transport.abort()

    async def close(self) -> None:
        """Stop listening and drop all clients."""
        for server in self._servers:
            server.close()
        self._drop()
        for server in self._servers:
            await server.wait_closed()


async def _read(reader: asyncio.StreamReader) -> tuple[str, bytes | None] | None:
    """Return a command, and its block where it has one; None at the end. ValueError for what is neither."""
    head = bytearray()
    while byte := await reader.read(1):
        if byte == b"\n":
            return head.decode("ascii").strip(), None
        if byte == b"#" and head.endswith((b" ", b",")):
            size = int(await reader.readexactly(int(await reader.readexactly(1))))
            if size > _LONGEST:
                raise ValueError(f"a block of {size} bytes")
            block = await reader.readexactly(size)
            await reader.readuntil(b"\n")
            return head.decode("ascii").strip(), block
        head += byte
    return None
