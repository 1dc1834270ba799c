"""The options of a run: defaults, bounds, and what a keyword may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from qiskit.providers import Options

from pulsed import old_names
from pulsed.model.errors import InvalidValueError
from pulsed.model.run_options import RUN_OPTIONS
from pulsed.provider.errors import OptionValueError, UnknownOptionError

if TYPE_CHECKING:
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription

__getattr__ = old_names(__name__)

DEFAULTS: dict[str, Any] = {row.name: row.default for row in RUN_OPTIONS.values() if row.option.of == "backend"}
"""The options of a backend."""

PER_CALL = tuple(row.name for row in RUN_OPTIONS.values() if row.option.of == "run")
"""Keywords of ``run`` that belong to one call and are no options of a backend."""

BETWEEN_RUNS = ("dynamical_decoupling", "hold_calibration")
"""Options of a backend that act on ``transpile`` and on the set it follows; a run does nothing with them."""

SENT = tuple(name for name in DEFAULTS if RUN_OPTIONS[name].travels)
"""Options that travel as they are."""

_ELSEWHERE = {
    "noise_model": "the errors are those of the rack",
}
"""What other backends have options for, and what there is here instead."""


def unknown(name: str, subject: str, legal: Iterable[str]) -> UnknownOptionError:
    """Return the error for an option that is none; ``run`` gives its text as a warning."""
    hint = f": {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
    return UnknownOptionError(f"no such option{hint}", subject=subject, value=name, legal=", ".join(legal))


def _fail(name: str, value: Any, legal: str) -> OptionValueError:
    return OptionValueError("invalid value of this option of run", subject=name, value=value, legal=legal)


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


def _check_validator(name: str, value: Any, validator: Any) -> None:
    """Raise :class:`OptionValueError` unless ``value`` is what the user's ``set_validator`` asks for."""
    if value is None and DEFAULTS[name] is None:
        return  # None is "not given" there
    legal, good = f"of type {getattr(validator, '__name__', '')}", True
    if isinstance(validator, type):
        good = isinstance(value, validator)
    elif isinstance(validator, list):
        legal, good = ", ".join(map(repr, validator)), value in validator
    else:
        low, high = validator
        legal, good = f"{low} to {high}", isinstance(value, Real) and low <= value <= high
    if not good:
        raise _fail(name, value, f"{legal}, by set_validator")


class PulsedOptions(Options):  # type: ignore[misc]
    """Options of a backend.

    Each update, ``options.shots = 5`` too, passes the checks of the device and those of ``set_validator``, and so do
    the options of each run; nothing is changed by one that fails.

    Raises:
        UnknownOptionError: (an ``AttributeError``) a field that is not there.
        OptionValueError: (a ``ValueError``) a value outside its bounds.

    """

    __slots__ = ("device",)

    def __init__(self, device: DeviceDescription | None = None) -> None:
        super().__init__(**DEFAULTS)
        object.__setattr__(self, "device", device)
        if device is not None:
            self.update_options(shots=device.limits.default_shots)

    def update_options(self, **fields: Any) -> None:
        """Set ``fields`` after checking them all."""
        for name in fields:
            if name not in self._fields:
                raise unknown(name, "options", self._fields)
        super().update_options(**self.checked(fields))

    def checked(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return ``fields`` in their plain types. Raises :class:`OptionValueError`."""
        plain = dict(fields)
        try:
            device = self.device
            if "settings" in fields:  # the bands of the ports move with their oscillators
                plain["settings"] = RUN_OPTIONS["settings"].read(fields["settings"], device)
                device = device and device.with_settings(plain["settings"])
            for name, value in fields.items():
                if name in RUN_OPTIONS and name != "settings":
                    plain[name] = RUN_OPTIONS[name].read(value, device)
        except InvalidValueError as error:
            raise OptionValueError(error.message, subject=error.subject, value=error.value, legal=error.legal) from None
        for name, validator in self.validator.items():
            if name in plain:
                _check_validator(name, plain[name], validator)
        return plain

    def __setattr__(self, name: str, value: Any) -> None:
        # Qiskit's own takes anything.
        self.update_options(**{name: value})

    def __setstate__(self, state: Any) -> None:
        # The device does not travel; a backend checks with its own.
        super().__setstate__(state)
        object.__setattr__(self, "device", None)

    def __copy__(self) -> PulsedOptions:
        other: PulsedOptions = super().__copy__()
        object.__setattr__(other, "device", self.device)
        return other
