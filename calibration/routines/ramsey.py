"""The frequency of a qubit and how long its phase lasts: Ramsey fringes in two quadratures."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits.fringes import beating_fringes, fringes
from pulsed.calibration.results.data import signal, sweep
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
from pulsed.calibration.routines.phases import TURNS, even_waits, phasor, quadrature_error, waits_of

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
    quick: ClassVar = {"points": 16, "short_span": None, "shots": 100, "decay": False}

    class Parameters(RoutineParameters):
        """Of the two sweeps."""

        short_span: PositiveFloat | None = 4e-6
        """Longest wait in s of the first sweep; None leaves it out."""
        span: PositiveFloat = 60e-6
        """Longest wait in s of the second one."""
        points: int = Field(default=41, ge=9)
        fringes: PositiveFloat = 6.0
        decay: bool = True
        """Whether T2* is asked for; without, a window too short for it is good enough."""
        shots: PositiveInt = 300

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Measure both sweeps, the second one at the frequency that the first one found."""
        p, frame = self.parameters, executor.blocks.value(f"{target}.f01")
        data = xarray.Dataset()
        if p.short_span is not None:
            data = yield from self._sweep(executor, target, frame, p.short_span, "short")
            short = _detuning(data)
            if short is None:
                return data
            frame += short
        return data.merge(
            (yield from self._sweep(executor, target, frame, p.span, "wait")), combine_attrs="no_conflicts"
        )

    def _sweep(self, executor: Executor, target: str, frame: float, span: float, axis: str) -> Measurement:
        p, (qubit,) = self.parameters, qubits_of(target, executor.device)
        blocks = executor.blocks
        waits = (waits_of if axis == "wait" else even_waits)(span, p.points, blocks.dt)
        seconds, sx = np.array(waits) * blocks.dt, blocks.sx(qubit)
        schedules = [
            blocks.shot(
                qubit, sx, wait, blocks.rz(qubit, turn + 2 * np.pi * p.fringes * time / span), sx, frequency=frame
            )
            for turn in TURNS.tolist()
            for wait, time in zip(waits, seconds.tolist(), strict=True)
        ]
        answer = yield MeasurementRequest(schedules, p.shots)
        axes = {"turn": (TURNS, "rad"), axis: (seconds, "s")}
        data = sweep(axes, answer, suffixes=(f"_{axis}",), known=executor.calibration, target=target)
        return data.assign_attrs({f"frame_{axis}": frame, f"turned_{axis}": p.fringes / span, "decay": int(p.decay)})

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit both quadratures of the longer sweep at once; of two frequencies that beat, the stronger one counts."""
        axis = "wait" if "wait" in data.coords else "short"
        frame, measured = float(data.attrs[f"frame_{axis}"]), _quadratures(data, axis)
        timed = bool(data.attrs.get("decay", 1))
        fit = fringes(*measured, timed=timed)
        if not fit.ok or fit.chi2 > _BEATS:
            fit = beating_fringes(fit, *measured, timed=timed)
        fits = {"fringes": fit}
        if refused := first_bad(fits):
            return refused
        detuning = float(data.attrs[f"turned_{axis}"]) - fit.values["frequency"]
        values = {"f01": Proposal(frame + detuning, "Hz", fit.stderr["frequency"])}
        if timed:
            values["t2star"] = Proposal(fit.values["time"], "s", fit.stderr["time"])
        beat = abs(fit.values.get("frequency2", fit.values["frequency"]) - fit.values["frequency"])
        return Outcome("good", f"two frequencies, {beat / 1e3:.1f} kHz apart" if beat else "", values, fits)


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
    return data[axis].to_numpy(), phasor(y, sigma)[0], quadrature_error(sigma)
