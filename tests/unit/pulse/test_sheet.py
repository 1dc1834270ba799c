"""Pulse programs as sheets that one can zoom."""

import base64
import json
import re

import numpy as np
import pytest

from pulsed.model.errors import InvalidValueError
from pulsed.model.sheet import MOST_SAMPLES, PulseSheet, SheetRow
from pulsed.pulse import (
    Acquire,
    AcquireChannel,
    Constant,
    DriveChannel,
    Gaussian,
    Kernel,
    MemorySlot,
    Play,
    Schedule,
    ShiftPhase,
)

NAME = "</script><b>x</b>"


def program() -> Schedule:
    weights = [1.0] * 50 + [0.0] * 50
    return Schedule(
        (0, Play(Gaussian(160, 0.5, 40), DriveChannel(0))), (160, ShiftPhase(1.57, DriveChannel(0))),
        (160, ShiftPhase(-1.57, DriveChannel(0))), (160, ShiftPhase(0.3, DriveChannel(0))),
        (300, Play(Constant(10, 0.25, angle=1.5), DriveChannel(0))),
        (300, Acquire(100, AcquireChannel(0), MemorySlot(3), kernel=Kernel("half", weights=weights))), name=NAME,
    )  # fmt: skip


def samples(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


@pytest.mark.parametrize(("dt", "unit"), [(None, 1.0), (0.5e-9, 0.5e-9)])
def test_samples_frames_windows_and_kernels_are_those_of_the_program(dt, unit):
    plain = program().draw(interactive=True, dt=dt).plain()
    drive, acquire = plain["rows"]
    assert plain["seconds"] is (dt is not None)
    assert (drive["starts"], drive["lengths"], drive["period"]) == ([0, 300], [160, 10], unit)
    expected = np.concatenate([Gaussian(160, 0.5, 40).envelope(), Constant(10, 0.25, angle=1.5).envelope()])
    assert np.allclose(samples(drive["i"]) + 1j * samples(drive["q"]), expected, atol=1e-7)
    assert [(mark["at"], mark["text"]) for mark in drive["frames"]] == [(160 * unit, "+0.0955π")]
    (window,) = acquire["windows"]
    assert (window["start"], window["end"]) == pytest.approx((300 * unit, 400 * unit))
    assert "mem 3" in window["text"]
    assert "half" in window["text"]
    assert samples(window["kernel"]).tolist() == [1.0] * 50 + [0.0] * 50


def test_a_page_needs_nothing_else_and_names_are_text(tmp_path):
    path = program().draw(interactive=True, filename=tmp_path / "a.html").save(tmp_path / "b.html")
    text = path.read_text()
    assert (tmp_path / "a.html").read_text() == text
    assert re.findall(r'(?:src|href)="', text) == []
    assert "<b>x" not in text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert data["title"].startswith(NAME)
    with pytest.raises(InvalidValueError, match="nowhere"):
        program().draw(interactive=True).save(tmp_path / "nowhere" / "x.html")


def test_what_is_too_much_to_draw_is_refused():
    run = np.broadcast_to(np.complex128(0), MOST_SAMPLES + 1)
    with pytest.raises(InvalidValueError, match="too many samples"):
        PulseSheet("long", [SheetRow("d0", "", 1.0, [(0, run)])], 1.0)
