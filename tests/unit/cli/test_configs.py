"""Rack configurations by name, and what `pulsed config check` says."""

import json
import shutil
from pathlib import Path

import pytest

from pulsed.cli import configs
from pulsed.cli.main import invoke
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.errors import ConfigError

SIM5 = configs.shipped()["sim5"]


@pytest.fixture
def rack(tmp_path) -> Path:
    """A copy of the shipped configuration with all that it names."""
    shutil.copytree(SIM5.parent / "chips", tmp_path / "chips")
    (tmp_path / "calibrations").mkdir()
    (tmp_path / "calibrations" / "sim5.json").write_bytes(CalibrationSet("sim5", {}, "2026-11-21").to_json())
    return Path(shutil.copy(SIM5, tmp_path))


def change(path: Path, old: str, new: str, times: int = -1) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, times))
    return path


def test_a_name_and_a_path_are_found(tmp_path):
    assert configs.find("sim5") == SIM5
    assert configs.find(str(SIM5)) == SIM5


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"legal: a TOML file, or .*sim5"):
        configs.find("sim6")


def test_a_good_file_is_ok(rack, capsys):
    assert invoke(["config", "check", str(rack)]) == 0
    assert "5 qubits, 4 couplings, 6 instruments" in capsys.readouterr().out


def test_a_delay_that_leaves_much_of_a_shot_is_told(rack, capsys):
    """Of the set's T1: 100 us of 110 us leave 40 %; the shipped racks leave less than 0.1 %, and nothing is said."""
    known = CalibrationSet("sim5", {"Q2.t1": Value(110e-6, "s"), "Q0.t1": Value(95e-6, "s")}, "2026-11-21")
    (rack.parent / "calibrations" / "sim5.json").write_bytes(known.to_json())
    change(rack, 'rep_delay = "800 us"', 'rep_delay = "100 us"')
    assert invoke(["config", "check", str(rack)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "limits.rep_delay = 100 µs: 40 % of a 1 of Q2 (T1 110 µs)" in said
    assert "after 798 µs" in said
    for name in configs.shipped():
        assert invoke(["config", "check", name]) == 0
        assert "rep_delay" not in capsys.readouterr().out, name


@pytest.mark.parametrize(
    ("old", "new", "key", "value", "legal"),
    [
        ('drive = "d0"', 'drive = "d9"', "qubits.0.drive", "d9", "d0, d1, d2, d3, d4, ro"),
        ('dt = "1 ns"', 'dt = "one"', "dt", "one", ""),
        ("[timing]", "[timing]\nspeed = 3", "timing.speed", "", "granularity"),
        ('driver = "sgs100a"', 'driver = "sgs101a"', "instruments.sgs1.driver", "sgs101a", "sgs100a"),
        ('simulator = "chips/sim5.toml"', 'simulator = "chips/none.toml"', "simulator", "chips/none.toml", "relative"),
        ('calibration = "calibrations/sim5.json"', 'calibration = "cal.json"', "calibration", "cal.json", "relative"),
        ('name = "sim5"', 'name = "fridge"', "calibration", "sim5", "fridge"),
        ("meas_map = [[0, 1, 2, 3, 4]]", "meas_map = [[0, 1, 2, 3]]", "meas_map", "(0, 1, 2, 3)", "0 to 4"),
    ],
)
def test_each_problem_has_key_value_and_legal_values(rack, capsys, old, new, key, value, legal):
    assert invoke(["config", "check", str(change(rack, old, new))]) == 1
    said = capsys.readouterr().err
    for part in (key, value, legal):
        assert part in said


def test_every_problem_is_listed(rack, capsys):
    change(rack, 'drive = "d0"', 'drive = "d9"')
    change(rack, 'readout = "ro"', 'readout = "rd"')
    assert invoke(["config", "check", str(rack)]) == 1
    said = capsys.readouterr().err
    assert "6 problems" in said
    assert all(f"qubits.{q}.readout = rd" in said for q in range(5))


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('driver = "sgs100a"', 'driver = "sgs101a"', "instruments.sgs1.driver"),
        ("power = 13.0", "power = 99", "oscillators.drive.power"),
        ('lo = "drive"', 'lo = "driver"', "ports.d0.lo"),
    ],
)
def test_what_follows_of_a_problem_is_no_problem_of_its_own(rack, capsys, old, new, key):
    assert invoke(["config", "check", str(change(rack, old, new, 1)), "--json"]) == 1
    assert [problem["subject"] for problem in json.loads(capsys.readouterr().out)["problems"]] == [key]


def test_a_level_beyond_its_range_is_one_problem(tmp_path, capsys):
    text = configs.find("coupler2").read_text().replace('level = "0.4 mA"', "level = 7")
    path = tmp_path / "coupler2.toml"
    path.write_text("\n".join(line for line in text.splitlines() if not line.startswith(("simulator", "calibration"))))
    assert invoke(["config", "check", str(path), "--json"]) == 1
    assert [problem["subject"] for problem in json.loads(capsys.readouterr().out)["problems"]] == [
        "ports.f0.bias.level"
    ]


def test_a_file_that_is_no_toml_says_so(tmp_path, capsys):
    path = tmp_path / "bad.toml"
    path.write_text("x = [")
    assert invoke(["config", "check", str(path)]) == 1
    assert "is not TOML" in capsys.readouterr().err


def test_a_broken_calibration_set_is_a_problem(rack, capsys):
    (rack.parent / "calibrations" / "sim5.json").write_text("{}")
    assert invoke(["config", "check", str(rack)]) == 1
    assert "is not a calibration set" in capsys.readouterr().err


def test_what_is_wrong_as_json(rack, capsys):
    assert invoke(["config", "check", str(rack), "--json"]) == 0
    good = json.loads(capsys.readouterr().out)
    assert (good["name"], good["qubits"], good["problems"]) == ("sim5", 5, [])
    change(rack, 'driver = "sgs100a"', 'driver = "sgs100b"')
    assert invoke(["config", "check", str(rack), "--json"]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert {(one["subject"], one["value"]) for one in problems} == {
        ("instruments.sgs1.driver", "sgs100b"), ("instruments.sgs2.driver", "sgs100b"),
    }  # fmt: skip
