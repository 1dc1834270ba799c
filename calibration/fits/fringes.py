"""Ramsey fringes in two quadratures at once: a signed frequency, a decay between exponential and Gaussian."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pulsed.calibration.fits.fit import Data, Fit, Real, Start, checked, described, determined, least_squares, signal
from pulsed.calibration.fits.fit import linear as solve

Complex = NDArray[np.complex128]
TAU = 2 * np.pi
_STARTS = ((1.0, 0.0), (0.0, 1.0), (0.5, 0.5), (3.0, 0.0), (0.0, 9.0), (0.2, 0.05))
"""Rates to begin with, linear in the inverse window and quadratic in its square."""


def fringe(x: Real, amplitude: float, frequency: float, phase: float, linear: float, quadratic: float) -> Complex:
    """Return ``amplitude·exp(i(2π·frequency·x + phase) − linear·x − quadratic·x²)``."""
    return np.asarray(amplitude * np.exp(1j * (TAU * frequency * x + phase) - linear * x - quadratic * x**2))


def two_fringes(
    x: Real, amplitude: float, frequency: float, phase: float, amplitude2: float, frequency2: float, phase2: float,
    linear: float, quadratic: float,
) -> Complex:  # fmt: skip
    """Return the sum of two :func:`fringe` of one decay."""
    first = fringe(x, amplitude, frequency, phase, linear, quadratic)
    return first + fringe(x, amplitude2, frequency2, phase2, linear, quadratic)


def _gradient(x: Real, amplitude: float, frequency: float, phase: float, linear: float, quadratic: float) -> Complex:
    unit = fringe(x, 1.0, frequency, phase, linear, quadratic)
    whole = amplitude * unit
    return np.stack([unit, 1j * TAU * x * whole, 1j * whole, -x * whole, -(x**2) * whole])


def _two_gradient(
    x: Real, amplitude: float, frequency: float, phase: float, amplitude2: float, frequency2: float, phase2: float,
    linear: float, quadratic: float,
) -> Complex:  # fmt: skip
    first = _gradient(x, amplitude, frequency, phase, linear, quadratic)
    second = _gradient(x, amplitude2, frequency2, phase2, linear, quadratic)
    return np.concatenate([first[:3], second[:3], first[3:] + second[3:]])


def fringes(x: object, z: object, sigma: object = None, *, timed: bool = True) -> Fit:
    """Fit complex fringes over times x in s: signed ``frequency`` in Hz, and ``time`` at which they are down to 1/e.

    White noise makes a decay linear in the exponent, slow noise a quadratic one; most qubits have both. The two rates
    cannot be told apart well, which is why they may be negative, but the time at which they leave 1/e can. ``sigma`` is
    the standard error of either quadrature. Refused: noise, and if ``timed`` a window too short for the decay.

    Frequencies are sought up to half a turn in the shortest step of ``x``: an even grid knows them but for whole turns
    per step, to which one odd wait puts an end.
    """
    data = checked("fringes", x, np.asarray(z, dtype=np.complex128), sigma, 6)
    if isinstance(data, Fit):
        return data
    low, high = data.window()
    span = max(high, high - low)
    start, tries = _start(data, span)
    fit = least_squares("fringes", data, fringe, _gradient, start)
    fit = described(signal(fit, data, trials=tries), data)
    return _timed(fit, data) if timed else fit


def beating_fringes(single: Fit, x: object, z: object, sigma: object = None, *, timed: bool = True) -> Fit:
    """Fit two frequencies under one decay where ``single``, the fit of one, leaves more than the noise.

    Values as of :func:`fringes`, of the stronger one, and ``amplitude2``, ``frequency2`` and ``phase2``. ``single`` is
    returned where a second frequency does not explain clearly more: an F test at about 1e-4, over all the frequencies
    it could have had, and an amplitude of four standard errors.
    """
    data = checked("fringes", x, np.asarray(z, dtype=np.complex128), sigma, 9)
    if isinstance(data, Fit) or not single.names:
        return single
    start, tries = _two_starts(data, single)
    fit = least_squares("two fringes", data, two_fringes, _two_gradient, start)
    fit = signal(fit, data, trials=tries)
    if not fit.ok or fit.values["amplitude2"] < 4 * fit.stderr["amplitude2"]:
        return single
    before, rest = (float(np.sum(np.abs((data.y - f.curve) * data.weights) ** 2)) for f in (single, fit))
    if (before - rest) / 3 < (9 + 2 * np.log(data.size)) * rest / fit.dof:
        return single
    if fit.values["amplitude2"] > fit.values["amplitude"]:
        fit = fit.swapped({name: f"{name}2" for name in ("amplitude", "frequency", "phase")})
    fit = described(fit, data)
    return _timed(fit, data) if timed else fit


def _timed(fit: Fit, data: Data) -> Fit:
    """Add the time at which the fringes are down to 1/e."""
    if not fit.names:
        return fit
    low, high = data.window()
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
    trial = _frequencies(data, span)
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


def _frequencies(data: Data, span: float) -> Real:
    step = float(np.min(np.diff(np.unique(data.x))))
    return np.arange(-0.5 / step, 0.5 / step, 0.25 / span)


def _two_starts(data: Data, single: Fit) -> tuple[dict[str, Start], int]:
    """Take the two frequencies that describe the data best together: near what one found, and in what it leaves."""
    low, high = data.window()
    span = max(high, high - low)
    trial = _frequencies(data, span)
    rest = np.abs(np.exp(-1j * TAU * trial[:, None] * data.x) @ ((data.y - single.curve) * data.weights**2))
    near = np.argsort(np.abs(trial - single.values["frequency"]))[:13]
    chosen = trial[np.unique(np.concatenate([near, np.argsort(rest)[-5:]]))]
    first, second = (chosen[index] for index in np.triu_indices(chosen.size, 1))
    waves = np.exp(1j * TAU * np.stack([first, second], axis=1)[..., None] * data.x)
    best = (np.inf, 0, 0.0, 0.0, np.zeros(2, complex))
    for linear, quadratic in _STARTS:
        shape = np.exp(-linear * data.x / span - quadratic * (data.x / span) ** 2)
        coefficients, left = solve(waves * shape, data)
        at = int(np.argmin(left))
        if left[at] < best[0]:
            best = (float(left[at]), at, linear / span, quadratic / span**2, coefficients[at])
    _, at, rate, rate2, found = best
    start = {}
    for suffix, size, frequency in zip(("", "2"), found, (first[at], second[at]), strict=True):
        start[f"amplitude{suffix}"] = Start(abs(size), 0.0)
        start[f"frequency{suffix}"] = Start(float(frequency))
        start[f"phase{suffix}"] = Start(float(np.angle(size)))
    return {**start, "linear": Start(rate), "quadratic": Start(rate2)}, trial.size**2
