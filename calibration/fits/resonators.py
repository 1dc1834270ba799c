"""A resonator seen through a cable: complex transmission over frequency."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

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

TAU = 2 * np.pi
SHALLOW = 0.15
"""Of what passes beside a resonator: less than that is as likely a standing wave in the cables."""
ANOTHER, PART = 5.0, 0.25
"""A second resonance makes chi squared smaller by the square of the one, and has the other part of the amplitude."""
Complex = NDArray[np.complex128]


def response(
    middle: float,
    x: Real,
    frequency: float,
    kappa: float,
    delay: float,
    re: float,
    im: float,
    re_through: float,
    im_through: float,
) -> Complex:
    """Return ``e^{−2πi(f − middle)·delay}·(through + peak/(1 + 2i(f − frequency)/kappa))``, all frequencies in Hz."""
    pole = 1 / (1 + 2j * (x - frequency) / kappa)
    cable = np.exp(-1j * TAU * (x - middle) * delay)
    return np.asarray(cable * (complex(re_through, im_through) + complex(re, im) * pole))


def _gradient(
    middle: float,
    x: Real,
    frequency: float,
    kappa: float,
    delay: float,
    re: float,
    im: float,
    re_through: float,
    im_through: float,
) -> Complex:
    u = 2 * (x - frequency) / kappa
    pole = 1 / (1 + 1j * u)
    cable = np.exp(-1j * TAU * (x - middle) * delay)
    peak, through = complex(re, im), complex(re_through, im_through)
    by_u = -1j * peak * pole**2 * cable
    late = -1j * TAU * (x - middle) * cable * (through + peak * pole)
    columns = [-2 * by_u / kappa, -by_u * u / kappa, late, cable * pole, 1j * cable * pole, cable, 1j * cable]
    return np.stack(columns)


def resonator(
    frequency: object,
    transmission: object,
    sigma: object = None,
    *,
    kind: str = "transmission",
    delay: float | None = None,
) -> Fit:
    """Fit the complex transmission of one resonator behind a cable of unknown delay.

    Args:
        frequency: Hz, (points,).
        transmission: complex, (points,), any scale and phase.
        sigma: standard error of the real and of the imaginary part, each.
        kind: ``"transmission"`` (a peak and nothing else) or ``"notch"`` (a feedline passes beside the resonator, as in
            Probst et al., Rev. Sci. Instrum. 86, 024706, 2015: through and peak amplitudes are both free, which also
            describes a peak on a background). Ripples of a few per cent, of standing waves, are taken for neither.
        delay: seconds of cable, held when given.

    Returns:
        ``frequency`` and ``kappa`` (full width) in Hz, ``delay`` in s, the complex amplitudes. Refused: noise, a flat
        line, a resonance outside the window or wider than it, one of :data:`SHALLOW` depth, and a second one (both are
        named: which of them is the qubit's, the data cannot say).

    """
    data = checked("resonator", frequency, np.asarray(transmission, dtype=np.complex128), sigma, 6)
    if isinstance(data, Fit):
        return data
    if kind not in ("transmission", "notch"):
        return bad("resonator", f"unknown kind {kind!r}, legal: transmission, notch", data.x)
    notch = kind == "notch"
    low, high = data.window()
    step = _spacing(data)
    middle = 0.5 * (low + high)
    found = _search(data, middle, notch, delay)
    at, kappa, late, amplitudes = found
    through = complex(amplitudes[1]) if notch else 0j
    start = {
        "frequency": Start(at, low - (high - low), high + (high - low)),
        "kappa": Start(kappa, 0.5 * step, 8 * (high - low)),
        "delay": Start(late, vary=delay is None),
        "re": Start(float(amplitudes[0].real)),
        "im": Start(float(amplitudes[0].imag)),
        "re_through": Start(through.real, vary=notch),
        "im_through": Start(through.imag, vary=notch),
    }
    fit = least_squares("resonator", data, partial(response, middle), partial(_gradient, middle), start)
    fit = _peaked(fit, data, notch)
    if fit.ok:
        fit = _alone(fit, data, middle)
    fit = described(fit, data)
    if fit.names and not low <= fit.values["frequency"] <= high:
        return fit.refused(f"the resonance is outside the window, at about {fit.values['frequency']:.7g} Hz")
    # Beside a feedline a line needs to be seen whole: two overlapping ones pass for a wide one behind another cable.
    if fit.names and fit.values["kappa"] > (0.6 if notch else 1.5) * (high - low):
        return fit.refused("the resonance is wider than the window")
    depth, passing = _size(fit, "re", "im"), _size(fit, "re_through", "im_through")
    if fit.names and depth < SHALLOW * passing:
        return fit.refused(f"the resonance is as shallow as a ripple of the cables: {100 * depth / passing:.0f} %")
    return determined(fit, "kappa", 0.3, "the linewidth is not determined")


def _size(fit: Fit, re: str, im: str) -> float:
    return abs(complex(fit.values[re], fit.values[im])) if fit.names else 0.0


def _alone(fit: Fit, data: Data, middle: float) -> Fit:
    """Look for a second resonance by fitting two at once, behind the fitted cable, wherever it could stand."""
    at, kappa, step = fit.values["frequency"], fit.values["kappa"], _spacing(data)
    others = np.linspace(data.x.min(), data.x.max(), min(2 * data.x.size, 80))
    others = others[np.abs(others - at) > 0.75 * kappa]
    if others.size == 0 or data.x.size < 10:
        return fit
    straight = replace(data, y=data.y * np.exp(1j * TAU * (data.x - middle) * fit.values["delay"]))
    single = float(np.sum(np.abs((data.y - fit.curve) * data.weights) ** 2))
    widths = np.maximum([kappa / 2, kappa, 2 * kappa], 1.5 * step)
    where, wide = (grid.ravel() for grid in np.meshgrid(others, widths, indexing="ij"))
    second = 1 / (1 + 2j * (data.x - where[:, None]) / wide[:, None])
    for part in (0.5, 1.0):
        first = np.broadcast_to(1 / (1 + 2j * (data.x - at) / (part * kappa)), second.shape)
        columns = [first, second, np.ones_like(second)] if _size(fit, "re_through", "im_through") else [first, second]
        found, left = linear(np.stack(columns, axis=1), straight)
        best = int(np.argmin(left))
        noise = 1.0 if data.sigma is not None else max(float(left[best]) / max(2 * data.x.size - 10, 1), 1e-300)
        least = max(PART * abs(found[best, 0]), SHALLOW * _size(fit, "re_through", "im_through"))
        if single - left[best] > ANOTHER**2 * noise and abs(found[best, 1]) > least:
            return fit.refused(f"two resonances in the window, at {at:.7g} and {where[best]:.7g} Hz")
    return fit


def _search(data: Data, middle: float, notch: bool, delay: float | None) -> tuple[float, float, float, Complex]:
    """Try centres, widths and delays with the complex amplitudes solved; return the best."""
    low, high = data.window()
    span, points = high - low, data.x.size
    step = _spacing(data)
    centres = np.linspace(low, high, min(2 * points, 60))
    widths = np.geomspace(min(1.5 * step, span), 0.9 * span, 6)
    where, wide = (grid.ravel() for grid in np.meshgrid(centres, widths, indexing="ij"))
    poles = 1 / (1 + 2j * (data.x - where[:, None]) / wide[:, None])
    basis = np.stack([poles, np.ones_like(poles)], axis=1) if notch else poles[:, None]
    trials = []
    for late in [delay] if delay is not None else _delays(data, span, step):
        straight = replace(data, y=data.y * np.exp(1j * TAU * (data.x - middle) * late))
        coefficients, left = linear(basis, straight)
        at = int(np.argmin(left))
        trials.append((float(left[at]), float(where[at]), float(wide[at]), float(late), coefficients[at]))
    _, at_frequency, kappa, late, amplitudes = min(trials, key=lambda trial: trial[0])
    return at_frequency, kappa, late, np.asarray(amplitudes, dtype=np.complex128)


def _spacing(data: Data) -> float:
    return float(np.median(np.diff(np.unique(data.x))))


def _delays(data: Data, span: float, step: float) -> Real:
    """Return trial delays: around the one that the steps of phase between neighbours show, a turn of 0.25 apart."""
    turns = np.angle(np.sum(data.y[1:] * data.y[:-1].conj())) / TAU
    seen = -turns / step
    return np.asarray(seen + np.arange(-6, 7) * 0.25 / span)


def _peaked(fit: Fit, data: Data, notch: bool) -> Fit:
    """Refuse noise: compare with a constant, behind the fitted cable where a feedline passes the resonator."""
    if not fit.names:
        return fit
    late = np.zeros(1)
    if notch:
        late = np.append(_delays(data, float(np.ptp(data.x)), _spacing(data)), fit.values["delay"])
    cables = np.exp(1j * TAU * (data.x - data.x.mean()) * late[:, None])
    cable = cables[int(np.argmax(np.abs(cables @ (data.y * data.weights**2))))]
    test = signal(replace(fit, curve=fit.curve * cable), replace(data, y=data.y * cable), trials=1000, over=2 + notch)
    return fit if test.ok else fit.refused(test.reason)
