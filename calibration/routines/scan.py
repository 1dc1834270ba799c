"""A sweep by hand of any one or two parameters, over a program that is written in a line: ``x wait sx``.

An axis is a value of the calibration set (each point is played under a candidate set of its own), a parameter of the
program, or a setting of an oscillator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, product
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import xarray
from pydantic import Field, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.results.data import sweep
from pulsed.calibration.routine import (
    Measurement,
    MeasurementRequest,
    MeasurementResponse,
    Outcome,
    Routine,
    RoutineParameters,
    qubits_of,
)
from pulsed.calibration.routines.scan_plots import draw_scan
from pulsed.calibration.schedules import Blocks, Part
from pulsed.model.calibration import Value
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError
from pulsed.model.parameters import parameter_of
from pulsed.model.units import parse_quantity
from pulsed.pulse.schedule import Schedule

Watch = Callable[[str, xarray.Dataset], None]
"""Called with the target and everything measured so far; what is missing is NaN."""

OWN = {"wait": "s", "phase": "rad", "amplitude": "", "frequency": "Hz", "duration": "s"}
"""Axes of the program, with units: of ``wait``, of ``rz``, and of ``drive``."""
_USES = {"wait": {"wait"}, "rz": {"phase"}, "drive": {"amplitude", "frequency", "duration"}}
_SETTING = re.compile(r"oscillators\.(\w+)\.(frequency|power)")
_STEP = re.compile(r"(?P<what>\w+)(?:@(?P<where>Q\d+(?:-Q\d+)?))?(?::(?P<value>\S+))?")


class Axis(RoutineParameters):
    """One axis: what is swept, and between what. ``relative``: to what it is in the working set."""

    name: str
    start: float
    stop: float
    points: int = Field(ge=1, le=2001)
    relative: bool = False

    @property
    def key(self) -> str:
        """The name in the file, where dots are in the way of other programs."""
        return self.name.replace(".", "_").replace("-", "_")


def unit_of(name: str, device: DeviceDescription) -> str:
    """Return the unit of an axis. Raises :class:`InvalidValueError` for what is none."""
    if name in OWN:
        return OWN[name]
    others = f"{', '.join(OWN)}, oscillators.NAME.frequency of {', '.join(device.oscillators)}"
    if match := _SETTING.fullmatch(name):
        if match.group(1) in device.oscillators:
            return {"frequency": "Hz", "power": "dBm"}[match.group(2)]
    else:
        try:
            found = parameter_of(_full(name, "Q0"), device)
        except InvalidValueError as none:
            legal = f"{others}, {none.legal}"
            raise InvalidValueError(none.message, subject="axis", value=name, legal=legal) from none
        if found.counts == (1,):
            return found.unit
    legal = f"{others}, a value of one number"
    raise InvalidValueError("this cannot be swept", subject="axis", value=name, legal=legal)


def parse_axis(text: str, device: DeviceDescription) -> Axis:
    """Return ``NAME=START:STOP:POINTS``, or ``NAME=+-SPAN:POINTS`` about what it is now, with units as in ``4.9GHz``.

    Raises :class:`InvalidValueError`.
    """
    name, _, numbers = text.partition("=")
    unit = unit_of(name, device)
    relative = numbers.startswith(("+-", "±"))
    parts = (numbers[2:] if numbers.startswith("+-") else numbers[1:] if relative else numbers).split(":")
    try:
        *ends, points = parts
        span = [float(parse_quantity(end, unit or "none")) for end in ends]
        start, stop = (-span[0], span[0]) if relative and len(span) == 1 else span
        return Axis(name=name, start=start, stop=stop, points=int(points), relative=relative)
    except ValueError as error:
        legal = "NAME=START:STOP:POINTS or NAME=+-SPAN:POINTS, e.g. wait=0:20us:41 or f01=+-2MHz:41"
        raise InvalidValueError("not an axis", subject="axis", value=text, legal=legal) from error


class Scan(Routine):
    """Plays ``program`` on the target and measures it, at all points of one or two axes.

    ``watch`` sees the data as they come.
    """

    name: ClassVar = "scan"

    class Parameters(RoutineParameters):
        """What is played and swept."""

        axes: tuple[Axis, ...] = Field(min_length=1, max_length=2)
        program: str = ""
        """Steps one after the other: ``x``, ``sx``, ``ecr@Q0-Q1``, ``x@Q2``, ``wait``, ``wait:2us``, ``rz``,
        ``rz:1.57``, ``drive`` (a pulse like x, of the swept amplitude, frequency or duration)."""
        shots: PositiveInt = 500
        chunk: PositiveInt = 16
        """Points that are played before the data are shown."""
        confirmed: bool = False
        """Play it although it takes longer than the rack's ``limits.rack_time``."""

    def __init__(self, watch: Watch | None = None, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._watch = watch

        self.steps = self._read()

    def _read(self) -> list[re.Match[str]]:
        """Return the program. Raises :class:`InvalidValueError` for what is no step, and for an axis without one."""
        found = []
        for word in self.parameters.program.split():
            match = _STEP.fullmatch(word)
            if match is None:
                raise InvalidValueError("not a step", subject="program", value=word, legal="x, x@Q1, wait, wait:2us")
            found.append(match)
        swept = {name for m in found if not m["value"] for name in _USES.get(m["what"], ())}
        for axis in self.parameters.axes:
            if axis.name in OWN and axis.name not in swept:
                needs = next(step for step, names in _USES.items() if axis.name in names)
                raise InvalidValueError(
                    "the program does not use this axis", subject="program", value=axis.name, legal=f"a step {needs}"
                )
        return found

    def grid(self, executor: Executor, target: str) -> list[npt.NDArray[np.float64]]:
        """Return the values along each axis."""
        return [_along(axis, executor, target) for axis in self.parameters.axes]

    def least_seconds(self, executor: Executor, target: str) -> float:
        """Return how long the scan keeps the rack at least: its waits and repetition delays, without pulses."""
        p, (qubit,) = self.parameters, qubits_of(target, executor.device)
        names, seconds = [axis.name for axis in p.axes], 0.0
        waits = [step for step in self.steps if step["what"] == "wait"]
        for values in product(*self.grid(executor, target)):
            point = dict(zip(names, values, strict=True))
            dts = sum(int(cast("int", _part(step, executor.blocks, qubit, point))) for step in waits)
            seconds += dts * executor.blocks.dt + executor.device.limits.rep_delay
        return float(p.shots * seconds)

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Play points that share a candidate set and settings together, a chunk at a time."""
        p, (qubit,) = self.parameters, qubits_of(target, executor.device)
        names = [axis.name for axis in p.axes]
        for name in names:
            unit_of(name, executor.device)
        points = [dict(zip(names, point, strict=True)) for point in product(*self.grid(executor, target))]
        answers: list[MeasurementResponse] = []
        for values, own in groupby(points, lambda point: _outside(point, target)):
            blocks = _blocks(executor, {n: v for n, v in values if not n.startswith("oscillators.")})
            settings = {n: v for n, v in values if n.startswith("oscillators.")}
            schedules = [blocks.shot(qubit, *self._parts(blocks, qubit, point)) for point in own]
            for first in range(0, len(schedules), p.chunk):
                options: dict[str, Any] = {"settings": settings} if settings else {}
                options["confirm_rack_time"] = p.confirmed
                over = {n: v for n, v in values if n not in settings}
                answers.append(
                    (
                        yield MeasurementRequest(
                            schedules[first : first + p.chunk], p.shots, options=options, values=over
                        )
                    )
                )
                if self._watch is not None:
                    self._watch(target, self._dataset(executor, target, answers))
        return self._dataset(executor, target, answers)

    def partial(self, executor: Executor, target: str, answers: Sequence[MeasurementResponse]) -> xarray.Dataset | None:
        """Return what a scan that was stopped has measured; the points that it has not are NaN."""
        return self._dataset(executor, target, answers) if answers else None

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Return nothing: a scan is for the eye."""
        return Outcome("good", "", {}, {})

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw a line with error bars, or a map."""
        draw_scan(data, figure)

    def _dataset(self, executor: Executor, target: str, answers: Sequence[MeasurementResponse]) -> xarray.Dataset:
        axes, grid = self.parameters.axes, self.grid(executor, target)
        shape = tuple(len(along) for along in grid)
        coords = {
            axis.key: (axis.key, along, {"units": unit_of(axis.name, executor.device), "long_name": axis.name})
            for axis, along in zip(axes, grid, strict=True)
        }
        reads = any("readout" in axis.name for axis in axes)
        known = None if reads else executor.calibration
        parts = [
            sweep({"point": (np.arange(len(a.overrange)), "")}, a, known=known, target=target) for a in answers
        ]  # fmt: skip
        data = xarray.Dataset(coords=coords)
        for name, variable in parts[0].data_vars.items():
            full = np.full(shape, np.nan)
            measured = np.concatenate([part[name].to_numpy() for part in parts])
            full.reshape(-1)[: len(measured)] = measured
            data[name] = (tuple(coords), full, variable.attrs)
        return data.assign_attrs(parts[0].attrs | {"program": self.parameters.program, "target": target})

    def _parts(self, blocks: Blocks, qubit: int, point: Mapping[str, float]) -> list[Part]:
        """Return the program at one point."""
        return [_part(step, blocks, qubit, point) for step in self.steps]


def _full(name: str, target: str) -> str:
    """Return a value's name with its subject, which is the target where none is given."""
    return name if re.match(r"Q\d|[a-z]+\d*\.(mixer|delay|bias)", name) else f"{target}.{name}"


def _along(axis: Axis, executor: Executor, target: str) -> npt.NDArray[np.float64]:
    centre = 0.0
    if axis.relative and (match := _SETTING.fullmatch(axis.name)):
        centre = float(getattr(executor.device.oscillators[match.group(1)], match.group(2)))
    elif axis.relative:
        centre = {"frequency": lambda: executor.blocks.value(f"{target}.f01")}.get(
            axis.name, lambda: 0.0 if axis.name in OWN else executor.blocks.value(_full(axis.name, target))
        )()
    return centre + np.linspace(axis.start, axis.stop, axis.points)


def _outside(point: Mapping[str, float], target: str) -> tuple[tuple[str, float], ...]:
    """Return what is not the program's own: settings, and values by full name."""
    return tuple(
        (name if name.startswith("oscillators.") else _full(name, target), float(value))
        for name, value in point.items()
        if name not in OWN
    )


def _blocks(executor: Executor, values: Mapping[str, float]) -> Blocks:
    return (
        executor.propose({n: Value(v, quality="set") for n, v in values.items()}).blocks if values else executor.blocks
    )


def _part(step: re.Match[str], blocks: Blocks, qubit: int, point: Mapping[str, float]) -> Part:
    what, value = step["what"], step["value"]
    where = tuple(int(n) for n in re.findall(r"\d+", step["where"])) if step["where"] else (qubit,)
    if what == "wait":
        seconds = point["wait"] if value is None and "wait" in point else _number(value, "s", step)
        return round(seconds / blocks.dt)
    if what == "rz":
        return blocks.rz(
            where[0], point["phase"] if value is None and "phase" in point else _number(value, "rad", step)
        )
    if what == "drive":
        return _drive(blocks, where[0], point)
    return blocks.gate(what, *where)


def _number(text: str | None, unit: str, step: re.Match[str]) -> float:
    try:
        return float(parse_quantity(text or "", unit))
    except ValueError as error:
        what = step["what"]
        raise InvalidValueError(
            "this step needs a number or an axis", subject="program", value=step[0], legal=f"{what}:1{unit}"
        ) from error


def _drive(blocks: Blocks, qubit: int, point: Mapping[str, float]) -> Schedule:
    """Return a pulse with the shape of x: a duration keeps the ratio to its sigma."""
    changes: dict[str, float] = {}
    if "amplitude" in point:
        changes["amplitude"] = point["amplitude"]
    if "duration" in point:
        step = 8  # what has a waveform is a multiple of this long
        length = max(2 * step, step * round(point["duration"] / blocks.dt / step))
        changes |= {"duration": length, "sigma": length / 4}
    pulse = blocks.drag(qubit, "x", **changes)
    return blocks.at(qubit, point["frequency"], pulse) if "frequency" in point else pulse
