"""Ramsey fringes in two quadratures at once: a signed frequency, a decay between exponential and Gaussian."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pulsed.calibration.fits.fit import Data, Fit, Real, Start, checked, described, determined, least_squares, signal

Complex = NDArray[np.complex128]
TAU = 2 * np.pi
_STARTS = ((1.0, 0.0), (0.0, 1.0), (0.5, 0.5), (3.0, 0.0), (0.0, 9.0), (0.2, 0.05))
"""Rates to begin with, linear in the inverse window and quadratic in its square."""


def fringe(x: Real, amplitude: float, frequency: float, phase: float, linear: float, quadratic: float) -> Complex:
    """Return ``amplitude·exp(i(2π·frequency·x + phase) − linear·x − quadratic·x²)``."""
    return np.asarray(amplitude * np.exp(1j * (TAU * frequency * x + phase) - linear * x - quadratic * x**2))


def _gradient(x: Real, amplitude: float, frequency: float, phase: float, linear: float, quadratic: float) -> Complex:
    unit = fringe(x, 1.0, frequency, phase, linear, quadratic)
    whole = amplitude * unit
    return np.stack([unit, 1j * TAU * x * whole, 1j * whole, -x * whole, -(x**2) * whole])


def fringes(x: object, z: object, sigma: object = None) -> Fit:
    """Fit complex fringes over times x in s: signed ``frequency`` in Hz, and ``time`` at which they are down to 1/e.

    White noise makes a decay linear in the exponent, slow noise a quadratic one; most qubits have both. The two rates
    cannot be told apart well, which is why they may be negative, but the time at which they leave 1/e can. ``sigma`` is
    the standard error of either quadrature. Refused: noise, and a window too short for the decay.
    """
    data = checked("fringes", x, np.asarray(z, dtype=np.complex128), sigma, 6)
    if isinstance(data, Fit):
        return data
    low, high = data.window()
    span = max(high, high - low)
    start, tries = _start(data, span)
    fit = least_squares("fringes", data, fringe, _gradient, start)
    fit = described(signal(fit, data, trials=tries), data)
    if not fit.names:
        return fit
    linear, quadratic = fit.values["linear"], fit.values["quadratic"]
    inside = linear**2 + 4 * quadratic
    if inside <= 0 or linear + np.sqrt(inside) <= 0:
        return fit.refused(f"the window of {high - low:.3g} is too short for the decay")
    time = 2 / (linear + np.sqrt(inside))
    steepness = 2 * quadratic * time + linear
    fit = fit.derived("time", time, {"linear": -time / steepness, "quadratic": -(time**2) / steepness})
    return determined(fit, "time", 0.3, "the decay time is not determined")


def _start(data: Data, span: float) -> tuple[dict[str, Start], int]:
    """Try frequencies and rates with the complex amplitude solved."""
    step = float(np.median(np.diff(data.x)))
    trial = np.arange(-0.5 / step, 0.5 / step, 0.25 / span)
    best = (np.inf, 0.0, 0.0, 0.0, 0j)
    weights = data.weights**2
    waves = np.exp(-1j * TAU * trial[:, None] * data.x)
    for linear, quadratic in _STARTS:
        shape = np.exp(-linear * data.x / span - quadratic * (data.x / span) ** 2)
        sums = waves @ (data.y * shape * weights)
        size = float(np.sum(shape**2 * weights))
        at = int(np.argmax(np.abs(sums)))
        left = -(abs(sums[at]) ** 2) / size
        if left < best[0]:
            best = (left, float(trial[at]), linear / span, quadratic / span**2, complex(sums[at] / size))
    _, frequency, rate, rate2, amplitude = best
    start = {
        "amplitude": Start(abs(amplitude), 0.0),
        "frequency": Start(frequency),
        "phase": Start(float(np.angle(amplitude))),
        "linear": Start(rate),
        "quadratic": Start(rate2),
    }
    return start, trial.size * len(_STARTS)
