"""The frequency of a qubit and how long its phase lasts: Ramsey fringes in two quadratures."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.data import signal, sweep
from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit, damped_cosine
from pulsed.calibration.fits.fringes import fringes
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


_BEATS = 2.0
"""Reduced chi squared of one frequency, above which a second one is looked for."""


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
    quick: ClassVar = {"points": 15, "short_span": None, "shots": 100}

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
            short = _detuning(data)
            if short is None:
                return data
            frame += short
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
        """Fit both quadratures of the longer sweep at once; of two frequencies that beat, the stronger one counts."""
        axis = "wait" if "wait" in data.coords else "short"
        frame, (times, z, noise) = float(data.attrs[f"frame_{axis}"]), _quadratures(data, axis)
        fits = {"fringes": fringes(times, z, noise)}
        if not fits["fringes"].ok or fits["fringes"].chi2 > _BEATS:
            parts = {"cosine": damped_cosine(times, z.real, noise), "sine": damped_cosine(times, z.imag, noise)}
            if "frequency2" in parts["cosine"].values or "frequency2" in parts["sine"].values:
                return _beating(parts, data, axis)
        if refused := first_bad(fits):
            return refused
        fit = fits["fringes"]
        detuning = float(data.attrs[f"turned_{axis}"]) - fit.values["frequency"]
        values = {
            "f01": Proposal(frame + detuning, "Hz", fit.stderr["frequency"]),
            "t2star": Proposal(fit.values["time"], "s", fit.stderr["time"]),
        }
        return Outcome("good", "", values, fits)


def _detuning(data: xarray.Dataset) -> float | None:
    """Return how far (Hz) the qubit is above the frame of the short sweep, None when no fringes are seen.

    The ground state is the lower one: a qubit that is faster than its frame turns backwards, as rz by a negative angle.
    """
    times, z, noise = _quadratures(data, "short")
    power = np.abs(np.fft.fft(z, 16 * z.size))
    if power.max() < 6 * noise.mean() * np.sqrt(2 * z.size):
        return None
    frequency = float(np.fft.fftfreq(16 * z.size, float(np.median(np.diff(times))))[int(np.argmax(power))])
    return float(data.attrs["turned_short"]) - frequency


def _quadratures(data: xarray.Dataset, axis: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return times (s), complex fringes whose phase grows with the angle of rz, and the error of a quadrature."""
    y, sigma = signal(data, f"_{axis}")
    # A further turn by a quarter gives minus the sine.
    return data[axis].to_numpy(), (y[0] - y[2]) - 1j * (y[1] - y[3]), np.sqrt(np.sum(sigma**2, axis=0) / 2)


def _beating(parts: dict[str, Fit], data: xarray.Dataset, axis: str) -> Outcome:
    """Return what fits of two frequencies to either quadrature give."""
    if refused := first_bad(parts):
        return refused
    _, z, _ = _quadratures(data, axis)
    power = np.abs(np.fft.fft(z, 8 * z.size))
    sign = 1.0 if np.fft.fftfreq(8 * z.size)[int(np.argmax(power))] >= 0 else -1.0
    found, error = _mean([(fit.values["frequency"], fit.stderr["frequency"]) for fit in parts.values()])
    time, time_error = _mean([(fit.values["time"], fit.stderr["time"]) for fit in parts.values()])
    detuning = float(data.attrs[f"turned_{axis}"]) - sign * found
    values = {
        "f01": Proposal(float(data.attrs[f"frame_{axis}"]) + detuning, "Hz", error),
        "t2star": Proposal(time, "s", time_error),
    }
    return Outcome("good", "", values, parts)


def _mean(found: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the weighted mean of values with standard errors, and its own."""
    weights = np.array([1 / max(error, 1e-300) ** 2 for _, error in found])
    values = np.array([value for value, _ in found])
    return float(values @ weights / weights.sum()), float(1 / np.sqrt(weights.sum()))
