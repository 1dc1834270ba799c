"""The TCP edge of the virtual instruments: asyncio carries bytes between sockets and a state machine.

A client that begins with ``HS`` speaks HiSLIP (:class:`HislipChannel`), any other one bare SCPI
(:class:`ScpiConnection`): no command begins so, and one port serves both. asyncio sets TCP_NODELAY on every
connection. Blocks are received into their final place and sent from where they are.
"""

from __future__ import annotations

import asyncio
import os
from typing import Protocol, cast

from pulsed.model.errors import ConfigError
from pulsed.simulator.instruments.connection import ScpiConnection
from pulsed.simulator.instruments.hislip import HislipChannel, HislipSessions
from pulsed.simulator.instruments.virtual_instrument import VirtualInstrument

MAX_CLIENTS = 16
"""Connections that one instrument serves at a time; more are closed at once."""
_SLICE = 1 << 18
_SMALL = 1 << 13


class Machine(Protocol):
    """What carries out the bytes of one connection; see :mod:`pulsed.simulator.instruments.connection`."""

    broken: bool

    @property
    def waiting(self) -> float | None: ...  # noqa: D102
    def expire(self) -> None: ...  # noqa: D102
    def closed(self) -> None: ...  # noqa: D102
    def get_buffer(self) -> memoryview: ...  # noqa: D102
    def received(self, count: int, /) -> None: ...  # noqa: D102
    def pull(self) -> bytes | memoryview | None: ...  # noqa: D102


class ScpiProtocol(asyncio.BufferedProtocol):
    """One connection of one client."""

    def __init__(self, server: InstrumentServer) -> None:
        self._server = server
        self._instrument = server.instrument
        self._clients = server.clients
        self._machine: Machine | None = None
        self._first, self._count = bytearray(2), 0
        self._full = False
        self._rest = memoryview(b"")
        self._timer: asyncio.TimerHandle | None = None
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve."""
        self._transport = cast(asyncio.Transport, transport)
        if len(self._clients) >= MAX_CLIENTS or self._server.away:
            self._transport.abort()
            return
        self._clients.add(self)
        self._transport.set_write_buffer_limits(high=_SLICE)
        self._instrument.listeners.append(self._state_changed)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        if self in self._clients:
            self._clients.remove(self)
            self._instrument.listeners.remove(self._state_changed)
        self._stop_timer()
        if self._machine:
            self._machine.closed()
        if self._late:
            self._late.cancel()

    def close(self) -> None:
        """Drop the connection."""
        self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where received bytes belong."""
        return self._machine.get_buffer() if self._machine else memoryview(self._first)[self._count :]

    def buffer_updated(self, nbytes: int) -> None:
        """Carry out what was received, late if that fault is active."""
        if self._machine is not None:
            self._machine.received(nbytes)
        elif not self._greet(nbytes):
            return
        seconds = self._instrument.faults.seconds("late")
        if not seconds:
            self._pump()
            return
        self._transport.pause_reading()
        self._late = asyncio.get_running_loop().call_later(seconds, self._pump)

    def _greet(self, count: int) -> bool:
        """Find out from the first bytes what the client speaks; return whether it is known now."""
        self._count += count
        if self._count < 2 and self._first[:1] == b"H":
            return False
        hislip = self._first == b"HS"
        self._machine = HislipChannel(self._server.hub, self.wake) if hislip else ScpiConnection(self._instrument)
        self._machine.get_buffer()[: self._count] = self._first[: self._count]
        self._machine.received(self._count)
        return True

    def pause_writing(self) -> None:
        """The client does not read: do nothing more for it."""
        self._full = True

    def resume_writing(self) -> None:
        """The client reads again."""
        self._full = False
        self._pump()

    def wake(self) -> None:
        """Continue: the instrument answers again."""
        if not self._transport.is_closing():
            self._pump()

    def _state_changed(self) -> None:
        if self._machine and self._machine.waiting is not None:
            self._pump()

    def _expire(self) -> None:
        if self._machine:
            self._machine.expire()
        self._pump()

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _pump(self) -> None:
        """Go on with commands and answers until bytes, the client's reading or an instrument are needed."""
        machine = self._machine
        if machine is None:
            return
        if "silent" in self._instrument.faults:
            self._transport.pause_reading()
            return
        small = bytearray()
        while not self._full:
            if self._rest:
                piece, self._rest = self._rest[:_SLICE], self._rest[_SLICE:]
                self._transport.write(piece)
                continue
            answer = machine.pull()
            if answer is not None and len(answer) <= _SMALL and len(small) <= _SLICE:
                small += answer
                continue
            if small:
                self._transport.write(bytes(small))
                small.clear()
            if answer is None:
                break
            self._rest = memoryview(answer)
        if small:
            self._transport.write(bytes(small))
        if machine.broken and not self._full:
            self._transport.close()
        self._hold(machine.waiting)

    def _hold(self, seconds: float | None) -> None:
        """Read only while there is nothing to wait for; set the clock of a wait."""
        if seconds is None:
            self._stop_timer()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)
        if self._transport.is_closing():
            return
        if seconds is not None or self._full:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


class ServesInstrument(Protocol):
    """Where an instrument is served: what faults act on."""

    @property
    def instrument(self) -> VirtualInstrument: ...  # noqa: D102
    def reboot(self, seconds: float) -> None: ...  # noqa: D102
    def wake(self) -> None: ...  # noqa: D102
    async def open(self, host: str, port: int) -> int: ...  # noqa: D102
    async def close(self) -> None: ...  # noqa: D102


class InstrumentServer:
    """One instrument on one port."""

    def __init__(self, name: str, instrument: VirtualInstrument) -> None:
        self.name = name
        self.instrument = instrument
        self.clients: set[ScpiProtocol] = set()
        self.hub = HislipSessions(instrument)
        self.away = False
        """Whether it reboots at present and takes no connection."""
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen; return the port. ConfigError when the port is in use."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: ScpiProtocol(self), host, port)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise ConfigError(
                f"cannot listen on {host}: {reason}",
                subject=f"instrument {self.name}",
                value=f"port {port}",
                legal="a port that no other process uses; --ports ephemeral takes free ones",
            ) from error
        return int(self._server.sockets[0].getsockname()[1])

    def reboot(self, seconds: float) -> None:
        """Drop all clients, forget everything, and take no connection for so many seconds."""
        self._drop_clients()
        self.instrument.power_on()
        if seconds:
            self.away = True
            asyncio.get_running_loop().call_later(seconds, setattr, self, "away", False)

    def wake(self) -> None:
        """Answer what was left unanswered."""
        for client in tuple(self.clients):
            client.wake()

    def _drop_clients(self) -> None:
        for client in tuple(self.clients):
            client.close()

    async def close(self) -> None:
        """Stop listening and drop all clients."""
        if self._server:
            self._server.close()
        self._drop_clients()
        if self._server:
            await self._server.wait_closed()
