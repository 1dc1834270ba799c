import copy
import json
import shutil
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulsed.calibration.interchange.importing import FORMATS, convert, write
from pulsed.cli.commands.imports import STACKS
from pulsed.model.basis import check_basis
from pulsed.model.calibration import load_calibration
from pulsed.model.device import AS_IT_IS, DeviceDescription
from pulsed.model.errors import InvalidValueError, PulsedError

DATA = Path(__file__).parents[4] / "examples" / "other-stacks" / "qibolab"
NOW = "2026-11-21T12:00:00+00:00"


@pytest.fixture(scope="module")
def found():
    return convert([DATA], None, NOW)


def test_the_command_takes_every_format():
    assert tuple(FORMATS) == STACKS


def test_the_files_say_what_was_imported(found, tmp_path):
    write(found, tmp_path / "rack")
    device = DeviceDescription.model_validate(
        tomllib.loads((tmp_path / "rack" / "rack.toml").read_text()), context=AS_IT_IS
    )
    assert device == found.device
    calibration = load_calibration(tmp_path / "rack" / "calibration.json")
    assert calibration.calibration_id == found.calibration.calibration_id
    check_basis(calibration, device)
    record = json.loads((tmp_path / "rack" / "import.json").read_text())
    taken = {line["name"] for line in record["lines"] if line["outcome"] == "taken over"}
    assert set(calibration.values) <= taken
    assert record["qubits"] == {"Q0": "A1", "Q1": "B2"}
    assert set(record["files"]) == {"parameters.json", "calibration.json", "platform.py"}


def test_importing_twice_gives_the_same_set(found):
    assert convert([DATA], "qibolab", NOW).calibration.calibration_id == found.calibration.calibration_id


def test_a_directory_with_something_in_it_is_left_alone(found, tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(InvalidValueError, match="is there already"):
        write(found, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_nothing_is_half_written(found, tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, "no space left")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        write(found, tmp_path / "rack")
    assert list(tmp_path.iterdir()) == []


def test_the_originals_are_untouched(tmp_path):
    folder = Path(shutil.copytree(DATA, tmp_path / "two"))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    write(convert([folder], None, NOW), tmp_path / "rack")
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


def test_files_of_no_stack_are_refused_with_the_known_ones(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(InvalidValueError, match="qibolab"):
        convert([tmp_path / "x.json"], None, NOW)


JSON = json.loads((DATA / "parameters.json").read_text())


def places(data, path=()):
    """Every place of a JSON document."""
    yield path
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in children:
        yield from places(value, (*path, key))


PLACES = sorted(places(JSON), key=str)
BAD = st.sampled_from(
    [None, "x", -1, 0, 1e300, float("nan"), [], {}, True, [[]], {"kind": "pulse"}, "Q", 4.97, -5e9, [1, 2, 3]]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(PLACES), BAD), min_size=1, max_size=4))
def test_whatever_stands_in_a_file_is_lines_or_one_error(tmp_path, changes):
    data = json.loads(json.dumps(JSON))
    for path, value in changes:
        at = data
        try:
            for key in path[:-1]:
                at = at[key]
            if path:
                at[path[-1]] = copy.deepcopy(value)  # the next change may be within
        except (KeyError, IndexError, TypeError):
            continue
    (tmp_path / "parameters.json").write_text(json.dumps(data))
    try:
        found = convert([tmp_path / "parameters.json", DATA / "calibration.json"], "qibolab", NOW)
    except PulsedError:
        return
    assert {line.name for line in found.lines if line.outcome == "taken over"} >= found.calibration.values.keys()
