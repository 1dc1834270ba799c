"""Files of a random chip and its rack: what is written is what is read."""

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import pulsed.configs
from pulsed.cli import config_check
from pulsed.cli.main import invoke
from pulsed.model.calibration import design_sheet
from pulsed.model.device import load_device
from pulsed.model.errors import ConfigError, InvalidValueError
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.chip.random_chip import random_chip
from pulsed.simulator.chip.random_rack import write_rack
from pulsed.simulator.rack import wire_up

CHIPS = Path(pulsed.configs.__file__).parent / "chips"


def test_a_rack_that_is_there_is_kept(tmp_path):
    path = write_rack(tmp_path, 11, 2)
    text = path.read_text()
    with pytest.raises(InvalidValueError, match=r"rack\.toml: already exists"):
        write_rack(tmp_path, 12, 2)
    assert path.read_text() == text


@pytest.mark.parametrize("qubits", [1, 2, 5])
def test_a_random_rack_is_a_good_configuration_without_calibrated_values(qubits, tmp_path):
    path = write_rack(tmp_path, 11, qubits)
    device, problems = config_check.problems(path)
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


@pytest.mark.parametrize("qubits", [0, 128])
def test_a_rack_has_up_to_127_qubits(qubits, tmp_path):
    with pytest.raises(InvalidValueError, match="1 to 127"):
        write_rack(tmp_path / "new", 1, qubits)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("qubits", "layout"), [(6, "line"), (20, "heavy-hex"), (127, "heavy-hex")])
def test_a_larger_rack_has_as_many_instruments_as_that_takes(qubits, layout, tmp_path):
    path = write_rack(tmp_path, 11, qubits, layout=layout)
    device, problems = config_check.problems(path)
    assert problems == []
    chip = load_chip(path.parent / device.simulator)
    lines = math.ceil(qubits / 5)
    assert len(chip.sections) == lines
    assert {(p.control, p.target) for p in device.couplings} == {
        side for c in chip.couplings for side in (c.qubits, c.qubits[::-1])
    }
    drivers = Counter(one.driver for one in device.instruments.values())
    assert drivers["digitizer"] == lines
    assert drivers["awg"] == math.ceil((qubits + lines) / 4)
    assert len({one.address for one in device.instruments.values()}) == len(device.instruments)
    assert len({one.identity.serial for one in device.instruments.values() if one.driver == "awg"}) == drivers["awg"]
    for qubit, true in zip(device.qubits, chip.qubits, strict=True):
        assert qubit.readout == true.feedline
        assert 0 < abs(qubit.design_frequency - true.frequency) <= 60e6
        assert 0 < abs(qubit.design_readout_frequency - true.readout_frequency) <= 5e6
        assert device.ports[qubit.acquire].lo == device.ports[qubit.readout].lo
    conductor, instruments = wire_up(device, chip)
    heard = {instruments[device.ports[qubit.acquire].instrument]: qubit.readout for qubit in device.qubits}
    assert {p: chip.sections[k].line for p, k in conductor.sections.items()} == heard
    conductor.close()


def test_an_input_that_hears_another_line_is_refused(tmp_path):
    path = write_rack(tmp_path, 11, 6)
    text, chip = path.read_text(), load_chip(tmp_path / "chip.toml")
    crossed = text.replace('acquire = "in2"', 'acquire = "in1"')
    assert crossed != text
    path.write_text(crossed)
    with pytest.raises(ConfigError, match=r"an input hears one readout line.*ro1, ro2"):
        wire_up(load_device(path), chip)
    other = replace(chip, qubits=(*chip.qubits[:5], replace(chip.qubits[5], feedline="ro1")))
    path.write_text(text)
    with pytest.raises(ConfigError):
        wire_up(load_device(path), other)


def test_the_command_says_how_to_start_it(tmp_path, capsys):
    assert invoke(["rack", "random", str(tmp_path), "--seed", "5", "--qubits", "2", "--collisions"]) == 0
    assert f"pulsed serve --config {tmp_path / 'rack.toml'}" in capsys.readouterr().out
    assert load_chip(tmp_path / "chip.toml").qubits == random_chip(5, 2, collisions=True).qubits
