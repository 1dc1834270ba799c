"""Times, rates and bounds of a device description: what converts to what, and what is within what.

A number far from what can be meant is taken for one without its unit: ``frequency = 5.10`` is 5.1 Hz.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from pulsed.model.draft import asked, meant, named
from pulsed.model.errors import ConfigError
from pulsed.model.references import LINES, Problems
from pulsed.model.units import format_quantity

_RADIO = (1e6, 1e12)
"""Hz: of a qubit, a resonator, an oscillator."""
_MAGNITUDES: dict[str, tuple[str, float, float]] = {
    "dt": ("s", 1e-13, 1e-6),
    "limits.rep_delay": ("s", 1e-9, 60.0),
    "limits.rep_delay_min": ("s", 1e-9, 60.0),
    "limits.rep_delay_max": ("s", 1e-9, 60.0),
    "oscillators.frequency": ("Hz", *_RADIO),
    "ports.clock": ("Hz", 1e6, 1e13),
    "ports.bandwidth": ("Hz", 1e3, 1e12),
    "qubits.design_frequency": ("Hz", *_RADIO),
    "qubits.design_readout_frequency": ("Hz", *_RADIO),
    "qubits.design_anharmonicity": ("Hz", 1e3, 1e11),
}
"""Unit, least and largest of what is meant by a key, either sign."""


def magnitudes(device: Any) -> Iterator[Problems]:
    """Yield the rules about numbers that cannot be meant."""
    for key, bounds in _MAGNITUDES.items():
        table, _, name = key.rpartition(".")
        if table in ("", "limits"):
            yield _magnitude(device if table == "" else asked(device, table), key, name, bounds)
            continue
        for which, item in named(device, table).items():
            yield _magnitude(item, f"{table}.{which}.{name}", name, bounds)


def grids(device: Any) -> Iterator[Problems]:
    """Yield the rules about times, rates and bounds."""
    yield _shots(device)
    yield _delays(device)
    yield _rack_time(device)
    for name, port in named(device, "ports").items():
        yield _lengths(name, port)
        yield _nyquist(name, port)
        yield _whole_delay(device, name, port)
        yield _tones(device, name, port)
    for key in ("granularity", "pulse_alignment", "acquire_alignment"):
        yield _grid(device, key)
    yield _shortest(device)
    for name, instrument in named(device, "instruments").items():
        yield _memory(device, name, instrument)
    for q, qubit in named(device, "qubits").items():
        for line, _ in LINES:
            yield _band(device, q, qubit, line)
        yield _one_mixing(device, q, qubit)
    for k, pair in named(device, "couplings").items():
        yield _cross_band(device, k, pair)


def _magnitude(table: Any, key: str, name: str, bounds: tuple[str, float, float]) -> Problems:
    unit, low, high = bounds
    value = getattr(table, name)
    if not low <= abs(value) <= high:
        example = "5.1 GHz" if unit == "Hz" else "1 ns" if name == "dt" else "500 us"
        legal = f'{format_quantity(low, unit)} to {format_quantity(high, unit)}; the unit is written: "{example}"'
        shown = format_quantity(float(value), unit)
        yield ConfigError("this cannot be meant", subject=key, value=shown, legal=legal)


def _shots(device: Any) -> Problems:
    limits = device.limits
    if limits.default_shots > limits.max_shots:
        yield ConfigError(
            "more than a job may have", subject="limits.default_shots", value=limits.default_shots,
            legal=f"1 to limits.max_shots = {limits.max_shots}",
        )  # fmt: skip


def _rack_time(device: Any) -> Problems:
    limits = device.limits
    if limits.job_seconds < limits.rack_time:
        yield ConfigError(
            "shorter than what needs no confirmation", subject="limits.job_seconds",
            value=format_quantity(limits.job_seconds, "s"),
            legal=f"at least limits.rack_time = {format_quantity(limits.rack_time, 's')}",
        )  # fmt: skip


def _delays(device: Any) -> Problems:
    limits = device.limits
    low, high = limits.rep_delay_min, limits.rep_delay_max
    if low > high:
        legal = f"up to limits.rep_delay_max = {format_quantity(high, 's')}"
        value = format_quantity(low, "s")
        yield ConfigError("above the longest", subject="limits.rep_delay_min", value=value, legal=legal)
    elif not low <= limits.rep_delay <= high:
        yield ConfigError(
            "out of its own bounds", subject="limits.rep_delay", value=format_quantity(limits.rep_delay, "s"),
            legal=f"limits.rep_delay_min = {format_quantity(low, 's')} to rep_delay_max = {format_quantity(high, 's')}",
        )  # fmt: skip


def _lengths(name: str, port: Any) -> Problems:
    if port.min_length > port.max_length:
        legal = f"up to max_length = {port.max_length}"
        yield ConfigError("above the longest", subject=f"ports.{name}.min_length", value=port.min_length, legal=legal)
    elif port.max_length // port.granularity * port.granularity < port.min_length:
        yield ConfigError(
            "no length is on this grid", subject=f"ports.{name}.granularity", value=port.granularity,
            legal=f"one with a multiple from {port.min_length} to {port.max_length} samples",
        )  # fmt: skip


def _nyquist(name: str, port: Any) -> Problems:
    """Where phase and frequency are in the samples, what is faster than half their rate comes out as another tone."""
    if not port.nco and port.lo is not None and port.bandwidth > port.clock / 2:
        yield ConfigError(
            "beyond half the clock of a port without an NCO", subject=f"ports.{name}.bandwidth",
            value=format_quantity(port.bandwidth, "Hz"), legal=f"up to {format_quantity(float(port.clock / 2), 'Hz')}",
        )  # fmt: skip


def _whole_delay(device: Any, name: str, port: Any) -> Problems:
    """A job that does not say its repetition delay waits the default one, which is played as samples."""
    delay = Fraction(round(device.limits.rep_delay * 1e12), 10**12)
    if (delay * port.clock).denominator != 1:
        yield ConfigError(
            f"not a whole number of samples of ports.{name}", subject="limits.rep_delay",
            value=format_quantity(float(delay), "s", 12), legal=f"multiples of {_rational(1 / port.clock)}",
        )  # fmt: skip


def _wired(device: Any) -> dict[str, Any]:
    """Return the ports that a qubit or a coupler is wired to."""
    names = {asked(qubit, line) for qubit in named(device, "qubits").values() for line, _ in LINES}
    names |= {asked(pair, "flux") for pair in named(device, "couplings").values()}
    return {name: port for name, port in named(device, "ports").items() if name in names}


_ALIGNED = {"pulse_alignment": "output", "acquire_alignment": "input"}
"""Which ports start on which grid."""


def _grid(device: Any, key: str) -> Problems:
    """A length, or a start, that the grid of schedules allows is whole in the samples of each port, and on its grid."""
    time, bad, step = getattr(device.timing, key), [], 1
    for name, port in _wired(device).items():
        if port.direction != _ALIGNED.get(key, port.direction):
            continue
        unit = port.granularity if key == "granularity" else 1
        samples = time * device.dt * port.clock
        step = math.lcm(step, (unit / (device.dt * port.clock)).numerator)
        if samples.denominator != 1 or samples % unit:
            bad.append(f"ports.{name}")
    if bad:
        what = "multiples of their granularity" if key == "granularity" else "whole samples"
        yield ConfigError(
            f"on this grid {', '.join(bad)} cannot play or record {what}", subject=f"timing.{key}",
            value=f"{time} dt of {_rational(device.dt)}", legal=f"multiples of {step} dt",
        )  # fmt: skip


def _shortest(device: Any) -> Problems:
    shortest, least, most, bad = device.timing.min_length, 1, math.inf, []
    for name, port in _wired(device).items():
        low = math.ceil(port.min_length / (device.dt * port.clock))
        high = math.floor(port.max_length / (device.dt * port.clock))
        least, most = max(least, low), min(most, high)
        if not low <= shortest <= high:
            bad.append(f"ports.{name}")
    if bad:
        legal = f"from {least} dt" if shortest < least else f"up to {most} dt"
        message = f"a length that {', '.join(bad)} cannot play or record"
        yield ConfigError(message, subject="timing.min_length", value=shortest, legal=legal)


def _channels(device: Any, name: str) -> int:
    """Return how many channels are wired to a port."""
    qubits = named(device, "qubits")
    uses = sum(bool(getattr(qubit, line) == name) for qubit in qubits.values() for line, _ in LINES)
    for pair in named(device, "couplings").values():
        line = pair.flux if pair.flux is not None else meant(qubits, pair.control).drive
        uses += bool(line == name)
    return uses


def _memory(device: Any, name: str, instrument: Any) -> Problems:
    """Each channel plays at least one event, and each port at least one waveform of the shortest length."""
    ports = {
        key: port for key, port in _wired(device).items() if port.instrument == name and port.direction == "output"
    }
    events = sum(_channels(device, key) for key in ports)
    samples = sum(
        math.ceil(device.timing.min_length * device.dt * port.clock / port.granularity) * port.granularity
        for port in ports.values()
    )
    for key, least, what in (
        ("event_memory", events, "one event for each of its channels"),
        ("waveform_memory", samples, "a shortest waveform for each of its ports"),
    ):
        value = getattr(instrument, key)
        if value is not None and value < least:
            yield ConfigError(
                f"no room for {what}", subject=f"instruments.{name}.{key}", value=value, legal=f"from {least}"
            )  # fmt: skip


def _tones(device: Any, name: str, port: Any) -> Problems:
    """Each channel of a port has an oscillator of its own."""
    uses = _channels(device, name)
    if uses > port.oscillators:
        legal = f"from {uses}, one for each channel that is wired to it"
        yield ConfigError(
            "too few tones", subject=f"ports.{name}.oscillators", value=port.oscillators, legal=legal
        )  # fmt: skip


def _out_of_band(device: Any, key: str, port_name: str, frequency: float) -> Problems:
    port = meant(named(device, "ports"), port_name)
    lo = meant(named(device, "oscillators"), port.lo).frequency
    if not abs(frequency - lo) <= port.bandwidth:
        low, high = format_quantity(lo - port.bandwidth, "Hz"), format_quantity(lo + port.bandwidth, "Hz")
        yield ConfigError(
            f"out of the band of ports.{port_name}, which is {format_quantity(port.bandwidth, 'Hz')} around the "
            f"{format_quantity(lo, 'Hz')} of oscillators.{port.lo}",
            subject=key, value=format_quantity(frequency, "Hz"), legal=f"{low} to {high}, or another oscillator",
        )  # fmt: skip


def _band(device: Any, index: int, qubit: Any, line: str) -> Problems:
    key = "design_frequency" if line == "drive" else "design_readout_frequency"
    yield from _out_of_band(device, f"qubits.{index}.{key}", getattr(qubit, line), getattr(qubit, key))


def _cross_band(device: Any, index: int, pair: Any) -> Problems:
    if pair.flux is None and pair.control != pair.target:
        qubits = named(device, "qubits")
        control, target = meant(qubits, pair.control), meant(qubits, pair.target)
        if target.drive != control.drive:
            yield from _out_of_band(device, f"couplings.{index}.target", control.drive, target.design_frequency)


def _one_mixing(device: Any, index: int, qubit: Any) -> Problems:
    """A tone that is mixed up and down at different frequencies comes back with another phase at each shot."""
    ports, oscillators = named(device, "ports"), named(device, "oscillators")
    up, down = (meant(oscillators, meant(ports, name).lo) for name in (qubit.readout, qubit.acquire))
    if up.frequency != down.frequency:
        lo = meant(ports, qubit.readout).lo
        yield ConfigError(
            "the readout tone is mixed up and down at different frequencies: its phase is another at each shot",
            subject=f"ports.{qubit.acquire}.lo", value=meant(ports, qubit.acquire).lo, legal=lo,
        )  # fmt: skip


def _rational(seconds: Fraction) -> str:
    """Return a time as it may be written: ``"2/9 ns"``."""
    return f"{seconds * 10**9} ns"
