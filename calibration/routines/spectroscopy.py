"""Where the transitions of a qubit are: spectroscopy of 0-1 and of 1-2."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit, peak
from pulsed.calibration.results.data import signal, signal_name, sweep
from pulsed.calibration.routine import (
    Measurement,
    MeasurementRequest,
    Outcome,
    Proposal,
    Routine,
    RoutineParameters,
    first_bad,
    qubits_of,
)
from pulsed.pulse.library import Gaussian
from pulsed.pulse.library.pulse import Pulse


class _Lines(RoutineParameters):
    """Of a coarse sweep with a short pulse, and of a fine one around what it found, with a long pulse."""

    span: PositiveFloat = 140e6
    """Hz, of the coarse sweep."""
    step: PositiveFloat = 1e6
    fine_span: PositiveFloat = 5e6
    fine_step: PositiveFloat = 0.1e6
    shots: PositiveInt = 200
    duration: int = Field(default=400, ge=64)
    """dt of the coarse pulse."""
    fine_duration: int = Field(default=1600, ge=64)


def _pulse(duration: int, area: float) -> Pulse:
    """Return a Gaussian five sigma long whose samples add up to about ``area``."""
    sigma = duration / 5
    return Gaussian(duration, min(area / (sigma * np.sqrt(2 * np.pi)), 1.0), sigma=sigma)


def _grid(centre: float, span: float, step: float) -> np.ndarray:
    half = int(span / step / 2)
    return centre + step * np.arange(-half, half + 1)


_HALVES = ([0.0, np.pi], "rad")
"""Turns of the last pulse's frame whose mean does not see what an imperfect pulse before it left of the phase."""


def _peak(data: xarray.Dataset, axis: str, suffix: str) -> Fit:
    y, sigma = signal(data, suffix)
    if y.ndim == 2:
        y, sigma = y.mean(axis=0), np.sqrt(np.sum(sigma**2, axis=0)) / len(sigma)
    return peak(data[axis].to_numpy(), y, sigma, shape="gaussian").shown(x=("frequency", "Hz"), y=signal_name(data))


def _peaks(data: xarray.Dataset) -> dict[str, Fit]:
    fits = {"coarse": _peak(data, "frequency", "")}
    if "fine" in data.coords:
        fits["fine"] = _peak(data, "fine", "_fine")
    return fits


class QubitSpectroscopy(Routine):
    """The 0-1 transition: a pulse of about half a turn at many frequencies, wide first, then near the line.

    When the first pulse shows no line, one three times as strong is tried, then one a third as strong. Two lines that
    are seen twice are refused: which of them is the qubit, the data cannot say. A neighbour may turn out to have nearly
    the same frequency, and then answers to this qubit's tone: it is looked at another time.
    """

    name: ClassVar = "qubit-spectroscopy"
    needs: ClassVar = ("readout.amplitude",)
    gives: ClassVar = ("f01",)
    disturbs: ClassVar = "neighbours"
    tolerances: ClassVar = {"f01": (3e5, 0.0)}
    quick: ClassVar = {"span": 10e6}

    class Parameters(_Lines):
        """Of the sweeps."""

        area: PositiveFloat = 12.5
        """Of a pulse, full scale times dt: half a turn when the Rabi frequency is 40 MHz at full scale, dt 1 ns."""

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Look for the line, then at it."""
        p, (qubit,) = self.parameters, qubits_of(target, executor.device)
        centre = executor.blocks.value(f"{target}.f01")
        lo = executor.device.oscillators[executor.device.ports[executor.device.qubits[qubit].drive].lo or ""].frequency
        band = executor.device.ports[executor.device.qubits[qubit].drive].bandwidth
        wide = _grid(centre, p.span, p.step)
        wide = wide[np.abs(wide - lo) <= band]
        looks, again = [1.0, 3.0, 1 / 3], False
        while looks:
            strength = looks.pop(0)
            answer = yield self._ask(executor, qubit, wide, p.duration, strength * p.area)
            data = sweep({"frequency": (wide, "Hz")}, answer)
            found = _peak(data, "frequency", "")
            two = "centre2" in found.values
            if found.ok or (two and again):
                break
            # Where two lines are seen again another strength would only hide one of them.
            looks, again = [strength, *looks] if two else looks, two
        if not found.ok:
            return data
        narrow = _grid(found.values["centre"], p.fine_span, p.fine_step)
        narrow = narrow[np.abs(narrow - lo) <= band]
        answer = yield self._ask(executor, qubit, narrow, p.fine_duration, strength * p.area)
        return data.merge(sweep({"fine": (narrow, "Hz")}, answer, suffixes=("_fine",)))

    def _ask(
        self, executor: Executor, qubit: int, frequencies: np.ndarray, duration: int, area: float
    ) -> MeasurementRequest:
        drive = executor.blocks.drive(qubit, _pulse(duration, area))
        schedules = [executor.blocks.shot(qubit, drive, frequency=float(f)) for f in frequencies]
        return MeasurementRequest(schedules, self.parameters.shots)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit a peak to both sweeps: the fine one gives the frequency."""
        fits = _peaks(data)
        if refused := first_bad(fits):
            return refused
        fine = fits["fine"]
        return Outcome("good", "", {"f01": Proposal(fine.values["centre"], "Hz", fine.stderr["centre"])}, fits)


class Anharmonicity(Routine):
    """The 1-2 transition: excite, a selective pulse near it, and back: what does not come back has gone on to 2.

    The local oscillator is put below both transitions, so that both are in its band and neither is the other's image.
    """

    name: ClassVar = "anharmonicity"
    needs: ClassVar = ("x.amplitude", "readout.amplitude")
    gives: ClassVar = ("anharmonicity",)
    tolerances: ClassVar = {"anharmonicity": (5e5, 0.0)}
    quick: ClassVar = {"span": 10e6, "fine_span": 2e6}

    class Parameters(_Lines):
        """Of the sweeps."""

        span: PositiveFloat = 140e6
        below: PositiveFloat = 240e6
        """Hz, of the local oscillator below f01."""
        expected: float = -330e6
        """Hz, where nothing is known."""

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Look for the line, then at it."""
        p, f01 = self.parameters, executor.blocks.value(f"{target}.f01")
        centre = f01 + executor.blocks.value(f"{target}.anharmonicity", p.expected)
        wide = _grid(centre, p.span, p.step)
        answer = yield self._ask(executor, target, wide, p.duration)
        data = sweep({"turn": _HALVES, "frequency": (wide, "Hz")}, answer).assign_attrs(f01=f01)
        found = _peak(data, "frequency", "")
        if not found.ok:
            return data
        narrow = _grid(found.values["centre"], p.fine_span, p.fine_step)
        answer = yield self._ask(executor, target, narrow, p.fine_duration)
        return data.merge(sweep({"turn": _HALVES, "fine": (narrow, "Hz")}, answer, suffixes=("_fine",)))

    def _ask(self, executor: Executor, target: str, frequencies: np.ndarray, duration: int) -> MeasurementRequest:
        p, (qubit,) = self.parameters, qubits_of(target, executor.device)
        blocks = executor.blocks
        # The matrix element of 1-2 is that of 0-1 times the root of 2.
        area = blocks.value(f"{target}.x.amplitude") * blocks.value(f"{target}.x.sigma") * np.sqrt(np.pi)
        x, tone = blocks.x(qubit), blocks.drive(qubit, _pulse(duration, area))
        oscillator = executor.device.ports[executor.device.qubits[qubit].drive].lo
        lo = round(executor.blocks.value(f"{target}.f01") - p.below, -6)
        schedules = [
            blocks.shot(qubit, x, blocks.at(qubit, float(f), tone), blocks.rz(qubit, turn), x)
            for turn in _HALVES[0]
            for f in frequencies
        ]
        return MeasurementRequest(schedules, p.shots, options={"settings": {f"oscillators.{oscillator}.frequency": lo}})

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit a peak to both sweeps: the fine one gives the frequency."""
        fits = _peaks(data)
        if refused := first_bad(fits):
            return refused
        found = Proposal(fits["fine"].values["centre"] - float(data.attrs["f01"]), "Hz", fits["fine"].stderr["centre"])
        return Outcome("good", "", {"anharmonicity": found}, fits)
