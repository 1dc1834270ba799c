"""The wiring of a qibolab 0.2 platform: which instrument and output each channel is at, from platform.py, never run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pulsed.calibration.interchange.fields import Field
from pulsed.calibration.interchange.static_python import Call, Handler, StaticReader, Unknown

_SLOT = re.compile(r"(\d+)/[io](\d)")
_LINES = ("drive", "flux", "probe", "acquisition")


@dataclass
class WiredChannel:
    """Where a channel is."""

    box: str = ""
    """The controller."""
    path: str = ""
    pair: int | None = None
    """Of a Qblox module: slot and number as one, as the driver counts them (slot 8, output 1: 81)."""
    lo: str | None = None


@dataclass
class Controller:
    """An instrument of the platform."""

    kind: str
    """Its class."""
    address: str


@dataclass
class Wiring:
    """What platform.py says. Without it the channels have their usual names and lead nowhere."""

    qubits: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Qubit → line (drive, flux, probe, acquisition, drive_extra) → channel."""
    couplers: dict[str, dict[str, Any]] = field(default_factory=dict)
    channels: dict[str, WiredChannel] = field(default_factory=dict)
    controllers: dict[str, Controller] = field(default_factory=dict)


class _ControllerKind(NamedTuple):
    """What a controller's class is for us."""

    driver: str
    granularity: int
    min_length: int


CONTROLLERS = {
    "Cluster": _ControllerKind("qblox-cluster", 1, 4),
    "QmController": _ControllerKind("opx", 4, 16),
    "Zurich": _ControllerKind("zhinst", 16, 32),
    "RFSoC": _ControllerKind("qick", 1, 1),
    "SGS100A": _ControllerKind("sgs100a", 1, 1),
}
"""The driver that each needs and, in ns, the grid and the shortest length of its pulses; of others nothing is known."""


def _named(name: Any) -> dict[str, Any]:
    return {line: f"{name}/{line}" for line in _LINES}


def _default(name: Any, channels: Any = None, **more: Any) -> Call:
    lines = _named(name)
    chosen = lines if channels is None else {line: lines[line] for line in channels}
    return Call("Qubit", (), {**dict.fromkeys(_LINES), **chosen, **more})


def _coupler(name: Any, **more: Any) -> Call:
    return Call("Qubit", (), {**dict.fromkeys(_LINES), "flux": f"coupler_{name}/flux", **more})


def _kind(module: str, *, inward: bool) -> str:
    """Return the line that a port of a module is for, which the module's name says."""
    if module.startswith("qcm_rf"):
        return "drive"
    if module.startswith("qcm"):
        return "flux"
    if module.startswith("qrm_rf"):
        return "acquisition" if inward else "probe"
    raise ValueError(f"{module}: a module is called qcm…, qcm_rf… or qrm_rf…")


def _ports(module: str, port: int | str, slot: int) -> dict[str, str]:
    """Return line → path of one port of the compact notation: ``io1``, ``i1``, ``o1`` or a number for an output."""
    if isinstance(port, str) and port.startswith("io"):
        return {"probe": f"{slot}/o{port[2:]}", "acquisition": f"{slot}/i{port[2:]}"}
    name = f"o{port}" if isinstance(port, int) else port
    return {_kind(module, inward=name.startswith("i")): f"{slot}/{name}"}


def _map_ports(cluster: dict[str, Any], qubits: dict[Any, Call], couplers: Any = None) -> dict[str, Call]:
    """Return channel → what is connected to it, of the compact notation of a Qblox cluster."""
    found: dict[str, Call] = {}
    for module, (slot, ports) in cluster.items():
        for port, elements in ports.items():
            for element in elements:
                owner = {**qubits, **(couplers or {})}[element]
                for line, path in _ports(module, port, slot).items():
                    lo = f"{module}/o{str(port).lstrip('io')}/lo" if line in ("drive", "probe") else None
                    found[owner.keywords[line]] = Call("Channel", (), {"path": path, "lo": lo})
    for owner in qubits.values():
        if owner.keywords["acquisition"] in found:
            found[owner.keywords["acquisition"]].keywords["probe"] = owner.keywords["probe"]
    return found


def _infer_los(cluster: dict[str, Any]) -> dict[tuple[Any, bool], str]:
    """Return (qubit, whether it is its probe) → name of the local oscillator."""
    return {
        (element, "qrm" in module): f"{module}/o{str(port).lstrip('io')}/lo"
        for module, (_, ports) in cluster.items()
        if "_rf" in module
        for port, elements in ports.items()
        for element in elements
    }


_HANDLERS: dict[str, Handler] = {
    "Qubit.default": _default, "Qubit.coupler": _coupler, "map_ports": _map_ports, "infer_los": _infer_los,
}  # fmt: skip


def read_wiring(text: str, file: str, whole: Field) -> Wiring:
    """Return what the function ``create`` of a platform.py describes; what cannot be read is a line each."""
    ledger = whole.ledger
    reader = StaticReader(text, file, _HANDLERS)
    made = reader.call("create")
    for problem in reader.problems:
        ledger.leave(Field(file, problem.partition(":")[0], None, ledger), problem.partition(": ")[2])
    if not isinstance(made, Call):
        why = made.why if isinstance(made, Unknown) else "create() returns no platform"
        ledger.leave(Field(file, "create", None, ledger), f"the wiring cannot be read without running it: {why}")
        return Wiring()
    wiring = Wiring()
    for kind, into in (("qubits", wiring.qubits), ("couplers", wiring.couplers)):
        for name, one in _table(made, kind).items():
            if isinstance(one, Call):
                into[str(name)] = {**dict.fromkeys(_LINES), **one.keywords}
    for name, one in _table(made, "instruments").items():
        if isinstance(one, Call):
            address = one.keywords.get("address", one.positional[0] if one.positional else "")
            wiring.controllers[str(name)] = Controller(one.name, address if isinstance(address, str) else "")
            for channel, item in _table(one, "channels").items():
                if isinstance(item, Call):
                    wiring.channels[str(channel)] = _channel(str(name), item)
    return wiring


def _channel(box: str, item: Call) -> WiredChannel:
    device, path, lo = (item.keywords.get(key) for key in ("device", "path", "lo"))
    where = "/".join(str(part) for part in (device, path) if part not in (None, ""))
    slot = _SLOT.fullmatch(where)
    pair = None if slot is None else 10 * int(slot[1]) + int(slot[2])
    return WiredChannel(box, where, pair, lo if isinstance(lo, str) else None)


def _table(call: Call, key: str) -> Mapping[Any, Any]:
    found = call.keywords.get(key)
    return found if isinstance(found, dict) else {}
