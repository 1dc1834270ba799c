"""The control socket: operations for tests and `pulsed rack`, not for a daemon. Manual: docs/instruments/control.md.

One JSON object per line each way: ``{"op": NAME, ...}`` is answered by ``{"ok": true, "result": ...}`` or
``{"ok": false, "error": {...}}``. Operations are rows of a table.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from pulsed.model.errors import InvalidValueError, PulsedError
from pulsed.simulator.dynamics.report import Report
from pulsed.simulator.dynamics.sequence import Prediction
from pulsed.simulator.instruments.conductor import Conductor
from pulsed.simulator.instruments.fault_board import FaultBoard
from pulsed.simulator.instruments.gs200 import VirtualGs200
from pulsed.simulator.instruments.ls336 import VirtualLs336
from pulsed.simulator.instruments.n9030b import VirtualN9030b
from pulsed.simulator.instruments.server import ServesInstrument
from pulsed.simulator.instruments.sgs100a import VirtualSgs100a
from pulsed.simulator.instruments.virtual_instrument import ListPlayer

_LONGEST_REQUEST = 1 << 16
Operation = Callable[[Mapping[str, Any]], Awaitable[Any]]


class Control:
    """Answers requests about one rack."""

    def __init__(self, conductor: Conductor, servers: Mapping[str, ServesInstrument]) -> None:
        self._conductor = conductor
        self._instruments = {name: server.instrument for name, server in servers.items()}
        self._server: asyncio.Server | None = None
        board = FaultBoard(servers)
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.operations: dict[str, Operation] = {
            "truth": self._truth,
            "predict": self._predict,
            "report": self._report,
            "markers": self._markers,
            "state": self._state,
            "seed": self._seed,
            "drift": self._drift,
            "temperature": self._temperature,
            "fault": board.fault,
            "faults": board.faults,
            "clear": board.clear,
        }

    async def open(self, host: str, port: int = 0) -> int:
        """Listen; return the port."""
        self._server = await asyncio.start_server(self._accept, host, port, limit=_LONGEST_REQUEST)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and drop all clients."""
        if self._server is None:
            return
        self._server.close()
        for writer in self._clients.values():
            writer.close()
        await asyncio.gather(*self._clients)
        await self._server.wait_closed()

    async def answer(self, line: bytes) -> dict[str, Any]:
        """Carry out one request."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise InvalidValueError("a request is a JSON object", subject="request", value=line[:80].decode())
            operation = self.operations.get(str(request.get("op")))
            if operation is None:
                legal = ", ".join(sorted(self.operations))
                raise InvalidValueError("no such operation", subject="op", value=str(request.get("op")), legal=legal)
            return {"ok": True, "result": await operation(request)}
        except (PulsedError, ValueError) as error:
            if not isinstance(error, PulsedError):
                error = InvalidValueError(f"not JSON: {error}", subject="request")
            info = error.to_info()
            fields = ("code", "message", "subject", "value", "legal")
            return {"ok": False, "error": {name: getattr(info, name) for name in fields}}

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._clients[task] = writer
        task.add_done_callback(self._clients.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self.answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):  # the peer is gone, or its line is too long
            pass
        finally:
            writer.close()

    async def _truth(self, request: Mapping[str, Any]) -> Any:
        return self._conductor.physics.truth()

    async def _predict(self, request: Mapping[str, Any]) -> Any:
        found: list[Prediction] = await asyncio.wrap_future(self._conductor.submit(self._conductor.predict))
        return [
            {
                "qubits": list(p.qubits),
                "populations": np.asarray(p.populations).tolist(),
                "initial": np.asarray(p.initial).tolist(),
            }
            for p in found
        ]

    async def _report(self, request: Mapping[str, Any]) -> Any:
        found: list[Report | None] = await asyncio.wrap_future(self._conductor.submit(self._conductor.reports))
        return [asdict(report) if report else None for report in found]

    async def _markers(self, request: Mapping[str, Any]) -> Any:
        run = self._conductor.last
        if run is None:
            return []
        names = {id(instrument): name for name, instrument in self._instruments.items()}
        keys = ("instrument", "pair", "marker", "start", "stop", "condition")
        return [
            [dict(zip(keys, (names[id(awg)], *rest), strict=True)) for awg, *rest in run.marks(entry)]
            for entry in range(len(run.entries))
        ]

    async def _state(self, request: Mapping[str, Any]) -> Any:
        states: dict[str, Any] = {}
        for name, instrument in self._instruments.items():
            state: dict[str, Any] = {"model": instrument.identity.model, "errors": len(instrument.errors)}
            if isinstance(instrument, ListPlayer):
                state["state"] = str(instrument.state)
            if isinstance(instrument, VirtualSgs100a):
                state |= {"on": instrument.on, "frequency": instrument.frequency}
            if isinstance(instrument, VirtualGs200):
                state["current"] = instrument.current
            if isinstance(instrument, VirtualLs336):
                state["temperatures"] = dict(instrument.temperatures)
            states[name] = state
        return states

    async def _seed(self, request: Mapping[str, Any]) -> Any:
        seed = request.get("seed")
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 1 << 63:
            raise InvalidValueError("not a seed", subject="seed", value=seed, legal="an integer from 0 to 2^63 - 1")
        self._conductor.seed(seed)
        for instrument in self._instruments.values():
            if isinstance(instrument, VirtualN9030b):
                instrument.seed(seed)
        return seed

    async def _drift(self, request: Mapping[str, Any]) -> Any:
        changes = {name: value for name, value in request.items() if name != "op"}
        return await asyncio.wrap_future(self._conductor.submit(self._conductor.physics.set_drift, changes))

    async def _temperature(self, request: Mapping[str, Any]) -> Any:
        found = {name: one for name, one in self._instruments.items() if isinstance(one, VirtualLs336)}
        name, channel, kelvin = (request.get(key) for key in ("instrument", "input", "kelvin"))
        if name not in found:
            legal = ", ".join(found) or "a rack with an interlock that reads one"
            raise InvalidValueError("is no thermometer", subject="instrument", value=name, legal=legal)
        if isinstance(kelvin, bool) or not isinstance(kelvin, int | float):
            raise InvalidValueError("not a temperature", subject="kelvin", value=kelvin, legal="a number of kelvin")
        try:
            found[name].show(str(channel), float(kelvin))
        except ValueError as error:
            raise InvalidValueError(
                "cannot be shown", subject=f"instrument {name}", value=f"{channel}: {kelvin}", legal=str(error)
            ) from error
        return dict(found[name].temperatures)
