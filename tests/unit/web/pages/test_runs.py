"""Runs: what takes a process is for who may use the rack."""

import pytest

from pulsed.model.calibration import RunRecord
from pulsed.wire.roles import Role


@pytest.fixture
def path(lab, tmp_path):
    """The page of a run whose data are here."""
    file = tmp_path / "r1.nc"
    file.write_bytes(b"data")
    lab.daemon.run_record = lambda _: RunRecord("r1", "t1", "Q3", "calibrate", "good", 1.0, 2.0, file=str(file))
    lab.daemon.notes = lambda _: []
    return "/runs/r1"


@pytest.mark.parametrize("what", ["?set=detuning=1", "/figure?set=detuning=1", "/figure.png", "/figure.png?set=a=1"])
def test_who_only_looks_starts_no_analysis(lab, visit, path, what):
    assert visit(Role.VIEWER).get(path + what).status_code == 403
    assert lab.asked == []


def test_who_only_looks_sees_the_figure(lab, visit, path):
    text = visit(Role.VIEWER).get(path).text
    assert "data-figure" in text
    assert "figure.png" not in text
    assert visit(Role.VIEWER).get(path + "/figure").status_code == 200
    assert "figure.png" in visit(Role.EXPERIMENTER).get(path).text
    assert visit(Role.EXPERIMENTER).get(path + "/figure?set=a=1").status_code == 200
    assert [words[:2] for words in lab.asked] == [("cal", "analyse")] * 2
