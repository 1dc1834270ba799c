"""A calibration set and its rack in one file: what is written comes back, and other files are refused."""

import json
from pathlib import Path

import pytest

from pulsed.client.export import export_json, load_export
from pulsed.model.calibration import from_json, load_calibration
from pulsed.model.device import load_device
from pulsed.model.errors import ConfigError

CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.toml"))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_both_come_back_and_the_set_alone_too(config: Path, tmp_path: Path) -> None:
    device = load_device(config)
    calibration = load_calibration(config.parent / "calibrations" / f"{config.stem}.json")
    file = tmp_path / "export.json"
    file.write_bytes(export_json(calibration, device))
    assert load_export(file) == (device, calibration)
    assert load_calibration(file) == calibration
    assert from_json(file.read_bytes()).calibration_id == calibration.calibration_id
    newer = json.loads(file.read_bytes())
    newer["rack"]["later"] = newer["rack"]["timing"]["later"] = 1
    file.write_text(json.dumps(newer | {"later": 2}))
    assert load_export(file) == (device, calibration)


def test_other_files_are_refused(tmp_path: Path) -> None:
    shipped = CONFIGS[0].parent / "calibrations" / f"{CONFIGS[0].stem}.json"
    with pytest.raises(ConfigError, match="without its rack: export it again"):
        load_export(shipped)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_export(tmp_path / "nothing.json")
    with pytest.raises(ConfigError, match="is not a calibration set"):
        load_export(CONFIGS[0])
