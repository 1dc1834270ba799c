"""The two pictures of the demo: what the ports play, and what comes back in the IQ plane. Arrays in, PNG out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_IN_PHASE, _QUADRATURE, _ENVELOPE, _WINDOW = "#1f6fb4", "#e07b00", "#333333", "#7a9a01"
_ZERO, _ONE = "#1f6fb4", "#c0392b"
_DPI = 120
_ZOOM = 76.0
"""ns after the start of the first pulse that are shown sample by sample."""
_GRAY = "#777777"


@dataclass(frozen=True)
class Label:
    """A pulse to name in the picture; times in ns from the shot's start."""

    start: float
    stop: float
    text: str


@dataclass(frozen=True)
class Trace:
    """What one port plays: runs of samples as (start in ns, complex samples 1 ns apart), full scale 1."""

    port: str
    runs: Sequence[tuple[float, npt.NDArray[np.complex128]]]
    labels: Sequence[Label]
    windows: Sequence[Label] = ()
    """Times at which the digitizer records what this port sent."""

    @property
    def zoom(self) -> tuple[float, float]:
        """The ns to show sample by sample: the first pulse and a little of what follows."""
        start = min((label.start for label in self.labels), default=0.0)
        return start - 4, start + _ZOOM


@dataclass(frozen=True)
class Cloud:
    """The points of one qubit, complex (shots,), with the bit each was read as and the two centroids."""

    qubit: str
    points: npt.NDArray[np.complex64]
    bits: npt.NDArray[np.bool_]
    zero: complex
    one: complex


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def draw_waveforms(traces: Sequence[Trace], path: Path, title: str) -> None:
    """Draw each port over the whole shot, and beside it its first pulse sample by sample. Writes ``path``."""
    figure = _figure(13, 1.0 + 2.0 * len(traces))
    axes = figure.subplots(len(traces), 2, squeeze=False, width_ratios=(3, 1))
    stop = max((label.stop for trace in traces for label in (*trace.labels, *trace.windows)), default=1.0)
    for (whole, close), trace in zip(axes, traces, strict=True):
        limit = 1.3 * max((np.abs(samples).max(initial=0) for _, samples in trace.runs), default=1.0)
        for axis in (whole, close):
            axis.axhline(0, color=_GRAY, linewidth=0.5)
            axis.set_ylim(-limit, limit)
            axis.margins(x=0)
            axis.spines[["top", "right"]].set_visible(False)
        _draw_runs(whole, trace, line=0.5)
        _draw_runs(close, trace, line=1.0, steps=True)
        _write_labels(whole, trace, limit)
        whole.set_ylabel(f"port {trace.port}\nfull scale 1")
        whole.set_xlim(-0.01 * stop, 1.01 * stop)
        close.set_xlim(*trace.zoom)
    axes[-1, 0].set_xlabel("time since the shot's start (ns)")
    axes[-1, 1].set_xlabel("time (ns), one step per sample")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper right", ncols=4, frameon=False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    figure.savefig(path)


def _draw_runs(axis: Any, trace: Trace, line: float, steps: bool = False) -> None:
    style = "steps-post" if steps else "default"
    for i, (start, samples) in enumerate(trace.runs):
        # A run ends at zero, so that the last sample lasts as long as all others.
        time = start + np.arange(len(samples) + 1)
        values = np.append(samples, 0)
        names = ("I", "Q", "envelope") if i == 0 else (None, None, None)
        axis.plot(time, values.real, color=_IN_PHASE, linewidth=line, drawstyle=style, label=names[0])
        axis.plot(time, values.imag, color=_QUADRATURE, linewidth=line, drawstyle=style, label=names[1])
        axis.plot(time, np.abs(values), color=_ENVELOPE, linewidth=0.8, label=names[2])
        axis.plot(time, -np.abs(values), color=_ENVELOPE, linewidth=0.8)


def _write_labels(axis: Any, trace: Trace, limit: float) -> None:
    for window in trace.windows:
        axis.axvspan(window.start, window.stop, color=_WINDOW, alpha=0.13, linewidth=0)
        axis.text(window.stop, -0.97 * limit, window.text, ha="right", va="bottom", fontsize=8, color=_WINDOW)
    for label in trace.labels:
        middle = (label.start + label.stop) / 2
        axis.annotate(label.text, (middle, 0.97 * limit), ha="center", va="top", fontsize=8, color=_ENVELOPE)


def draw_clouds(clouds: Sequence[Cloud], path: Path, title: str) -> None:
    """Draw the points of each qubit with the decision line, and their histogram along the axis. Writes ``path``."""
    figure = _figure(5.2 * len(clouds), 7.0)
    axes = figure.subplots(2, len(clouds), squeeze=False, height_ratios=(3, 1.2))
    for column, cloud in enumerate(clouds):
        _draw_plane(axes[0, column], cloud)
        _draw_histogram(axes[1, column], cloud)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    figure.savefig(path)


def _draw_plane(axis: Any, cloud: Cloud) -> None:
    cloud = Cloud(cloud.qubit, cloud.points * 1e3, cloud.bits, cloud.zero * 1e3, cloud.one * 1e3)
    for bit, color in ((0, _ZERO), (1, _ONE)):
        chosen = cloud.points[cloud.bits == bool(bit)]
        share = len(chosen) / max(1, len(cloud.points))
        axis.plot(chosen.real, chosen.imag, ".", color=color, markersize=1.6, alpha=0.35, markeredgewidth=0,
                  label=f"read as {bit}: {share:.3f}")  # fmt: skip
    for centre, name in ((cloud.zero, "0"), (cloud.one, "1")):
        axis.plot(centre.real, centre.imag, "o", markerfacecolor="white", markeredgecolor="black", markersize=11)
        axis.text(centre.real, centre.imag, name, ha="center", va="center_baseline", fontsize=8, weight="bold")
    axis.set_aspect("equal", adjustable="datalim")
    middle = (cloud.zero + cloud.one) / 2
    along = 1j * (cloud.one - cloud.zero)
    axis.axline((middle.real, middle.imag), (middle.real + along.real, middle.imag + along.imag), color="black",
                linewidth=1.2, linestyle="--", label="decision line")  # fmt: skip
    axis.set_title(cloud.qubit, loc="left")
    axis.set_xlabel("I (10⁻³ of full scale)")
    axis.set_ylabel("Q (10⁻³ of full scale)")
    legend = axis.legend(loc="best", fontsize=8, markerscale=8, framealpha=0.9)
    for handle in legend.legend_handles:
        handle.set_alpha(1)
    axis.spines[["top", "right"]].set_visible(False)


def _draw_histogram(axis: Any, cloud: Cloud) -> None:
    axis_vector = cloud.one - cloud.zero
    # 0 at one centroid, 1 at the other: the decision line is at one half on every qubit.
    along = ((cloud.points - cloud.zero) * np.conj(axis_vector)).real / abs(axis_vector) ** 2
    low, high = np.quantile(along, (0.0005, 0.9995))
    edges = np.linspace(low, high, 81)
    for bit, color in ((0, _ZERO), (1, _ONE)):
        axis.hist(along[cloud.bits == bool(bit)], edges, color=color, alpha=0.75)
    axis.axvline(0.5, color="black", linewidth=1.2, linestyle="--")
    axis.set_xlabel("along the line from centroid 0 to centroid 1")
    axis.set_ylabel("shots")
    axis.spines[["top", "right"]].set_visible(False)
