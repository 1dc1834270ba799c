"""Figures of runs: data with error bars, the fit, what the fit leaves, and the values with their errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

from pulsed.calibration.fits.fit import Fit

if TYPE_CHECKING:
    from pulsed.calibration.routine import Outcome, Routine


def draw_fits(title: str, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
    """Draw each fit of an outcome over its data, with the residuals below and the values above."""
    fits = {name: fit for name, fit in outcome.fits.items() if fit.x.size}
    figure.suptitle(heading(title, data, outcome), fontsize="medium")
    if not fits:
        _draw_plain(data, figure.subplots())
        return
    rows = figure.subplots(2, len(fits), squeeze=False, height_ratios=(3, 1))
    for column, (name, fit) in enumerate(fits.items()):
        _draw_fit(rows[0][column], rows[1][column], name, data, fit)


def heading(title: str, data: xarray.Dataset, outcome: Outcome) -> str:
    """Return what stands over a figure: routine, target, what was measured, and the reason when it is bad."""
    head = f"{title} {data.attrs.get('target', '')}: {outcome.quality}"
    if outcome.reason:
        head += f", {outcome.reason}"
    shown = [
        f"{name} = {item.value:.{digits(item.value, item.stderr)}g} ± {item.stderr:.2g} {item.unit}".rstrip()
        for name, item in outcome.values.items()
        if not isinstance(item.value, tuple) and item.stderr is not None
    ]
    return "\n".join([head, *(", ".join(shown[k : k + 2]) for k in range(0, len(shown), 2))])


def digits(value: float, error: float) -> int:
    """Return how many digits of a value mean something: two of its error."""
    return int(np.clip(np.log10(max(abs(value), 1e-300) / max(error, 1e-300)) + 3, 2, 15)) if error > 0 else 7


def _label(name: object, axis: xarray.DataArray) -> str:
    """Return the label of an axis: its name, and its unit where it has one."""
    return f"{name} ({axis.attrs['units']})" if axis.attrs.get("units") else str(name)


def _draw_plain(data: xarray.Dataset, axes: Any) -> None:
    """Draw the means themselves, where no fit has taken them up."""
    if "i" not in data or data["i"].ndim != 1:
        return
    (dimension,) = data["i"].dims
    at = data.coords[dimension] if dimension in data.coords else xarray.DataArray(np.arange(data.sizes[dimension]))
    for name in ("i", "q"):
        error = data.get(f"{name}_error")
        axes.errorbar(at, data[name], error, fmt=".", label=name.upper())
    axes.set_xlabel(_label(dimension, at))
    axes.set_ylabel("full scale")
    axes.legend()


def _draw_fit(top: Any, bottom: Any, name: str, data: xarray.Dataset, fit: Fit) -> None:
    y, sigma = np.asarray(fit.y), fit.sigma
    # Between whole numbers of repetitions there is nothing.
    counted = np.all(fit.x == np.round(fit.x)) and np.ptp(fit.x) < 1000
    smooth = fit.x if counted else np.linspace(fit.x.min(), fit.x.max(), 400)
    parts = [("", np.real)] if not np.iscomplexobj(y) else [("I", np.real), ("Q", np.imag)]
    for label, part in parts:
        line = top.errorbar(fit.x, part(y), sigma, fmt=".", label=label)
        colour = line[0].get_color()
        curve = fit.evaluate(smooth)
        if curve.size:
            top.plot(smooth, part(curve), "-", color=colour)
            bottom.errorbar(fit.x, part(y - fit.curve), sigma, fmt=".", color=colour)
    bottom.axhline(0, color="grey", lw=0.8)
    top.set_title(f"{name}: chi2 = {fit.chi2:.2f}" if fit.ok else f"{name}: {fit.reason}", fontsize="small")
    alike = (item for item in data.coords.values() if item.shape == fit.x.shape and np.allclose(np.sort(item), fit.x))
    axis = next(alike, None)
    if axis is not None:
        bottom.set_xlabel(_label(axis.name, axis))
    bottom.set_ylabel("residuals")


def save_figure(routine: Routine, data: xarray.Dataset, outcome: Outcome, path: Path) -> Path:
    """Draw a run into a PNG, without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    FigureCanvasAgg(figure)
    routine.draw(data, outcome, figure)
    figure.savefig(path, dpi=110)
    return path
