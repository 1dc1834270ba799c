"""Lines: zero-order hold, low-pass and mixer."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.lines import gain, ideal_correction, low_pass, mixed

CHIP = Path(__file__).parents[4] / "configs" / "chips" / "sim5.toml"


@pytest.fixture(scope="module")
def chip() -> Chip:
    return load_chip(CHIP)


def test_line_keeps_the_area_of_a_burst_and_its_tone():
    n = np.arange(400)
    for offset in (-220e6, -80e6, 30e6):
        tone = np.exp(-2e-9j * np.pi * offset * n)
        for tail in (0, 2, 4):
            out = low_pass(tone, 350e6, offset, tail)
            carrier = np.exp(2e-9j * np.pi * offset * np.arange(len(out)))
            hold = np.sinc(offset * 1e-9) * np.exp(1e-9j * np.pi * offset)
            assert abs((out * carrier).sum() * hold / 400 - gain(350e6, offset)) < 1e-9
    assert abs(gain(350e6, 350e6)) == pytest.approx(math.sqrt(0.5) * np.sinc(0.35))


def test_mixer_correction_removes_image_and_leakage(chip):
    wire = chip.wires[0]
    raw = mixed(wire, (1, 0, 0, 1), (0, 0))
    assert 20 * math.log10(abs(raw[1] / raw[0])) == pytest.approx(-30, abs=3)
    assert abs(raw[2]) == pytest.approx(0.003, rel=1e-3)
    direct, image, leakage = mixed(wire, *ideal_correction(wire))
    assert abs(direct - 1) < 1e-12
    assert abs(image) < 1e-12
    assert abs(leakage) < 1e-12
