"""The standard errors below which no estimate from the shots of a run comes: the Cramér-Rao bound of the data taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray

from pulsed.calibration.fits.fit import Fit
from pulsed.calibration.results.data import load
from pulsed.calibration.routine import find_routine
from pulsed.calibration.runner.runner import parameters_of

Real = npt.NDArray[np.float64]
Population = Callable[..., Real]
"""Of 1 at every point of a run, by the parameters of the truth."""


def least_stderr(path: Path | str, name: str, qubit: Mapping[str, Any]) -> float:
    """Return the least standard error of a value.

    Populations follow the truth, with level and contrast free, and a shot is a point of one of two Gaussian clouds, as
    far apart as the run had them. The line of the anharmonicity has no closed form: its bound is that of the mean
    points under the curve that was fitted.

    Args:
        path: the file of the run that gave the value.
        name: without the subject: "f01", "anharmonicity", "t1", "t2" or "t2star".
        qubit: the rack's truth about the qubit.

    """
    data = load(path)
    if name == "anharmonicity":
        outcome = find_routine(str(data.attrs["routine"]))(**parameters_of(data)).analyse(data)
        return _curve_bound(outcome.fits["fine"], "centre")
    suffix = "_wait" if "i_wait" in data else ""
    population, at = _decay(data, name, qubit) if name in ("t1", "t2") else _fringes(data, qubit)
    information = _information(population(**at).ravel(), _separation(data, suffix, 1 - 2 * qubit["thermal"]))
    slopes = []
    for key, value in at.items():
        step = 1e-5 * abs(value)
        above, below = (population(**{**at, key: value + sign * step}) for sign in (1, -1))
        slopes.append((above - below).ravel() / (2 * step) * np.sqrt(int(data.attrs["shots"]) * information))
    gradient = {"t1": {"time": 1.0}, "t2": {"time": 1.0}, "f01": {"frequency": 1.0}}.get(name) or _of_t2star(qubit)
    return _bound(np.array(slopes), np.array([gradient.get(key, 0.0) for key in at]))


def _decay(data: xarray.Dataset, name: str, qubit: Mapping[str, Any]) -> tuple[Population, dict[str, float]]:
    """Return the population after a decay, of T1 or, with both signs, of an echo."""
    waits = data["wait"].to_numpy()
    signs = np.cos(data["turn"].to_numpy())[:, None] if name == "t2" else np.array([2.0])

    def population(time: float, contrast: float, level: float) -> Real:
        found: Real = level + signs * contrast / 2 * np.exp(-waits / time)
        return found

    level = 0.5 if name == "t2" else qubit["thermal"]
    return population, {
        "time": qubit["t2_echo" if name == "t2" else "t1"], "contrast": 1 - 2 * qubit["thermal"], "level": level,
    }  # fmt: skip


def _fringes(data: xarray.Dataset, qubit: Mapping[str, Any]) -> tuple[Population, dict[str, float]]:
    """Return the population after two π/2 pulses, the second turned: fringes under exp(-rate t - slow t^2)."""
    waits, turns = data["wait"].to_numpy(), data["turn"].to_numpy()[:, None]

    def population(frequency: float, phase: float, contrast: float, level: float, rate: float, slow: float) -> Real:
        envelope = contrast / 2 * np.exp(-rate * waits - slow * waits**2)
        found: Real = level + envelope * np.cos(2 * np.pi * frequency * waits + phase + turns)
        return found

    rate, slow = _rates(qubit)
    turned = float(data.attrs.get("turned_wait", 100.0))
    contrast = 1 - 2 * qubit["thermal"]
    return population, {
        "frequency": turned, "phase": 0.1, "contrast": contrast, "level": 0.5, "rate": rate, "slow": slow,
    }  # fmt: skip


def _rates(qubit: Mapping[str, Any]) -> tuple[float, float]:
    """Return the rate of white dephasing (1/s), and that of quasi-static detuning (1/s^2), that make T2* of T2."""
    echo, star = qubit["t2_echo"], qubit["t2_star"]
    return 1 / echo, (1 - star / echo) / star**2


def _of_t2star(qubit: Mapping[str, Any]) -> dict[str, float]:
    """Return d T2*/d rate and d T2*/d slow, of the time at which rate t + slow t^2 is 1."""
    (rate, slow), time = _rates(qubit), qubit["t2_star"]
    steep = rate + 2 * slow * time
    return {"rate": -time / steep, "slow": -(time**2) / steep}


def _separation(data: xarray.Dataset, suffix: str, contrast: float) -> float:
    """Return how far apart the clouds of 0 and 1 are, in standard deviations of one quadrature.

    Their distance is the discriminator's or, without one, what the mean points reach across; across that line the
    scatter of shots is noise alone.
    """
    plane = data["i" + suffix].to_numpy().ravel() + 1j * data["q" + suffix].to_numpy().ravel()
    if "discriminator" in data.attrs:
        re0, im0, re1, im1 = (float(x) for x in data.attrs["discriminator"])
        axis = complex(re1 - re0, im1 - im0)
    else:
        off = plane - plane.mean()
        direction = np.exp(0.5j * np.angle(np.sum(off**2)))
        axis = complex(direction * np.ptp((off / direction).real) / contrast)
    across = 1j * axis / abs(axis)
    i, q = (data[name + suffix].to_numpy().ravel() for name in ("i_error", "q_error"))
    both = data["iq_covariance" + suffix].to_numpy().ravel()
    variance = across.real**2 * i**2 + across.imag**2 * q**2 + 2 * across.real * across.imag * both
    return float(abs(axis) / np.sqrt(variance.mean() * int(data.attrs["shots"])))


def _information(population: Real, separation: float) -> Real:
    """Return the Fisher information about the population of 1 in one shot along the line through both clouds."""
    x = np.linspace(-8, separation + 8, 2001)
    zero, one = (np.exp(-((x - at) ** 2) / 2) / np.sqrt(2 * np.pi) for at in (0.0, separation))
    p = np.clip(population, 1e-6, 1 - 1e-6)[:, None]
    found: Real = np.trapezoid((one - zero) ** 2 / (p * one + (1 - p) * zero), x, axis=1)
    return found


def _curve_bound(fit: Fit, name: str) -> float:
    """Return the bound of one parameter from points with Gaussian errors."""
    assert fit.function is not None
    assert fit.sigma is not None
    free = [key for key in fit.names if fit.stderr[key] > 0]
    slopes = []
    for key in free:
        step = 1e-3 * fit.stderr[key]
        above, below = (
            fit.function(fit.x, *(fit.values[n] + sign * step * (n == key) for n in fit.names)) for sign in (1, -1)
        )
        slopes.append((above - below) / (2 * step) / fit.sigma)
    return _bound(np.array(slopes), np.array([float(key == name) for key in free]))


def _bound(slopes: Real, gradient: Real) -> float:
    """Return the root of g F^-1 g for slopes (parameters, points) in standard errors of the points."""
    scale: Real = np.linalg.norm(slopes, axis=1)
    inverse = np.linalg.inv(slopes @ slopes.T / np.outer(scale, scale))
    return float(np.sqrt((gradient / scale) @ inverse @ (gradient / scale)))
