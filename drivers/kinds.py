"""The kinds of instruments of a rack, as a table: what a rack has to know of each, besides the contract that all keep.

A description names most instruments in an :class:`~pulsed.model.instrument_roles.InstrumentRole`; :data:`KINDS` has the
kind of each. The driver of an instrument that no role names may bring a kind of its own as its attribute ``kind``: the
rack then checks, configures and asks the instrument as it does with all others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from pulsed.compiler.program import ChunkSettings
from pulsed.drivers.contract import (
    BiasSettings,
    BiasSource,
    Capabilities,
    Digitizer,
    Generator,
    Instrument,
    Source,
    SourceSettings,
    Transceiver,
)
from pulsed.model.instrument_roles import (
    AWG,
    BIAS_SOURCE,
    DIGITIZER,
    LOCAL_OSCILLATOR,
    InstrumentRole,
    inner_oscillators,
)


class InstrumentSettings(NamedTuple):
    """What one instrument is set to while a chunk plays."""

    instrument: str
    settings: Any
    """What ``configure`` and ``validate`` of its driver take."""
    key: str
    """Key of the description that says so, for the error when the driver refuses them: ``"ports.c0.bias.range"``."""
    named_by: str
    """Key that names the instrument: ``"ports.c0.bias.instrument"``."""


class SettingRange(NamedTuple):
    """One number of some settings and what the instrument's capabilities allow."""

    key: str
    """Below the key of the settings: ``"frequency"``."""
    value: float
    low: float
    high: float
    """Not above ``low`` where the capabilities do not say."""
    unit: str


def _no_settings(_device: Any, _given: ChunkSettings | None) -> Iterator[InstrumentSettings]:
    return iter(())


def _no_ranges(_settings: Any, _can: Capabilities) -> Iterator[SettingRange]:
    return iter(())


@dataclass(frozen=True)
class InstrumentKind:
    """What a rack has to know of a kind of instrument."""

    name: str
    """With its article, for messages: ``"a bias source"``."""
    protocol: Any
    """Of :mod:`pulsed.drivers.contract`, or another that extends :class:`~pulsed.drivers.contract.Instrument`."""
    role: InstrumentRole | None = None
    """What a description uses it as; None for a kind that only drivers name."""
    settings: Callable[[Any, ChunkSettings | None], Iterator[InstrumentSettings]] = _no_settings
    """Yields what a description, or a draft of one, sets on instruments of this kind, or a chunk in its place.

    What it yields for an instrument of another kind is passed over. The protocol of a kind with settings extends
    :class:`~pulsed.drivers.contract.Configurable` and :class:`~pulsed.drivers.contract.Validating`.
    """
    ranges: Callable[[Any, Capabilities], Iterator[SettingRange]] = _no_ranges
    """Yields the numbers of settings that the capabilities bound, so that each is refused by its own key."""
    plays: bool = False
    """Whether it is given a :class:`~pulsed.drivers.programs.Playback`."""
    records: bool = False
    """Whether it is given a :class:`~pulsed.drivers.programs.Recording`."""


def _source_settings(device: Any, given: ChunkSettings | None) -> Iterator[InstrumentSettings]:
    los = {} if given is None else given.los
    inner = inner_oscillators(device)
    for name, item in device.oscillators.items():
        if name in inner:
            continue  # set with what the box plays
        settings = SourceSettings(*los.get(name, (item.frequency, item.power)))
        yield InstrumentSettings(item.instrument, settings, f"oscillators.{name}", f"oscillators.{name}.instrument")


def _source_ranges(settings: SourceSettings, can: Capabilities) -> Iterator[SettingRange]:
    yield SettingRange("frequency", settings.frequency, can.min_frequency, can.max_frequency, "Hz")
    yield SettingRange("power", settings.power, *can.power, "dBm")


def _bias_settings(device: Any, given: ChunkSettings | None) -> Iterator[InstrumentSettings]:
    levels = {} if given is None else given.biases
    for name, port in device.ports.items():
        if (bias := port.bias) is not None:
            key, level = f"ports.{name}.bias", levels.get(name, bias.level)
            if given is None and abs(level) > bias.range:
                continue  # the description contradicts itself, whatever the source can do
            settings = BiasSettings(level, bias.range, slew=bias.slew)
            yield InstrumentSettings(bias.instrument, settings, f"{key}.range", f"{key}.instrument")


GENERATORS = InstrumentKind(AWG.name, Generator, AWG, plays=True)
TRANSCEIVERS = InstrumentKind("a box with outputs and inputs", Transceiver, plays=True, records=True)
"""Of several roles in one box: an AWG and a digitizer, perhaps with the LOs of both."""
DIGITIZERS = InstrumentKind(DIGITIZER.name, Digitizer, DIGITIZER, records=True)
SOURCES = InstrumentKind(LOCAL_OSCILLATOR.name, Source, LOCAL_OSCILLATOR, _source_settings, _source_ranges)
BIASES = InstrumentKind(BIAS_SOURCE.name, BiasSource, BIAS_SOURCE, _bias_settings)
OTHERS = InstrumentKind("any instrument", Instrument)
"""Connected, asked how it is and made safe with the others, and never configured: a spectrum analyser."""
KINDS = (GENERATORS, TRANSCEIVERS, DIGITIZERS, SOURCES, BIASES)
"""The kinds that a description names, in the order in which a rack lists its instruments."""


def kind_of(roles: Collection[InstrumentRole]) -> InstrumentKind:
    """Return the kind of an instrument that a description uses as ``roles``.

    An LO inside of what plays or records is no other kind; for roles that do not go together it is the first one's.
    """
    if AWG in roles and DIGITIZER in roles:
        return TRANSCEIVERS
    return next(kind for kind in KINDS if kind.role is not None and kind.role in roles)
