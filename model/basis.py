"""What calibrated values depend on of a device: times are in its dt, amplitudes are those of its lines and mixers.

A set carries the :class:`Basis` it was made for. Sets of versions before that have none; a daemon takes the one that it
finds active over once, as it starts, and later on compares others without one with what it was then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from pulsed.model.errors import ConfigError

if TYPE_CHECKING:  # the store reads a basis; device descriptions bring pydantic, which takes long to import
    from pulsed.model.device import DeviceDescription

_LINES = {"d": "drive", "m": "readout", "a": "acquire"}
_SHOWN = 4
"""How many differences an error names."""


class Basis(msgspec.Struct, frozen=True):
    """What a calibration set depends on of its device, in words that are compared as they are."""

    dt: str
    """``"1 ns"``; a rational."""
    channels: dict[str, str]
    """By channel, the port it plays on; of a control channel also which pair it is, control first."""
    ports: dict[str, str]
    """By port with a channel: instrument, pair, local oscillator, clock and delay."""
    oscillators: dict[str, str]
    """By local oscillator of these ports: frequency and power."""

    def differences(self, other: Basis) -> list[str]:
        """Return what is another in ``other``, in words: ``"dt was 1 ns and is 1/2 ns"``."""
        found = [] if self.dt == other.dt else [f"dt was {self.dt} and is {other.dt}"]
        for table, mine, theirs in (
            ("", self.channels, other.channels),
            ("ports", self.ports, other.ports),
            ("oscillators", self.oscillators, other.oscillators),
        ):
            for name in sorted(mine.keys() | theirs.keys()):
                was, now = mine.get(name, "not there"), theirs.get(name, "not there")
                if was != now:
                    found.append(f"{f'{table}.{name}' if table else _key(name)} was {was} and is {now}")
        return found


def _key(channel: str) -> str:
    """Return the key of the configuration that wires a channel: ``"d0"`` is at ``"qubits.0.drive"``."""
    kind, number = channel[0], channel[1:]
    return f"couplings.{number}" if kind == "u" else f"qubits.{number}.{_LINES[kind]}"


def basis_of(device: DeviceDescription) -> Basis:
    """Return what calibrated values depend on of ``device``."""
    channels: dict[str, str] = {}
    for q, qubit in enumerate(device.qubits):
        channels |= {f"d{q}": qubit.drive, f"m{q}": qubit.readout, f"a{q}": qubit.acquire}
    for k, pair in enumerate(device.couplings):
        line = pair.flux or device.qubits[pair.control].drive
        channels[f"u{k}"] = f"{line} for Q{pair.control}-Q{pair.target}"
    used = {line.partition(" ")[0] for line in channels.values()}
    ports = {name: port for name, port in device.ports.items() if name in used}
    los = {port.lo for port in ports.values()}
    return Basis(
        dt=f"{device.dt * 10**9} ns",
        channels=channels,
        ports={
            name: f"{port.instrument} pair {port.pair}, LO {port.lo or 'none'}, {port.clock} Hz, delay {port.delay}"
            for name, port in ports.items()
        },
        oscillators={
            name: f"{lo.frequency!r} Hz, {lo.power!r} dBm" for name, lo in device.oscillators.items() if name in los
        },
    )


class MadeFor(Protocol):
    """What is read here of a calibration set, which holds a basis."""

    @property
    def calibration_id(self) -> str:
        """Its id."""

    @property
    def made_for(self) -> Basis | None:
        """What it depends on of its device; None in old sets."""


def check_basis(calibration: MadeFor, device: DeviceDescription, adopted: Basis | None = None) -> None:
    """Raise :class:`ConfigError` when ``calibration`` was made for another device than ``device`` is.

    ``adopted``: what a set that does not say is taken to have been made for; without, it is believed.
    """
    made_for = calibration.made_for or adopted
    found = [] if made_for is None else made_for.differences(basis_of(device))
    if found:
        more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ConfigError(
            f"was made for another rack: {', '.join(found[:_SHOWN])}{more}",
            subject=f"calibration set {calibration.calibration_id}",
            legal="the configuration as it was; or start the daemon with --rack-changed keep, when its values hold all "
            "the same, or --rack-changed anew, which begins with the configuration's own set",
        )  # fmt: skip
