"""How strong a pulse has to be: Rabi oscillations over its amplitude."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveInt

from pulsed.calibration.data import signal, sweep
from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import cosine
from pulsed.calibration.routine import (
    Ask,
    Measurement,
    Outcome,
    Proposal,
    Routine,
    RoutineParameters,
    bad_data,
    first_bad,
    qubits_of,
)
from pulsed.calibration.schedules import PULSE_DURATION, PULSE_SIGMA


class Rabi(Routine):
    """The amplitude of the π pulse, and of its half: the first values of x and sx.

    The phase of a qubit's frame is free, so it is defined by its own pulses: their angle is 0.
    """

    name: ClassVar = "rabi"
    needs: ClassVar = ("readout.amplitude",)
    gives: ClassVar = tuple(
        f"{gate}.{name}" for gate in ("x", "sx") for name in ("amplitude", "angle", "beta", "duration", "sigma")
    )
    tolerances: ClassVar = {"x.amplitude": (0.0, 0.03)}
    quick: ClassVar = {"points": 15}

    class Parameters(RoutineParameters):
        """Of the sweep and of the pulse."""

        points: int = Field(default=41, ge=9)
        most: float = Field(default=0.9, gt=0, le=1)
        """Largest amplitude, full scale: the correction of a mixer needs some of it, too."""
        repeats: PositiveInt = 2
        """Pulses in a row."""
        duration: PositiveInt = PULSE_DURATION
        sigma: PositiveInt = PULSE_SIGMA
        shots: PositiveInt = 300

    def measure(self, bench: Executor, target: str) -> Measurement:
        """Sweep the amplitude."""
        p, (qubit,) = self.parameters, qubits_of(target, bench.device)
        amplitudes = np.linspace(0, p.most, p.points)
        shape = {"duration": p.duration, "sigma": p.sigma, "angle": 0.0}
        schedules = []
        for amplitude in amplitudes.tolist():
            pulse = bench.blocks.drag(qubit, amplitude=amplitude, **shape)
            schedules.append(bench.blocks.shot(qubit, *[pulse] * p.repeats))
        answer = yield Ask(schedules, p.shots)
        data = sweep({"amplitude": (amplitudes, "full scale")}, answer)
        beta = bench.blocks.value(f"{target}.x.beta", 0.0)
        return data.assign_attrs(repeats=p.repeats, duration=p.duration, sigma=p.sigma, beta=beta)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit a cosine that starts at its extremum."""
        y, sigma = signal(data)
        fits = {"oscillation": cosine(data["amplitude"].to_numpy(), y, sigma, phase=0.0)}
        if refused := first_bad(fits):
            return refused
        half, error = (
            kind["half"] * data.attrs["repeats"] for kind in (fits["oscillation"].values, fits["oscillation"].stderr)
        )
        if half > 1:
            return bad_data(f"a π pulse would need {half:.3g} of full scale: it has to be longer", **fits)
        values: dict[str, Proposal] = {}
        for gate, part in (("x", 1.0), ("sx", 0.5)):
            values[f"{gate}.amplitude"] = Proposal(part * half, "full scale", part * error)
            values[f"{gate}.angle"] = Proposal(0.0, "rad")
            values[f"{gate}.beta"] = Proposal(float(data.attrs["beta"]), "dt")
            values[f"{gate}.duration"] = Proposal(float(data.attrs["duration"]), "dt")
            values[f"{gate}.sigma"] = Proposal(float(data.attrs["sigma"]), "dt")
        return Outcome("good", "", values, fits)
