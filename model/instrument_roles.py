"""What the instruments of a rack are used as: the table of roles.

Which names have to be there, who owns what (:mod:`pulsed.model.references`, :mod:`pulsed.model.ownership`) and which
protocol a driver needs (:mod:`pulsed.drivers.kinds`) follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from pulsed.model.draft import asked, named


class Use(NamedTuple):
    """One place of a description that names an instrument."""

    instrument: str
    key: str
    """The key that names it: ``"oscillators.drive.instrument"``."""
    owner: str
    """The table that it belongs to: ``"oscillators.drive"``."""


@dataclass(frozen=True)
class InstrumentRole:
    """What an instrument can be used as."""

    name: str
    """With its article, for messages: ``"an AWG"``."""
    uses: Callable[[Any], Iterator[Use]]
    """Yields each use of a description, or of a draft of one, as far as it can be read."""
    makes: str = ""
    """What it makes one of, so that it has one owner: ``"one frequency"``. Empty: several tables may share it."""
    legal: str = "a source of its own"
    """Legal for a second owner, who is its ``{owner}`` in the words of the first."""


def _oscillators(device: Any) -> Iterator[Use]:
    for name, oscillator in named(device, "oscillators").items():
        instrument = asked(oscillator, "instrument")
        if instrument is not None:
            yield Use(instrument, f"oscillators.{name}.instrument", f"oscillators.{name}")


def _ports(direction: str) -> Callable[[Any], Iterator[Use]]:
    def uses(device: Any) -> Iterator[Use]:
        for name, port in named(device, "ports").items():
            instrument = asked(port, "instrument")
            if instrument is not None and asked(port, "direction") == direction:
                yield Use(instrument, f"ports.{name}.instrument", f"ports.{name}")

    return uses


def _biases(device: Any) -> Iterator[Use]:
    for name, port in named(device, "ports").items():
        bias = asked(port, "bias")
        instrument = None if bias is None else asked(bias, "instrument")
        if instrument is not None:
            yield Use(instrument, f"ports.{name}.bias.instrument", f"ports.{name}.bias")


AWG = InstrumentRole("an AWG", _ports("output"))
DIGITIZER = InstrumentRole("a digitizer", _ports("input"))
LOCAL_OSCILLATOR = InstrumentRole(
    "a local oscillator",
    _oscillators,
    makes="one frequency",
    legal="a source of its own; ports that share the frequency say lo = {owner!r}",
)
BIAS_SOURCE = InstrumentRole("a bias source", _biases, makes="one current")
ROLES = (LOCAL_OSCILLATOR, AWG, DIGITIZER, BIAS_SOURCE)
"""All of them. A kind of instrument that a description names is a row here and one in `pulsed.drivers.kinds.KINDS`."""


def players(device: Any) -> dict[str, tuple[InstrumentRole, ...]]:
    """Return what plays or records, by name: as an AWG, as a digitizer, or as both in one box."""
    found: dict[str, tuple[InstrumentRole, ...]] = {}
    for role in (AWG, DIGITIZER):
        for use in role.uses(device):
            have = found.get(use.instrument, ())
            found[use.instrument] = have if role in have else (*have, role)
    return found


def inner_oscillators(device: Any) -> dict[str, str]:
    """Return the local oscillators that are inside of a box with outputs or inputs, and that box.

    Such a box has an oscillator for each of its outputs and inputs: a port of it that names one tunes its own.
    """
    boxes = players(device)
    return {
        use.owner.partition(".")[2]: use.instrument
        for use in LOCAL_OSCILLATOR.uses(device) if use.instrument in boxes
    }  # fmt: skip


def settings_of(device: Any, instrument: str) -> dict[str, str]:
    """Return what may be set of an instrument by hand: its short name, and what jobs call it."""
    if instrument in inner_oscillators(device).values():
        return {}  # those of a box are set with what it plays
    los = {
        what: f"oscillators.{name}.{what}"
        for name, item in device.oscillators.items() if item.instrument == instrument
        for what in ("frequency", "power")
    }  # fmt: skip
    found = dict(los)
    for name, port in device.ports.items():
        if port.bias is not None and port.bias.instrument == instrument:
            found["level"] = f"ports.{name}.bias"
    return found
