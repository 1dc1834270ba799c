"""Repeated rotations (error amplification) and the Rabi chevron."""

from __future__ import annotations

from functools import partial

import numpy as np

from pulsed.calibration.fits.fit import (
    Fit,
    Real,
    Start,
    bad,
    checked,
    described,
    least_squares,
    linear,
    signal,
)


def rotations(
    decay: float,
    angle: float,
    phase: float,
    low: float,
    high: float,
    x: Real,
    error: float,
) -> Real:
    """Return the reading after a rotation by ``phase`` and x by ``angle + error`` about the same axis, rad."""
    turned = phase + x * (angle + error)
    return low + (high - low) * (0.5 - 0.5 * np.exp(-decay * x) * np.cos(turned))


def _rotations_gradient(
    decay: float, angle: float, phase: float, low: float, high: float, x: Real, error: float
) -> Real:
    turned = phase + x * (angle + error)
    return ((high - low) * 0.5 * np.exp(-decay * x) * x * np.sin(turned))[None]


def error_amplification(
    repetitions: object,
    y: object,
    sigma: object = None,
    *,
    angle: float = np.pi,
    phase: float = np.pi / 2,
    low: float = 0.0,
    high: float = 1.0,
    decay: float = 0.0,
    most: float = 0.6,
) -> Fit:
    """Fit the error of a rotation, amplified by repeating it: value ``error`` in rad per rotation.

    A rotation by ``phase`` (a quarter turn makes the reading linear in the error) is followed by n rotations by
    ``angle + error``; the reading is ``low`` for 0 and ``high`` for 1, both known from calibration points, and shrinks
    by exp(−decay) per rotation (Sheldon et al., Phys. Rev. A 93, 012301, 2016). The search goes to ±``most`` rad.
    A flat line is good data here: it says that the error is zero.
    """
    data = checked("error amplification", repetitions, y, sigma, 3)
    if isinstance(data, Fit):
        return data
    if low == high:
        return bad("error amplification", "the levels of 0 and 1 are equal", data.x)
    fixed = (decay, angle, phase, low, high)
    step = 0.25 / max(float(data.x.max()), 1.0)
    trial = np.arange(-most, most + step, step)
    left = [float(np.sum(((rotations(*fixed, data.x, error) - data.y) * data.weights) ** 2)) for error in trial]
    # Not at 0 nor within a rounding error of it: the search begins with steps of the size of the value.
    start = {"error": Start(float(trial[int(np.argmin(left))]) + 0.1 * step, -most - step, most + step)}
    function, gradient = partial(rotations, *fixed), partial(_rotations_gradient, *fixed)
    fit = least_squares("error amplification", data, function, gradient, start)
    scale = abs(high - low)
    if fit.names and np.sqrt(np.mean((data.y - fit.curve) ** 2)) > 0.25 * scale:
        return fit.refused("the readings do not follow a repeated rotation")
    if data.sigma is None:
        return fit
    return described(fit, data, unexplained=0.2) if np.std(data.y) > 0.1 * scale else fit


def chevron_wave(delta: Real, time: Real, x: Real, amplitude: float, centre: float, rabi: float, offset: float) -> Real:
    """Return the reading at the points numbered ``x`` of the grid ``delta`` (Hz), ``time`` (s)."""
    total = np.hypot(delta - centre, rabi)
    values = offset + amplitude * (rabi / total) ** 2 * np.sin(np.pi * time * total) ** 2
    return np.asarray(values[x.astype(np.intp)])


def _chevron_gradient(
    delta: Real, time: Real, x: Real, amplitude: float, centre: float, rabi: float, offset: float
) -> Real:
    off = delta - centre
    total = np.hypot(off, rabi)
    part, wave = (rabi / total) ** 2, np.sin(np.pi * time * total) ** 2
    by_total = amplitude * (part * np.pi * time * np.sin(2 * np.pi * time * total) - 2 * rabi**2 / total**3 * wave)
    slopes = [part * wave, -by_total * off / total]
    slopes += [by_total * rabi / total + amplitude * 2 * rabi / total**2 * wave, np.ones_like(part)]
    return np.stack(slopes)[:, x.astype(np.intp)]


def chevron(detuning: object, time: object, y: object, sigma: object = None) -> Fit:
    """Fit a Rabi chevron, y of shape (detunings, times) over detunings in Hz and times in s.

    ``offset + amplitude·Ω²/(Ω² + δ²)·sin²(π·t·√(Ω² + δ²))`` with δ = detuning − ``centre`` and Ω = ``rabi``, in Hz.
    """
    across, along = np.asarray(detuning, dtype=np.float64), np.asarray(time, dtype=np.float64)
    points = np.asarray(y, dtype=np.float64)
    if points.shape != (across.size, along.size):
        return bad("chevron", f"y has the shape {points.shape}, not {(across.size, along.size)}")
    flat = np.arange(points.size, dtype=np.float64)
    errors = None if sigma is None else np.broadcast_to(np.asarray(sigma, dtype=np.float64), points.shape).ravel()
    data = checked("chevron", flat, points.ravel(), errors, 6)
    if isinstance(data, Fit):
        return data
    grid = np.repeat(across, along.size), np.tile(along, across.size)
    function, gradient = partial(chevron_wave, *grid), partial(_chevron_gradient, *grid)
    rabis = np.geomspace(0.25 / np.ptp(along), 0.5 / float(np.min(np.diff(along))), 24)
    trials = [(centre, rabi) for centre in np.linspace(across.min(), across.max(), 25) for rabi in rabis]
    shapes = np.stack([function(flat, 1.0, centre, rabi, 0.0) for centre, rabi in trials])
    coefficients, left = linear(np.stack([shapes, np.ones_like(shapes)], axis=1), data)
    best = int(np.argmin(left))
    margin = np.ptp(across) / 2
    start = {
        "amplitude": Start(float(coefficients[best, 0])),
        "centre": Start(trials[best][0], across.min() - margin, across.max() + margin),
        "rabi": Start(trials[best][1], 0.1 * rabis[0], 2 * rabis[-1]),
        "offset": Start(float(coefficients[best, 1])),
    }
    fit = least_squares("chevron", data, function, gradient, start)
    fit = described(signal(fit, data, trials=len(trials)), data)
    if fit.names and not across.min() <= fit.values["centre"] <= across.max():
        return fit.refused(f"the centre is outside the window: {fit.values['centre']:.6g}")
    return fit
