"""What a figure of a run shows, as numbers: for a page that draws it, and for a measurement that grows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray

from pulsed.calibration.fits.fit import Fit
from pulsed.calibration.outcome import Outcome
from pulsed.calibration.results.data import points, signal
from pulsed.calibration.results.run_plots import Scale, along, axis_of, engineering, quantity, upward
from pulsed.model.measurement import Heat, Plot, PlotTrace

_MOST_TRACES = 4
_MOST_POINTS = 800
"""Of one trace; more are thinned."""
_MOST_CELLS = 120
"""Along each axis of a map."""
_SMOOTH = 200
"""Points of a fitted curve."""


def plot_of(data: xarray.Dataset, outcome: Outcome | None) -> Plot:
    """Return the first fit over its data; without one the data themselves, along their axes."""
    fits = [fit for fit in outcome.fits.values() if fit.x.size and np.size(fit.y)] if outcome is not None else []
    if fits:
        return _fitted(data, fits[0])
    if "i" in data and data["i"].ndim == 2 and all(dim in data.coords for dim in data["i"].dims):
        return _mapped(data)
    return _plain(data)


def said_of(outcome: Outcome | None) -> str:
    """Return the values of an outcome with their errors, or why there are none."""
    if outcome is None:
        return ""
    values = [
        f"{name} = {quantity(item.value, item.stderr, item.unit)}" for name, item in outcome.values.items()
        if not isinstance(item.value, tuple) and item.stderr is not None
    ]  # fmt: skip
    return outcome.reason or ", ".join(values)


def _fitted(data: xarray.Dataset, fit: Fit) -> Plot:
    across, up, y = along(data, fit), upward(data, fit), np.asarray(fit.y)
    counted = np.all(fit.x == np.round(fit.x)) and np.ptp(fit.x) < 1000
    smooth = np.unique(fit.x) if counted else np.linspace(fit.x.min(), fit.x.max(), _SMOOTH)
    curve = fit.evaluate(smooth)
    sigma = None if fit.sigma is None else up.factor * np.abs(fit.sigma)
    parts = [(up.label or "data", np.real)] if not np.iscomplexobj(y) else [("I", np.real), ("Q", np.imag)]
    traces = tuple(
        trace(label, across(fit.x), up(part(y)), sigma, across(smooth) if curve.size else None,
               up(part(curve)) if curve.size else None)
        for label, part in parts
    )  # fmt: skip
    return Plot(across.label, up.label, traces)


def _plain(data: xarray.Dataset) -> Plot:
    name = next(
        (str(n) for n in ("i", *data.data_vars) if n in data and data[n].ndim and data[n].dtype.kind in "fiu"), ""
    )
    if not name:
        return Plot()
    dimension = str(data[name].dims[0])
    known = dimension in data.coords
    at = np.asarray(data.coords[dimension] if known else np.arange(data.sizes[dimension]), float)
    across = axis_of(data, dimension) if known else Scale(dimension)
    if name == "i" and data["i"].ndim == 1 and "discriminator" in data.attrs:
        population, sigma = signal(data)
        what = "population of 1"
        return Plot(across.label, what, (trace(what, across(at), population, sigma),))
    names = ["i", "q"] if name == "i" and "q" in data else [name]
    unit = str(data[name].attrs.get("units", ""))
    up = engineering("mean" if name == "i" else name, [data[n] for n in names], unit)
    traces = []
    for one in names:
        lines, error = data[one].to_numpy().reshape(len(at), -1).T, data.get(f"{one}_error")
        for number, line in enumerate(lines[:_MOST_TRACES]):
            spread = None if error is None else up.factor * error.to_numpy().reshape(len(at), -1).T[number]
            label = one.upper() if len(one) == 1 else one
            traces.append(trace(label if len(lines) == 1 else f"{label} {number}", across(at), up(line), spread))
    return Plot(across.label, up.label, tuple(traces[:_MOST_TRACES]))


def _mapped(data: xarray.Dataset) -> Plot:
    slow, fast = map(str, data["i"].dims)
    if "discriminator" in data.attrs:
        z, what = signal(data)[0], "population of 1"
    else:
        z, what = np.abs(points(data)), "magnitude (full scale)"
    rows, columns = (np.unique(np.linspace(0, n - 1, min(n, _MOST_CELLS)).round().astype(int)) for n in z.shape)
    up, across = axis_of(data, slow), axis_of(data, fast)
    cells = z[np.ix_(rows, columns)].ravel()
    heat = Heat(
        _numbers(across(data[fast].to_numpy()[columns])), _numbers(up(data[slow].to_numpy()[rows])),
        tuple(float(f"{c:.5g}") if np.isfinite(c) else None for c in cells),
    )  # fmt: skip
    return Plot(across.label, up.label, (), heat, what)


def trace(label: str, x: Any, y: Any, sigma: Any = None, fit_x: Any = None, fit_y: Any = None) -> PlotTrace:
    """Return a line in order of ``x``, thinned to what an eye sees, without points that are no numbers."""
    x, y = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float))
    seen = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    order = seen[np.argsort(x[seen], kind="stable")]
    if len(order) > _MOST_POINTS:
        order = order[np.linspace(0, len(order) - 1, _MOST_POINTS).round().astype(int)]
    errors = () if sigma is None else _numbers(np.nan_to_num(np.broadcast_to(sigma, x.shape)[order]))
    if fit_x is None or not np.isfinite(fit_y).all():
        return PlotTrace(label, _numbers(x[order]), _numbers(y[order]), errors)
    return PlotTrace(label, _numbers(x[order]), _numbers(y[order]), errors, _numbers(fit_x), _numbers(fit_y))


def _numbers(values: npt.ArrayLike) -> tuple[float, ...]:
    """Return numbers with as many digits as an eye needs: the message is a third as long."""
    return tuple(float(f"{value:.8g}") for value in np.asarray(values, float).ravel())
