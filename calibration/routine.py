"""What a routine is: a measurement of one target, a fit that proposes values, rules that refuse bad data, a figure."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, ClassVar, Literal

import numpy as np
import xarray
from pydantic import BaseModel, ConfigDict, ValidationError

from pulsed import old_names
from pulsed.calibration.executor import Executor
from pulsed.calibration.measurement import Measurement, MeasurementRequest, MeasurementResponse
from pulsed.calibration.outcome import Outcome, Proposal, bad_data, first_bad
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ConfigError, InvalidValueError

__getattr__ = old_names(__name__)

__all__ = [
    "Measurement",
    "MeasurementRequest",
    "MeasurementResponse",
    "Outcome",
    "Proposal",
    "Routine",
    "RoutineParameters",
    "Subject",
    "Verdict",
    "all_routines",
    "bad_data",
    "find_routine",
    "first_bad",
    "qubits_of",
    "register",
    "routine_names",
    "tone_pairs",
]
"""With this module alone a routine can be written."""

Subject = Literal["qubit", "pair", "port", "chip"]
Verdict = Literal["in spec", "out of spec", "bad data"]


class RoutineParameters(BaseModel):
    """The parameters of a run; each routine has its own, with defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Routine(ABC):
    """A measurement with a fit. Subclasses say what they need and give, and play through what they yield.

    ``Rabi(points=41)`` makes one with parameters of its own; an unknown or bad one raises :class:`InvalidValueError`.
    """

    name: ClassVar[str]
    subject: ClassVar[Subject] = "qubit"
    needs: ClassVar[tuple[str, ...]] = ()
    """Values without which it cannot run, without subject; a pair's as ``control.…`` and ``target.…``."""
    gives: ClassVar[tuple[str, ...]] = ()
    """Values it proposes, names without subject."""
    disturbs: ClassVar[Literal["none", "neighbours", "all"]] = "none"
    """Which other targets may not be measured at the same time."""
    tolerances: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """For a check: by name, how far (absolute, relative) a value may be from the active one."""
    quick: ClassVar[Mapping[str, Any]] = {}
    """Parameters of a check: a few points."""

    class Parameters(RoutineParameters):
        """None."""

    parameters: Any
    """A ``Parameters`` of the class."""

    def __init__(self, **parameters: Any) -> None:
        try:
            self.parameters = self.Parameters(**parameters)
        except ValidationError as error:
            first = error.errors()[0]
            name, subject = ".".join(map(str, first["loc"])), f"routine {self.name}"
            if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
                legal = ", ".join(self.Parameters.model_fields) or "none: it has no parameters"
                raise InvalidValueError("no such parameter", subject=subject, value=name, legal=legal) from error
            raise InvalidValueError(
                "a value that this parameter does not take", subject=subject, value=f"{name}={first['input']!r}",
                legal=first["msg"],
            ) from error  # fmt: skip

    @classmethod
    def targets(cls, device: DeviceDescription) -> tuple[str, ...]:
        """Return every target of the device that it can be run on: of ports, those that play."""
        if cls.subject == "qubit":
            return tuple(f"Q{q}" for q in range(device.num_qubits))
        if cls.subject == "pair":
            return tuple(f"Q{pair.control}-Q{pair.target}" for pair in device.couplings)
        if cls.subject == "port":
            return tuple(name for name, port in device.ports.items() if port.direction == "output")
        return ("chip",)

    @abstractmethod
    def measure(self, executor: Executor, target: str) -> Measurement:
        """Measure one target: yield :class:`MeasurementRequest`, get :class:`MeasurementResponse`, return the data.

        ``executor.blocks`` makes the schedules. Other targets may be measured at the same time; nothing here sees them.
        """

    @abstractmethod
    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit. A pure function of the data and their attributes, so that a file gives the same numbers."""

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw data, fit, residuals and the values with their errors into a matplotlib figure."""
        from pulsed.calibration.results.run_plots import draw_fits

        draw_fits(self.name, data, outcome, figure)

    def check(self, executor: Executor, target: str) -> Measurement:
        """Measure a few points, enough to see whether the active values are right."""
        return type(self)(**{**self.parameters.model_dump(exclude_unset=True), **self.quick}).measure(executor, target)

    @classmethod
    def checkable(cls) -> bool:
        """Whether a check says something of the active values: without tolerances nothing is compared with them."""
        return bool(cls.tolerances or cls.judge is not Routine.judge)

    def partial(self, executor: Executor, target: str, answers: Sequence[MeasurementResponse]) -> xarray.Dataset | None:
        """Return what a run that was stopped had measured, in the routine's own form; None where it has none."""
        return None

    def judge(self, data: xarray.Dataset, calibration: CalibrationSet, target: str) -> tuple[Verdict, str]:
        """Compare what a check measured with the active values; return the verdict and the reason in words.

        A value is out of spec when it is farther from the active one than the tolerance and three standard errors;
        angles are the same a whole turn apart.
        """
        outcome = self.analyse(data)
        if not outcome.good:
            return "bad data", outcome.reason
        for name, (absolute, relative) in self.tolerances.items():
            found, full = outcome.values.get(name), f"{target}.{name}"
            if found is None or isinstance(found.value, tuple):
                continue
            if not calibration.has(full):
                return "out of spec", f"{full} has no value"
            old = calibration.number(full)
            allowed = absolute + relative * abs(old) + 3 * (found.stderr or 0.0)
            off = found.value - old
            if found.unit == "rad":
                off = (off + np.pi) % (2 * np.pi) - np.pi
            if abs(off) > allowed:
                return "out of spec", f"{full} is {found.value:.7g}, {old:.7g} is active, {allowed:.2g} is allowed"
        return "in spec", ""


# --- targets -------------------------------------------------------------------------------------------------------

_QUBIT, _PAIR = re.compile(r"Q(\d+)"), re.compile(r"Q(\d+)-Q(\d+)")


def tone_pairs(device: DeviceDescription) -> tuple[str, ...]:
    """Return the pairs whose gate is a tone on the control: those without a flux line."""
    return tuple(f"Q{pair.control}-Q{pair.target}" for pair in device.couplings if pair.flux is None)


def qubits_of(target: str, device: DeviceDescription) -> tuple[int, ...]:
    """Return the qubits of a target: one, two (control first), those of a port's line, or all.

    Raises :class:`InvalidValueError` for a target that the device does not have.
    """
    if match := _PAIR.fullmatch(target) or _QUBIT.fullmatch(target):
        found = tuple(int(number) for number in match.groups())
        if all(q < device.num_qubits for q in found):
            return found
    elif target == "chip":
        return tuple(range(device.num_qubits))
    elif target in device.ports:
        return tuple(q for q, row in enumerate(device.qubits) if target in (row.drive, row.readout, row.acquire))
    legal = f"Q0 to Q{device.num_qubits - 1}, pairs such as Q0-Q1, chip, {', '.join(device.ports)}"
    raise InvalidValueError("no such target", subject=f"device {device.name}", value=target, legal=legal)


# --- the registry --------------------------------------------------------------------------------------------------

_registered: dict[str, type[Routine]] = {}


def register(routine: type[Routine]) -> type[Routine]:
    """Make a routine of a notebook known by its name; a decorator. One of the same name is replaced."""
    _registered[routine.name] = routine
    return routine


def routine_names() -> list[str]:
    """Return the names of all routines, of packages and of this process."""
    return sorted({point.name for point in entry_points(group="pulsed.routines")} | _registered.keys())


def find_routine(name: str) -> type[Routine]:
    """Return the routine called ``name``. Raises :class:`InvalidValueError` with the legal ones."""
    if name in _registered:
        return _registered[name]
    for point in entry_points(group="pulsed.routines", name=name):
        try:
            found: type[Routine] = point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"the routine cannot be loaded: {error}", subject=name, value=point.value) from error
        return found
    raise InvalidValueError("no such routine", subject="routine", value=name, legal=", ".join(routine_names()))


def all_routines() -> Iterator[type[Routine]]:
    """Yield every routine."""
    return (find_routine(name) for name in routine_names())
