"""What a fit is, and the one way in which all of them are made: weighted least squares by lmfit.

Every fit of this folder is a pure function of arrays. Bad data never raises and never gives a value to be believed:
the fit says ``ok=False`` and the reason in words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import lmfit
import numpy as np
from numpy.typing import NDArray
from scipy import stats

Real = NDArray[np.float64]
Points = NDArray[np.float64] | NDArray[np.complex128]
Model = Callable[..., Points]
"""``model(x, *values) -> y``."""
Gradient = Callable[..., NDArray[np.float64] | NDArray[np.complex128]]
"""``gradient(x, *values) -> dy/dvalue`` of shape (values, points)."""

NO_SIGNAL = 1e-4
"""The chance that pure noise passes for a signal, over all trials that the search for a start value makes."""


@dataclass(frozen=True)
class Fit:
    """The outcome of one fit.

    ``values`` and ``stderr`` are in the units of the data; ``chi2`` is the reduced chi squared with the standard errors
    that were given (1 when they were estimated from the residuals), ``dof`` its degrees of freedom.
    """

    model: str
    values: dict[str, float]
    stderr: dict[str, float]
    chi2: float = float("nan")
    dof: int = 0
    ok: bool = True
    reason: str = ""
    x: Real = field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    curve: Points = field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    """The model at ``x``."""
    y: Points = field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    """The data at ``x``."""
    sigma: Real | None = field(default=None, repr=False, compare=False)
    """Their standard errors, None when they were unknown."""
    function: Model | None = field(default=None, repr=False, compare=False)
    names: tuple[str, ...] = ()
    """The arguments of ``function``, in order."""
    covariance: Real = field(default_factory=lambda: np.empty((0, 0)), repr=False, compare=False)
    """Of ``names``, shape (names, names); zero where a value was held."""
    x_is: tuple[str, str] = field(default=("", ""), repr=False, compare=False)
    """What ``x`` is, and its unit, for a figure; empty: the coordinate of the data that has these numbers."""
    y_is: tuple[str, str] = field(default=("", ""), repr=False, compare=False)
    """What ``y`` is, and its unit, for a figure; empty: the signal, or the population of 1, if it is that."""

    def evaluate(self, x: Real) -> Points:
        """Return the fitted curve at ``x``, for a smooth line in a figure. Empty when there is no curve."""
        if self.function is None:
            return np.empty(0)
        return self.function(np.asarray(x, dtype=np.float64), *(self.values[name] for name in self.names))

    def shown(self, *, x: tuple[str, str] = ("", ""), y: tuple[str, str] = ("", "")) -> Fit:
        """Return this fit with names and units of its axes, for a figure."""
        return replace(self, x_is=x, y_is=y)

    def refused(self, reason: str) -> Fit:
        """Return this fit with ``ok=False`` and ``reason``; a reason that is there already stays."""
        return self if not self.ok else replace(self, ok=False, reason=reason)

    def derived(self, name: str, value: float, gradient: Mapping[str, float]) -> Fit:
        """Return this fit with one more value, its error propagated linearly from d value/d parameter."""
        slope = np.array([gradient.get(parameter, 0.0) for parameter in self.names])
        variance = float(slope @ self.covariance @ slope) if np.isfinite(self.covariance).all() else float("inf")
        return replace(
            self,
            values={**self.values, name: float(value)},
            stderr={**self.stderr, name: float(np.sqrt(max(variance, 0.0)))},
        )

    def swapped(self, pairs: Mapping[str, str]) -> Fit:
        """Return this fit with the names of values exchanged, of parameters that the model treats alike."""
        other = {**pairs, **{two: one for one, two in pairs.items()}}
        order = [self.names.index(other.get(name, name)) for name in self.names]
        return replace(
            self,
            values={name: self.values[other.get(name, name)] for name in self.values},
            stderr={name: self.stderr[other.get(name, name)] for name in self.stderr},
            covariance=self.covariance[np.ix_(order, order)],
        )


def wrapped(angle: float) -> float:
    """Return an angle (rad) without its turns, between -π and π; to the last bit where it has none."""
    return float(angle if abs(angle) <= np.pi else (angle + np.pi) % (2 * np.pi) - np.pi)


def bad(model: str, reason: str, x: Real | None = None) -> Fit:
    """Return a fit that has nothing but the reason why there is none."""
    return Fit(model, {}, {}, ok=False, reason=reason, x=np.empty(0) if x is None else x)


@dataclass(frozen=True)
class Start:
    """Where a parameter starts and between what it may move; ``vary=False`` holds it."""

    value: float
    low: float = -np.inf
    high: float = np.inf
    vary: bool = True


@dataclass(frozen=True)
class Data:
    """Checked arrays: ``x`` and ``y`` of shape (points,), ``sigma`` likewise or None when the errors are unknown."""

    x: Real
    y: Points
    sigma: Real | None

    @property
    def size(self) -> int:
        """How many real numbers were measured."""
        return self.y.size * (2 if np.iscomplexobj(self.y) else 1)

    @property
    def weights(self) -> Real:
        """One over sigma; ones when sigma is unknown."""
        return np.ones(self.x.size) if self.sigma is None else 1.0 / self.sigma

    def window(self) -> tuple[float, float]:
        """Return the least and the greatest x."""
        return float(self.x.min()), float(self.x.max())


def checked(model: str, x: object, y: object, sigma: object, at_least: int) -> Data | Fit:
    """Return the arrays, sorted by x, or a refused fit when there is nothing to fit in them."""
    points = np.asarray(y)
    points = points.astype(np.complex128 if np.iscomplexobj(points) else np.float64)
    axis = np.asarray(x, dtype=np.float64)
    if axis.ndim != 1 or points.shape != axis.shape:
        return bad(model, f"x has the shape {axis.shape} and y {points.shape}")
    wrong = int(np.count_nonzero(~(np.isfinite(axis) & np.isfinite(points))))
    if wrong:
        return bad(model, f"{wrong} of {axis.size} points are not a number", axis)
    if np.unique(axis).size < at_least:
        return bad(model, f"{np.unique(axis).size} different points are too few, {at_least} are needed", axis)
    errors = None
    if sigma is not None:
        errors = np.broadcast_to(np.asarray(sigma, dtype=np.float64), axis.shape)
        if not np.all(np.isfinite(errors) & (errors > 0)):
            return bad(model, "a standard error of the data is not a positive number", axis)
    if np.ptp(points.real) == 0 and np.ptp(points.imag) == 0:
        return bad(model, "all points are equal: a flat line", axis)
    order = np.argsort(axis, kind="stable")
    return Data(axis[order], points[order], None if errors is None else errors[order])


def _reals(values: Points) -> Real:
    """Lay complex numbers out as real ones along the last axis."""
    return np.ascontiguousarray(values).view(np.float64) if np.iscomplexobj(values) else np.asarray(values)


def least_squares(model: str, data: Data, function: Model, gradient: Gradient, start: Mapping[str, Start]) -> Fit:
    """Fit ``function`` to ``data`` from ``start`` by Levenberg-Marquardt with the analytic gradient.

    Standard errors come from the inverse of the normal matrix. With known errors of the data they are absolute, and
    widened by the root of the reduced chi squared where that is significantly above 1 (the convention of the Particle
    Data Group); with unknown ones the scatter around the curve takes their place.
    """
    names = tuple(start)
    parameters = lmfit.Parameters()
    for name, at in start.items():
        value = float(np.clip(at.value, at.low, at.high))
        parameters.add(name, value=value, min=at.low, max=at.high, vary=at.vary)
    free = [name for name in names if start[name].vary]
    if data.size < len(free):
        return bad(model, "there are not more points than parameters", data.x)
    repeat = 2 if np.iscomplexobj(data.y) else 1
    weights = np.repeat(data.weights, repeat)
    measured = _reals(data.y)
    varied = [names.index(name) for name in free]

    def residual(now: lmfit.Parameters) -> Real:
        return (_reals(function(data.x, *(now[name].value for name in names))) - measured) * weights

    def slope(now: lmfit.Parameters) -> Real:
        return _reals(gradient(data.x, *(now[name].value for name in names)))[varied] * weights

    with np.errstate(all="ignore"):
        try:
            found = lmfit.Minimizer(residual, parameters, scale_covar=False).leastsq(
                Dfun=slope, col_deriv=1, max_nfev=400, ftol=1e-10, xtol=1e-10
            )
        except ValueError as error:
            return bad(model, f"the fit left the numbers: {error}", data.x)
        values = {name: float(found.params[name].value) for name in names}
        covariance = _covariance(slope(found.params), len(names), varied)
    dof = data.size - len(free)
    chi2 = float(found.chisqr / dof) if dof > 0 else float("nan")
    scale = 1.0
    if data.sigma is None:
        scale, chi2 = chi2, 1.0
    elif dof > 0 and chi2 > 1 + 3 * np.sqrt(2 / dof):
        scale = chi2
    covariance = covariance * scale
    fit = Fit(
        model,
        values,
        dict(zip(names, np.sqrt(np.diag(covariance)).tolist(), strict=True)),
        chi2,
        dof,
        x=data.x,
        curve=function(data.x, *(values[name] for name in names)),
        y=data.y,
        sigma=data.sigma,
        function=function,
        names=names,
        covariance=covariance,
    )
    return _converged(fit, found.success, dof, start)


def _covariance(slope: Real, size: int, varied: Sequence[int]) -> Real:
    """Invert the normal matrix, scaled to unit diagonal first; infinite where the data say nothing."""
    full = np.zeros((size, size))
    length = np.linalg.norm(slope, axis=1)
    if not np.all(np.isfinite(length)) or not np.all(length > 0):
        full[np.ix_(varied, varied)] = np.diag(np.full(len(varied), np.inf))
        return full
    unit = slope / length[:, None]
    inverse = np.linalg.pinv(unit @ unit.T, rcond=1e-13, hermitian=True)
    full[np.ix_(varied, varied)] = inverse / np.outer(length, length)
    return full


def _converged(fit: Fit, success: bool, dof: int, start: Mapping[str, Start]) -> Fit:
    if dof <= 0:
        return fit.refused("there are not more points than parameters")
    if not success:
        return fit.refused("the fit did not converge")
    numbers = [*fit.values.values(), *fit.stderr.values()]
    if not np.all(np.isfinite(numbers)):
        return fit.refused("the data do not determine the parameters")
    for name, at in start.items():
        if not at.vary:
            continue
        for bound in (at.low, at.high):
            # With one bound alone, 0 for an amplitude, the start tells what is small.
            span = at.high - at.low if np.isfinite(at.high - at.low) else max(abs(bound), abs(at.value - bound))
            if np.isfinite(bound) and abs(fit.values[name] - bound) <= 1e-4 * span:
                return fit.refused(f"{name} is at its bound, {bound:.6g}")
    return fit


def signal(fit: Fit, data: Data, *, trials: int = 1, over: int = 1) -> Fit:
    """Refuse a fit that describes the data no better than a constant would describe pure noise.

    F test of the fitted model against the one with ``over`` parameters (a constant has 1), with the significance
    divided by the number of ``trials`` that the search for a start made.
    """
    if not fit.names or fit.dof <= 0:
        return fit
    weights = data.weights
    level = np.sum(data.y * weights**2) / np.sum(weights**2)
    without = float(np.sum(np.abs((data.y - level) * weights) ** 2))
    rest = float(np.sum(np.abs((data.y - fit.curve) * weights) ** 2))
    more = data.size - fit.dof - over
    if more <= 0 or without <= 0:
        return fit.refused("all points are equal: a flat line")
    if rest <= 1e-24 * without:
        return fit
    chance = float(stats.f.sf((without - rest) / more / (rest / fit.dof), more, fit.dof))
    if chance > NO_SIGNAL / trials:
        return fit.refused("noise: the curve describes the data no better than a flat line")
    return fit


def described(fit: Fit, data: Data, *, chi2: float = 5.0, unexplained: float = 0.05) -> Fit:
    """Refuse a fit whose curve is visibly not the data.

    Both must hold: the reduced chi squared is above ``chi2``, and more than the part ``unexplained`` of the data's
    variance is left. With very many shots the first alone would refuse curves that no eye can tell from the data.
    """
    spread = float(np.sum(np.abs(data.y - data.y.mean()) ** 2))
    left = float(np.sum(np.abs(data.y - fit.curve) ** 2)) if fit.names else 0.0
    if fit.names and fit.chi2 > chi2 and left > unexplained * spread:
        return fit.refused(
            f"the model does not describe the data: reduced chi squared {fit.chi2:.3g}, "
            f"{100 * left / spread:.0f} % of the variance left"
        )
    return fit


def determined(fit: Fit, name: str, relative: float, why: str) -> Fit:
    """Refuse a fit whose parameter ``name`` has a standard error above ``relative`` times its value."""
    if fit.names and not fit.stderr[name] <= relative * abs(fit.values[name]):
        return fit.refused(f"{why}: {name} = {fit.values[name]:.4g} ± {fit.stderr[name]:.2g}")
    return fit


def linear(columns: NDArray[np.generic], data: Data) -> tuple[NDArray[Any], Real]:
    """Solve many small weighted linear least squares problems at once.

    Args:
        columns: (trials, parameters, points) basis functions.
        data: what to describe by them.

    Returns:
        Coefficients of shape (trials, parameters), and the weighted sums of squares left, of shape (trials,).

    """
    weighted = np.asarray(columns) * data.weights
    target = data.y * data.weights
    normal = weighted.conj() @ np.swapaxes(weighted, -1, -2)
    size = normal.shape[-1]
    ridge = 1e-12 * np.trace(normal, axis1=-2, axis2=-1).real[:, None, None] * np.eye(size) / size
    right = weighted.conj() @ target
    coefficients = np.linalg.solve(normal + ridge, right[..., None])[..., 0]
    left = np.sum(np.abs(target) ** 2) - np.sum(coefficients.conj() * right, axis=-1).real
    return coefficients, left
