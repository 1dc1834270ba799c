"""Pictures of drift and graphs: what they show, not how it looks."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import pulsed.configs
from pulsed.calibration.graph.graph import Graph, Node, Step
from pulsed.calibration.graph.status import NodeStatus
from pulsed.calibration.report.device_plots import draw_drift, draw_graph, graph_size, save
from pulsed.model.calibration import PastValue, Value
from pulsed.model.device import load_device

CONFIGS = Path(pulsed.configs.__file__).parent
DEVICE = load_device(CONFIGS / "sim5.toml")


def texts(draw) -> str:
    figure = Figure()
    draw(figure)
    found = [text.get_text() for axes in figure.axes for text in [*axes.texts, axes.title, axes.yaxis.label]]
    return "\n".join(found)


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
