"""Figures of runs: data with error bars, the fit, what the fit leaves, and the values with their errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import xarray

from pulsed.calibration.fits.fit import Fit
from pulsed.calibration.outcome import Outcome
from pulsed.calibration.results.data import signal
from pulsed.model.picture import new_picture
from pulsed.model.units import format_quantity, format_with_error

if TYPE_CHECKING:
    from pulsed.model.figure import Picture


class DrawsRuns(Protocol):
    """What draws its own runs; a routine does."""

    @property
    def name(self) -> str: ...  # noqa: D102

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class Scale:
    """How numbers are shown on an axis: less ``offset``, times ``factor``, under ``label``."""

    label: str
    factor: float = 1.0
    offset: float = 0.0

    def __call__(self, values: Any) -> Any:
        """Return numbers as they are shown."""
        return (np.asarray(values) - self.offset) * self.factor


_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
_SCALED = ("Hz", "s", "A", "V")
_SMALL = 0.02
"""Of full scale: less is shown in thousandths."""
_NEAR = 1e-4
"""Numbers that differ by less than this part of them are shown as what they are away from a round one."""


def engineering(name: str, values: Any, unit: str) -> Scale:
    """Return how ``values`` are shown: in ns, µs, MHz, GHz, such that no number is very large or very small."""
    finite = np.abs(np.asarray(values, dtype=float))
    finite = finite[np.isfinite(finite)]
    name = name.replace("_", " ")
    if not finite.size or not finite.max():
        return Scale(_labelled(name, unit))
    if unit == "full scale":
        return Scale(f"{name} (10⁻³ full scale)", 1e3) if finite.max() < _SMALL else Scale(f"{name} (full scale)")
    if unit not in _SCALED:
        return Scale(_labelled(name, unit))
    span, offset = float(np.ptp(finite)), 0.0
    if 0 < span < _NEAR * finite.max():
        step = 10.0 ** np.ceil(np.log10(span))
        offset = float(np.round(np.median(np.asarray(values, dtype=float)) / step) * step)
        name += f" − {format_quantity(offset, unit, 12)}"
        finite = np.abs(np.asarray(values, dtype=float) - offset)
    power = int(np.clip(3 * np.floor(np.log10(finite.max() * 1.0000001) / 3), -12, 9))
    return Scale(_labelled(name, _PREFIXES[power] + unit), 10.0**-power, offset)


def _labelled(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def axis_of(data: xarray.Dataset, name: str) -> Scale:
    """Return how a coordinate of ``data`` is shown."""
    found = data[name]
    return engineering(str(found.attrs.get("long_name", name)), found, str(found.attrs.get("units", "")))


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
        f"{name} = {quantity(item.value, item.stderr, item.unit)}"
        for name, item in outcome.values.items()
        if not isinstance(item.value, tuple) and item.stderr is not None
    ]
    return "\n".join([head, *(", ".join(shown[k : k + 2]) for k in range(0, len(shown), 2))])


def quantity(value: float, error: float, unit: str) -> str:
    """Return a value with its standard error in words: ``4.97000000 ± 0.00000012 GHz``."""
    if unit not in _SCALED:
        return f"{value:.{digits(value, error)}g} ± {error:.2g} {unit}".rstrip()
    if not (value and error and np.isfinite(value + error)):
        return f"{format_quantity(value, unit, digits(value, error))} ± {format_quantity(error, unit, 2)}"
    return format_with_error(value, error, unit)


def digits(value: float, error: float) -> int:
    """Return how many digits of a value mean something: two of its error."""
    return int(np.clip(np.log10(max(abs(value), 1e-300) / max(error, 1e-300)) + 3, 2, 15)) if error > 0 else 7


def draw_run(routine: DrawsRuns, data: xarray.Dataset, outcome: Outcome | None, figure: Any) -> None:
    """Draw a run as its routine does; one without an outcome, that was stopped or failed, as the means it has."""
    _draw_origin(data, figure)
    if outcome is not None:
        routine.draw(data, outcome, figure)
        return
    said = ", ".join(str(data.attrs[key]) for key in ("outcome", "reason") if data.attrs.get(key))
    figure.suptitle(f"{routine.name} {data.attrs.get('target', '')}: {said}", fontsize="medium", wrap=True)
    _draw_plain(data, figure.subplots())


def _draw_origin(data: xarray.Dataset, figure: Any) -> None:
    """Write below a figure where its data are from: device, run, the calibration set it was measured with, time."""
    told = {key: str(data.attrs.get(key, "")) for key in ("device", "run_id", "calibration_id", "started")}
    words = [
        told["device"], told["run_id"] and f"run {told['run_id']}",
        told["calibration_id"] and f"set {told['calibration_id'][:12]}",
        told["started"].replace("T", " ").replace("+00:00", " UTC"),
    ]  # fmt: skip
    text = "  ·  ".join(word for word in words if word)
    if text:
        figure.get_layout_engine().set(rect=(0, 0.03, 1, 0.97))
        figure.text(0.99, 0.008, text, ha="right", va="bottom", fontsize="xx-small", color="dimgrey")


_LINES = 4
"""Most lines of I, and of Q, in a picture without a fit."""


def _draw_plain(data: xarray.Dataset, axes: Any) -> None:
    """Draw the means themselves, where no fit has taken them up: along their first axis, a line for each other."""
    if "i" not in data or not data["i"].ndim:
        return
    dimension = data["i"].dims[0]
    at = np.asarray(data.coords[dimension] if dimension in data.coords else np.arange(data.sizes[dimension]))
    across = axis_of(data, str(dimension)) if dimension in data.coords else Scale(str(dimension))
    up = engineering("mean", [data["i"], data["q"]], "full scale")
    for name in ("i", "q"):
        lines, error = data[name].to_numpy().reshape(len(at), -1).T, data.get(f"{name}_error")
        for number, line in enumerate(lines[:_LINES]):
            sigma = None if error is None else up.factor * error.to_numpy().reshape(len(at), -1).T[number]
            label = name.upper() if len(lines) == 1 else f"{name.upper()} {number}"
            axes.errorbar(across(at), up(line), sigma, fmt=".", label=label)
    axes.set_xlabel(across.label)
    axes.set_ylabel(up.label)
    axes.legend()


def _draw_fit(top: Any, bottom: Any, name: str, data: xarray.Dataset, fit: Fit) -> None:
    y, sigma = np.asarray(fit.y), fit.sigma
    # Between whole numbers of repetitions there is nothing.
    counted = np.all(fit.x == np.round(fit.x)) and np.ptp(fit.x) < 1000
    smooth = fit.x if counted else np.linspace(fit.x.min(), fit.x.max(), 400)
    across, up = along(data, fit), upward(data, fit)
    error = None if sigma is None else up.factor * sigma
    parts = [("", np.real)] if not np.iscomplexobj(y) else [("I", np.real), ("Q", np.imag)]
    for label, part in parts:
        line = top.errorbar(across(fit.x), up(part(y)), error, fmt=".", label=label)
        colour = line[0].get_color()
        curve = fit.evaluate(smooth)
        if curve.size:
            top.plot(across(smooth), up(part(curve)), "-", color=colour)
            bottom.errorbar(across(fit.x), up.factor * part(y - fit.curve), error, fmt=".", color=colour)
    bottom.axhline(0, color="grey", lw=0.8)
    if len(parts) > 1:
        top.legend(fontsize="small")
    top.set_title(f"{name}: χ² = {fit.chi2:.2f}" if fit.ok else f"{name}: {fit.reason}", fontsize="small")
    for axes in (top, bottom):
        axes.ticklabel_format(useOffset=False)
    top.set_ylabel(up.label)
    bottom.set_xlabel(across.label)
    bottom.set_ylabel("residuals")


def along(data: xarray.Dataset, fit: Fit) -> Scale:
    """Return how the axis of a fit is shown: as it says, or that of the coordinate with its numbers."""
    if fit.x_is[0]:
        return engineering(fit.x_is[0], fit.x, fit.x_is[1])
    for name, item in data.coords.items():
        if item.shape == fit.x.shape and item.dtype.kind in "iuf" and np.allclose(np.sort(item), fit.x):
            return axis_of(data, str(name))
    return Scale("")


def upward(data: xarray.Dataset, fit: Fit) -> Scale:
    """Return how what was fitted is shown: as a population, or in full scales, where it is the signal itself."""
    if fit.y_is[0]:
        return engineering(fit.y_is[0], np.abs(fit.y), fit.y_is[1])
    small = float(np.abs(fit.y).max()) < _SMALL
    if np.iscomplexobj(fit.y):
        return Scale("I, Q (10⁻³ full scale)", 1e3) if small else Scale("I, Q")
    for name in map(str, data.data_vars):
        suffix = name[1:]
        if name[:1] == "i" and f"i_error{suffix}" in data and data[name].size == fit.y.size:
            values, _ = signal(data, suffix)
            if np.allclose(np.sort(values.ravel()), np.sort(fit.y), atol=1e-12):
                if "discriminator" in data.attrs:
                    return Scale("population of 1")
                return engineering("signal", values, "full scale")
    return Scale("10⁻³", 1e3) if small else Scale("")


def plot_run(routine: DrawsRuns, data: xarray.Dataset, outcome: Outcome | None) -> Picture:
    """Return a run as a figure that needs no display; see :func:`draw_run`."""
    figure = new_picture(7, 5)
    draw_run(routine, data, outcome, figure)
    return figure


def save_figure(routine: DrawsRuns, data: xarray.Dataset, outcome: Outcome | None, path: Path) -> Path:
    """Draw a run into a PNG; see :func:`draw_run`."""
    plot_run(routine, data, outcome).savefig(path, dpi=110)
    return path
