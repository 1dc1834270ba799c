"""Pictures of chips, drift and graphs: what they show, not how it looks."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import pulsed.configs
from pulsed.calibration.graph.graph import Graph, Node, Step
from pulsed.calibration.graph.status import NodeStatus
from pulsed.calibration.report.device_plots import draw_chip, draw_drift, draw_graph, graph_size, layout, save
from pulsed.model.calibration import CalibrationSet, Fault, PastValue, Value, load_calibration
from pulsed.model.device import load_device

CONFIGS = Path(pulsed.configs.__file__).parent
DEVICE = load_device(CONFIGS / "sim5.toml")


def texts(draw) -> str:
    figure = Figure()
    draw(figure)
    found = [text.get_text() for axes in figure.axes for text in [*axes.texts, axes.title, axes.yaxis.label]]
    return "\n".join(found)


def test_the_chip_with_its_values_and_its_faults():
    known = load_calibration(CONFIGS / "calibrations" / "sim5.json")
    marked = known.with_faults({"Q3": Fault("no line at the mixing plate"), "Q2-Q1": Fault("collision: too near")}, "")
    text = texts(lambda figure: draw_chip(DEVICE, marked, figure))
    assert "4.97 GHz" in text
    assert "T1 95 µs" in text
    assert "no line at the mixing" in text
    assert "collision: too near" in text
    assert known.calibration_id not in text
    assert marked.calibration_id in text
    cold = texts(lambda figure: draw_chip(DEVICE, CalibrationSet(DEVICE.name, {}, ""), figure))
    assert "T1 –" in cold


def test_qubits_stand_apart_whatever_the_couplings():
    assert [layout(DEVICE)[q] for q in range(5)] == [(float(q), 0.0) for q in range(5)]
    ring = [*DEVICE.couplings, DEVICE.couplings[0].model_copy(update={"control": 4, "target": 0})]
    places = np.array(list(layout(DEVICE.model_copy(update={"couplings": tuple(ring)})).values()))
    apart = np.linalg.norm(places[:, None] - places, axis=-1) + 9 * np.eye(5)
    assert apart.min() > 0.3


def test_drift_with_one_value_and_with_lists():
    past = [PastValue(1.79e9 + 60 * k, Value(4.9e9 + 1e3 * k, "Hz", 200.0), "id") for k in range(4)]
    assert "Q0.f01 (Hz) − 4.9" in texts(lambda figure: draw_drift("Q0.f01", past, figure)).replace("490", "4.90")
    assert "Q0.t1 (s)" in texts(lambda figure: draw_drift("Q0.t1", [PastValue(1.79e9, Value(5e-5, "s"), "id")], figure))
    lists = [PastValue(1.79e9 + k, Value((0.1 * k, 0.2)), "id") for k in range(2)]
    assert "d0.mixer.offset" in texts(lambda figure: draw_drift("d0.mixer.offset", lists, figure))


@pytest.mark.parametrize("span", [5, 170, 240, 3000, 4 * 3600, 86400, 3.5 * 86400, 4.5 * 30 * 86400, 4 * 366 * 86400])
def test_drift_over_any_time_has_ticks(span):
    """Warnings are errors here: matplotlib warns of a span that no interval divides."""
    past = [PastValue(1.79e9 + span * k, Value(4.9e9, "Hz", 200.0), "id") for k in range(2)]
    assert "Q0.f01 (Hz)" in texts(lambda figure: draw_drift("Q0.f01", past, figure))


@pytest.mark.parametrize("status", ["fresh", "stale", "never", "failed", "faulty", "unused"])
def test_every_node_of_the_graph_is_there(status):
    graph = Graph((Step("line", "qubit"), Step("cr", "pair", after=("line",))), DEVICE)
    found = {node: NodeStatus("fresh") for node in graph.nodes} | {Node("line", "Q1"): NodeStatus(status)}
    text = texts(lambda figure: draw_graph(graph, found, figure))
    assert all(node.target in text for node in graph.nodes)
    assert "line" in text
    buffer = BytesIO()
    save(lambda figure: draw_graph(graph, found, figure), buffer, graph_size(graph), dpi=40)
    assert buffer.getvalue().startswith(b"\x89PNG")
