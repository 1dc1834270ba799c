"""The runner with the real compiler before the simulated chip, and with routines that misbehave."""

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import xarray

from pulsed.calibration.executor import Executor
from pulsed.calibration.results.data import load, points, signal, sweep, to_qcodes
from pulsed.calibration.routine import (
    MeasurementRequest,
    Outcome,
    Proposal,
    Routine,
    RoutineParameters,
    find_routine,
    routine_names,
)
from pulsed.calibration.routines.relaxation import T1
from pulsed.calibration.runner.runner import colours, parameters_of, rerun, run
from pulsed.calibration.schedules import first_acquisition, memory_slots, together
from pulsed.cli.main import invoke
from pulsed.model.calibration import Value
from pulsed.model.errors import (
    ConnectionFailedError,
    InstrumentLimitError,
    InstrumentOverrangeError,
    InstrumentUnreachableError,
    InvalidValueError,
    JobCancelledError,
    LoweringError,
    PulsedError,
    WorkerDiedError,
)
from pulsed.pulse.channels import MeasureChannel
from pulsed.pulse.instructions import Acquire
from pulsed.testing.simulated_lab import SimulatedLab


@pytest.fixture
def lab():
    return SimulatedLab.sim5(seed=11)


class Level(Routine):
    """The mean of 0, a value called level; parameters make it misbehave."""

    name = "level"
    gives = ("level",)

    class Parameters(RoutineParameters):
        shots: int = 50
        trouble: str = ""
        at: str = "Q1"

    def measure(self, executor, target):
        trouble = self.parameters.trouble if target == self.parameters.at else ""
        if trouble == "early":
            raise RuntimeError("no such thing")
        qubit = int(target[1:])
        readout = executor.blocks.measure(qubit, amplitude=1.5 if trouble == "loud" else None)
        answer = yield MeasurementRequest([executor.blocks.shot(qubit, readout=readout)], self.parameters.shots)
        if trouble == "stop":
            raise KeyboardInterrupt
        for _ in range(int(target[1:])):  # later targets ask more often
            answer = yield MeasurementRequest([executor.blocks.shot(qubit)], self.parameters.shots)
        return sweep({"one": ([0], "")}, answer)

    def analyse(self, data):
        if self.parameters.trouble == "analysis" and data.attrs["target"] == self.parameters.at:
            return 1 / 0
        return Outcome("good", "", {"level": Proposal(float(abs(points(data)[0])), "full scale")})


def test_a_t1_is_found_saved_and_found_again_in_the_file(lab, tmp_path):
    executor = Executor(lab)
    routine = T1(points=11, shots=300)
    finished = run(routine, ["Q0", "Q2"], executor, folder=tmp_path, by="somebody")
    assert len(lab.played) == 1, "both at once"
    for target, item in finished.items():
        qubit = int(target[1:])
        assert item.good, item.record.reason
        value = item.values[f"{target}.t1"]
        true = lab.engine.truth()["qubits"][qubit]["t1"]
        assert abs(value.value - true) < 4 * value.stderr, "seed 11"
        assert value.stderr < 0.12 * true
        assert value.run_id == item.record.run_id
        data = load(item.record.file)
        xarray.testing.assert_identical(data.drop_attrs(), item.data.drop_attrs())
        assert data["wait"].attrs["units"] == "s"
        assert data.attrs["calibration_id"] == executor.calibration.calibration_id == item.record.before
        assert data.attrs["target"] == target
        assert len(data.attrs["schedule_hash"]) == 16
        assert "digitizer" in data.attrs["instruments"]
        assert parameters_of(data)["points"] == 11
        again = rerun(T1(**parameters_of(data)), item.record.file)
        assert again.values["t1"] == item.outcome.values["t1"]
    records = lab.runs(routine="t1")
    assert {record.target for record in records} == {"Q0", "Q2"}
    assert records[0].by == "somebody"
    assert lab.calibration() == executor.calibration, "nothing is committed"


def test_multiplexed_means_agree_with_those_of_one_by_one(lab, tmp_path):
    """Against the standard errors: not a shot is the same, but what they are drawn from is."""
    routine, targets = T1(points=7, shots=800), ["Q0", "Q2", "Q4"]
    together_ = run(routine, targets, Executor(lab), folder=tmp_path)
    for target in targets:
        alone = run(routine, [target], Executor(lab), folder=tmp_path)[target]
        y, sigma = signal(together_[target].data)
        other, error = signal(alone.data)
        chi2 = np.sum((y - other) ** 2 / (sigma**2 + error**2))
        assert chi2 < 26.1, f"{target}, seed 11"  # 7 degrees of freedom: exceeded by chance in 5e-4


def test_a_check_of_a_wrong_value_is_out_of_spec(lab, tmp_path):
    executor = Executor(lab)
    right = run(T1(), ["Q4"], executor, folder=tmp_path, kind="check")["Q4"]
    assert right.record.outcome == "good"
    assert right.values == {}
    value = executor.calibration.values["Q4.t1"]
    wrong = executor.propose({"Q4.t1": type(value)(4 * value.value, "s")})
    found = run(T1(), ["Q4"], wrong, folder=tmp_path, kind="check")["Q4"]
    assert found.record.outcome == "out of spec"
    assert "Q4.t1" in found.record.reason
    assert lab.played[-1].options.calibration_id == wrong.calibration.calibration_id


@pytest.mark.parametrize("trouble", ["early", "loud", "analysis"])
def test_the_failure_of_one_target_leaves_the_others(lab, tmp_path, trouble):
    finished = run(Level(trouble=trouble), ["Q0", "Q1", "Q2"], Executor(lab), folder=tmp_path)
    assert [finished[target].record.outcome for target in ("Q0", "Q1", "Q2")] == ["good", "failed", "good"]
    assert finished["Q1"].values == {}
    reason = finished["Q1"].record.reason
    assert {"early": "no such thing", "loud": "amplitude", "analysis": "division"}[trouble] in reason
    assert lab.runs(target="Q1")[0].outcome == "failed"


def test_a_missing_value_fails_that_target_before_anything_is_played(tmp_path):
    lab = SimulatedLab.sim5(calibrated=False)
    finished = run(T1(), ["Q3"], Executor(lab), folder=tmp_path)["Q3"]
    assert finished.record.outcome == "failed"
    assert "Q3.x.amplitude" in finished.record.reason
    assert lab.played == []


def test_ctrl_c_keeps_what_was_measured(lab, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(Level(trouble="stop", at="Q1"), ["Q0", "Q1"], Executor(lab), folder=tmp_path)
    outcomes = {record.target: record for record in lab.runs()}
    assert outcomes["Q1"].outcome == "stopped"
    assert load(outcomes["Q1"].file).sizes["schedule"] == 1


@pytest.mark.parametrize("error", [InstrumentUnreachableError, WorkerDiedError, JobCancelledError, PulsedError])
def test_a_rack_that_dies_says_nothing_about_the_targets(lab, tmp_path, monkeypatch, error):
    def dead(*_):
        raise error("nothing answers", subject="instrument awg1")

    monkeypatch.setattr(lab, "finished", dead)
    finished = run(Level(), ["Q0", "Q1"], Executor(lab), folder=tmp_path)
    assert "awg1" in finished["Q0"].record.reason
    assert isinstance(finished["Q1"].error, error)
    assert {record.target: record.outcome for record in lab.runs()} == {"Q0": "stopped", "Q1": "stopped"}


@pytest.mark.parametrize("error", [LoweringError, InvalidValueError, InstrumentLimitError, InstrumentOverrangeError])
def test_what_a_target_asks_for_in_vain_is_its_own_failure(lab, tmp_path, monkeypatch, error):
    def refused(*_):
        raise error("cannot be played", subject="port ro")

    monkeypatch.setattr(lab, "finished", refused)
    finished = run(Level(), ["Q0"], Executor(lab), folder=tmp_path)["Q0"]
    assert (finished.error, finished.record.outcome) == (None, "failed")


def test_a_record_that_cannot_be_put_loses_no_data(lab, tmp_path, monkeypatch):
    put, tried = lab.put_run, []

    def gone(record):
        tried.append(record.target)
        if record.target == "Q0":
            raise ConnectionFailedError("the daemon is gone")
        put(record)

    monkeypatch.setattr(lab, "put_run", gone)
    with pytest.raises(ConnectionFailedError):
        run(T1(points=7, shots=50), ["Q0", "Q2", "Q4"], Executor(lab), folder=tmp_path)
    assert tried == ["Q0", "Q2", "Q4"]
    assert {load(path).attrs["target"] for path in tmp_path.iterdir()} == {"Q0", "Q2", "Q4"}
    assert {record.target for record in lab.runs()} == {"Q2", "Q4"}


def test_the_file_of_a_run_that_was_stopped_says_what_it_is(lab, tmp_path, monkeypatch, drawn):
    submit, told = lab.submit, []

    def interrupted(request, parts):
        if lab.played:
            raise KeyboardInterrupt
        return submit(request, parts)

    monkeypatch.setattr(lab, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(Level(), ["Q1"], Executor(lab), folder=tmp_path, tell=told.append)
    (done,) = told
    data = load(done.record.file)
    assert (data.attrs["routine"], data.attrs["target"], data.attrs["outcome"]) == ("level", "Q1", "stopped")
    assert data.attrs["calibration_id"] == lab.calibration().calibration_id
    assert parameters_of(data) == {"shots": 50, "trouble": "", "at": "Q1"}
    assert {variable.attrs["units"] for variable in data.data_vars.values()} == {"full scale"}
    drawn(Level(), data, None)


@pytest.mark.parametrize("error", [InstrumentLimitError, InstrumentOverrangeError])
def test_what_exceeds_a_limit_together_is_played_one_by_one(lab, tmp_path, monkeypatch, error):
    play, played = Executor.play, []

    def limited(self, schedules, *arguments, **options):
        measured = {channel for channel in schedules[0].channels if isinstance(channel, MeasureChannel)}
        if len(measured) > 1:
            raise error("beyond full scale", subject="port ro", value=1.2, legal="at most 1")
        played.append(measured)
        return play(self, schedules, *arguments, **options)

    monkeypatch.setattr(Executor, "play", limited)
    finished = run(Level(), ["Q0", "Q1"], Executor(lab), folder=tmp_path)
    assert {target: item.record.outcome for target, item in finished.items()} == {"Q0": "good", "Q1": "good"}
    assert {channel for measured in played for channel in measured} == {MeasureChannel(0), MeasureChannel(1)}


class Candidates(Level):
    """Plays under values of its own, and then under the working set."""

    name = "candidates"

    def measure(self, executor, target):
        yield MeasurementRequest([executor.blocks.shot(int(target[1:]))], 50, values={f"{target}.x.amplitude": 0.25})
        return (yield from super().measure(executor, target))


def test_the_file_names_every_set_that_was_played(lab, tmp_path):
    done = run(Candidates(), ["Q0"], Executor(lab), folder=tmp_path)["Q0"]
    first, last = load(done.record.file).attrs["played_under"].split()
    assert lab.calibration(first).number("Q0.x.amplitude") == 0.25
    assert last == done.data.attrs["calibration_id"] == lab.calibration().calibration_id


class Quiet(Level):
    name = "quiet"
    disturbs = "neighbours"


class Pairs(Level):
    name = "pairs"
    subject = "pair"


def test_colours_keep_apart_what_disturbs(lab):
    device = lab.device()
    every = [f"Q{q}" for q in range(5)]
    assert colours(Level(), every, device) == [every]
    assert colours(Quiet(), every, device) == [["Q0", "Q2", "Q4"], ["Q1", "Q3"]]
    assert colours(Level(), every, device, apart=True) == colours(Quiet(), every, device)
    pairs = Pairs.targets(device)
    for group in colours(Pairs(), pairs, device):
        used = [q for pair in group for q in pair.split("-")]
        assert len(used) == len(set(used))
    with pytest.raises(InvalidValueError, match="Q9"):
        colours(Level(), ["Q9"], device)


def test_shots_of_several_targets_end_in_one_measurement(lab):
    blocks = Executor(lab).blocks
    shots = [blocks.shot(q, blocks.x(q), wait) for q, wait in ((0, 3), (1, 210), (4, 17))]
    merged = together(shots, 4)
    starts = {time for time, item in merged.instructions if isinstance(item, Acquire)}
    assert starts == {first_acquisition(merged)}
    assert first_acquisition(merged) % 4 == 0
    assert memory_slots([merged]) == (0, 1, 4)
    for schedule, channel in zip(shots, ("d0", "d1", "d4"), strict=True):
        before = [first_acquisition(s) - _start(s, channel) for s in (schedule, merged)]
        assert before[0] == before[1], "the wait before the measurement is kept"


def _start(schedule, channel):
    return min(t for t, item in schedule.instructions if item.duration and channel in {c.name for c in item.channels})


def test_routines_are_found_and_say_what_is_wrong():
    assert {"t1", "ramsey", "rabi"} <= set(routine_names())
    assert find_routine("t1") is T1
    with pytest.raises(InvalidValueError, match="ramsey"):
        find_routine("t3")
    with pytest.raises(InvalidValueError, match=r"no such parameter; got .*; legal: .*points, span, shots"):
        T1(pionts=3)
    with pytest.raises(
        InvalidValueError,
        match=r"a value that this parameter does not take; got .*=.*; legal: .*greater than or equal to 5",
    ):
        T1(points=2)
    assert T1(points="21").parameters.points == 21


def test_an_ecr_of_which_no_round_was_measured_is_bad_data():
    assert find_routine("fine-ecr")().analyse(xarray.Dataset()).quality == "bad data"


class Turned(Level):
    """An angle, which is the same a turn later."""

    name = "turned"
    gives = ("angle",)
    tolerances: ClassVar = {"angle": (0.1, 0.0)}

    def analyse(self, data):
        return Outcome("good", "", {"angle": Proposal(float(data.attrs["angle"]), "rad", 0.01)})


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (np.pi - 0.02, "in spec"),
        (3.0, "out of spec"),
        (0.05 - np.pi, "in spec"),
        (3 * np.pi, "in spec"),
        (0.0, "out of spec"),
    ],
)
def test_angles_are_compared_but_for_whole_turns(lab, found, verdict):
    calibration = lab.calibration().with_values({"Q0.angle": Value(-np.pi + 0.01, "rad")}, "")
    assert Turned().judge(xarray.Dataset(attrs={"angle": found}), calibration, "Q0")[0] == verdict


@pytest.mark.filterwarnings("default")
def test_points_without_a_coordinate_open_in_qcodes_by_their_number(lab, tmp_path, capsys, monkeypatch):
    """By the bare name, too, as people read it off a listing."""
    tmp_path = tmp_path / "runs"
    from qcodes.dataset import load_by_id
    from qcodes.dataset.sqlite.database import conn_from_dbpath_or_conn

    Discriminator = find_routine("discriminator")
    finished = run(Discriminator(shots=60), ["Q0"], Executor(lab), folder=tmp_path)["Q0"]
    bare = next(name for name in finished.data.dims if name not in finished.data.coords)
    monkeypatch.setenv("PULSED_HOME", str(tmp_path.parent))
    name = Path(finished.record.file).name
    assert tmp_path.name == "runs", "where the data of runs lie in a home"
    assert invoke(["cal", "to-qcodes", name, "--database", str(tmp_path / "runs.db")]) == 0
    assert f"run 1 of {tmp_path / 'runs.db'}" in capsys.readouterr().out
    connection = conn_from_dbpath_or_conn(None, str(tmp_path / "runs.db"))
    name = next(str(n) for n, variable in finished.data.data_vars.items() if bare in variable.dims)
    values = load_by_id(1, connection).get_parameter_data(name)[name]
    np.testing.assert_array_equal(values[name].ravel(), finished.data[name].to_numpy().ravel())
    assert set(np.unique(values[str(bare)])) == set(range(finished.data.sizes[bare]))
    connection.close()


@pytest.mark.filterwarnings("default")
def test_a_run_opens_in_qcodes(lab, tmp_path):
    from qcodes.dataset import load_by_id
    from qcodes.dataset.sqlite.database import conn_from_dbpath_or_conn

    finished = run(T1(points=5, shots=50, span=200e-6), ["Q0"], Executor(lab), folder=tmp_path)["Q0"]
    database = tmp_path / "runs.db"
    number = to_qcodes(finished.record.file, database)
    connection = conn_from_dbpath_or_conn(None, str(database))
    dataset = load_by_id(number, connection)
    values = dataset.get_parameter_data("i")["i"]
    np.testing.assert_array_equal(values["i"].ravel(), finished.data["i"])
    np.testing.assert_array_equal(values["wait"].ravel(), finished.data["wait"])
    assert json.loads(dataset.metadata["pulsed"])["target"] == "Q0"
    connection.close()
