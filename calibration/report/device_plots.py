"""Pictures of a machine over time: how a value drifts, the graph with the state of its nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from pulsed.calibration.graph.graph import Graph, Node
from pulsed.calibration.graph.status import NodeStatus
from pulsed.model.calibration import PastValue
from pulsed.model.picture import new_picture

Draw = Callable[[Any], None]

COLOURS = {
    "fresh": "#3a9d5d", "stale": "#e2b13c", "never": "#d9dce1", "failed": "#c8443c", "faulty": "#7d7f86",
    "unused": "#f1f2f4",
}  # fmt: skip


def save(draw: Draw, target: Path | BytesIO, size: tuple[float, float] = (8, 5), dpi: int = 110) -> None:
    """Draw a figure into a PNG, without a display."""
    figure = new_picture(*size)
    draw(figure)
    figure.savefig(target, dpi=dpi, format="png")


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
