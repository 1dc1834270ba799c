"""The options of a run: defaults, bounds, and what a keyword may be."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from qiskit.providers import Options

from pulsed.model.job import RunOptions
from pulsed.provider.errors import OptionValueError, UnknownOptionError

if TYPE_CHECKING:
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription

DEFAULTS: dict[str, Any] = {
    "shots": 1024,
    "memory": False,
    "meas_level": 2,
    "meas_return": "single",
    "rep_delay": None,
    "init_qubits": True,
    "dynamic": False,
    "qubit_lo_freq": None,
    "meas_lo_freq": None,
    "schedule_los": None,
    "seed_simulator": None,
    "iq": False,
    "dry_run": False,
    "job_name": None,
    "job_tags": (),
    "priority": 0,
    "hold_calibration": False,
    "on_stale_calibration": "run",
}

PER_CALL = ("calibrations", "calibration_id", "parameter_binds")
"""Keywords of ``run`` that belong to one call and are no options of a backend."""

SENT = tuple(name for name in RunOptions.__struct_fields__ if name in DEFAULTS)
"""Options that travel as they are."""

Check = Callable[[str, Any], Any]


def _fail(name: str, value: Any, legal: str) -> OptionValueError:
    return OptionValueError("not a legal value of this option of run", subject=name, value=value, legal=legal)


def _integer(low: int, high: int) -> Check:
    def check(name: str, value: Any) -> int:
        legal = f"an integer from {low} to {high}"
        try:
            number = int(value) if isinstance(value, float) and value.is_integer() else operator.index(value)
        except TypeError:
            raise _fail(name, value, legal) from None
        if isinstance(value, bool) or not low <= number <= high:
            raise _fail(name, value, legal)
        return number

    return check


def _choice(*legal: Any) -> Check:
    def check(name: str, value: Any) -> Any:
        value = getattr(value, "value", value)
        for item in legal:
            if type(item) is type(value) and item == value:
                return item
        raise _fail(name, value, " or ".join(map(repr, legal)))

    return check


def _seconds(low: float, high: float) -> Check:
    def check(name: str, value: Any) -> float | None:
        legal = f"{low:g} s to {high:g} s"
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise _fail(name, value, legal)
        return float(value)

    return check


def _frequencies(ranges: list[tuple[float, float]]) -> Check:
    def check(name: str, value: Any) -> tuple[float, ...] | None:
        if value is None:
            return None
        try:
            numbers = tuple(float(item) for item in value)
        except (TypeError, ValueError):
            raise _fail(name, value, f"a list of {len(ranges)} frequencies in Hz") from None
        if len(numbers) != len(ranges):
            raise _fail(name, value, f"a list of {len(ranges)} frequencies in Hz, one per qubit")
        for q, (number, (low, high)) in enumerate(zip(numbers, ranges, strict=True)):
            if not low <= number <= high:
                raise _fail(f"{name}[{q}]", number, f"{low / 1e9:.6g} GHz to {high / 1e9:.6g} GHz, given in Hz")
        return numbers

    return check


def _name(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _fail(name, value, "a string or None")
    return value


def _tags(name: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise _fail(name, value, "a list of strings")
    tags = tuple(value)
    if not all(isinstance(tag, str) for tag in tags):
        raise _fail(name, value, "a list of strings")
    return tags


def _anything(name: str, value: Any) -> Any:
    return value


def frequency_range(device: DeviceDescription, port: str) -> tuple[float, float]:
    """Return the lowest and highest frequency in hertz that ``port`` plays: its LO and its bandwidth around it."""
    center, bandwidth = device.lo_frequency(port), device.ports[port].bandwidth
    return center - bandwidth, center + bandwidth


def merge_los(options: dict[str, Any], device: DeviceDescription, calibration: CalibrationSet) -> dict[str, Any]:
    """Return ``qubit_lo_freq`` and ``meas_lo_freq`` (Hz) with ``schedule_los`` put in.

    ``schedule_los`` is a LoConfig or {channel: Hz}, or a list of equal ones: one job has one setting of its LOs.
    """
    given = options["schedule_los"]
    several = list(given) if isinstance(given, list | tuple) else [given]
    plain = [_channel_los(item) for item in several]
    if any(item != plain[0] for item in plain):
        raise OptionValueError(
            "one job has one setting of its LOs; run the circuits as separate jobs, or use SetFrequency",
            subject="schedule_los", value=given,
        )  # fmt: skip
    q = range(device.num_qubits)
    sheet = device.qubits
    values = {
        "d": list(options["qubit_lo_freq"] or (calibration.get(f"Q{k}.f01", sheet[k].design_frequency) for k in q)),
        "m": list(
            options["meas_lo_freq"]
            or (calibration.get(f"Q{k}.readout.frequency", sheet[k].design_readout_frequency) for k in q)
        ),
    }
    for name, frequency in plain[0].items() if plain else ():
        kind, index = name[0], int(name[1:])
        if kind not in values or index >= device.num_qubits:
            raise _fail("schedule_los", name, f"d0 to d{device.num_qubits - 1}, m0 to m{device.num_qubits - 1}")
        values[kind][index] = frequency
    return {"qubit_lo_freq": values["d"], "meas_lo_freq": values["m"]}


def _channel_los(config: Any) -> dict[str, float]:
    try:
        pairs = dict(config) if isinstance(config, Mapping) else {**config.qubit_los, **config.meas_los}
        return {channel.name: float(frequency) for channel, frequency in pairs.items()}
    except (AttributeError, TypeError, ValueError):
        raise _fail("schedule_los", config, "a LoConfig or {channel: frequency in Hz}") from None


_FIXED_CHECKS: dict[str, Check] = {
    "shots": _integer(1, 2**31 - 1),
    "memory": _choice(True, False),
    "meas_level": _integer(0, 2),
    "meas_return": _choice("single", "avg"),
    "rep_delay": _seconds(0.0, math.inf),
    "init_qubits": _choice(True, False),
    "iq": _choice(True, False),
    "dry_run": _choice(True, False),
    "dynamic": _choice(False),
    "priority": _integer(-100, 100),
    "hold_calibration": _choice(True, False),
    "on_stale_calibration": _choice("run", "warn", "refuse"),
    "job_name": _name,
    "job_tags": _tags,
}


def _checks(device: DeviceDescription) -> dict[str, Check]:
    limits = device.limits
    drives = [frequency_range(device, qubit.drive) for qubit in device.qubits]
    readouts = [frequency_range(device, qubit.readout) for qubit in device.qubits]
    return _FIXED_CHECKS | {
        "shots": _integer(1, limits.max_shots),
        "rep_delay": _seconds(limits.rep_delay_min, limits.rep_delay_max),
        "qubit_lo_freq": _frequencies(drives),
        "meas_lo_freq": _frequencies(readouts),
    }


class PulsedOptions(Options):  # type: ignore[misc]
    """Options of a backend. Each update passes the checks of the device; nothing is changed by one that fails.

    Raises:
        UnknownOptionError: (an ``AttributeError``) a field that is not there.
        OptionValueError: (a ``ValueError``) a value outside its bounds.

    """

    __slots__ = ("checks",)

    def __init__(self, device: DeviceDescription | None = None) -> None:
        super().__init__(**DEFAULTS)
        object.__setattr__(self, "checks", _FIXED_CHECKS if device is None else _checks(device))
        if device is not None:
            self.update_options(shots=device.limits.default_shots)

    def update_options(self, **fields: Any) -> None:
        """Set ``fields`` after checking them all."""
        for name in fields:
            if name not in self._fields:
                raise UnknownOptionError("no such option", subject="options", value=name, legal=", ".join(self._fields))
        super().update_options(**self.checked(fields))

    def checked(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return ``fields`` in their plain types. Raises :class:`OptionValueError`."""
        checks: dict[str, Check] = self.checks
        return {name: checks.get(name, _anything)(name, value) for name, value in fields.items()}

    def __setstate__(self, state: Any) -> None:
        # The checks of a device do not travel; a backend checks with its own.
        super().__setstate__(state)
        object.__setattr__(self, "checks", _FIXED_CHECKS)

    def __copy__(self) -> PulsedOptions:
        other: PulsedOptions = super().__copy__()
        object.__setattr__(other, "checks", self.checks)
        return other
