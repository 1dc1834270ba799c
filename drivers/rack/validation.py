"""Whether a device description fits its drivers: what each instrument is used as, and what it can do.

Nothing here speaks to an instrument. The rack refuses what does not fit, and `pulsed config check` names all of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import entry_points
from typing import Any, cast

from pulsed.drivers.contract import Capabilities
from pulsed.drivers.kinds import KINDS, OTHERS, InstrumentKind, InstrumentSettings, kind_of
from pulsed.drivers.limits import numbered
from pulsed.model.device import PortDescription
from pulsed.model.draft import UnknownValue
from pulsed.model.errors import ConfigError, InstrumentLimitError, PulsedError
from pulsed.model.instrument_roles import AWG, DIGITIZER, ROLES, InstrumentRole, inner_oscillators
from pulsed.model.units import format_quantity


def load_driver(name: str, key: str = "driver") -> Callable[..., Any]:
    """Return the driver that an entry point of ``pulsed.drivers`` names. Raises :class:`ConfigError`."""
    found = {point.name: point for point in entry_points(group="pulsed.drivers")}
    if name not in found:
        raise ConfigError("no such driver is installed", subject=key, value=name, legal=", ".join(sorted(found)))
    try:
        return cast("Callable[..., Any]", found[name].load())
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the driver cannot be loaded: {error}", subject=key, value=found[name].value) from error


@dataclass(frozen=True)
class RackDrivers:
    """The drivers of a rack with their kinds, by name, and what does not fit."""

    drivers: dict[str, Any] = field(default_factory=dict)
    """In the order of :data:`~pulsed.drivers.kinds.KINDS`; what no port and no oscillator names comes last."""
    kinds: dict[str, InstrumentKind] = field(default_factory=dict)
    problems: list[ConfigError] = field(default_factory=list)

    @property
    def generators(self) -> dict[str, Any]:
        """The drivers of what plays."""
        return {name: driver for name, driver in self.drivers.items() if self.kinds[name].plays}

    @property
    def digitizers(self) -> dict[str, Any]:
        """The drivers of what records."""
        return {name: driver for name, driver in self.drivers.items() if self.kinds[name].records}

    def raise_first(self) -> None:
        """Raise the first problem, which says how many more there are."""
        if self.problems:
            first, more = self.problems[0], len(self.problems) - 1
            message = first.message if not more else f"{first.message} (and {more} more: see `pulsed config check`)"
            raise ConfigError(message, subject=first.subject, value=first.value, legal=first.legal)


_Check = Callable[[Any, RackDrivers], Iterator[ConfigError]]


def load_rack(device: Any) -> RackDrivers:
    """Make the drivers of ``device``, without I/O, and find all that does not fit them.

    ``device``: a description, or what of one can be read: :attr:`pulsed.model.device.Reading.readable`.
    """
    loaded = RackDrivers()
    used: dict[str, dict[InstrumentRole, list[str]]] = {}
    for role in ROLES:
        for use in role.uses(device):
            used.setdefault(use.instrument, {}).setdefault(role, []).append(use.key)
    made: dict[InstrumentKind, dict[str, Any]] = {kind: {} for kind in KINDS}
    for name in device.instruments:
        try:
            driver, kind = _driver(device, name, used.get(name, {}))
            made.setdefault(kind, {})[name] = driver
        except ConfigError as error:
            loaded.problems.append(error)
    for kind, drivers in made.items():
        loaded.drivers.update(drivers)
        loaded.kinds.update(dict.fromkeys(drivers, kind))
    settings_fit: list[_Check] = [partial(_settings_fit, kind) for kind in made]
    for check in (_outputs_fit, _inputs_fit, _inner_los_fit, *settings_fit, _options_are_known, _feedback_fits):
        for problem in _readable(check(device, loaded)):
            if all(problem.subject != other.subject for other in loaded.problems):
                loaded.problems.append(problem)
    return loaded


def _readable(problems: Iterator[ConfigError]) -> Iterator[ConfigError]:
    """Yield what is found until it takes a key that could not be read."""
    try:
        yield from problems
    except UnknownValue:
        return


def _driver(device: Any, name: str, roles: dict[InstrumentRole, list[str]]) -> tuple[Any, InstrumentKind]:
    """Return the driver of an instrument and its kind: that of its roles, else its driver's own.

    ``roles``: those that the description gives it, with the keys that name it in each.
    """
    description, key = device.instruments[name], f"instruments.{name}"
    make = load_driver(description.driver, f"{key}.driver")
    try:
        driver = make(name, description)
    except PulsedError as error:
        subject = error.subject if error.subject.startswith(key) else key
        raise ConfigError(error.message, subject=subject, value=error.value, legal=error.legal) from error
    own = getattr(driver, "kind", None)
    kind = kind_of(roles) if roles else own if isinstance(own, InstrumentKind) else OTHERS
    if not isinstance(driver, kind.protocol):
        raise _cannot(device, name, kind, roles)
    return driver, kind


def _cannot(device: Any, name: str, kind: InstrumentKind, roles: dict[InstrumentRole, list[str]]) -> ConfigError:
    """Return the error about a driver that is not what the description uses it as."""
    description, key = device.instruments[name], f"instruments.{name}"
    if kind.plays and kind.records:
        ports = sorted((roles[AWG], roles[DIGITIZER]), key=len)
        return ConfigError(
            f"the instrument belongs to {ports[1][0].removesuffix('.instrument')} already, and its driver is not that "
            "of a box with both outputs and inputs", subject=ports[0][0], value=name,
            legal=f"an instrument of its own, or one with another driver than {description.driver}",
        )  # fmt: skip
    keys = [one for uses in roles.values() for one in uses]
    return ConfigError(
        f"this driver cannot do what {', '.join(keys) if keys else 'its kind'} asks of it", subject=f"{key}.driver",
        value=description.driver, legal=f"the driver of {kind.name}",
    )  # fmt: skip


def _ports_of(device: Any, drivers: dict[str, Any], direction: str) -> Iterator[tuple[str, PortDescription, Any]]:
    for name, port in device.ports.items():
        if port.instrument in drivers and port.direction == direction:
            yield name, port, drivers[port.instrument]


def _outputs_fit(device: Any, loaded: RackDrivers) -> Iterator[ConfigError]:
    for name, port, driver in _ports_of(device, loaded.generators, "output"):
        can = driver.capabilities
        yield from _readable(_port_fits(device, name, port, can))
        told = port.model_fields_set
        if can.oscillators and "oscillators" in told and port.nco and port.oscillators > can.oscillators:
            yield _more(f"ports.{name}.oscillators", port, "oscillators of a pair", port.oscillators, can.oscillators)
        if can.max_frequency and "bandwidth" in told and port.nco and port.bandwidth > can.max_frequency:
            limit = format_quantity(can.max_frequency, "Hz")
            yield _more(f"ports.{name}.bandwidth", port, "band", format_quantity(port.bandwidth, "Hz"), limit)
    for name, driver in loaded.generators.items():
        description, can = device.instruments[name], driver.capabilities
        for key, has in (
            ("waveform_memory", can.waveform_memory), ("event_memory", can.event_memory),
            ("oscillator_waveform_memory", can.oscillator_waveform_memory),
            ("oscillator_event_memory", can.oscillator_events),
        ):  # fmt: skip
            yield from _memory_fits(name, key, getattr(description, key), has)
        yield from _trigger_fits(name, description.trigger, can)


def _inputs_fit(device: Any, loaded: RackDrivers) -> Iterator[ConfigError]:
    for name, port, driver in _ports_of(device, loaded.digitizers, "input"):
        can = driver.capabilities
        yield from _readable(_port_fits(device, name, port, can))
        if can.max_frequency and "bandwidth" in port.model_fields_set and port.bandwidth > can.max_frequency:
            limit = format_quantity(can.max_frequency, "Hz")
            yield _more(f"ports.{name}.bandwidth", port, "band", format_quantity(port.bandwidth, "Hz"), limit)
    for name, driver in loaded.digitizers.items():
        description, can = device.instruments[name], driver.capabilities
        yield from _memory_fits(name, "record_memory", description.record_memory, can.result_memory)
        yield from _trigger_fits(name, description.trigger, can)


def _inner_los_fit(device: Any, loaded: RackDrivers) -> Iterator[ConfigError]:
    """Check the LOs inside of boxes: whether there are any, and their frequencies."""
    for oscillator, box in inner_oscillators(device).items():
        if box not in loaded.drivers:
            continue
        low, high = loaded.drivers[box].capabilities.lo_frequency
        item, key = device.oscillators[oscillator], f"oscillators.{oscillator}"
        if not high:
            message = f"instruments.{box} has no LO inside"
            yield ConfigError(message, subject=f"{key}.instrument", value=box, legal="a source of its own")
        elif not low <= item.frequency <= high:
            yield ConfigError(
                f"out of the range of instruments.{box}", subject=f"{key}.frequency",
                value=format_quantity(item.frequency, "Hz"),
                legal=f"{format_quantity(low, 'Hz')} to {format_quantity(high, 'Hz')}",
            )  # fmt: skip
        for what in ("power", "max_power") if high else ():
            # A description that has crossed a process says every key.
            if getattr(item, what) != type(item).model_fields[what].default:
                message = f"the power of the LO inside of instruments.{box} is its own"
                yield ConfigError(message, subject=f"{key}.{what}", value=getattr(item, what), legal="none")


def _more(key: str, port: PortDescription, what: str, value: object, limit: object) -> ConfigError:
    return ConfigError(
        f"beyond the {what} of instruments.{port.instrument}", subject=key, value=str(value), legal=f"up to {limit}"
    )


def _memory_fits(name: str, key: str, value: int | None, has: int) -> Iterator[ConfigError]:
    if value is not None and has and value > has:
        message = "more than the instrument has, so that jobs would be cut too late"
        yield ConfigError(message, subject=f"instruments.{name}.{key}", value=value, legal=f"up to {has}")


def _trigger_fits(name: str, trigger: str | None, can: Capabilities) -> Iterator[ConfigError]:
    if trigger is not None and not can.trigger_input:
        message = "the instrument has no trigger input: it can only lead"
        yield ConfigError(message, subject=f"instruments.{name}.trigger", value=trigger, legal="none")


def _port_fits(device: Any, name: str, port: PortDescription, can: Capabilities) -> Iterator[ConfigError]:
    """Check pair, clock and grid of a port; what the file leaves out of the grid is the instrument's."""
    key, told = f"ports.{name}", port.model_fields_set
    numbers = can.outputs if port.direction == "output" else can.inputs
    if numbers and port.pair not in numbers:
        message = f"instruments.{port.instrument} has no such pair"
        yield ConfigError(message, subject=f"{key}.pair", value=port.pair, legal=numbered(numbers))
    if can.sample_rate and port.clock != can.sample_rate:
        yield ConfigError(
            f"instruments.{port.instrument} has another clock", subject=f"{key}.clock",
            value=format_quantity(float(port.clock), "Hz", 12), legal=format_quantity(float(can.sample_rate), "Hz"),
        )  # fmt: skip
        return  # what follows is in its samples
    if "granularity" in told and port.granularity % can.granularity:
        yield ConfigError(
            f"lengths of instruments.{port.instrument} are multiples of {can.granularity} samples",
            subject=f"{key}.granularity", value=port.granularity, legal=f"multiples of {can.granularity}",
        )  # fmt: skip
    elif (length := device.timing.granularity * device.dt * port.clock) % can.granularity:
        yield ConfigError(
            f"lengths of instruments.{port.instrument} are multiples of {can.granularity} samples, and this is "
            f"{length} samples of {key}", subject="timing.granularity", value=device.timing.granularity,
            legal=f"multiples of {(can.granularity / (device.dt * port.clock)).numerator} dt",
        )  # fmt: skip
    if "min_length" in told and port.min_length < can.min_length:
        yield ConfigError(
            f"shorter than instruments.{port.instrument} takes", subject=f"{key}.min_length", value=port.min_length,
            legal=f"from {can.min_length}",
        )  # fmt: skip
    elif device.timing.min_length * device.dt * port.clock < can.min_length:
        yield ConfigError(
            f"shorter than instruments.{port.instrument} takes", subject="timing.min_length",
            value=device.timing.min_length, legal=f"from {math.ceil(can.min_length / (device.dt * port.clock))} dt",
        )  # fmt: skip
    if "max_length" in told and can.max_length and port.max_length > can.max_length:
        yield _more(f"{key}.max_length", port, "longest", port.max_length, f"{can.max_length} samples")


def _settings_fit(kind: InstrumentKind, device: Any, loaded: RackDrivers) -> Iterator[ConfigError]:
    """Check what the description sets on the instruments of a kind."""
    for item in kind.settings(device, None):
        if loaded.kinds.get(item.instrument) != kind:
            continue
        driver, out = loaded.drivers[item.instrument], False
        for what, value, low, high, unit in kind.ranges(item.settings, driver.capabilities):
            if low < high and not low <= value <= high:
                out = True
                shown, least, most = (
                    format_quantity(x, unit) if unit == "Hz" else f"{x:g} {unit}".strip() for x in (value, low, high)
                )
                message = f"out of the range of instruments.{item.instrument}"
                yield ConfigError(message, subject=f"{item.key}.{what}", value=shown, legal=f"{least} to {most}")
        if not out:
            yield from _refused(kind, driver, item)


def _refused(kind: InstrumentKind, driver: Any, item: InstrumentSettings) -> Iterator[ConfigError]:
    """Ask a driver whether it takes its settings: one of another kind may look the same from outside."""
    try:
        driver.validate(item.settings)
    except InstrumentLimitError as error:
        yield ConfigError(error.message, subject=item.key, value=error.value, legal=error.legal)
    except (AttributeError, TypeError):
        yield ConfigError(
            f"this instrument is not {kind.name}", subject=item.named_by, value=driver.name, legal=kind.name
        )


def _options_are_known(device: Any, loaded: RackDrivers) -> Iterator[ConfigError]:
    """Check the options of drivers that tell which they have, in ``option_names``."""
    for name, driver in loaded.drivers.items():
        names: tuple[str, ...] | None = getattr(driver, "option_names", None)
        if names is None:
            continue
        for option in sorted(device.instruments[name].options.keys() - set(names)):
            subject, legal = f"instruments.{name}.options.{option}", ", ".join(names) or "this driver has none"
            yield ConfigError("the driver has no such option", subject=subject, value=option, legal=legal)


def _feedback_fits(device: Any, loaded: RackDrivers) -> Iterator[ConfigError]:
    """Whether a bit can be at all AWGs in the time that is planned for it."""
    planned = device.timing.feedback_latency
    if planned is None:
        return
    for name, driver in (loaded.generators | loaded.digitizers).items():
        if not driver.capabilities.branching:
            yield ConfigError(
                f"instruments.{name} has no feedback", subject="timing.feedback_latency", value=planned,
                legal="none, which refuses circuits with if_test",
            )  # fmt: skip
        elif driver.capabilities.own_bits and len(loaded.generators | loaded.digitizers) > 1:
            yield ConfigError(
                f"instruments.{name} tells its bits to itself alone, and there are other instruments",
                subject="timing.feedback_latency", value=planned, legal="none, which refuses circuits with if_test",
            )  # fmt: skip
    needed = 0
    for _, port, driver in _ports_of(device, loaded.generators, "output"):
        needed = max(needed, math.ceil(driver.capabilities.feedback_latency / (port.clock * device.dt)))
    if planned < needed:
        yield ConfigError(
            "less than the AWGs need until they play what a bit decides", subject="timing.feedback_latency",
            value=planned, legal=f"from {needed} dt",
        )  # fmt: skip
