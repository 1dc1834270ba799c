"""Files of a random chip and its rack: what is written is what is read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pulsed.configs
from pulsed.cli import configs
from pulsed.cli.main import invoke
from pulsed.model.calibration import design_sheet
from pulsed.model.device import load_device
from pulsed.model.errors import InvalidValueError
from pulsed.simulator.chip import load_chip, random_chip
from pulsed.simulator.drift import Drift
from pulsed.simulator.feedline import Feedline
from pulsed.simulator.random_rack import chip_toml, write_rack
from pulsed.simulator.truncation import Truncation

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


def test_a_rack_that_is_there_is_kept(tmp_path):
    path = write_rack(tmp_path, 11, 2)
    text = path.read_text()
    with pytest.raises(InvalidValueError, match=r"rack\.toml: is there already"):
        write_rack(tmp_path, 12, 2)
    assert path.read_text() == text


@pytest.mark.parametrize("qubits", [1, 2, 5])
def test_a_random_rack_is_a_good_configuration_without_calibrated_values(qubits, tmp_path):
    path = write_rack(tmp_path, 11, qubits)
    device, problems = configs.problems(path)
    assert problems == []
    chip = load_chip(path.parent / device.simulator)
    assert chip.qubits == random_chip(11, qubits).qubits
    assert (device.num_qubits, device.calibration) == (qubits, None)
    assert {(p.control, p.target) for p in device.couplings} == {
        side for c in chip.couplings for side in (c.qubits, c.qubits[::-1])
    }
    assert set(device.ports) == {*(w.name for w in chip.wires), "in"}
    for qubit, true in zip(device.qubits, chip.qubits, strict=True):
        assert 0 < abs(qubit.design_frequency - true.frequency) <= 60e6
        assert 0 < abs(qubit.design_readout_frequency - true.readout_frequency) <= 5e6


def test_the_design_sheet_is_a_set_to_start_from(tmp_path):
    device = load_device(write_rack(tmp_path, 1))
    sheet = design_sheet(device)
    assert sheet == design_sheet(device)
    assert sheet.number("Q2.f01") == 5.02e9
    assert sheet.number("Q4.readout.frequency") == 7.22e9
    assert {value.quality for value in sheet.values.values()} == {"design"}


@pytest.mark.parametrize("qubits", [0, 6])
def test_the_rack_has_lines_for_five(qubits, tmp_path):
    with pytest.raises(InvalidValueError, match="1 to 5"):
        write_rack(tmp_path / "new", 1, qubits)
    assert not (tmp_path / "new").exists()


def test_the_command_says_how_to_start_it(tmp_path, capsys):
    assert invoke(["rack", "random", str(tmp_path), "--seed", "5", "--qubits", "2", "--collisions"]) == 0
    assert f"pulsed serve --config {tmp_path / 'rack.toml'}" in capsys.readouterr().out
    assert load_chip(tmp_path / "chip.toml").qubits == random_chip(5, 2, collisions=True).qubits
