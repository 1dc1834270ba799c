"""How strong a pulse has to be: Rabi oscillations over its amplitude."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import chevron, cosine
from pulsed.calibration.results.data import signal, sweep
from pulsed.calibration.routine import (
    Measurement,
    MeasurementRequest,
    Outcome,
    Proposal,
    Routine,
    RoutineParameters,
    bad_data,
    first_bad,
    qubits_of,
)
from pulsed.calibration.routines.readings import room
from pulsed.calibration.schedules import PULSE_DURATION
from pulsed.model.calibration import CalibrationSet
from pulsed.pulse.library import Constant

CLOSE = 52e6
"""Hz: coupled qubits nearer to each other than this see each other's pulses, unless these are longer than usual."""
LEAST = 20e6
"""Hz: a pulse is not made longer for the sake of a neighbour nearer than this, with which the qubit collides."""


class Rabi(Routine):
    """The amplitude of the π pulse, and of its half: the first values of x and sx.

    The rest of a pulse comes with it where it is not known or another one was played, and is else left as it was found.
    The phase of a qubit's frame is free, so it is defined by its own pulses: their angle is 0 to begin with. Once it is
    known it is kept: the angles of cross-resonance tones on the qubit are told in this frame. Next to a coupled qubit
    of nearly the same frequency they are longer: the spectrum of a short pulse reaches the neighbour and turns it, one
    way or the other with the state of the qubit that is driven, which no tone on another line can take away.
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
        """Largest amplitude, full scale, as far as the correction of the line's mixer leaves so much."""
        repeats: PositiveInt = 2
        """Pulses in a row."""
        duration: PositiveInt | None = None
        """dt, of the pulse; without, the one known or, where neighbours ask for more, as long as it has to be."""
        sigma: PositiveFloat | None = None
        """dt; without, a quarter of the duration, or the one known with it."""
        shots: PositiveInt = 300

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Sweep the amplitude."""
        p, (qubit,) = self.parameters, qubits_of(target, executor.device)
        most = min(p.most, room(executor, executor.device.qubits[qubit].drive))
        amplitudes = np.linspace(0, most, p.points)
        duration, sigma = self._shape(executor, target)
        angle = next((executor.blocks.value(name) for name in self._angles(executor, target)), 0.0)
        shape = {"duration": duration, "sigma": sigma, "angle": angle}
        schedules = []
        for amplitude in amplitudes.tolist():
            pulse = executor.blocks.drag(qubit, "x", amplitude=amplitude, **shape)
            schedules.append(executor.blocks.shot(qubit, *[pulse] * p.repeats))
        answer = yield MeasurementRequest(schedules, p.shots)
        data = sweep({"amplitude": (amplitudes, "full scale")}, answer)
        chosen = {"duration": duration, "sigma": sigma}
        begin = {**chosen, "angle": angle, "beta": executor.blocks.value(f"{target}.x.beta", 0.0)}
        given = {
            f"{gate}.{name}": value
            for gate in ("x", "sx")
            for name, value in begin.items()
            if _unknown(executor.calibration, full := f"{target}.{gate}.{name}")
            or (name in chosen and executor.calibration.number(full) != value)
        }
        return data.assign_attrs(repeats=p.repeats, **given)

    def _angles(self, executor: Executor, target: str) -> list[str]:
        """Return the names of the angles that define the frame already: that of x, or of sx where x has none."""
        names = (f"{target}.x.angle", f"{target}.sx.angle")
        return [name for name in names if not _unknown(executor.calibration, name)]

    def _shape(self, executor: Executor, target: str) -> tuple[float, float]:
        """Return the duration and sigma of the pulse in dt."""
        p, known = self.parameters, executor.blocks.value(f"{target}.x.duration", 0.0)
        least = gentle_duration(executor, target)
        duration = p.duration or max(least, known)
        sigma = executor.blocks.value(f"{target}.x.sigma", duration / 4) if duration == known else duration / 4
        return duration, p.sigma or sigma

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
            for name, unit in (("angle", "rad"), ("beta", "dt"), ("duration", "dt"), ("sigma", "dt")):
                if f"{gate}.{name}" in data.attrs:
                    values[f"{gate}.{name}"] = Proposal(float(data.attrs[f"{gate}.{name}"]), unit)
        return Outcome("good", "", values, fits)

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw the fit, under it how many pulses are played in a row."""
        repeats = int(data.attrs["repeats"])
        name = f"amplitude of each of {repeats} pulses" if repeats > 1 else "amplitude of the pulse"
        amplitude = data["amplitude"].assign_attrs(long_name=name)
        super().draw(data.assign_coords(amplitude=amplitude), outcome, figure)


def _unknown(calibration: CalibrationSet, name: str) -> bool:
    return not calibration.has(name) or calibration.values[name].quality == "design"


def gentle_duration(executor: Executor, target: str) -> float:
    """Return the dt of the shortest pulse that leaves the coupled neighbours of a qubit where they are.

    With four sigma, 2 pi times sigma times the nearest neighbour's distance is at least that of the usual pulse of
    32 dt at :data:`CLOSE`.
    """
    (qubit,), value = qubits_of(target, executor.device), executor.blocks.value
    pairs = [{pair.control, pair.target} for pair in executor.device.couplings if pair.flux is None]
    others = {other for pair in pairs if qubit in pair for other in pair - {qubit}}
    apart = [abs(value(f"{target}.f01") - value(f"Q{other}.f01", np.inf)) for other in others]
    nearest = max(min(apart, default=np.inf), LEAST)
    grain = executor.device.timing.granularity
    return max(PULSE_DURATION, grain * math.ceil(PULSE_DURATION * CLOSE / nearest / grain))


class Chevron(Routine):
    """Rabi oscillations over detuning and length of a square pulse, to look at: deepest near f01, faster elsewhere.

    It gives no value: the drive itself shifts the transition that the pattern is centred on, by about its Rabi
    frequency squared over twice the anharmonicity.
    """

    name: ClassVar = "rabi-chevron"
    needs: ClassVar = ("readout.amplitude",)

    class Parameters(RoutineParameters):
        """Of the sweep and of the pulse."""

        span: PositiveFloat = 40e6
        """Hz, around what is known."""
        points: int = Field(default=21, ge=5)
        longest: int = Field(default=200, ge=64)
        """dt, of the pulses: these and every eighth below, from 16 on."""
        amplitude: float = Field(default=0.2, gt=0, le=1)
        shots: PositiveInt = 100

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Sweep both."""
        p, (qubit,) = self.parameters, qubits_of(target, executor.device)
        f01 = executor.blocks.value(f"{target}.f01")
        detunings = np.linspace(-p.span / 2, p.span / 2, p.points)
        lengths = np.arange(16, p.longest + 1, 8)
        schedules = [
            executor.blocks.shot(
                qubit, executor.blocks.drive(qubit, Constant(length, p.amplitude)), frequency=f01 + detuning
            )
            for detuning in detunings.tolist()
            for length in lengths.tolist()
        ]
        answer = yield MeasurementRequest(schedules, p.shots)
        axes = {"detuning": (detunings, "Hz"), "length": (lengths * executor.blocks.dt, "s")}
        return sweep(axes, answer).assign_attrs(f01=f01)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit the whole pattern."""
        y, sigma = signal(data)
        fits = {"chevron": chevron(data["detuning"].to_numpy(), data["length"].to_numpy(), y, sigma)}
        if refused := first_bad(fits):
            return refused
        fit = fits["chevron"]
        reason = (
            f"centre {fit.values['centre'] / 1e6:+.3f} MHz from f01, Rabi frequency {fit.values['rabi'] / 1e6:.3f} MHz"
        )
        return Outcome("good", reason, {}, fits)

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw the pattern beside that of the fit."""
        from pulsed.calibration.results.run_plots import heading

        figure.suptitle(heading(self.name, data, outcome), fontsize="medium")
        y, _ = signal(data)
        fit = outcome.fits.get("chevron")
        shown = {"measured": np.asarray(y)}
        if fit is not None and fit.curve.size == y.size:
            shown["fitted"] = np.real(fit.curve).reshape(y.shape)
        for axes, (name, values) in zip(figure.subplots(1, 2, sharey=True), shown.items(), strict=False):
            axes.pcolormesh(data["detuning"] / 1e6, data["length"] * 1e9, values.T, vmin=y.min(), vmax=y.max())
            axes.set(title=name, xlabel="detuning (MHz)", ylabel="length (ns)")
