import csv
import json
from pathlib import Path

import numpy as np
import pytest

import pulsed.configs
from pulsed.calibration.interchange.exporting import as_csv, as_qibolab
from pulsed.calibration.interchange.exporting_quam import as_quam
from pulsed.calibration.interchange.importing import convert
from pulsed.model.calibration import Value, load_calibration
from pulsed.model.device import load_device
from pulsed.model.errors import InvalidValueError

CONFIGS = Path(pulsed.configs.__file__).parent
DEVICE = load_device(CONFIGS / "coupler2.toml")
WEIGHTS = tuple((np.exp(0.01j * np.arange(800)) / 800).view(float).tolist())
SET = load_calibration(CONFIGS / "calibrations" / "coupler2.json").with_values(
    {"Q0.readout.kernel": Value(WEIGHTS), "Q0.t1": Value(6e-5, "s", 9e-7), "Q1.rb.error": Value(6e-4)}, "2026-11-21"
)


def test_a_platform_of_qibolab_comes_back(tmp_path):
    """Every value with a place there, but for a width between two samples, is what it was."""
    exported = as_qibolab(DEVICE, SET)
    for name, content in exported.files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "platform.py").write_text(
        "def create():\n    couplers = {'0': Qubit.coupler('0')}\n"
        "    return Hardware(instruments={}, qubits={}, couplers=couplers)\n"
    )
    back = convert([tmp_path], None, "2026-11-21T00:00:00+00:00").calibration
    placed = SET.values.keys() - set(exported.left)
    expected = {name.replace("in.delay", "in0.delay") for name in placed} - {"Q1.readout.kernel"}
    assert expected <= back.values.keys()
    for name in expected - {"Q0-Q1.cz.width"}:
        old, new = SET.values[name.replace("in0.", "in.")], back.values[name]
        same = np.atleast_1d(old.value)[:4] if "discriminator" in name else np.atleast_1d(old.value)
        assert np.atleast_1d(new.value)[: len(same)] == pytest.approx(same, rel=1e-9, abs=1e-12), name
    assert back.number("Q0-Q1.cz.width") == pytest.approx(SET.number("Q0-Q1.cz.width"), abs=1)
    assert back.values["Q0.t1"].stderr == pytest.approx(9e-7)


def test_a_state_of_quam_comes_back(tmp_path):
    exported = as_quam(DEVICE, SET)
    (tmp_path / "state.json").write_bytes(exported.files["state.json"])
    back = convert([tmp_path], None, "2026-11-21T00:00:00+00:00").calibration
    expected = SET.values.keys() - set(exported.left)
    assert {"Q0.x.beta", "Q1.sx.amplitude", "Q0.readout.discriminator", "Q0.t2star", "in.delay"} <= expected
    for name in expected:
        old, new = SET.values[name], back.values[name.replace("in.delay", "in0.delay")]
        same = np.atleast_1d(old.value)[:4] if "discriminator" in name else np.atleast_1d(old.value)
        assert np.atleast_1d(new.value)[: len(same)] == pytest.approx(same, rel=1e-9, abs=1e-12), name


def test_what_has_no_place_is_named():
    left = as_qibolab(DEVICE, SET).left
    assert {"d0.mixer.offset", "f0.bias", "Q0.x.error"} <= set(left)
    assert not {"Q0.f01", "Q0.x.amplitude", "Q0-Q1.cz.rz_target"} & set(left)


def test_another_clock_is_refused():
    half = DEVICE.model_copy(update={"dt": DEVICE.dt / 2})
    with pytest.raises(InvalidValueError, match="1 ns"):
        as_qibolab(half, SET)


def test_the_json_is_strict():
    for content in as_qibolab(DEVICE, SET).files.values():
        json.loads(content, parse_constant=pytest.fail)


def test_a_table_has_every_number_exactly():
    (content,) = as_csv(DEVICE, SET).files.values()
    rows = list(csv.DictReader(content.decode().splitlines()))
    back: dict[str, list[float]] = {}
    for row in rows:
        back.setdefault(row["name"], []).append(float(row["value"]))
    assert back == {name: np.atleast_1d(value.value).tolist() for name, value in SET.values.items()}
    (one,) = (row for row in rows if row["name"] == "Q0.t1")
    assert (one["unit"], float(one["stderr"])) == ("s", 9e-7)
