"""Names in a device description that must be there, and what pairs and groups of qubits are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pulsed.model.draft import asked, meant, named
from pulsed.model.errors import ConfigError
from pulsed.model.instrument_roles import ROLES

LINES = (("drive", "output"), ("readout", "output"), ("acquire", "input"))
"""A qubit's keys that name a port, and the direction of that."""
Problems = Iterator[ConfigError]


def known(key: str, name: str, table: Mapping[str, Any]) -> None:
    """Raise :class:`ConfigError` unless ``table`` has ``name``."""
    if name not in table:
        raise _unknown(key, name, table)


def _unknown(key: str, name: str, table: Mapping[str, Any]) -> ConfigError:
    return ConfigError("no such name", subject=key, value=name, legal=", ".join(sorted(table)) or "none defined")


def references(device: Any) -> Iterator[Problems]:
    """Yield the rules about names."""
    ports, instruments = named(device, "ports"), named(device, "instruments")
    oscillators, qubits = named(device, "oscillators"), named(device, "qubits")
    yield _used(device, instruments)
    for name, port in ports.items():
        yield _refers(port, f"ports.{name}.lo", oscillators)
    for name, instrument in instruments.items():
        yield _refers(instrument, f"instruments.{name}.trigger", instruments)
    for q, qubit in qubits.items():
        for line, direction in LINES:
            yield _refers(qubit, f"qubits.{q}.{line}", _fitting(ports, direction, baseband=False))
    for k, pair in named(device, "couplings").items():
        yield _refers(pair, f"couplings.{k}.flux", _fitting(ports, "output", baseband=True))
        yield _pair(device, k, pair)
    yield _one_of_each(device)
    yield _groups(device)


def _refers(table: Any, key: str, legal: Mapping[str, Any]) -> Problems:
    name = getattr(table, key.rpartition(".")[2])
    if name is not None and name not in legal:
        yield _unknown(key, name, legal)


def _used(device: Any, legal: Mapping[str, Any]) -> Problems:
    """Whatever an instrument is used as, it is among the instruments."""
    for use in (use for role in ROLES for use in role.uses(device)):
        if use.instrument not in legal:
            yield _unknown(use.key, use.instrument, legal)


def _fitting(ports: Mapping[str, Any], direction: str, *, baseband: bool) -> dict[str, Any]:
    """Return the ports that fit; those of which it cannot be read may."""
    return {
        name: port
        for name, port in ports.items()
        if asked(port, "direction", direction) == direction
        and (asked(port, "lo", None if baseband else "unknown") is None) == baseband
    }


def _pair(device: Any, index: int, pair: Any) -> Problems:
    qubits, both = named(device, "qubits"), {pair.control, pair.target}
    value = f"{pair.control} to {pair.target}"
    if len(both) < 2 or not both <= qubits.keys():
        legal = f"0 to {len(qubits) - 1}"
        yield ConfigError("not a pair of two qubits", subject=f"couplings.{index}", value=value, legal=legal)
    elif pair.flux is None:
        ports, oscillators = named(device, "ports"), named(device, "oscillators")
        los = {meant(ports, qubits[q].drive).lo for q in both}
        if len(los) > 1 and los <= oscillators.keys():
            message = "the two drives of a cross-resonance pair need one LO, or their relative phase is lost"
            yield ConfigError(message, subject=f"couplings.{index}", value=value)


def _one_of_each(device: Any) -> Problems:
    """A pair has one tone in each direction, and a flux line is one pair's."""
    tones: dict[tuple[int, int], int] = {}
    lines: dict[str, int] = {}
    for index, pair in named(device, "couplings").items():
        key = f"couplings.{index}"
        first = tones.setdefault((asked(pair, "control"), asked(pair, "target")), index)
        if first != index and None not in (asked(pair, "control"), asked(pair, "target")):
            value = f"{pair.control} to {pair.target}"
            yield ConfigError(f"this pair is couplings.{first} already", subject=key, value=value)
        flux = asked(pair, "flux")
        if flux is not None and lines.setdefault(flux, index) != index:
            message = f"the line tunes the coupler of couplings.{lines[flux]} already"
            yield ConfigError(message, subject=f"{key}.flux", value=flux)


def _groups(device: Any) -> Problems:
    n, groups = len(named(device, "qubits")), device.meas_map
    for index, group in enumerate(groups):
        if not group:
            yield ConfigError("a group without qubits", subject=f"meas_map.{index}", value="[]", legal=f"0 to {n - 1}")
    if sorted(q for group in groups for q in group) != list(range(n)):
        message = "each qubit belongs to exactly one group"
        yield ConfigError(message, subject="meas_map", value=str(groups), legal=f"0 to {n - 1}")
