"""Clouds of integrated points: projection on an axis, centres and populations, the assignment matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pulsed.calibration.fits.fit import Fit, Real, bad

Complex = NDArray[np.complex128]
ROUNDS = 60


def between(points: object, zero: complex, one: complex) -> Real:
    """Return complex points along the axis on which ``zero`` lies at 0 and ``one`` at 1."""
    return np.asarray(((np.asarray(points) - zero) / (one - zero)).real, dtype=np.float64)


def nearest(points: Complex, centres: Complex) -> NDArray[np.intp]:
    """Return the index of the nearest centre for each point."""
    return np.asarray(np.argmin(np.abs(np.asarray(points)[..., None] - np.asarray(centres)), axis=-1))


def clouds(prepared: Sequence[object]) -> Fit:
    """Fit one Gaussian cloud per state to points whose preparation is known.

    Args:
        prepared: for each prepared state 0, 1, ... the complex points of its shots.

    Returns:
        A fit of the mixture in which all classes share centres and the variance of each quadrature, and each has its
        own populations (preparation is not perfect and states decay): maximum likelihood by expectation maximisation,
        standard errors from the outer product of the scores. Values: ``z0re``, ``z0im``, ..., ``variance``,
        ``separation`` (distance of the clouds 0 and 1 in standard deviations), ``population_jk`` (state k found when j
        was prepared), and of the points as assigned to their nearest centre ``assigned_jk``, ``p01`` (0 read when 1
        was prepared), ``p10``, and ``error``, the mean over states of the part read wrongly. Refused: clouds that
        coincide, and preparations of which the larger part lies in another's cloud (a dead or a swapped drive line).

    """
    samples = [np.asarray(points, dtype=np.complex128).ravel() for points in prepared]
    if len(samples) < 2:
        return bad("clouds", "two prepared states at least are needed")
    for j, sample in enumerate(samples):
        if sample.size < 20:
            return bad("clouds", f"{sample.size} points of the prepared state {j} are too few, 20 are needed")
        if not np.all(np.isfinite(sample)):
            return bad("clouds", f"points of the prepared state {j} are not a number")
        if np.ptp(sample.real) == 0 and np.ptp(sample.imag) == 0:
            return bad("clouds", f"all points of the prepared state {j} are equal")
    centres, variance, populations = _mixture(samples)
    values, stderr = _described(samples, centres, variance, populations)
    fit = Fit("clouds", values, stderr, chi2=float("nan"), dof=2 * sum(sample.size for sample in samples))
    return _separate(fit, samples, len(samples))


def _separate(fit: Fit, samples: list[Complex], count: int) -> Fit:
    spread = np.sqrt(fit.values["variance"])
    for j in range(count):
        for k in range(j):
            one, two = samples[j], samples[k]
            error = np.sqrt(np.var(one) / one.size / 2 + np.var(two) / two.size / 2)
            apart = abs(one.mean() - two.mean())
            if apart < 5 * error or apart < 0.1 * spread:
                return fit.refused(f"the points of the prepared states {k} and {j} coincide: is the drive line alive?")
    for j in range(count):
        if fit.values[f"assigned_{j}{j}"] < 0.5:
            return fit.refused(f"most points of the prepared state {j} lie in another state's cloud")
    return fit


def _mixture(samples: list[Complex]) -> tuple[Complex, float, Real]:
    """Return centres, the variance per quadrature and the populations (prepared, state)."""
    count = len(samples)
    centres = np.array([complex(np.median(sample.real), np.median(sample.imag)) for sample in samples])
    variance = float(np.mean([np.median(np.abs(s - c) ** 2) for s, c in zip(samples, centres, strict=True)])) / 1.386
    populations = np.full((count, count), 0.1 / max(count - 1, 1)) + np.eye(count) * (0.9 - 0.1 / max(count - 1, 1))
    every = np.concatenate(samples)
    prepared = np.repeat(np.arange(count), [sample.size for sample in samples])
    before = -np.inf
    for _ in range(ROUNDS):
        shares, likelihood = _shares(every, centres, variance, populations[prepared])
        weight = shares.sum(axis=0)
        centres = (shares * every[:, None]).sum(axis=0) / weight
        off = every[:, None] - centres
        variance = float(np.sum(shares * (off.real**2 + off.imag**2)) / (2 * every.size))
        populations = np.stack([shares[prepared == j].mean(axis=0) for j in range(count)])
        if likelihood - before < 1e-4:
            break
        before = likelihood
    return centres, variance, populations


def _shares(every: Complex, centres: Complex, variance: float, populations: Real) -> tuple[Real, float]:
    """Return each point's share in each cloud, (points, states), and the log likelihood up to a constant."""
    off = every[:, None] - centres
    exponent = -(off.real**2 + off.imag**2) / (2 * variance) + np.log(np.maximum(populations, 1e-300))
    most = exponent.max(axis=1, keepdims=True)
    shares = np.exp(exponent - most)
    total = shares.sum(axis=1, keepdims=True)
    return shares / total, float(np.sum(most + np.log(total)) - every.size * np.log(variance))


def _described(
    samples: list[Complex], centres: Complex, variance: float, populations: Real
) -> tuple[dict[str, float], dict[str, float]]:
    count = len(samples)
    errors = _errors(samples, centres, variance, populations)
    values = {f"z{k}{part}": float(getattr(centres[k], name)) for k in range(count) for part, name in _PARTS}
    stderr = {f"z{k}{part}": float(errors[2 * k + n]) for k in range(count) for n, (part, _) in enumerate(_PARTS)}
    values["variance"], stderr["variance"] = variance, float(errors[2 * count])
    apart, spread = centres[1] - centres[0], np.sqrt(variance)
    values["separation"] = float(abs(apart) / spread)
    stderr["separation"] = float(
        np.hypot(np.hypot(errors[0], errors[2]) / spread, values["separation"] * errors[2 * count] / (2 * variance))
    )
    for j in range(count):
        found = np.bincount(nearest(samples[j], centres), minlength=count) / samples[j].size
        for k in range(count):
            values[f"population_{j}{k}"] = float(populations[j, k])
            stderr[f"population_{j}{k}"] = float(errors[2 * count + 1 + j * count + k])
            values[f"assigned_{j}{k}"] = float(found[k])
            stderr[f"assigned_{j}{k}"] = _binomial(found[k], samples[j].size)
    for short, name in (("p01", "assigned_10"), ("p10", "assigned_01")):
        values[short], stderr[short] = values[name], stderr[name]
    right = [f"assigned_{j}{j}" for j in range(count)]
    values["error"] = 1 - float(np.mean([values[name] for name in right]))
    stderr["error"] = float(np.linalg.norm([stderr[name] for name in right]) / count)
    return values, stderr


_PARTS = (("re", "real"), ("im", "imag"))


def _binomial(part: float, shots: int) -> float:
    """Return the standard error of a relative frequency; half a count is added so that 0 of n is not exact."""
    smooth = (part * shots + 0.5) / (shots + 1)
    return float(np.sqrt(smooth * (1 - smooth) / shots))


def _errors(samples: list[Complex], centres: Complex, variance: float, populations: Real) -> Real:
    """Return standard errors: of the centres (re, im each), of the variance, of the populations row by row."""
    count = len(samples)
    free = 2 * count + 1 + count * (count - 1)
    information = np.zeros((free, free))
    for j, sample in enumerate(samples):
        shares, _ = _shares(sample, centres, variance, np.broadcast_to(populations[j], (sample.size, count)))
        off = sample[:, None] - centres
        scores = np.zeros((free, sample.size))
        scores[0 : 2 * count : 2] = (shares * off.real / variance).T
        scores[1 : 2 * count : 2] = (shares * off.imag / variance).T
        square = off.real**2 + off.imag**2
        scores[2 * count] = np.sum(shares * (square / (2 * variance**2) - 1 / variance), axis=1)
        ratio = shares / np.maximum(populations[j], 1e-9)
        rows = 2 * count + 1 + j * (count - 1) + np.arange(count - 1)
        scores[rows] = (ratio[:, [k for k in range(count) if k != j]] - ratio[:, [j]]).T
        information += scores @ scores.T
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    covariance = np.linalg.pinv(information / np.outer(scale, scale), rcond=1e-10, hermitian=True) / np.outer(
        scale, scale
    )
    errors = np.sqrt(np.diag(covariance))
    out = np.zeros(2 * count + 1 + count * count)
    out[: 2 * count + 1] = errors[: 2 * count + 1]
    for j in range(count):
        rows = 2 * count + 1 + j * (count - 1) + np.arange(count - 1)
        at = 2 * count + 1 + j * count
        out[[at + k for k in range(count) if k != j]] = errors[rows]
        out[at + j] = np.sqrt(covariance[np.ix_(rows, rows)].sum())
    return out
