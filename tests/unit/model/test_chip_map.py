"""The map of a chip: where its qubits stand, and what the picture shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import pulsed.configs
from pulsed.model.calibration import CalibrationSet, Fault, load_calibration
from pulsed.model.chip_map import draw_chip, layout, map_size
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


def test_the_picture_has_room_for_the_values_of_every_qubit():
    """Two inches for each of a row, and no picture that is too low for one."""
    assert map_size(DEVICE) == (10.5, 3.2)
    ring = [*DEVICE.couplings, DEVICE.couplings[0].model_copy(update={"control": 4, "target": 0})]
    width, height = map_size(DEVICE.model_copy(update={"couplings": tuple(ring)}))
    assert height > 3.2
    assert width < 10.5
