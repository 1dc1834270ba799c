"""The frequency of a qubit and how long its phase lasts: Ramsey fringes in two quadratures."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.data import signal, sweep
from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit, damped_cosine
from pulsed.calibration.routine import (
    Ask,
    Measurement,
    Outcome,
    Proposal,
    Routine,
    RoutineParameters,
    first_bad,
    qubits_of,
)

_TURNS = np.array([0.0, np.pi / 2, np.pi, 3 * np.pi / 2])
"""Of the second pulse's frame: with opposite ones subtracted, cosine and sine of the phase without an offset."""


class Ramsey(Routine):
    """Two π/2 pulses and a wait: short waits find the frequency, long ones then measure it and T2*.

    The second pulse's frame turns with the wait, by ``fringes`` turns over the span: the fringes are those of the
    detuning plus a known one. Two quadratures give its sign.
    """

    name: ClassVar = "ramsey"
    needs: ClassVar = ("sx.amplitude", "readout.amplitude")
    gives: ClassVar = ("f01", "t2star")
    disturbs: ClassVar = "neighbours"
    tolerances: ClassVar = {"f01": (5e3, 0.0)}
    quick: ClassVar = {"points": 15, "short_span": None}

    class Parameters(RoutineParameters):
        """Of the two sweeps."""

        short_span: PositiveFloat | None = 4e-6
        """Longest wait in s of the first sweep; None leaves it out."""
        span: PositiveFloat = 60e-6
        """Longest wait in s of the second one."""
        points: int = Field(default=41, ge=9)
        fringes: PositiveFloat = 6.0
        shots: PositiveInt = 300

    def measure(self, bench: Executor, target: str) -> Measurement:
        """Measure both sweeps, the second one at the frequency that the first one found."""
        p, frame = self.parameters, bench.blocks.value(f"{target}.f01")
        data = xarray.Dataset()
        if p.short_span is not None:
            data = yield from self._sweep(bench, target, frame, p.short_span, "short")
            short, _ = _fringes(data, "short")
            if not short.ok:
                return data
            frame = short.values["detuning"] + frame
        return data.merge((yield from self._sweep(bench, target, frame, p.span, "wait")), combine_attrs="no_conflicts")

    def _sweep(self, bench: Executor, target: str, frame: float, span: float, axis: str) -> Measurement:
        p, (qubit,) = self.parameters, qubits_of(target, bench.device)
        blocks = bench.blocks
        waits = [round(wait) for wait in np.linspace(0, span / blocks.dt, p.points)]
        seconds, sx = np.array(waits) * blocks.dt, blocks.sx(qubit)
        schedules = [
            blocks.shot(
                qubit, sx, wait, blocks.rz(qubit, turn + 2 * np.pi * p.fringes * time / span), sx, frequency=frame
            )
            for turn in _TURNS.tolist()
            for wait, time in zip(waits, seconds.tolist(), strict=True)
        ]
        answer = yield Ask(schedules, p.shots)
        axes = {"turn": (_TURNS, "rad"), axis: (seconds, "s")}
        data = sweep(axes, answer, suffixes=(f"_{axis}",), known=bench.calibration, target=target)
        return data.assign_attrs({f"frame_{axis}": frame, f"turned_{axis}": p.fringes / span})

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit both quadratures of the longer sweep; their frequencies are averaged."""
        axis = "wait" if "wait" in data.coords else "short"
        cosine, sine = _fringes(data, axis)
        fits = {"cosine": cosine, "sine": sine}
        if refused := first_bad(fits):
            return refused
        found, error = _mean([(fit.values["detuning"], fit.stderr["detuning"]) for fit in fits.values()])
        time, time_error = _mean([(fit.values["time"], fit.stderr["time"]) for fit in fits.values()])
        frame = float(data.attrs[f"frame_{axis}"])
        values = {"f01": Proposal(frame + found, "Hz", error), "t2star": Proposal(time, "s", time_error)}
        return Outcome("good", "", values, fits)


def _fringes(data: xarray.Dataset, axis: str) -> tuple[Fit, Fit]:
    """Return the fits of both quadratures with the signed detuning (Hz) of the qubit from the frame."""
    y, sigma = signal(data, f"_{axis}")
    times = data[axis].to_numpy()
    quadratures = [y[0] - y[2], y[1] - y[3]]
    noise = [np.hypot(sigma[0], sigma[2]), np.hypot(sigma[1], sigma[3])]
    turned = float(data.attrs[f"turned_{axis}"])
    sign = _sense(times, quadratures[0] - 1j * quadratures[1])  # a further turn of a quarter gives minus the sine
    fits = []
    for quadrature, error in zip(quadratures, noise, strict=True):
        fit = damped_cosine(times, quadrature, error)
        if fit.names:
            # The ground state is the lower one: a qubit that is faster than its frame turns backwards, as rz(-angle).
            fit = fit.derived("detuning", turned - sign * fit.values["frequency"], {"frequency": -sign})
        fits.append(fit)
    return fits[0], fits[1]


def _sense(times: np.ndarray, z: np.ndarray) -> float:
    """Return the sign of the strongest frequency of complex fringes at even times."""
    power = np.abs(np.fft.fft(z, 8 * z.size))
    return 1.0 if np.fft.fftfreq(8 * z.size)[int(np.argmax(power))] >= 0 else -1.0


def _mean(found: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the weighted mean of values with standard errors, and its own."""
    weights = np.array([1 / max(error, 1e-300) ** 2 for _, error in found])
    values = np.array([value for value, _ in found])
    return float(values @ weights / weights.sum()), float(1 / np.sqrt(weights.sum()))
