"""`pulsed cal …` against a real daemon: what is active, changes by hand, and two operators at once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from pulsed.cli.main import invoke
from pulsed.client.keys import add_client
from pulsed.client.speaking import speaking_for
from pulsed.model.calibration import CalibrationSet, RunRecord, from_json
from pulsed.testing.daemon_process import DaemonProcess

Said = Callable[..., str]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path_factory.mktemp("home")).start()
    yield process
    assert process.stop() == 0


@pytest.fixture
def cal(daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """Run `pulsed cal` with some arguments and return what it said; the exit code is checked."""
    monkeypatch.setenv("PULSED_HOME", str(daemon.home))
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str, code: int = 0) -> str:
        assert invoke(["cal", *arguments]) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return run


def current(cal: Said) -> CalibrationSet:
    return from_json(cal("show", "--json").encode())


def test_a_value_set_by_hand_is_in_force_and_in_the_log(cal: Said) -> None:
    before, moment = current(cal), time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 1)) + "Z"
    time.sleep(1.1)
    text = cal("set", "Q2.f01", "5.021GHz", "--stderr", "2 kHz", "--why", "seen in a spectrum")
    assert "+1 MHz" in text
    after = current(cal)
    value = after.values["Q2.f01"]
    assert (value.value, value.stderr, value.unit, value.quality) == (5.021e9, 2e3, "Hz", "set")
    assert after.parent == before.calibration_id
    (entry,) = json.loads(cal("log", "--limit", "1", "--json"))
    assert (entry["why"], entry["by"], entry["changed"]) == ("seen in a spectrum", "local", ["Q2.f01"])
    assert "seen in a spectrum" in cal("log")
    assert "5.021000 ± 0.000002 GHz" in cal("history", "Q2.f01")
    assert json.loads(cal("history", "Q2.f01", "--json"))[0]["calibration_id"] == after.calibration_id
    assert before.calibration_id in cal("show", "--at", moment)
    assert "+1 MHz" in cal("diff", before.calibration_id)
    assert json.loads(cal("diff", before.calibration_id[:8], "current", "--json"))["values"].keys() == {"Q2.f01"}


def test_what_is_out_of_bounds_or_far_off_needs_force(cal: Said) -> None:
    before = current(cal)
    assert "too far" in cal("set", "Q1.f01", "4.99GHz", "--why", "x", code=1)
    assert "outside" in cal("set", "Q1.x.amplitude", "1.5", "--why", "x", code=1)
    assert current(cal) == before
    cal("set", "Q1.f01", "4.99GHz", "--why", "x", "--force")
    assert current(cal).number("Q1.f01") == 4.99e9
    cal("rollback", before.calibration_id)


def test_many_small_steps_by_hand_lead_no_farther_than_one(cal: Said) -> None:
    """Q1.f01 was measured at 4.88 GHz and may be 5 MHz off: after a value by hand the guard was gone."""
    before = current(cal)
    cal("set", "Q1.f01", "4.883GHz", "--why", "a guess")
    cal("set", "Q1.f01", "4.884GHz", "--why", "another")
    assert "too far from 4.88e+09" in cal("set", "Q1.f01", "4.888GHz", "--why", "a third", code=1)
    assert current(cal).number("Q1.f01") == 4.884e9
    cal("set", "Q1.f01", "4.888GHz", "--why", "it is", "--force")
    cal("rollback", before.calibration_id)


def test_what_a_change_makes_stale_is_said_with_the_command_that_mends_it(cal: Said) -> None:
    before = current(cal)
    text = cal("set", "Q1.x.angle", "0", "--why", "turned by hand")
    assert "Q1.x.angle went from 0.892302 to 0 since" in text
    assert "mend it with: pulsed cal maintain --target Q1 --target Q0-Q1 --target Q2-Q1" in text
    found = json.loads(cal("rollback", before.calibration_id, "--json"))
    assert (found["stale"], found["mend"]) == ([], ""), "what comes back leaves nothing behind"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("set", "Q9.f01", "5GHz", "--why", "x"), "legal: Q0, Q1"),
        (("set", "Q0.f02", "5GHz", "--why", "x"), "f01"),
        (("set", "Q0.f01", "5parsec", "--why", "x"), "4.91 GHz"),
        (("set", "d0.mixer.offset", "0.1", "--why", "x"), "legal: 2"),
        (("disable", "Q9", "--why", "x"), "legal: Q0"),
        (("enable", "Q1"), "is not marked as faulty"),
        (("show", "nothing"), "no such calibration set"),
        (("show", "--at", "noon"), "not a time"),
        (("show", "--tag", "none"), "no calibration set has this tag"),
        (("show", "current", "--tag", "none"), "more than one name"),
        (("history", "Q0.nothing"), "no such value"),
        (("log", "--name", "Q0.nothing"), "no such value"),
        (("cooldown", "new", "--keep", "*.nothing"), "no active value"),
        (("export", "/nowhere/at/all"), "cannot be written"),
        (("import", "/nowhere/at/all"), "cannot be read"),
    ],
)  # fmt: skip
def test_an_error_is_one_line_that_names_it_and_changes_nothing(
    cal: Said, arguments: tuple[str, ...], part: str
) -> None:
    before = current(cal)
    text = cal(*arguments, code=1)
    assert part in text
    assert text.count("\n") == 1
    assert current(cal) == before


def test_a_reason_has_to_be_given(cal: Said) -> None:
    assert "--why" in cal("set", "Q0.f01", "5GHz", code=2)
    assert "--why" in cal("disable", "Q0", code=2)


def test_a_fault_is_marked_and_taken_away(cal: Said) -> None:
    cal("disable", "Q3", "--why", "no resonator")
    found = current(cal)
    assert (found.faults["Q3"].why, found.faults["Q3"].by) == ("no resonator", "local")
    assert found.faulty("Q4-Q3") == found.faulty("Q3") != found.faulty("Q4")
    assert "Q3 is faulty: no resonator" in cal("show")
    assert "Q3.fault" in cal("log", "--limit", "1", "--name", "Q3.fault")
    cal("enable", "Q3", "--why", "found it")
    assert current(cal).faults == {}


def test_a_fault_is_marked_by_the_same_name_as_in_the_log(cal: Said) -> None:
    with speaking_for("anna"):
        cal("disable", "Q4", "--why", "dead")
    (entry,) = json.loads(cal("log", "--limit", "1", "--json"))
    assert current(cal).faults["Q4"].by == entry["by"] == "anna (local)"
    cal("enable", "Q4", "--why", "alive")


def test_a_tag_names_a_set_that_can_be_gone_back_to(cal: Said) -> None:
    good = current(cal)
    cal("tag", "current", "good")
    cal("set", "Q0.t1", "50us", "--why", "a guess")
    assert current(cal) != good
    assert "rolled back to good" in cal("rollback", "good") + cal("log", "--limit", "1")
    assert current(cal) == good
    assert from_json(cal("show", "good", "--json").encode()) == from_json(
        cal("show", "--tag", "good", "--json").encode()
    )
    cal("set", "Q0.t1", "50us", "--why", "a guess")
    assert "names another set" in cal("tag", "current", "good", code=1)
    cal("tag", "current", "good", "--move")
    assert "good" in cal("log", "--limit", "1")


def test_a_set_goes_to_a_file_and_comes_back(cal: Said, tmp_path: object) -> None:
    file, before = f"{tmp_path}/set.json", current(cal)
    cal("export", file)
    assert from_json(cal("export", "-").encode()) == before
    cal("set", "Q0.t1", "40us", "--why", "a guess")
    changed = current(cal)
    assert "not active" in cal("import", file)
    assert current(cal) == changed
    cal("import", file, "--commit")
    assert current(cal) == before


def test_no_value_crosses_a_cooldown_unasked(cal: Said) -> None:
    before = current(cal)
    cal("disable", "Q0-Q1", "--why", "collision")
    cal("cooldown", "new", "--name", "c8", "--keep", "*.mixer.*, in.delay")
    fresh = current(cal)
    assert fresh.cooldown == "c8"
    assert fresh.faults == {}
    kept = {name for name, value in fresh.values.items() if value.quality != "design"}
    assert kept == {name for name in before.values if ".mixer." in name or name == "in.delay"}
    assert all(fresh.values[name] == before.values[name] for name in kept)
    assert "is of another cooldown" in cal("rollback", before.calibration_id, code=1)
    assert current(cal) == fresh
    cal("cooldown", "new")
    assert current(cal).cooldown == "c9"
    assert {value.quality for value in current(cal).values.values()} == {"design"}
    cal("rollback", before.calibration_id, "--force")
    assert current(cal) == before


def test_the_second_of_two_operators_is_told(cal: Said, daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    from pulsed.client import Client

    put = Client.put_calibration

    def interrupted(client: Client, calibration: CalibrationSet) -> str:
        monkeypatch.setattr(Client, "put_calibration", put)
        other = json.loads(cal("set", "Q4.t1", "70us", "--why", "at the same time", "--json"))
        assert other["changed"] == ["Q4.t1"]
        return put(client, calibration)

    monkeypatch.setattr(Client, "put_calibration", interrupted)
    text = cal("disable", "Q1", "--why", "late", code=1)
    assert "became active in the meantime" in text
    assert "changed: Q4.t1" in text
    assert current(cal).faults == {}
    cal("disable", "Q1", "--why", "again")
    assert current(cal).number("Q4.t1") == 70e-6
    cal("enable", "Q1")


def test_runs_are_listed_good_and_bad(cal: Said, daemon: DaemonProcess) -> None:
    assert "no such measurement" in cal("runs")
    with daemon.client() as client:
        client.put_run(RunRecord("r1", "t1", "Q0", "calibrate", "bad data", 1e9, 1e9 + 2, reason="a flat line"))
    assert "a flat line" in cal("runs", "--target", "Q0", "--routine", "t1")
    assert json.loads(cal("runs", "--json"))[0]["outcome"] == "bad data"
    assert json.loads(cal("runs", "--target", "Q1", "--json")) == []


def test_an_experimenter_looks_and_does_not_touch(cal: Said, daemon: DaemonProcess) -> None:
    key = str(add_client(daemon.home, "visitor", "experimenter"))
    assert "active" in cal("show", "--key", key)
    assert "from operator on" in cal("set", "Q0.t1", "50us", "--why", "x", "--key", key, code=1)


def test_prune_says_what_it_forgets_and_deletes_files_when_asked(daemon: DaemonProcess, cal: Said) -> None:
    runs = daemon.home / "runs"
    runs.mkdir(exist_ok=True)
    with daemon.client() as client:
        for number in range(2):
            path = runs / f"{number}.nc"
            path.touch()
            record = RunRecord(f"past {number}", "echo", "Q1", "check", "good", 1.0, 2.0, file=str(path))
            client.put_run(record)
    assert "would forget 1 measurements, 0 calibration sets and 1 files" in cal("prune", "--files", "--dry-run")
    assert (runs / "0.nc").exists()
    found = json.loads(cal("prune", "--files", "--json"))
    assert (found["runs"], found["files"]) == (1, [str(runs / "0.nc")])
    assert not (runs / "0.nc").exists()
    assert (runs / "1.nc").exists()
