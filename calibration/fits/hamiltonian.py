"""Cross resonance as a Hamiltonian: the rotation of the target's Bloch vector for either state of the control.

Method of Sheldon et al., Phys. Rev. A 93, 060302 (2016), arXiv:1603.04821.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pulsed.calibration.fits.fit import Data, Fit, Real, Start, bad, described, least_squares, signal

_MODEL = "cross resonance"
_NAMES = ("x0", "y0", "z0", "x1", "y1", "z1", "edge", "contrast")
_STEPS = (1e2, 1e2, 1e2, 1e2, 1e2, 1e2, 1e-11, 1e-5)
"""Of the differences that give the gradient: Hz, s, and none."""
TERMS = ("ix", "iy", "iz", "zx", "zy", "zz")


def cross_resonance(time: object, bloch: object, sigma: object, *, edge: float) -> Fit:
    """Fit both rotation vectors of the target jointly.

    Args:
        time: (points,) widths of the flat top in s.
        bloch: (2, 3, points): x, y and z of the target, for the control in 0 and in 1, from the target in 0.
        sigma: likewise, standard errors.
        edge: about how much longer than its flat top the pulse acts, in s; it is fitted.

    Returns:
        A fit whose curve and data are ``bloch`` laid out flat. ``values`` has x0 to z1, the turns per second about
        each axis for control 0 and 1; ``edge``; ``contrast``; and with their errors the coefficients ix, iy, iz, zx,
        zy, zz in Hz of H/h = (ix IX + … + zz ZZ)/2, the control's operator first.

    """
    x, y = np.asarray(time, dtype=float), np.asarray(bloch, dtype=float)
    errors = np.broadcast_to(np.asarray(sigma, dtype=float), y.shape)
    if y.shape != (2, 3, x.size):
        return bad(_MODEL, f"time has the shape {x.shape} and the Bloch vectors {y.shape}")
    if x.size < 6:
        return bad(_MODEL, f"{x.size} points are too few, 6 are needed")
    wrong = int(np.count_nonzero(~np.isfinite(y)) + np.count_nonzero(~(np.isfinite(errors) & (errors > 0))))
    if wrong:
        return bad(_MODEL, f"{wrong} of {y.size} points or their errors are not a number")
    data = Data(np.tile(x, 6), y.ravel(), errors.ravel())
    if np.ptp(y) == 0:
        return bad(_MODEL, "all points are equal: a flat line", data.x)
    guesses = [_guess(x, vector) for vector in y]
    most = 0.5 / float(np.diff(np.unique(x)).min())
    start = {
        name: Start(float(value), -most, most) for name, value in zip(_NAMES, np.concatenate(guesses), strict=False)
    }
    start["edge"] = Start(edge, -2 * edge, 6 * edge)
    start["contrast"] = Start(1.0, 0.0, 1.3)
    fit = least_squares(_MODEL, data, _flat, _slope, start)
    if fit.names:
        for k, term in enumerate(TERMS):
            sign, axis = (1, "xyz"[k]) if k < 3 else (-1, "xyz"[k - 3])
            zero, one = f"{axis}0", f"{axis}1"
            fit = fit.derived(term, (fit.values[zero] + sign * fit.values[one]) / 2, {zero: 0.5, one: sign * 0.5})
        if fit.values["contrast"] < 0.5:
            fit = fit.refused(f"the Bloch vector is only {fit.values['contrast']:.2f} long")
    return described(_moving(fit, data, 8 * x.size), data)


def bloch_vectors(time: Real, vector: NDArray[np.floating], edge: float) -> Real:
    """Return (3, points): a Bloch vector that starts at +z, turned by ``vector`` (3, turns per s)."""
    rate = float(np.linalg.norm(vector))
    axis = np.asarray(vector) / rate if rate > 0 else np.array([1.0, 0.0, 0.0])
    angle = 2 * np.pi * rate * (time + edge)
    z = np.array([0.0, 0.0, 1.0])
    along = axis * axis[2]
    result: Real = along[:, None] + np.outer(z - along, np.cos(angle)) + np.outer(np.cross(axis, z), np.sin(angle))
    return result


def _moving(fit: Fit, data: Data, trials: int) -> Fit:
    """Refuse a fit that describes the Bloch vectors no better than ones that stand still."""
    if not fit.names:
        return fit
    y, weights = data.y.reshape(6, -1), data.weights.reshape(6, -1) ** 2
    still = np.repeat(np.sum(y * weights, axis=1) / np.sum(weights, axis=1), y.shape[1])
    rest = signal(replace(fit, curve=fit.curve - still), replace(data, y=data.y - still), trials=trials, over=6)
    return fit if rest.ok else fit.refused("noise: no rotation stands out of it")


def _flat(time: Real, *values: float) -> Real:
    once = time[: time.size // 6]
    both = [bloch_vectors(once, np.array(values[k : k + 3]), values[6]) for k in (0, 3)]
    return values[7] * np.concatenate(both).ravel()


def _slope(time: Real, *values: float) -> Real:
    rows = []
    for k, step in enumerate(_STEPS):
        up, down = list(values), list(values)
        up[k] += step
        down[k] -= step
        rows.append((_flat(time, *up) - _flat(time, *down)) / (2 * step))
    return np.array(rows)


def _guess(time: Real, vector: Real) -> Real:
    """Return the rotation vector (turns per s) of the circle that describes (3, points) best.

    On it the vector is c + a cos + b sin, and the axis is along a x b.
    """
    span, step = float(np.ptp(time)), float(np.diff(np.unique(time)).min())
    best: tuple[float, Real] = (np.inf, np.zeros(3))
    for rate in np.arange(0.125 / span, 0.5 / step, 0.125 / span):
        angle = 2 * np.pi * rate * time
        columns = np.stack([np.ones_like(time), np.cos(angle), np.sin(angle)], axis=1)
        found, *_ = np.linalg.lstsq(columns, vector.T, rcond=1e-6)
        left = float(np.sum((columns @ found - vector.T) ** 2))
        normal = np.cross(found[1], found[2])
        length = float(np.linalg.norm(normal))
        if left < best[0] and length > 0:
            best = (left, rate * normal / length)
    return best[1]
