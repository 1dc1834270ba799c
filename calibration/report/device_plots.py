"""Pictures of a machine: the chip with its values, how a value drifts, the graph with the state of its nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import rustworkx

from pulsed.calibration.collisions import directions
from pulsed.calibration.graph.graph import Graph, Node
from pulsed.calibration.graph.status import NodeStatus
from pulsed.model.calibration import CalibrationSet, PastValue
from pulsed.model.device import DeviceDescription
from pulsed.model.units import format_quantity

Draw = Callable[[Any], None]

COLOURS = {
    "fresh": "#3a9d5d", "stale": "#e2b13c", "never": "#d9dce1", "failed": "#c8443c", "faulty": "#7d7f86",
    "unused": "#f1f2f4",
}  # fmt: skip
BEST, WORST = 1e-4, 1e-1
"""Errors at the ends of the colour scale."""


def save(draw: Draw, target: Path | BytesIO, size: tuple[float, float] = (8, 5), dpi: int = 110) -> None:
    """Draw a figure into a PNG, without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure)
    figure.savefig(target, dpi=dpi, format="png")


# --- the chip ------------------------------------------------------------------------------------------------------


def draw_chip(device: DeviceDescription, calibration: CalibrationSet, figure: Any) -> None:
    """Draw qubits and couplings: frequencies, times and errors in words, errors of gates as colour."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    axes = figure.subplots()
    scale = ScalarMappable(LogNorm(BEST, WORST), colormaps["RdYlGn_r"])
    places = layout(device)
    unused = directions(device, calibration)
    for pair in device.couplings:
        name = f"Q{pair.control}-Q{pair.target}"
        if name not in unused:
            _draw_pair(axes, places[pair.control], places[pair.target], name, calibration, scale)
    for q in range(device.num_qubits):
        _draw_qubit(axes, places[q], f"Q{q}", calibration, scale)
    xs, ys = zip(*places.values(), strict=True)
    axes.set_xlim(min(xs) - 0.6, max(xs) + 0.6)
    axes.set_ylim(min(ys) - 0.75, max(ys) + (0.5 if calibration.faults else 0.25))
    axes.set_aspect("equal")
    axes.set_axis_off()
    bar = figure.colorbar(scale, ax=axes, orientation="horizontal", fraction=0.04, pad=0.02, shrink=0.5)
    bar.set_label("error of x (discs) and of ECR (lines); grey: not known", fontsize="small")
    axes.set_title(f"{device.name}, set {calibration.calibration_id}, {calibration.created[:19]}", fontsize="medium")


def layout(device: DeviceDescription) -> dict[int, tuple[float, float]]:
    """Return where qubits stand: a chain in a line, anything else spread out by springs."""
    graph: rustworkx.PyGraph[int, None] = rustworkx.PyGraph(multigraph=False)
    graph.add_nodes_from(range(device.num_qubits))
    graph.add_edges_from_no_data([(pair.control, pair.target) for pair in device.couplings])
    degrees = [graph.degree(q) for q in range(device.num_qubits)]
    if max(degrees) <= 2 and graph.num_edges() == device.num_qubits - 1 and rustworkx.is_connected(graph):
        ends = [q for q, degree in enumerate(degrees) if degree <= 1]
        path = [ends[0]]
        while len(path) < device.num_qubits:
            path += [q for q in graph.neighbors(path[-1]) if q not in path]
        return {q: (float(k), 0.0) for k, q in enumerate(path)}
    spread = rustworkx.spring_layout(graph, seed=1, scale=0.8 * np.sqrt(device.num_qubits))
    return {q: (float(x), float(y)) for q, (x, y) in spread.items()}


def _draw_qubit(axes: Any, place: tuple[float, float], name: str, calibration: CalibrationSet, scale: Any) -> None:
    fault = calibration.faulty(name)
    error = calibration.get(f"{name}.x.error", np.nan)
    colour = "#b9bcc3" if fault or not np.isfinite(error) else scale.to_rgba(error)
    axes.scatter(*place, s=900, color=colour, edgecolor="#c8443c" if fault else "#333333", lw=1.5, zorder=3)
    axes.annotate(name, place, ha="center", va="center", weight="bold", zorder=4)
    lines = [
        _value(calibration, f"{name}.f01", "Hz", 7),
        *(
            f"{label} {_value(calibration, f'{name}.{key}', 's', 3)}"
            for label, key in (("T1", "t1"), ("T2", "t2"), ("T2*", "t2star"))
        ),
        *(
            f"{label} {_percent(calibration, f'{name}.{key}')}"
            for label, key in (("x", "x.error"), ("readout", "readout.error"))
        ),
    ]
    axes.annotate("\n".join(lines), (place[0], place[1] - 0.22), ha="center", va="top", fontsize="x-small")
    if fault:
        axes.annotate(_short(fault.why), (place[0], place[1] + 0.2), ha="center", va="bottom", fontsize="x-small",
                      color="#c8443c")  # fmt: skip


def _draw_pair(
    axes: Any, control: tuple[float, float], target: tuple[float, float], name: str, calibration: CalibrationSet,
    scale: Any,
) -> None:  # fmt: skip
    fault, error = calibration.faulty(name), calibration.get(f"{name}.ecr.error", np.nan)
    known = np.isfinite(error) and not fault
    colour = scale.to_rgba(error) if known else "#c8443c" if fault else "#b9bcc3"
    start, end = np.array(control), np.array(target)
    style = {"arrowstyle": "-|>", "color": colour, "lw": 3, "shrinkA": 17, "shrinkB": 17,
             "ls": ":" if fault else "-"}  # fmt: skip
    axes.annotate("", end, start, arrowprops=style, zorder=2)
    middle = (start + end) / 2
    text = f"{100 * error:.2g} %" if known else _short(fault.why) if fault else ""
    axes.annotate(text, (middle[0], middle[1] + 0.07), ha="center", va="bottom", fontsize="x-small",
                  color="#c8443c" if fault else "#333333")  # fmt: skip


def _value(calibration: CalibrationSet, name: str, unit: str, digits: int) -> str:
    if not calibration.has(name):
        return "–"
    mark = "°" if calibration.values[name].quality == "design" else ""
    return format_quantity(calibration.number(name), unit, digits) + mark


def _percent(calibration: CalibrationSet, name: str) -> str:
    return f"{100 * calibration.number(name):.2g} %" if calibration.has(name) else "–"


def _short(text: str, most: int = 26) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, most)[:3])


# --- drift ---------------------------------------------------------------------------------------------------------


def draw_drift(name: str, history: Sequence[PastValue], figure: Any) -> None:
    """Draw what a value has been over time, with its errors; numbers of a list one curve each."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    axes = figure.subplots()
    past = sorted(history, key=lambda item: item.since)
    times = [datetime.fromtimestamp(item.since, UTC) for item in past]
    rows = np.array([np.atleast_1d(np.asarray(item.value.value, dtype=float)) for item in past])
    unit = past[0].value.unit if past else ""
    errors = np.array([item.value.stderr or 0.0 for item in past])
    small = 0 < np.ptp(rows) < 1e-3 * np.max(np.abs(rows)) if rows.size else False
    base = float(np.round(np.median(rows), -int(np.floor(np.log10(max(np.ptp(rows), 1e-300)))) + 1)) if small else 0.0
    for column in rows.T:
        line = axes.step(times, column - base, where="post", lw=0.8, alpha=0.6)[0]
        axes.errorbar(times, column - base, errors if rows.shape[1] == 1 else None, fmt="o", ms=4,
                      color=line.get_color())  # fmt: skip
    label = f"{name} ({unit})" if unit else name
    axes.set_ylabel(f"{label} − {base:.10g}" if base else label, fontsize="small")
    axes.tick_params(labelsize="x-small")
    axes.grid(alpha=0.25)
    ticks = AutoDateLocator(minticks=3, maxticks=7)  # with more, no interval fits three to five minutes or hours
    axes.xaxis.set_major_locator(ticks)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(ticks))


# --- the graph -----------------------------------------------------------------------------------------------------


def graph_size(graph: Graph) -> tuple[float, float]:
    """Return width and height in inches that suit a graph."""
    widest = max(len(targets) for _, targets in graph.rows(graph.nodes))
    return 0.85 * max(widest, 5) + 2, 0.42 * len(graph.steps) + 0.7


def draw_graph(graph: Graph, found: Mapping[Node, NodeStatus], figure: Any) -> None:
    """Draw a row per routine and a box per target, coloured by state; thin lines join what hangs together."""
    from matplotlib.patches import FancyBboxPatch, Patch

    axes = figure.subplots()
    rows = list(graph.rows(graph.nodes))
    widest = max(len(targets) for _, targets in rows)
    place: dict[Node, tuple[float, float]] = {}
    for level, (step, targets) in enumerate(rows):
        width = widest / len(targets)
        for k, target in enumerate(targets):
            place[graph.node(step.routine, target)] = ((k + 0.5) * width, -float(level))
    for node, (x, y) in place.items():
        for parent in graph.parents(node):
            ax, ay = place[parent]
            axes.plot([ax, x], [ay - 0.28, y + 0.28], color="#9aa0a8", lw=0.5, alpha=0.5, zorder=1)
    for node, (x, y) in place.items():
        status = found[node].status
        box = FancyBboxPatch((x - 0.4, y - 0.26), 0.8, 0.52, boxstyle="round,pad=0,rounding_size=0.12",
                             facecolor=COLOURS[status], edgecolor="white", lw=1, zorder=2)  # fmt: skip
        axes.add_patch(box)
        ink = "white" if status in ("fresh", "failed", "faulty") else "#333333"
        axes.annotate(node.target, (x, y), ha="center", va="center", fontsize="x-small", color=ink, zorder=3)
    for level, (step, _) in enumerate(rows):
        axes.annotate(step.routine, (-0.15, -level), ha="right", va="center", fontsize="small")
    axes.set_xlim(-0.28 * max(widest, 5), widest + 0.1)
    axes.set_ylim(-len(rows) + 0.4, 0.6)
    axes.set_axis_off()
    used = [status for status in COLOURS if any(state.status == status for state in found.values())]
    patches = [Patch(facecolor=COLOURS[status], edgecolor="#999999", label=status) for status in used]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), fontsize="small", frameon=False)
