"""Peaks and extrema: spectroscopy lines, parabolas, straight lines."""

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

HALF = np.log(2.0) * 4
ANOTHER = 5.0
"""A second peak is reported when it makes chi squared smaller by the square of this."""


def lorentzian(x: Real, height: float, centre: float | Real, width: float | Real, offset: float, slope: float) -> Real:
    """Return a Lorentzian of full width at half maximum ``width`` on ``offset + slope·(x − mean of x)``."""
    u = 2 * (x - centre) / width
    return np.asarray(height / (1 + u**2) + offset + slope * (x - _middle(x)))


def _lorentzian_gradient(x: Real, height: float, centre: float, width: float, offset: float, slope: float) -> Real:
    u = 2 * (x - centre) / width
    shape = 1 / (1 + u**2)
    by_u = -2 * height * u * shape**2
    return np.stack([shape, -2 * by_u / width, -by_u * u / width, np.ones_like(x), x - _middle(x)])


def gaussian(x: Real, height: float, centre: float | Real, width: float | Real, offset: float, slope: float) -> Real:
    """Return a Gaussian of full width at half maximum ``width`` on ``offset + slope·(x − mean of x)``."""
    return np.asarray(height * np.exp(-HALF * ((x - centre) / width) ** 2) + offset + slope * (x - _middle(x)))


def _gaussian_gradient(x: Real, height: float, centre: float, width: float, offset: float, slope: float) -> Real:
    u = (x - centre) / width
    shape = np.exp(-HALF * u**2)
    by_u = -2 * HALF * height * u * shape
    return np.stack([shape, -by_u / width, -by_u * u / width, np.ones_like(x), x - _middle(x)])


def _middle(x: Real) -> float:
    return float(0.5 * (x.min() + x.max()))


SHAPES = {"lorentzian": (lorentzian, _lorentzian_gradient), "gaussian": (gaussian, _gaussian_gradient)}


def peak(
    x: object,
    y: object,
    sigma: object = None,
    *,
    shape: str = "lorentzian",
    sloped: bool = False,
    sign: int = 0,
    single: bool = True,
) -> Fit:
    """Fit one peak or dip on a level or sloped background; ``centre`` and ``width`` (full, at half maximum) as x.

    ``sign`` +1 or −1 admits only peaks or only dips. Refused: noise, a flat line, a centre outside the window or so
    near to its edge that only one flank was seen, a line narrower than the points resolve, and with ``single`` a
    second peak that is at least a quarter as high (both are named: which of them is the qubit, the data cannot say;
    its place is ``centre2``).
    """
    data = checked("peak", x, y, sigma, 6)
    if isinstance(data, Fit):
        return data
    if shape not in SHAPES:
        return bad("peak", f"unknown shape {shape!r}, legal: {', '.join(SHAPES)}", data.x)
    function, gradient = SHAPES[shape]
    low, high = data.window()
    step = float(np.median(np.diff(np.unique(data.x))))
    widths = np.geomspace(min(2 * step, high - low), (high - low) / 1.5, 7)
    centres, trial_widths, coefficients, left = _scan(data, shape, data.x, widths, sloped)
    heights = coefficients[:, 0].real
    allowed = heights * sign >= 0 if sign else np.ones(heights.size, dtype=bool)
    if not allowed.any():
        return bad("peak", f"no {'peak' if sign > 0 else 'dip'} in the window", data.x)
    best = int(np.argmin(np.where(allowed, left, np.inf)))
    margin = (high - low) / 2
    start = {
        "height": Start(float(heights[best])),
        "centre": Start(float(centres[best]), low - margin, high + margin),
        "width": Start(float(trial_widths[best]), 0.1 * step, 4 * (high - low)),
        "offset": Start(float(coefficients[best, 1].real)),
        "slope": Start(float(coefficients[best, 2].real) if sloped else 0.0, vary=sloped),
    }
    fit = least_squares(shape, data, function, gradient, start)
    fit = signal(fit, data, trials=data.x.size, over=2 if sloped else 1)
    fit = _inside(fit, low, high, step, sign)
    if fit.ok and single:
        fit = _alone(fit, data, shape)
    return determined(described(fit, data), "height", 0.3, "the peak is not determined")


def _scan(data: Data, shape: str, centres: Real, widths: Real, sloped: bool) -> tuple[Real, Real, Real, Real]:
    """Try centres and widths with the height and the background solved."""
    where, wide = (grid.ravel() for grid in np.meshgrid(centres, widths, indexing="ij"))
    form = SHAPES[shape][0](data.x, 1.0, where[:, None], wide[:, None], 0.0, 0.0)
    basis = [form, np.ones_like(form)]
    if sloped:
        basis.append(np.broadcast_to(data.x - _middle(data.x), form.shape) / max(np.ptp(data.x), 1e-300))
    coefficients, left = linear(np.stack(basis, axis=1), data)
    if sloped:
        coefficients[:, 2] /= max(np.ptp(data.x), 1e-300)
    return where, wide, np.asarray(coefficients.real), left


def _inside(fit: Fit, low: float, high: float, step: float, sign: int) -> Fit:
    if not fit.names:
        return fit
    centre, width = fit.values["centre"], fit.values["width"]
    if not low <= centre <= high:
        why = f"the resonance is outside the window, at about {centre:.6g}"
    elif min(centre - low, high - centre) < 0.25 * width:
        why = f"the resonance at {centre:.6g} is at the edge of the window: one flank is missing"
    elif width > high - low:
        why = "the resonance is wider than the window"
    elif width < 0.4 * step:
        why = f"the line is narrower than the spacing of the points, {step:.3g}"
    elif sign and fit.values["height"] * sign < 0:
        why = f"no {'peak' if sign > 0 else 'dip'} in the window"
    else:
        return fit
    return fit.refused(why)


def _alone(fit: Fit, data: Data, shape: str) -> Fit:
    """Look for a second peak of the same sign by fitting two at once, wherever it could stand."""
    centre, width, height = (fit.values[name] for name in ("centre", "width", "height"))
    others = data.x[np.abs(data.x - centre) > 0.75 * width]
    if others.size == 0 or data.x.size < 8:
        return fit
    step = float(np.median(np.diff(np.unique(data.x))))
    widths = np.unique(np.maximum([width / 3, width, 2 * width], 1.5 * step))
    where, wide = (grid.ravel() for grid in np.meshgrid(others, widths, indexing="ij"))
    form = SHAPES[shape][0]
    second = form(data.x, 1.0, where[:, None], wide[:, None], 0.0, 0.0)
    level = np.ones_like(second)
    sloped = np.broadcast_to((data.x - _middle(data.x)) / max(np.ptp(data.x), 1e-300), second.shape)
    single = float(np.sum(((data.y - fit.curve) * data.weights) ** 2))
    for part in (0.5, 1.0):
        first = np.broadcast_to(form(data.x, 1.0, centre, part * width, 0.0, 0.0), second.shape)
        basis = [first, second, level, sloped] if fit.stderr["slope"] else [first, second, level]
        coefficients, left = linear(np.stack(basis, axis=1), data)
        best = int(np.argmin(left))
        noise = 1.0 if data.sigma is not None else max(float(left[best]) / max(data.x.size - 7, 1), 1e-300)
        heights = coefficients[best, :2].real * np.sign(height)
        if single - left[best] > ANOTHER**2 * noise and heights.min() > 0 and heights[1] > 0.25 * heights[0]:
            named = replace(fit, values={**fit.values, "centre2": float(where[best])})
            return named.refused(f"two resonances in the window, at {centre:.6g} and {where[best]:.6g}")
    return fit


def parabola_curve(x: Real, extremum: float, curvature: float, offset: float) -> Real:
    """Return ``offset + curvature·(x − extremum)²``."""
    return offset + curvature * (x - extremum) ** 2


def _parabola_gradient(x: Real, extremum: float, curvature: float, offset: float) -> Real:
    return np.stack([-2 * curvature * (x - extremum), (x - extremum) ** 2, np.ones_like(x)])


def parabola(x: object, y: object, sigma: object = None, *, sign: int = 0, inside: bool = True) -> Fit:
    """Fit ``offset + curvature·(x − extremum)²``; ``sign`` +1 asks for a minimum, −1 for a maximum.

    Refused: no curvature to be seen, an extremum of the wrong kind, and with ``inside`` one outside the window.
    """
    data = checked("parabola", x, y, sigma, 4)
    if isinstance(data, Fit):
        return data
    middle, half = _middle(data.x), 0.5 * float(np.ptp(data.x))
    u = (data.x - middle) / half
    coefficients, _ = linear(np.stack([np.ones_like(u), u, u**2])[None], data)
    level, slope, bend = (float(value.real) for value in coefficients[0])
    at = -slope / (2 * bend) if bend else 0.0
    if abs(at) > 50:
        return bad("parabola", "no curvature in the window", data.x)
    start = {
        "extremum": Start(middle + half * at),
        "curvature": Start(bend / half**2),
        "offset": Start(level - bend * at**2),
    }
    fit = least_squares("parabola", data, parabola_curve, _parabola_gradient, start)
    fit = determined(described(fit, data), "curvature", 0.3, "no curvature that stands out of the noise")
    if not fit.names:
        return fit
    if sign and fit.values["curvature"] * sign < 0:
        return fit.refused(f"the extremum is a {'maximum' if sign > 0 else 'minimum'}")
    if inside and abs(fit.values["extremum"] - middle) > half:
        return fit.refused(f"the extremum is outside the window, at about {fit.values['extremum']:.6g}")
    return fit


def straight(x: Real, slope: float, offset: float) -> Real:
    """Return ``slope·x + offset``."""
    return slope * x + offset


def _straight_gradient(x: Real, slope: float, offset: float) -> Real:
    return np.stack([x, np.ones_like(x)])


def line(x: object, y: object, sigma: object = None, *, zero: bool = False) -> Fit:
    """Fit ``slope·x + offset``; with ``zero`` also ``zero``, the x at which it vanishes.

    Refused with ``zero`` only: a slope that does not stand out of the noise, or a zero outside the window.
    """
    data = checked("line", x, y, sigma, 3)
    if isinstance(data, Fit):
        return data
    coefficients, _ = linear(np.stack([data.x, np.ones_like(data.x)])[None], data)
    start = {"slope": Start(float(coefficients[0, 0].real)), "offset": Start(float(coefficients[0, 1].real))}
    fit = described(least_squares("line", data, straight, _straight_gradient, start), data)
    if not zero or not fit.names:
        return fit
    slope, offset = fit.values["slope"], fit.values["offset"]
    fit = determined(fit, "slope", 0.3, "no slope that stands out of the noise")
    if slope == 0:
        return fit
    fit = fit.derived("zero", -offset / slope, {"slope": offset / slope**2, "offset": -1 / slope})
    low, high = data.window()
    if not low <= fit.values["zero"] <= high:
        return fit.refused(f"the zero is outside the window, at about {fit.values['zero']:.6g}")
    return fit
