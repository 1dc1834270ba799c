"""How long a qubit keeps its energy and its phase: T1, and T2 by an echo."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit, exponential
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


class _Waits(RoutineParameters):
    points: int = Field(default=31, ge=5)
    """Waits, spaced evenly from 0."""
    span: PositiveFloat = 300e-6
    """Longest wait in s."""
    shots: PositiveInt = 500


def _waits(executor: Executor, parameters: _Waits) -> tuple[list[int], np.ndarray]:
    """Return the waits in dt, even numbers, and in s."""
    steps = np.linspace(0, parameters.span / executor.blocks.dt, parameters.points)
    waits = [2 * round(step / 2) for step in steps]
    return waits, np.array(waits) * executor.blocks.dt


def _falling(fit: Fit, data: xarray.Dataset) -> Fit:
    """Refuse a decay from the wrong side, where it is known which point is 1: a pulse did not do what it should."""
    if fit.names and "discriminator" in data.attrs and fit.values["amplitude"] < 3 * fit.stderr["amplitude"]:
        return fit.refused(f"it begins {-fit.values['amplitude']:.2f} below its end: do the pulses turn the qubit?")
    return fit


class T1(Routine):
    """Excite, wait, measure: the population of 1 decays exponentially."""

    name: ClassVar = "t1"
    needs: ClassVar = ("x.amplitude", "readout.amplitude")
    gives: ClassVar = ("t1",)
    tolerances: ClassVar = {"t1": (0.0, 0.3)}
    quick: ClassVar = {"points": 9}

    class Parameters(_Waits):
        """Of the sweep."""

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Sweep the wait between a π pulse and the measurement."""
        (qubit,) = qubits_of(target, executor.device)
        blocks = executor.blocks
        waits, seconds = _waits(executor, self.parameters)
        answer = yield MeasurementRequest(
            [blocks.shot(qubit, blocks.x(qubit), wait) for wait in waits], self.parameters.shots
        )
        return sweep({"wait": (seconds, "s")}, answer, known=executor.calibration, target=target)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit an exponential."""
        y, sigma = signal(data)
        fits = {"T1": _falling(exponential(data["wait"].to_numpy(), y, sigma), data)}
        if refused := first_bad(fits):
            return refused
        return Outcome("good", "", {"t1": Proposal(fits["T1"].values["time"], "s", fits["T1"].stderr["time"])}, fits)


class Echo(Routine):
    """Two π/2 pulses with a π pulse between them: what decays is what a slow detuning does not explain."""

    name: ClassVar = "echo"
    needs: ClassVar = ("x.amplitude", "sx.amplitude", "readout.amplitude")
    gives: ClassVar = ("t2",)
    disturbs: ClassVar = "neighbours"
    tolerances: ClassVar = {"t2": (0.0, 0.3)}
    quick: ClassVar = {"points": 9}

    class Parameters(_Waits):
        """Of the sweep."""

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Sweep the wait between the outer pulses; the second one ends in 0 and, for the difference, in 1."""
        (qubit,) = qubits_of(target, executor.device)
        blocks = executor.blocks
        waits, seconds = _waits(executor, self.parameters)
        x, sx = blocks.x(qubit), blocks.sx(qubit)
        schedules = [
            blocks.shot(qubit, sx, wait // 2, x, wait // 2, blocks.rz(qubit, turn), sx)
            for turn in (0.0, np.pi)
            for wait in waits
        ]
        answer = yield MeasurementRequest(schedules, self.parameters.shots)
        axes = {"turn": ([0.0, np.pi], "rad"), "wait": (seconds, "s")}
        return sweep(axes, answer, known=executor.calibration, target=target)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit an exponential that ends at 0 to the difference of both."""
        y, sigma = signal(data)
        fit = exponential(data["wait"].to_numpy(), y[1] - y[0], np.hypot(sigma[0], sigma[1]), offset=0.0)
        fits = {"echo": _falling(fit.shown(y=("difference of both ends", signal_name(data)[1])), data)}
        if refused := first_bad(fits):
            return refused
        return Outcome(
            "good", "", {"t2": Proposal(fits["echo"].values["time"], "s", fits["echo"].stderr["time"])}, fits
        )
