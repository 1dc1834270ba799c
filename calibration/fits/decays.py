"""Decays: T1 and echo, and randomized benchmarking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pulsed.calibration.fits.fit import (
    Data,
    Fit,
    Real,
    Start,
    bad,
    checked,
    described,
    determined,
    least_squares,
    linear,
    signal,
)


def decaying(x: Real, amplitude: float, time: float, offset: float) -> Real:
    """Return ``amplitude·exp(−x/time) + offset``."""
    return amplitude * np.exp(-x / time) + offset


def _decaying_gradient(x: Real, amplitude: float, time: float, offset: float) -> Real:
    shape = np.exp(-x / time)
    return np.stack([shape, amplitude * shape * x / time**2, np.ones_like(x)])


def exponential(x: object, y: object, sigma: object = None, *, offset: float | None = None) -> Fit:
    """Fit ``amplitude·exp(−x/time) + offset``, x > 0 being times in s and ``time`` T1 or the echo's T2 in s.

    ``offset`` holds the level at infinity where it is known. Refused: no decay to be seen, or a window so short that
    the time is uncertain by more than 30 %.
    """
    data = checked("exponential", x, y, sigma, 4)
    if isinstance(data, Fit):
        return data
    low, high = data.window()
    step = (high - low) / max(data.x.size - 1, 1)
    times = np.geomspace(max(step / 3, 1e-3 * (high - low)), 5 * (high - low), 16)
    start, tries = _start(data, times, offset)
    fit = least_squares("exponential", data, decaying, _decaying_gradient, start)
    fit = described(signal(fit, data, trials=tries), data)
    if fit.names and fit.values["time"] > 3 * (high - low) and fit.stderr["time"] > 0.3 * fit.values["time"]:
        return fit.refused(f"the window of {high - low:.3g} is too short for the decay")
    return determined(fit, "time", 0.3, "the decay time is not determined")


def _start(data: Data, times: Real, offset: float | None) -> tuple[dict[str, Start], int]:
    """Try decay times with the linear parameters solved, and start from the best."""
    low, high = data.window()
    shapes = np.exp(-data.x / times[:, None])
    if offset is None:
        coefficients, left = linear(np.stack([shapes, np.ones_like(shapes)], axis=1), data)
    else:
        coefficients, left = linear(shapes[:, None], replace(data, y=data.y - offset))
    best = int(np.argmin(left))
    level = float(coefficients[best, 1]) if offset is None else offset
    return {
        "amplitude": Start(float(coefficients[best, 0])),
        "time": Start(float(times[best]), 1e-3 * float(times[0]), 100 * (high - low)),
        "offset": Start(level, vary=offset is None),
    }, times.size


def powers(x: Real, amplitude: float, rate: float, offset: float) -> Real:
    """Return ``amplitude·(1 − rate)**x + offset``."""
    return np.asarray(amplitude * (1 - rate) ** x + offset)


def _powers_gradient(x: Real, amplitude: float, rate: float, offset: float) -> Real:
    return np.stack([(1 - rate) ** x, -amplitude * x * (1 - rate) ** (x - 1), np.ones_like(x)])


def rb_decay(
    lengths: object, survival: object, sigma: object = None, *, qubits: int = 1, offset: float | None = None
) -> Fit:
    """Fit randomized benchmarking: ``survival = amplitude·(1 − rate)**length + offset``, rate = 1 − p.

    ``sigma`` is the standard error of the mean over the random sequences of each length. Adds the error per Clifford
    ``error = (d − 1)/d · rate`` with d = 2**qubits (Magesan, Gambetta, Emerson, Phys. Rev. Lett. 106, 180504, 2011).
    ``offset`` holds the level of the fully mixed state where readout errors are corrected for (1/d).
    """
    data = checked("randomized benchmarking", lengths, survival, sigma, 3 if offset is not None else 4)
    if isinstance(data, Fit):
        return data
    low, high = data.window()
    if low < 0:
        return bad("randomized benchmarking", "a length is negative", data.x)
    times = np.geomspace(max(np.diff(np.unique(data.x)).min() / 3, 0.5), 30 * max(high, 1.0), 24)
    guess, tries = _start(data, times, offset)
    rate = float(np.clip(1 - np.exp(-1 / guess["time"].value), 1e-9, 0.9))
    start = {"amplitude": guess["amplitude"], "rate": Start(rate, 0.0, 1.0), "offset": guess["offset"]}
    fit = least_squares("randomized benchmarking", data, powers, _powers_gradient, start)
    fit = described(signal(fit, data, trials=tries), data)
    fit = determined(fit, "rate", 0.5, "the sequences are too short or too few for the decay")
    if not fit.names:
        return fit
    part = (2**qubits - 1) / 2**qubits
    fit = fit.derived("error", part * fit.values["rate"], {"rate": part})
    if fit.values["amplitude"] < 0:
        return fit.refused("survival grows with the length")
    return fit
