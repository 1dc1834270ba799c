"""The rack: instruments, ports, oscillators and bias, what is wrong, and stop now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pulsed.model.device import DeviceDescription
from pulsed.model.errors import NotFoundError
from pulsed.model.instrument_roles import settings_of
from pulsed.model.queue import QueueMode
from pulsed.web.site import Site, field
from pulsed.wire.instrument_messages import UseInstrument
from pulsed.wire.interlock_messages import RearmInterlock
from pulsed.wire.messages import InstrumentStatus, Status
from pulsed.wire.queue_messages import SetQueue


@dataclass(frozen=True)
class InstrumentCard:
    """One instrument as the page shows it."""

    name: str
    driver: str
    address: str
    roles: str
    """What the description names it for, in words."""
    state: str
    """``up``, ``lost`` or ``unknown``."""
    status: InstrumentStatus
    settings: tuple[str, ...]
    """What may be set of it."""


@dataclass(frozen=True)
class PortLine:
    """One port as the page shows it."""

    name: str
    direction: str
    instrument: str
    pair: int
    up: bool
    oscillator: str
    frequency: float | None
    """Of its local oscillator, Hz."""
    power: float | None
    """Of its local oscillator, dBm."""
    bias: float | None
    """Amperes, as the description has it."""
    attenuation: float
    """dB."""
    qubits: str


def instrument_cards(device: DeviceDescription, status: Status) -> list[InstrumentCard]:
    """Return every instrument of the rack, those that are lost first."""
    cards = []
    for name, described in device.instruments.items():
        found = status.instruments.get(name, InstrumentStatus())
        state = "lost" if found.error is not None else "up" if found.identity else "unknown"
        cards.append(InstrumentCard(
            name, described.driver, described.address, ", ".join(roles_of(device, name)) or "analyser", state, found,
            tuple(settings_of(device, name)),
        ))  # fmt: skip
    return sorted(cards, key=lambda card: card.state == "up")


def roles_of(device: DeviceDescription, instrument: str) -> Iterable[str]:
    """Yield what a description names an instrument for."""
    ports = [port for port in device.ports.values() if port.instrument == instrument]
    for direction in ("output", "input"):
        if number := sum(port.direction == direction for port in ports):
            yield f"{number} {direction}{'s' if number > 1 else ''}"
    if los := [name for name, item in device.oscillators.items() if item.instrument == instrument]:
        yield f"LO {', '.join(los)}"
    if any(port.bias is not None and port.bias.instrument == instrument for port in device.ports.values()):
        yield "bias"


def port_rows(device: DeviceDescription, status: Status) -> list[PortLine]:
    """Return every port with its oscillator, its bias, and the qubits behind it."""
    behind: dict[str, list[str]] = {}
    for q, qubit in enumerate(device.qubits):
        for line in dict.fromkeys((qubit.drive, qubit.readout, qubit.acquire)):
            behind.setdefault(line, []).append(f"Q{q}")
    rows = []
    for name, port in device.ports.items():
        lo = device.oscillators.get(port.lo) if port.lo else None
        found = status.instruments.get(port.instrument)
        rows.append(PortLine(
            name, port.direction, port.instrument, port.pair, bool(found and found.identity and found.error is None),
            port.lo or "", lo.frequency if lo else None, lo.power if lo else None,
            port.bias.level if port.bias else None, port.attenuation, " ".join(behind.get(name, ())),
        ))  # fmt: skip
    return rows


def routes(site: Site) -> list[Route]:
    """Return the routes."""
    lab = site.lab

    def show(request: Request) -> Response:
        device, status = lab.device(), lab.client.status() if lab.status is None else lab.status
        return site.page(
            request, "rack.html", device=device, cards=instrument_cards(device, status),
            ports=port_rows(device, status), may_stop=lab.may(request.state.visitor, SetQueue(0, QueueMode.PAUSED)),
            may_read=lab.may(request.state.visitor, UseInstrument(0, "")),
            interlocks=[one.name for one in status.interlocks],
        )  # fmt: skip

    def stop_now(request: Request) -> Response:
        reason = field(request.state.form, "reason", "a sentence, told to everybody")
        client = lab.check(request.state.visitor, SetQueue(0, QueueMode.PAUSED, reason))
        stopped = client.stop_now(reason).stopped
        what = f"job {stopped} is cancelled, its outputs go off" if stopped else "no job was on the rack"
        return site.done("/rack", f"Stopped: the queue is paused, and {what}.")

    def read(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in lab.device().instruments:
            raise NotFoundError("no such instrument", value=name, legal=", ".join(lab.device().instruments))
        client = lab.check(request.state.visitor, UseInstrument(0, name))
        readings = client.use_instrument(name)
        return site.page(request, "readings.html", name=name, readings=readings)

    def rearm(request: Request) -> Response:
        name, reason = request.path_params["name"], field(request.state.form, "reason", "why it may play again")
        lab.check(request.state.visitor, RearmInterlock(0, name, reason)).rearm_interlock(name, reason)
        return site.done("/rack", f"Interlock {name} is armed again.")

    return [
        Route("/rack", show),
        Route("/rack/interlocks/{name}/rearm", rearm, methods=["POST"]),
        Route("/rack/stop", stop_now, methods=["POST"]),
        Route("/rack/instruments/{name}/read", read, methods=["POST"]),
    ]
