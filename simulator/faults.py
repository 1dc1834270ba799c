"""Faults on demand: what tests and `pulsed rack fault` can do to an instrument. Manual: docs/instruments/control.md.

:class:`Faults` is what ails one instrument now; instrument, connection and server look into it where it matters.
:data:`KINDS` is the table of what can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pulsed.model.errors import InvalidValueError

if TYPE_CHECKING:
    from pulsed.simulator.server import InstrumentServer

OVERHEATED, REFERENCE_LOST = 101, 102
"""Device-dependent codes of the error queue."""
LONGEST = 3600.0
"""Seconds."""
_NEWER = "2.0.0"


@dataclass
class Faults:
    """What ails one instrument: name of the fault, and its seconds (0 for one that has none)."""

    active: dict[str, float] = field(default_factory=dict)

    def __contains__(self, kind: str) -> bool:
        return kind in self.active

    def seconds(self, kind: str) -> float:
        """Return the seconds of a fault, 0 when it is not there."""
        return self.active.get(kind, 0.0)

    def take(self, kind: str) -> bool:
        """Return whether a fault that strikes once is due, and let it be over."""
        return self.active.pop(kind, None) is not None

    @property
    def conditions(self) -> dict[int, str]:
        """The lasting faults that the instrument itself knows of: code and what is wrong."""
        known = {"overheat": (OVERHEATED, "96 C, legal up to 85 C"), "reference": (REFERENCE_LOST, "no 10 MHz input")}
        return dict(known[kind] for kind in self.active if kind in known)


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    ``needs``: the ability that an instrument must have for it (see ``VirtualInstrument.abilities``).
    ``default``: its seconds, None when it takes none. ``lasts``: until it is cleared; else it strikes once.
    ``strike`` and ``clear``: what has to be done at once.
    """

    what: str
    needs: str = ""
    default: float | None = None
    lasts: bool = True
    strike: Callable[[InstrumentServer], None] = lambda _server: None
    clear: Callable[[InstrumentServer], None] = lambda _server: None


def _fill_queue(server: InstrumentServer) -> None:
    for number in range(100):
        server.instrument.report(-300, f"nobody asked for entry {number}")
    server.instrument.faults.take("errors")


def _fall_ill(server: InstrumentServer) -> None:
    server.instrument.fall_ill()


def _reboot(server: InstrumentServer) -> None:
    server.reboot(server.instrument.faults.seconds("reboot"))
    server.instrument.faults.take("reboot")


def _change_firmware(server: InstrumentServer) -> None:
    server.instrument.firmware = _NEWER
    server.reboot(0.0)


def _restore_firmware(server: InstrumentServer) -> None:
    server.instrument.firmware = type(server.instrument).firmware
    server.reboot(0.0)


def _wake(server: InstrumentServer) -> None:
    server.wake()


KINDS: Mapping[str, Kind] = {
    "silent": Kind("stops reading and answering", clear=_wake),
    "late": Kind("does and answers everything late", default=2.0),
    "drop": Kind("drops the connection in the middle of the next block, sent or received", "blocks", lasts=False),
    "short": Kind("sends half of the next block, with a header that fits the half", "data", lasts=False),
    "errors": Kind("fills its error queue", lasts=False, strike=_fill_queue),
    "overheat": Kind("is too hot: stops, switches its outputs off and refuses to start", strike=_fall_ill),
    "reference": Kind("has lost its reference clock: stops and refuses to start", strike=_fall_ill),
    "trigger": Kind("misses a trigger of the next run, and waits for one more", "triggers", lasts=False),
    "overrange": Kind("reports that its input was beyond full scale", "input"),
    "reboot": Kind("reboots, away for so long, and forgets its memory", default=0.3, lasts=False, strike=_reboot),
    "firmware": Kind("reboots with another firmware", strike=_change_firmware, clear=_restore_firmware),
}


class FaultBoard:
    """Sets and clears faults of the instruments of one rack: operations of the control socket."""

    def __init__(self, servers: Mapping[str, InstrumentServer]) -> None:
        self._servers = servers

    async def fault(self, request: Mapping[str, Any]) -> Any:
        """Make an instrument ill; return what ails the rack. InvalidValueError names what is legal."""
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
        kind.strike(server)
        return await self.faults(request)

    async def faults(self, request: Mapping[str, Any]) -> Any:
        """Return what ails each instrument: name, kind, seconds."""
        return {name: dict(server.instrument.faults.active) for name, server in self._servers.items()}

    async def clear(self, request: Mapping[str, Any]) -> Any:
        """Make one instrument, or all, well again; return what is left."""
        wanted = request.get("instrument")
        for server in self._servers.values() if wanted is None else (self._server(wanted),):
            for name in list(server.instrument.faults.active):
                server.instrument.faults.take(name)
                KINDS[name].clear(server)
        return await self.faults(request)

    def _server(self, name: object) -> InstrumentServer:
        return self._servers[_one_of("instrument", name, self._servers)]


def _one_of(subject: str, value: object, legal: Any) -> str:
    if not isinstance(value, str) or value not in legal:
        raise InvalidValueError(f"no such {subject}", subject=subject, value=value, legal=", ".join(legal))
    return value
