"""Chip files: what is written is what is read, and what is wrong is named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pulsed.configs
from pulsed.model.errors import ConfigError, InvalidValueError
from pulsed.simulator.chip.chip_file import chip_toml, load_chip
from pulsed.simulator.chip.drift_settings import Drift
from pulsed.simulator.chip.feedline import Feedline
from pulsed.simulator.chip.random_chip import random_chip
from pulsed.simulator.chip.truncation import Truncation

CHIP = Path(__file__).parents[4] / "configs" / "chips" / "sim5.toml"
CHIPS = Path(pulsed.configs.__file__).parent / "chips"


@pytest.mark.parametrize(
    "chip",
    [random_chip(3, 5), load_chip(CHIPS / "sim5.toml"), load_chip(CHIPS / "coupler2.toml"),
     replace(random_chip(4, 3), drift=Drift(7, frequency_jump=(2e3, 2e4), dead_lines=("d1",))),
     replace(random_chip(4, 3), truncation=Truncation(32, 1e-4), feedline=Feedline(ripple=0.1, ripple_delay=8))],
    ids=["random", "sim5", "coupler2", "drifting", "rippled"],
)  # fmt: skip
def test_a_chip_file_is_the_chip(chip, tmp_path):
    path = tmp_path / "chip.toml"
    path.write_text(chip_toml(chip))
    read = load_chip(path)
    assert np.allclose(read.crosstalk, chip.crosstalk, rtol=0, atol=1e-15)
    assert replace(read, crosstalk=chip.crosstalk) == chip


def test_a_chip_whose_times_have_the_filter_in_is_refused():
    with pytest.raises(InvalidValueError, match="purcell_linewidth"):
        chip_toml(replace(random_chip(4, 3), feedline=Feedline(purcell_linewidth=3e7)))


def test_a_wrong_chip_file_is_explained(tmp_path):
    text = CHIP.read_text()
    for old, new, subject in (
        ("t2_star = 4.5e-05" if "t2_star = 4.5e-05" in text else "t2_star = 45e-6", "t2_star = 1.0", "qubits.0"),
        ("kappa = 1.6e6", "kapa = 1.6e6", "kapa"),
        ("qubits = [0, 1]", "qubits = [0, 7]", "couplings.0"),
        ("delay = 60", "delay = -60", "amplifier.delay"),
    ):
        assert old in text
        path = tmp_path / "chip.toml"
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(ConfigError, match=subject):
            load_chip(path)
