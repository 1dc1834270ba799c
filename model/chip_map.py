"""A chip as a map: where its qubits stand, which direction of its pairs is used, and the picture with the values."""

from __future__ import annotations

from typing import Any

import numpy as np
import rustworkx

from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.units import format_quantity

BEST, WORST = 1e-4, 1e-1
"""Errors at the ends of the colour scale."""


def directions(device: DeviceDescription, calibration: CalibrationSet) -> dict[str, str]:
    """Return the pairs that are not used because the other direction is: its control has the higher frequency.

    Of pairs of which both directions are wired, and of whose qubits both frequencies were measured.
    """
    wired = {(pair.control, pair.target) for pair in device.couplings}
    found = {}
    for control, target in wired:
        high, low = measured_f01(calibration, control), measured_f01(calibration, target)
        if (target, control) in wired and high is not None and low is not None and high < low:
            found[f"Q{control}-Q{target}"] = f"Q{target} is the higher one and controls"
    return found


def measured_f01(calibration: CalibrationSet, qubit: int) -> float | None:
    """Return a frequency that was measured, Hz."""
    return measured_number(calibration, f"Q{qubit}.f01")


def measured_number(calibration: CalibrationSet, name: str) -> float | None:
    """Return a value that is more than the design sheet's."""
    value = calibration.values.get(name)
    return None if value is None or value.quality == "design" or isinstance(value.value, tuple) else value.value


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


def map_size(device: DeviceDescription) -> tuple[float, float]:
    """Return width and height of a picture of the map in which the values of neighbours stand apart, inches."""
    xs, ys = zip(*layout(device).values(), strict=True)
    return 2.1 * max(max(xs) - min(xs) + 1, 3), max(3.2, 2.1 * (max(ys) - min(ys)) + 2.6)


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
        shown_value(calibration, f"{name}.f01", "Hz", 7),
        *(
            f"{label} {shown_value(calibration, f'{name}.{key}', 's', 3)}"
            for label, key in (("T1", "t1"), ("T2", "t2"), ("T2*", "t2star"))
        ),
        *(
            f"{label} {shown_percent(calibration, f'{name}.{key}')}"
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


def shown_value(calibration: CalibrationSet, name: str, unit: str, digits: int) -> str:
    """Return a value with its unit; a mark when it is the design sheet's, a dash when there is none."""
    if not calibration.has(name):
        return "–"
    mark = "°" if calibration.values[name].quality == "design" else ""
    return format_quantity(calibration.number(name), unit, digits) + mark


def shown_percent(calibration: CalibrationSet, name: str) -> str:
    """Return a share in per cent, a dash when there is none."""
    return f"{100 * calibration.number(name):.2g} %" if calibration.has(name) else "–"


def _short(text: str, most: int = 26) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, most)[:3])
