"""The kinds of faults that can be injected, and the operations of the control socket that inject and clear them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pulsed.model.errors import InvalidValueError
from pulsed.simulator.instruments.server import ServesInstrument

LONGEST = 3600.0
"""Seconds."""
_NEWER = "2.0.0"


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault.

    ``needs``: the ability that an instrument must have for it (see ``VirtualInstrument.abilities``).
    ``default``: its seconds, None when it takes none. ``lasts``: until it is cleared; else it acts once.
    ``inject`` and ``clear``: what has to be done at once.
    """

    what: str
    needs: str = ""
    default: float | None = None
    lasts: bool = True
    inject: Callable[[ServesInstrument], None] = lambda _server: None
    clear: Callable[[ServesInstrument], None] = lambda _server: None


def _fill_queue(server: ServesInstrument) -> None:
    for number in range(100):
        server.instrument.report(-300, f"nobody asked for entry {number}")
    server.instrument.faults.take("errors")


def _act_on_faults(server: ServesInstrument) -> None:
    server.instrument.act_on_faults()


def _reboot(server: ServesInstrument) -> None:
    server.reboot(server.instrument.faults.seconds("reboot"))
    server.instrument.faults.take("reboot")


def _change_firmware(server: ServesInstrument) -> None:
    server.instrument.firmware = _NEWER
    server.reboot(0.0)


def _restore_firmware(server: ServesInstrument) -> None:
    server.instrument.firmware = type(server.instrument).firmware
    server.reboot(0.0)


def _wake(server: ServesInstrument) -> None:
    server.wake()


KINDS: Mapping[str, FaultKind] = {
    "silent": FaultKind("stops reading and answering", clear=_wake),
    "late": FaultKind("does and answers everything late", default=2.0),
    "drop": FaultKind("drops the connection in the middle of the next block, sent or received", "blocks", lasts=False),
    "short": FaultKind("sends half of the next block, with a header that fits the half", "data", lasts=False),
    "errors": FaultKind("fills its error queue", lasts=False, inject=_fill_queue),
    "overheat": FaultKind("is too hot: stops, switches its outputs off and refuses to start", inject=_act_on_faults),
    "reference": FaultKind(
        "has lost its reference clock: stops and refuses to start", "reference", inject=_act_on_faults
    ),
    "trigger": FaultKind("misses a trigger of the next run, and waits for one more", "triggers", lasts=False),
    "overrange": FaultKind("reports that its input was beyond full scale", "input"),
    "reboot": FaultKind("reboots, away for so long, and forgets its memory", default=0.3, lasts=False, inject=_reboot),
    "firmware": FaultKind("reboots with another firmware", inject=_change_firmware, clear=_restore_firmware),
}


class FaultBoard:
    """Sets and clears faults of the instruments of one rack: operations of the control socket."""

    def __init__(self, servers: Mapping[str, ServesInstrument]) -> None:
        self._servers = servers

    async def fault(self, request: Mapping[str, Any]) -> Any:
        """Inject a fault; return the faults of the rack. InvalidValueError names what is legal."""
        server = self._server(request.get("instrument"))
        able = [name for name, kind in KINDS.items() if kind.needs in ("", *server.instrument.abilities)]
        name = _one_of("kind", request.get("kind"), able)
        kind = KINDS[name]
        seconds = request.get("seconds", kind.default)
        if kind.default is None and seconds is not None:
            raise InvalidValueError(f"the fault {name} takes no time", subject="seconds", value=seconds, legal="none")
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if kind.default is not None and not (number and 0 < seconds <= LONGEST):
            raise InvalidValueError("not a time", subject="seconds", value=seconds, legal=f"above 0 to {LONGEST:g} s")
        server.instrument.faults.active[name] = float(seconds or 0.0)
        kind.inject(server)
        return await self.faults(request)

    async def faults(self, request: Mapping[str, Any]) -> Any:
        """Return the faults of each instrument: name, kind, seconds."""
        return {name: dict(server.instrument.faults.active) for name, server in self._servers.items()}

    async def clear(self, request: Mapping[str, Any]) -> Any:
        """Clear the faults of one instrument, or of all; return what is left."""
        wanted = request.get("instrument")
        for server in self._servers.values() if wanted is None else (self._server(wanted),):
            for name in list(server.instrument.faults.active):
                server.instrument.faults.take(name)
                KINDS[name].clear(server)
        return await self.faults(request)

    def _server(self, name: object) -> ServesInstrument:
        return self._servers[_one_of("instrument", name, self._servers)]


def _one_of(subject: str, value: object, legal: Any) -> str:
    if not isinstance(value, str) or value not in legal:
        raise InvalidValueError(f"no such {subject}", subject=subject, value=value, legal=", ".join(legal))
    return value
