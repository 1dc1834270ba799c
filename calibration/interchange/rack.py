"""From what a reader has found to the description of a rack: the tables of rack.toml."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from typing import Any

from pulsed.calibration.interchange.fields import Field
from pulsed.calibration.interchange.platform import UNKNOWN, Box, Oscillator, Platform, PlatformPort
from pulsed.model.device import AS_IT_IS, DeviceDescription, read_tables
from pulsed.model.errors import ConfigError

_LO_OFFSET = 100e6
"""Hz: how far above its line's frequency a local oscillator is put that the files do not tell of."""
_BANDWIDTH = 400e6
_UNKNOWN = {"f01": 5e9, "readout.frequency": 7e9}
"""Hz, of a tone that the files do not tell of."""


def rack_tables(found: Platform) -> dict[str, Any]:
    """Return the description of a rack, as the tables of its TOML. What had to be made up is asked of a person.

    Raises :class:`ConfigError` when there is no qubit.
    """
    if not found.qubits:
        raise ConfigError("no qubit could be read", subject=found.stack, value=found.name, legal="one or more qubits")
    _complete(found)
    ports = _ports(found)
    groups: dict[str, list[int]] = {}
    for q, port in found.acquire.items():
        groups.setdefault(port, []).append(q)
    names = ", ".join(f"Q{q} is {name}" for q, name in enumerate(found.qubits))
    step = found.granularity
    data: dict[str, Any] = {
        "name": _name(found.name),
        "description": f"imported from {found.stack}: {names}",
        "online_date": found.ledger.time[:10],
        "dt": f"{found.dt * 10**9} ns",
        "meas_map": list(groups.values()),
        "calibration": "calibration.json",
        "timing": {
            "granularity": step, "min_length": max(found.min_length, step), "pulse_alignment": step,
            "acquire_alignment": step,
        },
        "limits": found.limits,
        "instruments": _instruments(found),
        "oscillators": {
            name: {"instrument": one.box, "frequency": one.frequency}
            | ({"power": one.power} if one.power is not None and _outside(found, one) else {})
            for name, one in found.oscillators.items()
        },
        "ports": ports,
        "qubits": [_qubit(found, q) for q in range(len(found.qubits))],
        "couplings": [
            {"control": pair.control, "target": pair.target} | ({"flux": pair.flux} if pair.flux else {})
            for pair in found.pairs
        ],
    }  # fmt: skip
    return {key: value for key, value in data.items() if value or key == "meas_map"}


def device_of(data: dict[str, Any]) -> tuple[DeviceDescription, list[ConfigError]]:
    """Return the description as it is, and what of it has to be changed before a rack starts on it."""
    return DeviceDescription.model_validate(data, context=AS_IT_IS), read_tables(data).problems


def _complete(found: Platform) -> None:
    """Give each port an instrument, and each but those of flux a local oscillator."""
    flux = {pair.flux for pair in found.pairs}
    inputs = set(found.acquire.values())
    installed = {point.name for point in entry_points(group="pulsed.drivers")}
    for q in range(len(found.qubits)):
        answer, probe = found.ports[found.acquire[q]], found.ports[found.readout[q]]
        answer.lo = answer.lo or probe.lo
    for name, port in found.ports.items():
        if not port.box:
            port.box = "digitizer" if name in inputs else "awg"
            found.boxes.setdefault(port.box, Box())
        if port.lo is None and name not in flux:
            port.lo = _made_up(found, name)
    for name, one in found.oscillators.items():
        if one.box is None:
            one.box = next((port.box for port in found.ports.values() if port.lo == name), "lo")
            found.boxes.setdefault(one.box, Box())
        if one.frequency is None:
            one.frequency = _made_frequency(found, name)
            found.ledger.ask(f"oscillators.{name}.frequency", "is made up: the files do not say it")
    for name, box in found.boxes.items():
        if UNKNOWN in (box.driver, box.address):
            box.address = f"{UNKNOWN} ({name})" if box.address == UNKNOWN else box.address
            found.ledger.ask(f"instruments.{name}", "driver or address are not known: fill them in")
        elif box.driver not in installed:
            why = f"no driver called {box.driver} is installed: {', '.join(sorted(installed))}"
            found.ledger.ask(f"instruments.{name}.driver", why)


def _made_up(found: Platform, port: str) -> str:
    """Return a local oscillator for a port without: one for all drives, one for all readout."""
    name = "drive" if port in found.drive.values() else "readout"
    if name not in found.oscillators:
        box = f"lo_{name}"
        found.boxes.setdefault(box, Box())
        found.oscillators[name] = Oscillator(None, None, box)
    return name


def _made_frequency(found: Platform, lo: str) -> float:
    """Return a frequency (Hz) for a local oscillator of which none is known, above everything it is for."""
    lines = ((found.drive, "f01"), (found.readout, "readout.frequency"))
    seen = [_tone(found, q, value) for ports, value in lines for q, port in ports.items() if found.ports[port].lo == lo]
    return max(seen, default=5e9) + _LO_OFFSET


def _outside(found: Platform, oscillator: Oscillator) -> bool:
    """Whether a source of its own makes an oscillator: one inside of a box with ports has no power to be set."""
    return all(port.box != oscillator.box for port in found.ports.values())


def _ports(found: Platform) -> dict[str, dict[str, Any]]:
    inputs, flux = set(found.acquire.values()), {pair.flux for pair in found.pairs}
    count: dict[tuple[str, bool], int] = {}
    tables = {}
    for name, port in found.ports.items():
        own = port.box, name in inputs
        count[own] = count.get(own, 0) + 1
        pair = count[own] if port.pair is None else port.pair
        if port.path:
            source = Field(found.wiring, f"{port.box}.{port.path}", None, found.ledger)
            found.ledger.use(f"ports.{name}.pair", pair, source, f"{port.path} of {port.box}")
        table: dict[str, Any] = {
            "instrument": port.box,
            "pair": pair,
            "direction": "input" if name in inputs else "output",
            "clock": f"{1 / found.dt} Hz",
            "granularity": found.granularity,
            "min_length": max(found.min_length, found.granularity),
            "oscillators": max(1, _tones(found, name)),
        }
        if port.lo is not None and name not in flux:
            table |= {"lo": port.lo, "bandwidth": _bandwidth(found, name, port)}
        table |= {} if port.full_scale is None else {"full_scale": port.full_scale}
        tables[name] = table | ({"delay": port.delay} if port.delay else {})
    return tables


def _tones(found: Platform, port: str) -> int:
    """Return how many tones a port has to play at once: its own qubits', and of a drive those of its pairs."""
    own = [q for ports in (found.drive, found.readout, found.acquire) for q, name in ports.items() if name == port]
    tones = [pair for pair in found.pairs if pair.flux is None and found.drive[pair.control] == port]
    return len(own) + len(tones)


def _bandwidth(found: Platform, name: str, port: PlatformPort) -> float:
    """Return the widest intermediate frequency (Hz) that the port's own lines ask for, at least the usual one."""
    lo = found.oscillators[str(port.lo)].frequency or 0.0
    away = [_BANDWIDTH]
    lines = (found.drive, "f01"), (found.readout, "readout.frequency"), (found.acquire, "readout.frequency")
    for ports, value in lines:
        for q, at in ports.items():
            if at == name:
                away.append(abs(_tone(found, q, value) - lo))
    return float(max(away))


def _tone(found: Platform, q: int, name: str) -> float:
    """Return a frequency (Hz) of a qubit; one that is not known is made up, and asked for."""
    value = found.ledger.values.get(f"Q{q}.{name}")
    if value is not None and isinstance(value.value, float):
        return value.value
    asked = {line.name for line in found.ledger.lines if line.outcome == "to do"}
    if f"qubits.{q}.{name}" not in asked:
        found.ledger.ask(f"qubits.{q}.{name}", "is made up: the files do not say it")
    return _UNKNOWN[name]


def _qubit(found: Platform, q: int) -> dict[str, Any]:
    values = found.ledger.values
    table = {
        "drive": found.drive[q], "readout": found.readout[q], "acquire": found.acquire[q],
        "design_frequency": _tone(found, q, "f01"),
        "design_readout_frequency": _tone(found, q, "readout.frequency"),
    }  # fmt: skip
    anharmonicity = values.get(f"Q{q}.anharmonicity")
    return table | ({} if anharmonicity is None else {"design_anharmonicity": anharmonicity.value})


def _instruments(found: Platform) -> dict[str, dict[str, Any]]:
    """Return the tables of the instruments: what plays or records waits for the first one that plays."""
    inputs = set(found.acquire.values())
    playing = [port.box for name, port in found.ports.items() if name not in inputs]
    tables: dict[str, dict[str, Any]] = {}
    for name, box in found.boxes.items():
        tables[name] = {"driver": box.driver, "address": box.address}
        if playing and name != playing[0] and any(port.box == name for port in found.ports.values()):
            tables[name]["trigger"] = playing[0]
    return tables


def _name(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]", "-", text)
    return name if name[:1].isalpha() else f"rack-{name}"
