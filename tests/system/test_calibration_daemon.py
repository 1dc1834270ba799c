"""`pulsed cal run` against a daemon that starts cold, through instruments and wire: what it finds becomes active."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pulsed.calibration.results.data import load
from pulsed.cli.main import cli
from pulsed.cli.processes import OwnDaemon
from pulsed.cli.simulated_rack import ask_rack, find_control
from pulsed.model.parameters import PARAMETERS, Limit
from pulsed.simulator.chip.random_rack import write_rack

SEED, QUBITS = 9, 2


@pytest.fixture(scope="module")
def cold(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cold")
    config = write_rack(folder / "rack", SEED, QUBITS)
    with OwnDaemon(folder / "home", str(config)) as daemon, daemon.wait() as client:
        yield daemon, client


def pulsed(daemon, *words):
    result = CliRunner().invoke(cli, ["cal", "run", *words, "--json"], env={"PULSED_HOME": str(daemon.home)})
    assert result.output, result.exception
    return result.exit_code, json.loads(result.stdout)


def test_routines_one_by_one_from_the_design_sheet(cold):
    daemon, client = cold
    cold_id = client.calibration().calibration_id
    for words in (
        ("time-of-flight",),
        ("resonator-spectroscopy",),
        ("qubit-spectroscopy", "--set", "shots=150"),
        ("rabi",),
        ("ramsey",),
        ("discriminator", "--figures"),
        ("anharmonicity", "Q1"),
        ("t1", "Q0", "--set", "points=15"),
    ):
        code, found = pulsed(daemon, *words)
        assert code == 0, f"{words}, seed {SEED}: {[run['reason'] for run in found['runs']]}"
        assert found["refused"] == {}
        assert found["calibration_id"] == client.calibration().calibration_id
    truth = ask_rack(find_control(daemon.home), "truth")
    now = client.calibration()
    assert now.number("in.delay") == pytest.approx(truth["delay"], abs=1)
    for name, key in (("Q0.f01", "f01"), ("Q1.f01", "f01"), ("Q1.anharmonicity", "anharmonicity"), ("Q0.t1", "t1")):
        value, true = now.values[name], truth["qubits"][int(name[1])][key]
        assert abs(value.value - true) < 4 * value.stderr, f"{name}, seed {SEED}"
    runs = client.runs(routine="discriminator")
    assert {run.target for run in runs} == {"Q0", "Q1"}
    data = load(runs[0].file)
    assert "DIG2-0001" in data.attrs["instruments"]
    assert client.calibration(data.attrs["calibration_id"]).calibration_id == runs[0].before
    log = client.calibration_log(20)
    assert log[-1].calibration_id == cold_id
    assert log[0].changed == ("Q0.t1",)


def test_bad_data_change_nothing_and_end_with_code_1(cold):
    daemon, client = cold
    before = client.calibration().calibration_id
    control = find_control(daemon.home)
    ask_rack(control, "drift", dead_lines=["ro"])
    try:
        code, found = pulsed(daemon, "resonator-spectroscopy", "Q0")
    finally:
        ask_rack(control, "drift", dead_lines=[])
    assert code == 1
    assert [run["outcome"] for run in found["runs"]] == ["bad data"]
    assert found["runs"][0]["reason"]
    assert client.calibration().calibration_id == before
    assert client.runs(limit=1)[0].outcome == "bad data"


def test_a_value_that_is_measured_anew_is_verified_and_its_record_names_the_set(cold):
    daemon, client = cold
    assert pulsed(daemon, "t1", "Q0", "--set", "points=15")[0] == 0
    check, calibration = sorted(client.runs("t1", "Q0", 2), key=lambda run: run.kind, reverse=True)
    assert (check.kind, calibration.kind) == ("check", "calibrate")
    assert (check.outcome, calibration.outcome) == ("good", "good")
    assert check.before == calibration.after == client.calibration().calibration_id


def test_values_that_are_refused_end_with_code_1_and_the_record_says_why(cold, monkeypatch):
    daemon, client = cold
    before = client.calibration().calibration_id
    rows = PARAMETERS["qubit"]
    monkeypatch.setitem(rows, "t1", rows["t1"]._replace(limit=Limit(0, 1e-9)))
    code, found = pulsed(daemon, "t1", "Q0", "--set", "points=9")
    assert code == 1
    assert "outside" in found["refused"]["Q0.t1"]
    (run,) = found["runs"]
    assert (run["outcome"], run.get("after", "")) == ("failed", "")
    assert "not written: Q0.t1" in run["reason"]
    assert client.runs(limit=1)[0].reason == run["reason"]
    assert client.calibration().calibration_id == before


@pytest.mark.parametrize(("instrument", "kind"), [("awg1", "overheat"), ("digitizer", "reference")])
def test_an_instrument_that_is_ill_says_nothing_about_a_qubit(cold, instrument, kind):
    daemon, client = cold
    before = client.calibration().calibration_id
    control = find_control(daemon.home)
    ask_rack(control, "fault", instrument=instrument, kind=kind)
    try:
        code, found = pulsed(daemon, "t1", "Q0", "--set", "points=9")
    finally:
        ask_rack(control, "clear")
    assert code == 1
    (run,) = found["runs"]
    assert (run["outcome"], instrument in run["reason"]) == ("stopped", True), run
    assert client.calibration().calibration_id == before
    assert pulsed(daemon, "t1", "Q0", "--set", "points=9")[0] == 0, "it goes on as soon as the instrument is well"


def test_a_rough_routine_changes_a_fine_value_only_when_it_is_told_to_and_says_what_that_makes_stale(cold):
    daemon, client = cold
    code, found = pulsed(daemon, "fine-amplitude", "Q0")
    assert code == 0, f"seed {SEED}: {found['runs']}"
    fine = client.calibration()
    code, found = pulsed(daemon, "rabi", "Q0", "--set", "points=21", "--figures")
    assert (code, found["calibration_id"], found["written"]) == (0, None, [])
    assert client.calibration() == fine
    assert "are finer in the active set (from fine-amplitude)" in found["runs"][0]["reason"]
    assert Path(found["figures"]["Q0"]).stat().st_size > 10_000
    code, found = pulsed(daemon, "rabi", "Q0", "--set", "points=21", "--force")
    assert (code, set(found["written"])) == (0, {"Q0.x.amplitude", "Q0.sx.amplitude"})
    assert {"routine": "fine-amplitude", "target": "Q0"}.items() <= next(
        row for row in found["stale"] if row["routine"] == "fine-amplitude"
    ).items()
    assert "--target Q0" in found["mend"]
    assert client.calibration().number("Q0.x.angle") == fine.number("Q0.x.angle")


def test_what_cannot_be_checked_is_not_called_good(cold):
    from pulsed.model.errors import InvalidValueError

    env = {"PULSED_HOME": str(cold[0].home)}
    result = CliRunner().invoke(cli, ["cal", "run", "rabi-chevron", "Q0", "--check"], env=env)
    assert result.exit_code != 0
    assert isinstance(result.exception, InvalidValueError)
    assert "compares nothing" in str(result.exception)


def test_a_check_and_a_dry_look_change_nothing(cold):
    daemon, client = cold
    before = client.calibration().calibration_id
    assert pulsed(daemon, "resonator-spectroscopy", "Q0", "--check")[0] == 0
    assert pulsed(daemon, "rabi", "Q0", "--no-commit")[0] == 0
    assert client.calibration().calibration_id == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("t3",), "no such routine"),
        (("t1", "Q7"), "no such target"),
        (("t1", "d0"), "not a target of this routine"),
        (("t1", "--set", "pionts=3"), "points"),
        (("t1", "--set", "points"), "KEY=VALUE"),
    ],
)
def test_wrong_words_are_one_line(cold, words, said):
    from pulsed.model.errors import InvalidValueError

    result = CliRunner().invoke(cli, ["cal", "run", *words], env={"PULSED_HOME": str(cold[0].home)})
    assert result.exit_code != 0
    assert said in (result.output if not isinstance(result.exception, InvalidValueError) else str(result.exception))
