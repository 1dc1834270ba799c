"""What a scan shows: a population or a magnitude along one axis, or a map over two."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray

from pulsed.calibration.results.data import points, signal
from pulsed.calibration.results.run_plots import axis_of

Real = npt.NDArray[np.float64]


def shown(data: xarray.Dataset) -> tuple[str, Real, Real]:
    """Return label, values and standard errors: the population of 1 where 0 and 1 are known, else the magnitude."""
    if "discriminator" in data.attrs:
        return "population of 1", *signal(data)
    plane = points(data)
    sigma = np.sqrt((data["i_error"].to_numpy() ** 2 + data["q_error"].to_numpy() ** 2) / 2)
    return "magnitude (full scale)", np.abs(plane), sigma


def draw_scan(data: xarray.Dataset, figure: Any) -> None:
    """Draw a scan, finished or not."""
    what, values, sigma = shown(data)
    keys = [str(dim) for dim in data["i"].dims]
    axes = figure.subplots()
    done = int(np.isfinite(values).sum())
    axes.set_title(
        f"{data.attrs.get('target', '')}: {data.attrs.get('program', '') or 'readout alone'}, "
        f"{data.attrs['shots']} shots, {done} of {values.size} points",
        fontsize="medium",
    )
    across = axis_of(data, keys[-1])
    axes.set_xlabel(across.label)
    axes.ticklabel_format(axis="x", useOffset=False)
    if len(keys) == 1:
        axes.errorbar(across(data[keys[0]]), values, sigma, fmt=".-", lw=0.8)
        axes.set_ylabel(what)
        return
    up = axis_of(data, keys[0])
    axes.set_ylabel(up.label)
    axes.ticklabel_format(axis="y", useOffset=False)
    at = across(data[keys[1]]), up(data[keys[0]])
    shading = axes.pcolormesh(*at, np.ma.masked_invalid(values), shading="nearest")
    figure.colorbar(shading, ax=axes, label=what)
