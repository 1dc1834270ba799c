"""What one part of a device description says of another: names that must be there, and what must fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulsed.model.errors import ConfigError

if TYPE_CHECKING:
    from pulsed.model.device import DeviceDescription


def known(key: str, name: str, table: dict[str, Any]) -> None:
    """Raise :class:`ConfigError` unless ``table`` has ``name``."""
    if name not in table:
        raise ConfigError("no such name", subject=key, value=name, legal=", ".join(sorted(table)) or "none defined")


def _reference_problems(device: DeviceDescription) -> list[ConfigError]:
    references: list[tuple[str, str, dict[str, Any]]] = []
    for name, port in device.ports.items():
        references.append((f"ports.{name}.instrument", port.instrument, device.instruments))
        if port.lo is not None:
            references.append((f"ports.{name}.lo", port.lo, device.oscillators))
        if port.bias is not None:
            references.append((f"ports.{name}.bias.instrument", port.bias.instrument, device.instruments))
    for name, lo in device.oscillators.items():
        references.append((f"oscillators.{name}.instrument", lo.instrument, device.instruments))
    for name, instrument in device.instruments.items():
        if instrument.trigger is not None:
            references.append((f"instruments.{name}.trigger", instrument.trigger, device.instruments))
    for q, qubit in enumerate(device.qubits):
        for line, direction in (("drive", "output"), ("readout", "output"), ("acquire", "input")):
            fitting = {name: p for name, p in device.ports.items() if p.direction == direction and p.lo is not None}
            references.append((f"qubits.{q}.{line}", getattr(qubit, line), fitting))
    baseband = {name: port for name, port in device.ports.items() if port.direction == "output" and port.lo is None}
    references += [(f"couplings.{k}.flux", p.flux, baseband) for k, p in enumerate(device.couplings) if p.flux]
    problems = []
    for key, name, table in references:
        try:
            known(key, name, table)
        except ConfigError as error:
            problems.append(error)
    return problems


def _trigger_problems(device: DeviceDescription) -> list[ConfigError]:
    """Each instrument that waits, by whatever detour, for its own trigger: it would wait for ever."""
    problems = []
    leaders = ", ".join(sorted(name for name, item in device.instruments.items() if item.trigger is None))
    for name, instrument in device.instruments.items():
        passed, at = set(), instrument.trigger
        while at is not None and at not in passed:
            passed.add(at)
            at = device.instruments[at].trigger
        if name in passed:
            problems.append(
                ConfigError(
                    "waits for its own trigger, so it never starts", subject=f"instruments.{name}.trigger",
                    value=instrument.trigger, legal=f"an instrument that waits for none: {leaders or 'there is none'}",
                )
            )  # fmt: skip
    return problems


def _port_problems(device: DeviceDescription) -> list[ConfigError]:
    """What a port has to itself and shares, and what only a baseband port has."""
    problems = []
    seen: dict[tuple[str, int], str] = {}
    busy = {port.instrument: f"ports.{name}" for name, port in device.ports.items()}
    busy |= {lo.instrument: f"oscillators.{name}" for name, lo in device.oscillators.items()}
    for name, port in device.ports.items():
        other = seen.setdefault((port.instrument, port.pair), name)
        if other != name:
            problems.append(
                ConfigError(f"the pair belongs to port {other} already", subject=f"ports.{name}.pair", value=port.pair)
            )
        if port.lo is None and port.direction == "input":
            legal = ", ".join(sorted(device.oscillators)) or "none defined"
            problems.append(
                ConfigError("an input is mixed down with an LO", subject=f"ports.{name}.lo", value=port.lo, legal=legal)
            )
        if port.bias is None:
            continue
        other = busy.setdefault(port.bias.instrument, f"ports.{name}.bias")
        if other != f"ports.{name}.bias":
            message = f"the instrument belongs to {other} already"
            problems.append(ConfigError(message, subject=f"ports.{name}.bias.instrument", value=port.bias.instrument))
        if port.lo is not None:
            problems.append(ConfigError("only a baseband port has a bias", subject=f"ports.{name}.lo", value=port.lo))
        elif abs(port.bias.level) > port.bias.range:
            legal = f"within {port.bias.range:g} A"
            problems.append(
                ConfigError("beyond its range", subject=f"ports.{name}.bias.level", value=port.bias.level, legal=legal)
            )
    return problems


def wiring_problems(device: DeviceDescription) -> list[ConfigError]:
    """Return everything in ``device`` that contradicts something else in it."""
    problems = _reference_problems(device)
    if problems:
        return problems
    problems += _trigger_problems(device) + _port_problems(device)
    n = device.num_qubits
    legal = f"0 to {n - 1}"
    coupler_of: dict[str, int] = {}
    for i, pair in enumerate(device.couplings):
        key = f"couplings.{i}"
        if pair.flux is not None and coupler_of.setdefault(pair.flux, i) != i:
            problems.append(
                ConfigError(f"the line tunes the coupler of couplings.{coupler_of[pair.flux]} already",
                            subject=f"{key}.flux", value=pair.flux)
            )  # fmt: skip
        both = {pair.control, pair.target}
        if len(both) < 2 or max(both) >= n:
            problems.append(
                ConfigError(
                    "not a pair of two qubits",
                    subject=key,
                    value=f"{pair.control} to {pair.target}",
                    legal=legal,
                )
            )
        elif pair.flux is None and len({device.ports[device.qubits[q].drive].lo for q in both}) > 1:
            problems.append(
                ConfigError("the two drives of a cross-resonance pair need one LO, or their relative phase is lost",
                            subject=key, value=f"{pair.control} to {pair.target}")
            )  # fmt: skip
    measured = [q for group in device.meas_map for q in group]
    if sorted(measured) != list(range(n)):
        problems.append(
            ConfigError(
                "each qubit belongs to exactly one group",
                subject="meas_map",
                value=str(device.meas_map),
                legal=legal,
            )
        )
    return problems
