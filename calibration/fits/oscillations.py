"""Oscillations: Rabi, and Ramsey with and without beating."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pulsed.calibration.fits.fit import (
    Data,
    Fit,
    Gradient,
    Model,
    Real,
    Start,
    bad,
    checked,
    described,
    determined,
    least_squares,
    linear,
    signal,
    wrapped,
)

TAU = 2 * np.pi
POWERS = {"exponential": 1, "gaussian": 2}


def cosine_wave(x: Real, amplitude: float, frequency: float, phase: float, offset: float) -> Real:
    """Return ``amplitude·cos(2π·frequency·x + phase) + offset``."""
    return amplitude * np.cos(TAU * frequency * x + phase) + offset


def _cosine_gradient(x: Real, amplitude: float, frequency: float, phase: float, offset: float) -> Real:
    angle = TAU * frequency * x + phase
    down = -amplitude * np.sin(angle)
    return np.stack([np.cos(angle), down * TAU * x, down, np.ones_like(x)])


def cosine(x: object, y: object, sigma: object = None, *, phase: float | None = None) -> Fit:
    """Fit ``amplitude·cos(2π·frequency·x + phase) + offset``: Rabi oscillations over the amplitude of the pulse.

    With ``phase`` held the amplitude may be negative; else it is positive and the phase lies in (−π, π]. Adds ``half``,
    the x of half a period: with the phase held at 0 the amplitude of a π pulse. Refused: noise, a flat line, less than
    half a period in the window, a frequency that the points do not resolve.
    """
    data = checked("cosine", x, y, sigma, 5)
    if isinstance(data, Fit):
        return data
    trial = _frequencies(data)
    columns = _waves(data.x, trial)
    if phase is not None:
        wave = np.cos(TAU * trial[:, None] * data.x + phase)
        columns = np.stack([wave, np.ones_like(wave)], axis=1)
    coefficients, left = linear(columns, data)
    best = int(np.argmin(left))
    amplitude, angle = float(coefficients[best, 0]), 0.0 if phase is None else phase
    if phase is None:
        amplitude, angle = _polar(coefficients[best])
    start = {
        "amplitude": Start(amplitude, *((0.0, np.inf) if phase is None else (-np.inf, np.inf))),
        "frequency": Start(float(trial[best]), *_limits(data)),
        "phase": Start(angle, vary=phase is None),
        "offset": Start(float(coefficients[best, -1])),
    }
    fit = least_squares("cosine", data, cosine_wave, _cosine_gradient, start)
    fit = described(signal(fit, data, trials=trial.size // 4), data)
    return _periods(_unwound(fit, "phase"), data)


def _periods(fit: Fit, data: Data) -> Fit:
    if not fit.names:
        return fit
    low, high = data.window()
    frequency = fit.values["frequency"]
    fit = fit.derived("half", 0.5 / frequency, {"frequency": -0.5 / frequency**2})
    if frequency * (high - low) < 0.45:
        return fit.refused(f"less than half a period in the window: {frequency * (high - low):.2g} periods")
    return determined(fit, "frequency", 0.2, "the frequency is not determined")


def _unwound(fit: Fit, *phases: str) -> Fit:
    values = dict(fit.values)
    for name in phases:
        if name in values:
            values[name] = wrapped(values[name])
    return replace(fit, values=values)


def _frequencies(data: Data) -> Real:
    """Return trial frequencies: from a quarter of a period in the window up to Nyquist of the median spacing."""
    low, high = data.window()
    span = high - low
    nyquist = 0.5 / float(np.median(np.diff(np.unique(data.x))))
    return np.arange(0.25 / span, nyquist * 1.0001, 0.25 / span)


def _limits(data: Data) -> tuple[float, float]:
    low, high = data.window()
    return 0.05 / (high - low), 0.55 / float(np.median(np.diff(np.unique(data.x))))


def _waves(x: Real, frequencies: Real) -> Real:
    """Return the basis (trials, 3, points) of cosine, sine and a constant."""
    angle = TAU * frequencies[:, None] * x
    return np.stack([np.cos(angle), np.sin(angle), np.ones_like(angle)], axis=1)


def _under(waves: Real, envelope: Real) -> Real:
    """Return the same basis with cosine and sine under ``envelope``."""
    return waves * np.stack([envelope, envelope, np.ones_like(envelope)])


def _polar(coefficients: NDArray[np.generic]) -> tuple[float, float]:
    """Turn A·cos + B·sin into amplitude·cos(… + phase)."""
    along, across = float(np.real(coefficients[0])), float(np.real(coefficients[1]))
    return float(np.hypot(along, across)), float(np.arctan2(-across, along))


def damped(power: int, x: Real, amplitude: float, frequency: float, phase: float, time: float, offset: float) -> Real:
    """Return ``amplitude·exp(−(x/time)**power)·cos(2π·frequency·x + phase) + offset``."""
    return amplitude * np.exp(-((x / time) ** power)) * np.cos(TAU * frequency * x + phase) + offset


def _damped_gradient(
    power: int, x: Real, amplitude: float, frequency: float, phase: float, time: float, offset: float
) -> Real:
    envelope, angle = np.exp(-((x / time) ** power)), TAU * frequency * x + phase
    up, down = envelope * np.cos(angle), -amplitude * envelope * np.sin(angle)
    slower = amplitude * up * power * (x / time) ** power / time
    return np.stack([up, down * TAU * x, down, slower, np.ones_like(x)])


def beating(
    power: int,
    x: Real,
    amplitude: float,
    frequency: float,
    phase: float,
    amplitude2: float,
    frequency2: float,
    phase2: float,
    time: float,
    offset: float,
) -> Real:
    """Return the sum of two oscillations under one envelope."""
    return damped(power, x, amplitude, frequency, phase, time, offset) + damped(
        power, x, amplitude2, frequency2, phase2, time, 0.0
    )


def _beating_gradient(
    power: int,
    x: Real,
    amplitude: float,
    frequency: float,
    phase: float,
    amplitude2: float,
    frequency2: float,
    phase2: float,
    time: float,
    offset: float,
) -> Real:
    first = _damped_gradient(power, x, amplitude, frequency, phase, time, offset)
    second = _damped_gradient(power, x, amplitude2, frequency2, phase2, time, offset)
    return np.stack([*first[:3], *second[:3], first[3] + second[3], first[4]])


def damped_cosine(
    x: object, y: object, sigma: object = None, *, envelope: str = "either", beats: bool | None = None
) -> Fit:
    """Fit a decaying oscillation over times x in s: Ramsey fringes.

    ``amplitude·exp(−(x/time)**p)·cos(2π·frequency·x + phase) + offset`` with p = 1 (``"exponential"``) or 2
    (``"gaussian"``, quasi-static noise); ``"either"`` takes the one of the smaller chi squared. ``beats=True`` adds a
    second frequency under the same envelope (a neighbour that is now up, now down), ``None`` adds it when the data ask
    for it; ``frequency`` is then that of the stronger one. A window too short to show a decay gives ``time`` an
    infinite error. Refused: noise, a flat line, a frequency that the points do not resolve, a second frequency that
    ``beats=False`` forbids.
    """
    data = checked("damped cosine", x, y, sigma, 7)
    if isinstance(data, Fit):
        return data
    if envelope not in (*POWERS, "either"):
        return bad("damped cosine", f"unknown envelope {envelope!r}, legal: exponential, gaussian, either", data.x)
    kinds = [envelope] if envelope in POWERS else list(POWERS)
    waves = _waves(data.x, _frequencies(data))
    single = min((_one_frequency(data, kind, waves) for kind in kinds), key=lambda fit: _left(fit, data))
    if beats or (beats is None and single.names and _hints(single, data, waves)):
        double = min((_two_frequencies(data, kind, single) for kind in kinds), key=lambda fit: _left(fit, data))
        if beats or _asked_for(double, single, data):
            return double
    return determined(single, "frequency", 0.2, "the frequency is not determined")


def _left(fit: Fit, data: Data) -> float:
    return float(np.sum(((data.y - fit.curve) * data.weights) ** 2)) if fit.names else float("inf")


def _hints(single: Fit, data: Data, waves: Real) -> bool:
    """Whether another frequency in what one frequency leaves would explain more of it than noise does."""
    rest = replace(data, y=data.y - single.curve)
    before = _left(single, data)
    shape = np.exp(-data.x / single.values["time"])
    _, left = linear(_under(waves, shape), rest)
    return bool(before - left.min() > 1.5 * _enough(data) * left.min() / max(data.size - 8, 1))


def _enough(data: Data) -> float:
    """Return the F value, of three more parameters, from which on a second frequency is believed."""
    return float(9 + 2 * np.log(data.x.size))


def _asked_for(double: Fit, single: Fit, data: Data) -> bool:
    """Whether the second frequency is real: an F test at 1e-4, over the frequencies it could have had."""
    if not double.ok or double.values["amplitude2"] < 4 * double.stderr["amplitude2"]:
        return False
    rest, before = _left(double, data), _left(single, data)
    ratio = (before - rest) / 3 / max(rest / double.dof, 1e-300)
    return bool(ratio > _enough(data))


def _times(data: Data) -> Real:
    low, high = data.window()
    return np.geomspace((high - low) / 8, 4 * (high - low), 5)


def _one_frequency(data: Data, kind: str, waves: Real) -> Fit:
    power, every, times = POWERS[kind], _frequencies(data), _times(data)
    shapes = [np.exp(-((data.x / time) ** power)) for time in times]
    near = [int(np.argmin(linear(_under(waves, shape), data)[1])) for shape in (shapes[0], shapes[-1])]
    chosen = np.unique(np.clip(np.add.outer(near, [-1, 0, 1]), 0, every.size - 1))
    trial = every[chosen]
    coefficients, left = linear(np.concatenate([_under(waves[chosen], shape) for shape in shapes]), data)
    best = int(np.argmin(left))
    amplitude, phase = _polar(coefficients[best])
    start = {
        "amplitude": Start(amplitude, 0.0),
        "frequency": Start(float(trial[best % trial.size]), *_limits(data)),
        "phase": Start(phase),
        "time": Start(float(times[best // trial.size]), *_time_limits(data)),
        "offset": Start(float(coefficients[best, 2])),
    }
    fit = _decaying(f"{kind} cosine", data, partial(damped, power), partial(_damped_gradient, power), start)
    return _unwound(described(signal(fit, data, trials=every.size), data), "phase")


def _decaying(model: str, data: Data, function: Model, gradient: Gradient, start: dict[str, Start]) -> Fit:
    """Fit, and once more without a decay where the window shows none: its time then has an infinite error."""
    fit = least_squares(model, data, function, gradient, start)
    longest = start["time"].high
    if not fit.names or fit.values["time"] < 0.1 * longest:
        return fit
    fit = least_squares(model, data, function, gradient, {**start, "time": Start(longest, vary=False)})
    return replace(fit, stderr={**fit.stderr, "time": float("inf")}) if fit.names else fit


def _time_limits(data: Data) -> tuple[float, float]:
    low, high = data.window()
    return (high - low) / data.x.size / 4, 1e3 * (high - low)


def _two_frequencies(data: Data, kind: str, single: Fit) -> Fit:
    """Take the two frequencies that describe the data best together, on the grid around what one frequency found."""
    power, trial = POWERS[kind], _frequencies(data)
    if not single.names:
        return bad(f"beating {kind} cosine", single.reason, data.x)
    near = np.argsort(np.abs(trial - single.values["frequency"]))[:13]
    rest = replace(data, y=data.y - single.curve)
    waves = _waves(data.x, trial)
    _, alone = linear(_under(waves, np.exp(-((data.x / single.values["time"]) ** power))), rest)
    near = np.unique(np.concatenate([near, np.argsort(alone)[:3]]))
    first, second = (near[index] for index in np.triu_indices(near.size, 1))
    best: tuple[float, float, float, float, NDArray[np.generic]] | None = None
    for time in _times(data):
        shape = np.exp(-((data.x / time) ** power))
        basis = _under(waves, shape)
        columns = np.concatenate([basis[first, :2], basis[second]], axis=1)
        coefficients, left = linear(columns, data)
        at = int(np.argmin(left))
        if best is None or left[at] < best[0]:
            best = (float(left[at]), float(time), float(trial[first[at]]), float(trial[second[at]]), coefficients[at])
    if best is None:
        return bad(f"beating {kind} cosine", "too few points for two frequencies", data.x)
    _, time, one, two, found = best
    found_waves = sorted([(*_polar(found[:2]), one), (*_polar(found[2:4]), two)], reverse=True)
    start = {}
    for (amplitude, phase, frequency), suffix in zip(found_waves, ("", "2"), strict=True):
        start["amplitude" + suffix] = Start(amplitude, 0.0)
        start["frequency" + suffix] = Start(frequency, *_limits(data))
        start["phase" + suffix] = Start(phase)
    start |= {"time": Start(time, *_time_limits(data)), "offset": Start(float(np.real(found[4])))}
    fit = _decaying(f"beating {kind} cosine", data, partial(beating, power), partial(_beating_gradient, power), start)
    fit = described(signal(fit, data, trials=trial.size**2), data)
    return _stronger_first(_unwound(fit, "phase", "phase2"))


def _stronger_first(fit: Fit) -> Fit:
    if not fit.names or fit.values["amplitude"] >= fit.values["amplitude2"]:
        return fit
    return fit.swapped({name: name + "2" for name in ("amplitude", "frequency", "phase")})
