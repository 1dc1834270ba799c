import json
from pathlib import Path

import pytest

import pulsed.configs
from pulsed.calibration.interchange.importing import convert
from pulsed.cli.commands.exports import KINDS, exported, ibm_files, write_exported
from pulsed.model.calibration import load_calibration
from pulsed.model.device import load_device
from pulsed.model.errors import InvalidValueError

CONFIGS = Path(pulsed.configs.__file__).parent
DEVICE = load_device(CONFIGS / "sim5.toml")
SET = load_calibration(CONFIGS / "calibrations" / "sim5.json")


@pytest.fixture(scope="module")
def files():
    return ibm_files(DEVICE, SET).files


def test_ibm_files_come_back_with_every_value_that_has_a_place(files, tmp_path):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    found = convert([tmp_path], None, "2026-11-21T00:00:00+00:00")
    assert found.device.dt == DEVICE.dt
    assert [(c.control, c.target) for c in found.device.couplings] == [(c.control, c.target) for c in DEVICE.couplings]
    placed = {
        name for name in SET.values
        if name.split(".")[1] in ("f01", "anharmonicity", "t1", "t2", "x", "sx", "ecr") and not name.endswith(".phase")
    }  # fmt: skip
    placed |= {name for name in SET.values if ".readout." in name and name.rpartition(".")[2] in (
        "frequency", "error", "p01", "p10", "amplitude", "duration", "sigma", "width")}  # fmt: skip
    assert placed <= found.calibration.values.keys()
    for name in placed:
        assert found.calibration.number(name) == pytest.approx(SET.number(name), rel=1e-9, abs=1e-9), name


def test_the_files_are_strict_json_with_complex_numbers_as_pairs(files):
    assert set(files) == {"conf_sim5.json", "props_sim5.json", "defs_sim5.json"}
    data = {name: json.loads(content, parse_constant=pytest.fail) for name, content in files.items()}
    command = data["defs_sim5.json"]["cmd_def"][0]
    assert isinstance(command["sequence"][0]["parameters"]["amp"], list)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_written(kind, tmp_path):
    device, calibration = (load_device(CONFIGS / "coupler2.toml"), load_calibration(
        CONFIGS / "calibrations" / "coupler2.json"))  # fmt: skip
    found = exported(kind, device, calibration)
    write_exported(found, tmp_path / "out", kind)
    assert (tmp_path / "out").exists()
    if kind != "csv":
        assert {path.name for path in (tmp_path / "out").iterdir()} == set(found.files)
        with pytest.raises(InvalidValueError, match="is there already"):
            write_exported(found, tmp_path / "out", kind)
