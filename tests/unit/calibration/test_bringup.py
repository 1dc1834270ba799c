"""A rack is brought up, maintained and reported on: the routines are of the test, everything between is real."""

import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np
import pytest
import xarray
from matplotlib.image import imread

import pulsed.configs
from pulsed.calibration.bringup import NEWEST, CalibrationSession, bringup, diagnose, maintain
from pulsed.calibration.collisions import collisions
from pulsed.calibration.graph.default_graph import DEFAULT_GRAPH, GraphEntry, default_steps
from pulsed.calibration.graph.graph import Graph, Node, Step
from pulsed.calibration.graph.status import Event
from pulsed.calibration.report.report import write_report
from pulsed.calibration.results.data import save
from pulsed.calibration.routine import MeasurementRequest, Outcome, Proposal, Routine, bad_data, register
from pulsed.model.calibration import CalibrationSet, Fault, RunRecord, Value, design_sheet
from pulsed.model.chip_map import directions
from pulsed.model.device import load_device
from pulsed.model.errors import ConflictError, InstrumentUnreachableError, InvalidValueError
from pulsed.testing.simulated_lab import SimulatedLab

DEVICE = load_device(Path(pulsed.configs.__file__).parent / "sim5.toml")


@dataclass
class Truth:
    """What the routines of this test find: a number per target, NaN for bad data."""

    values: dict = field(default_factory=dict)
    measured: list = field(default_factory=list)

    def of(self, routine, target):
        return self.values.get((routine, target), self.values.get(routine, 0.5))


TRUTH = Truth()


class _Found(Routine):
    """Finds what the truth says, without playing anything."""

    key: ClassVar[str]

    def measure(self, executor, target):
        TRUTH.measured.append((self.name, target))
        found = TRUTH.of(self.name, target)
        if isinstance(found, BaseException):
            raise found
        return xarray.Dataset({"found": ((), found)})
        yield MeasurementRequest([])

    def analyse(self, data):
        found = float(data["found"])
        if np.isnan(found):
            return bad_data("nothing there")
        return Outcome("good", "", {self.key: Proposal(found, "", 1e-6)})

    def draw(self, data, outcome, figure):
        figure.suptitle(f"{self.name}: {float(data['found'])}")


@register
class Level(_Found):
    name, key = "test-level", "level"
    gives: ClassVar = ("level",)
    tolerances: ClassVar = {"level": (0.01, 0.0)}


@register
class Turn(_Found):
    name, key = "test-turn", "turn.amplitude"
    gives: ClassVar = ("turn.amplitude",)
    tolerances: ClassVar = {"turn.amplitude": (0.01, 0.0)}


@register
class Both(_Found):
    name, key, subject = "test-both", "ecr.amplitude", "pair"
    gives: ClassVar = ("ecr.amplitude",)
    tolerances: ClassVar = {"ecr.amplitude": (0.01, 0.0)}


STEPS = (
    Step("test-level", "qubit", gives=("level",), vital=True),
    Step("test-turn", "qubit", after=("test-level",), gives=("turn.amplitude",), vital=True, age=1e6),
    Step("test-both", "pair", after=("test-turn",), gives=("ecr.amplitude",), vital=True, oscillator=True, age=1e6),
)


@pytest.fixture
def lab(tmp_path):
    TRUTH.values.clear()
    TRUTH.measured.clear()
    return CalibrationSession(SimulatedLab.sim5(calibrated=False), tmp_path, steps=STEPS, by="tester")


def measured():
    found = list(TRUTH.measured)
    TRUTH.measured.clear()
    return found


def test_a_cold_rack_is_brought_up_and_left_alone_after(lab):
    done = bringup(lab)
    assert len(done) == 5 + 5 + 4
    assert {(action.kind, action.verdict) for action in done} == {("calibrate", "in spec")}
    calibration = lab.connection.calibration()
    assert calibration.number("Q3.turn.amplitude") == 0.5
    assert all(state.status == "fresh" for state in lab.states().values())
    newest = lab.connection.runs(limit=1)[0]
    assert newest.after == calibration.calibration_id
    assert Path(newest.file).is_file()
    measured()
    assert maintain(lab) == []
    assert measured() == []
    again = CalibrationSession(lab.connection, lab.folder, steps=STEPS)
    assert maintain(again) == [], "a new process knows as much"


def test_a_dead_qubit_is_marked_with_the_reason_and_the_rest_goes_on(lab):
    TRUTH.values["test-level", "Q1"] = float("nan")
    bringup(lab)
    calibration = lab.connection.calibration()
    assert set(calibration.faults) == {"Q1"}
    assert calibration.faults["Q1"].why == "test-level: nothing there"
    assert calibration.faults["Q1"].by == "tester"
    assert not calibration.has("Q1.level")
    assert calibration.has("Q3.turn.amplitude", "Q4-Q3.ecr.amplitude")
    assert not calibration.has("Q0-Q1.ecr.amplitude")
    assert any(record.outcome == "bad data" for record in lab.connection.runs(target="Q1")), "failed runs do not vanish"
    measured()
    assert maintain(lab) == []
    del TRUTH.values["test-level", "Q1"]
    bringup(lab)
    assert not lab.connection.calibration().faults
    assert {target for _, target in measured()} == {"Q1", "Q0-Q1", "Q2-Q1"}


def test_what_a_person_marked_stays_out(lab):
    lab.fault("Q4", "its line is on the executor")
    bringup(lab)
    assert lab.connection.calibration().faults["Q4"].why == "its line is on the executor"
    assert not any("Q4" in target for _, target in measured())


def test_drift_is_mended_and_verified_and_nothing_else_is_touched(lab):
    bringup(lab)
    measured()
    TRUTH.values["test-turn", "Q2"] = 0.45
    doubted = lab.connection.calibration().values["Q2.turn.amplitude"]
    _commit(lab, {"Q2.turn.amplitude": msgspec.structs.replace(doubted, quality="suspect")})
    maintain(lab)
    assert lab.connection.calibration().number("Q2.turn.amplitude") == 0.45
    found = measured()
    assert found[:3] == [("test-turn", "Q2")] * 3, "a check, a calibration, the check that verifies it"
    assert set(found[3:]) == {("test-both", "Q2-Q1"), ("test-both", "Q2-Q3")}, "what depends on it is looked at"
    assert len(found) == 5


def test_values_that_may_not_be_written_are_not_and_the_run_says_why(lab):
    TRUTH.values["test-turn", "Q2"] = np.inf
    bringup(lab)
    calibration = lab.connection.calibration()
    assert not calibration.has("Q2.turn.amplitude")
    assert "not written" in calibration.faults["Q2"].why
    record = lab.connection.runs("test-turn", "Q2")[0]
    assert (record.outcome, record.after) == ("failed", "")
    assert lab.states()[Node("test-turn", "Q0")].status == "fresh"


def test_values_that_do_not_hold_are_rolled_back(lab, monkeypatch):
    bringup(lab)
    answers = iter([0.6, 0.6, 0.5, 0.5])
    monkeypatch.setattr(TRUTH, "of", lambda routine, target: next(answers) if target == "Q2" else 0.5)
    doubted = lab.connection.calibration().values["Q2.level"]
    _commit(lab, {"Q2.level": msgspec.structs.replace(doubted, quality="suspect")})
    walk = maintain(lab, ["Q2"])
    assert lab.connection.calibration().number("Q2.level") == 0.5
    assert any("rolled back" in action.why for action in walk)


def test_one_check_that_is_off_by_chance_rolls_nothing_back(lab, monkeypatch):
    bringup(lab)
    answers, node = iter([0.6, 0.6, float("nan"), 0.6]), ("test-level", "Q2")
    monkeypatch.setattr(TRUTH, "of", lambda *asked: next(answers) if asked == node else 0.5)
    doubted = lab.connection.calibration().values["Q2.level"]
    _commit(lab, {"Q2.level": msgspec.structs.replace(doubted, quality="suspect")})
    maintain(lab, ["Q2"])
    assert lab.connection.calibration().number("Q2.level") == 0.6
    assert lab.states()[Node("test-level", "Q2")].status == "fresh"


def test_ctrl_c_keeps_what_was_committed(lab):
    TRUTH.values["test-turn", "Q3"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        bringup(lab)
    calibration = lab.connection.calibration()
    assert calibration.has("Q0.level", "Q4.level")
    assert lab.connection.runs("test-turn", "Q3")[0].outcome == "stopped"
    del TRUTH.values["test-turn", "Q3"]
    measured()
    bringup(CalibrationSession(lab.connection, lab.folder, steps=STEPS))
    assert ("test-level", "Q0") not in measured()
    assert {node: state for node, state in lab.states().items() if state.status != "fresh"} == {}


def test_a_rack_that_is_away_ends_the_pass_and_marks_nothing(lab):
    bringup(lab)
    lo = DEVICE.oscillators[DEVICE.ports["d0"].lo].instrument
    now = time.time()
    lab.events = lambda: [Event(now, lo, "was identified again")]
    for routine in ("test-level", "test-turn", "test-both"):
        TRUTH.values[routine] = InstrumentUnreachableError("does not answer", subject="instrument awg1")
    with pytest.raises(InstrumentUnreachableError, match="awg1"):
        maintain(lab)
    assert not lab.connection.calibration().faults
    assert {lab.states()[Node("test-both", pair)].status for pair in ("Q0-Q1", "Q4-Q3")} == {"stale"}
    TRUTH.values.clear()
    assert {action.kind for action in maintain(lab)} == {"check"}, "it goes on as soon as the rack is back"
    assert {state.status for state in lab.states().values()} == {"fresh"}


@pytest.mark.parametrize("away", [{"Q2"}, {"Q3", "Q4"}, {"Q0", "Q1", "Q2", "Q3", "Q4"}])
def test_a_rack_that_dies_in_the_middle_of_a_row_says_nothing_about_its_targets(lab, away):
    for target in away:
        TRUTH.values["test-level", target] = InstrumentUnreachableError("does not answer", subject="instrument awg1")
    with pytest.raises(InstrumentUnreachableError):
        bringup(lab)
    calibration = lab.connection.calibration()
    assert not calibration.faults
    everyone = {f"Q{q}" for q in range(5)}
    assert {target for target in everyone if calibration.has(f"{target}.level")} == everyone - away
    assert all(lab.states()[Node("test-level", target)].status == "never" for target in away), "not failed"
    TRUTH.values.clear()
    bringup(lab)
    assert {state.status for state in lab.states().values()} == {"fresh"}


def test_ctrl_c_during_the_check_after_a_commit_leaves_nothing_unverified(lab, monkeypatch):
    bringup(lab)
    doubted = lab.connection.calibration().values["Q2.level"]
    _commit(lab, {"Q2.level": msgspec.structs.replace(doubted, quality="suspect")})
    answers = iter([0.9, 0.9, KeyboardInterrupt()])
    monkeypatch.setattr(TRUTH, "of", lambda routine, target: next(answers) if target == "Q2" else 0.5)
    with pytest.raises(KeyboardInterrupt):
        maintain(lab, ["Q2"])
    assert lab.connection.calibration().number("Q2.level") == 0.5
    assert lab.states()[Node("test-level", "Q2")].status == "stale"


def test_values_that_another_routine_put_there_are_verified_when_they_are_replaced(lab):
    bringup(lab)
    measured()
    rough = lab.connection.calibration().values["Q2.turn.amplitude"]
    _commit(lab, {"Q2.turn.amplitude": msgspec.structs.replace(rough, routine="test-rough", quality="suspect")})
    TRUTH.values["test-turn", "Q2"] = 0.45
    maintain(lab, ["Q2"])
    assert measured() == [("test-turn", "Q2")] * 3, "a check, a calibration, the check that verifies it"


def test_what_somebody_else_calibrates_meanwhile_is_not_lost_and_measured_again(lab, monkeypatch):
    bringup(lab)
    doubted = lab.connection.calibration().values
    names = ("Q1.turn.amplitude", "Q2.turn.amplitude")
    _commit(lab, {name: msgspec.structs.replace(doubted[name], quality="suspect") for name in names})
    measured()
    rival = iter([("test-turn", "Q2")])

    def of(routine, target):
        calibrating = len([one for one in TRUTH.measured if one == ("test-turn", "Q2")]) == 2
        if calibrating and target == "Q2" and next(rival, None):
            _commit(lab, {"Q2.turn.amplitude": Value(0.44, "", 1e-6, routine="test-turn", run_id="rival")})
        return 0.45 if routine == "test-turn" else 0.5

    monkeypatch.setattr(TRUTH, "of", of)
    maintain(lab, ["Q1", "Q2"])
    runs = lab.connection.runs("test-turn", "Q2")
    assert [run.outcome for run in runs if run.kind == "calibrate"][:2] == ["good", "stopped"]
    assert "somebody else" in next(run.reason for run in runs if run.outcome == "stopped")
    newest = lab.connection.calibration_log(1, "Q2.turn.amplitude")[0].calibration_id
    was = lab.connection.calibration(lab.connection.calibration(newest).parent)
    assert was.number("Q2.turn.amplitude") == 0.44, "it was measured under what the other one had found"
    assert not lab.connection.calibration().faults
    assert {lab.states()[Node("test-turn", q)].status for q in ("Q1", "Q2")} == {"fresh"}


def test_a_cooldown_that_begins_during_a_measurement_ends_the_pass(lab, monkeypatch):
    def of(routine, target):
        now = lab.connection.calibration()
        if not now.cooldown:
            cold = msgspec.structs.replace(design_sheet(DEVICE), cooldown="2", parent=now.calibration_id)
            lab.connection.put_calibration(cold)
            lab.connection.commit_calibration(cold.calibration_id, now.calibration_id, "warm and cold again")
        return 0.5

    monkeypatch.setattr(TRUTH, "of", of)
    with pytest.raises(ConflictError, match="cooldown"):
        bringup(lab)
    assert not lab.connection.calibration().has("Q0.level")


def test_no_record_is_missed_however_many_there_have_been_since(lab):
    bringup(lab)
    lab.situation()
    scans = [RunRecord(f"s{number}", "scan", "Q0", "scan", "good", 1.0, 2.0) for number in range(NEWEST)]
    lab.connection.put_run(RunRecord("looked", "test-turn", "Q3", "check", "good", 1.0, time.time() + 1))
    for scan in scans:
        lab.connection.put_run(scan)
    assert {"looked", "s0"} <= {record.run_id for record in lab.situation().records}


def test_an_oscillator_that_was_identified_anew(lab):
    bringup(lab)
    lo = DEVICE.oscillators[DEVICE.ports["d0"].lo].instrument
    lab.events = lambda: [Event(time.time() + 5, lo, "was identified again")]
    found = lab.states()
    assert found[Node("test-both", "Q0-Q1")].why == f"{lo} was identified again"
    assert found[Node("test-turn", "Q0")].status == "fresh"


def test_diagnose_names_what_it_cannot(lab):
    bringup(lab)
    TRUTH.values["test-level", "Q0"] = 0.45
    diagnose(lab, "Q0", "test-level")
    assert lab.connection.calibration().number("Q0.level") == 0.45
    with pytest.raises(InvalidValueError, match="legal: Q0, Q1"):
        diagnose(lab, "Q9")
    with pytest.raises(InvalidValueError, match="got t7; legal: test-level, "):
        diagnose(lab, "Q0", "t7")


def test_diagnose_tries_what_failed_once_more(lab):
    lab.graph = Graph(tuple(replace(step, vital=False) for step in STEPS), DEVICE)
    TRUTH.values["test-turn", "Q0"] = float("nan")
    bringup(lab)
    assert lab.states()[Node("test-turn", "Q0")].status == "failed"
    TRUTH.values.clear()
    done = diagnose(lab, "Q0")
    assert [(action.kind, action.node.routine) for action in done][-1] == ("calibrate", "test-turn")
    assert lab.states()[Node("test-turn", "Q0")].status == "fresh"


def test_diagnose_says_when_nothing_can_be_looked_at(lab):
    bringup(lab)
    lab.fault("Q0", "its line is on the executor")
    with pytest.raises(InvalidValueError, match=r"Q0: nothing of it .* faulty: its line is on the executor"):
        diagnose(lab, "Q0")


def test_another_operator_in_between(lab, monkeypatch):
    """A fault is marked over whatever was committed meanwhile; when it never gets through the conflict is raised."""
    real = lab.connection.commit_calibration
    rivals = iter(range(2))

    def commit(calibration_id, expected, why):
        if next(rivals, None) is not None:
            now = lab.connection.calibration()
            rival = now.with_values({"Q0.t1": Value(time.time())}, "")
            lab.connection.put_calibration(rival)
            real(rival.calibration_id, now.calibration_id, "rival")
        real(calibration_id, expected, why)

    monkeypatch.setattr(lab.connection, "commit_calibration", commit)
    lab.fault("Q2", "dead")
    assert set(lab.connection.calibration().faults) == {"Q2"}
    assert lab.connection.calibration().has("Q0.t1")
    monkeypatch.setattr(lab.connection, "commit_calibration", _never)
    with pytest.raises(ConflictError):
        lab.fault("Q3", "dead")


def _never(calibration_id, expected, why):
    raise ConflictError("another set is active", value=expected)


def test_collisions_are_named_and_directions_follow_the_frequencies():
    both = [(c, t) for pair in DEVICE.couplings for c, t in ((pair.control, pair.target), (pair.target, pair.control))]
    wired = replace_couplings(both)

    def frequencies(*f01):
        values = {f"Q{q}.f01": Value(f, "Hz") for q, f in enumerate(f01)}
        values |= {f"Q{q}.anharmonicity": Value(-330e6, "Hz") for q in range(5)}
        return CalibrationSet(DEVICE.name, values, "")

    good = frequencies(4.97e9, 4.88e9, 5.02e9, 4.905e9, 4.995e9)
    assert set(directions(wired, good)) == {"Q1-Q0", "Q1-Q2", "Q3-Q2", "Q3-Q4"}
    assert collisions(wired, good) == {}
    near = collisions(wired, frequencies(4.89e9, 4.88e9, 5.02e9, 4.905e9, 4.995e9))
    assert near == {"Q0-Q1": "collision: Q0 and Q1 are 10.0 MHz apart"}
    photon = collisions(wired, frequencies(4.97e9, 4.88e9, 5.047e9, 4.93e9, 4.995e9))
    assert photon == {"Q2-Q1": "collision: Q1 is 2.0 MHz from f02/2 of Q2"}
    same = collisions(wired, frequencies(4.97e9, 4.88e9, 5.02e9, 4.89e9, 4.995e9))
    assert set(same) == {"Q2-Q1", "Q2-Q3"}
    assert "Q1 and Q3, both neighbours of Q2" in same["Q2-Q3"].replace("Q3 and Q1", "Q1 and Q3")
    assert directions(wired, design_sheet(wired)) == {}, "the design sheet decides nothing"


def replace_couplings(pairs):
    rows = tuple(DEVICE.couplings[0].model_copy(update={"control": c, "target": t}) for c, t in pairs)
    return DEVICE.model_copy(update={"couplings": rows})


def test_colliding_pairs_are_faulty_with_the_collision_named(lab):
    values = {f"Q{q}.f01": Value(f, "Hz") for q, f in enumerate((4.89e9, 4.88e9, 5.02e9, 4.905e9, 4.995e9))}
    _commit(lab, values)
    bringup(lab)
    calibration = lab.connection.calibration()
    assert calibration.faults["Q0-Q1"].why.startswith("collision: Q0 and Q1")
    assert not calibration.has("Q0-Q1.ecr.amplitude")
    assert calibration.has("Q2-Q1.ecr.amplitude")
    _commit(lab, {"Q0.f01": Value(4.97e9, "Hz")})
    maintain(lab)
    assert not lab.connection.calibration().faults, "they have moved apart"
    assert lab.connection.calibration().has("Q0-Q1.ecr.amplitude")


def test_a_collision_is_named_where_it_has_cost_a_qubit_too(lab):
    """A neighbour of nearly the same frequency is turned along: the pulse's fit fails, and the collision says why."""
    _commit(lab, {f"Q{q}.f01": Value(f, "Hz") for q, f in enumerate((4.89e9, 4.88e9, 5.02e9, 4.905e9, 4.995e9))})
    lab.fault("Q0", "test-level: no fit")
    maintain(lab)
    assert {subject: fault.why for subject, fault in lab.connection.calibration().faults.items()} == {
        "Q0": "test-level: no fit", "Q0-Q1": "collision: Q0 and Q1 are 10.0 MHz apart"
    }  # fmt: skip


def _commit(lab, values):
    now = lab.connection.calibration()
    new = now.with_values(values, "later")
    lab.connection.put_calibration(new)
    lab.connection.commit_calibration(new.calibration_id, now.calibration_id, "by hand")


def test_rows_of_routines_that_are_not_installed_are_bridged():
    rows = (
        GraphEntry("test-level"),
        GraphEntry("no-such-routine", ("test-level",)),
        GraphEntry("test-turn", ("no-such-routine",)),
    )
    steps = default_steps(rows)
    assert [step.routine for step in steps] == ["test-level", "test-turn"]
    assert steps[1].after == ("test-level",)
    assert steps[1].gives == ("turn.amplitude",)


def test_rows_can_be_left_out():
    rows = (GraphEntry("test-level"), GraphEntry("test-turn", ("test-level",)), GraphEntry("test-both", ("test-turn",)))
    steps = default_steps(rows, without=["test-turn"])
    assert [(step.routine, step.after) for step in steps] == [("test-level", ()), ("test-both", ("test-level",))]
    with pytest.raises(InvalidValueError, match="legal: test-level"):
        default_steps(rows, without=["test-turns"])


def test_the_usual_order_has_a_routine_for_each_of_its_rows():
    assert [step.routine for step in default_steps()] == [row.routine for row in DEFAULT_GRAPH]


def pictures_of(page: Path) -> list[str]:
    """Return the pictures that a page shows; each is beside it, nothing else is, and each shows something."""
    shown = re.findall(r'<img loading=lazy width=\d+ height=\d+ alt="[^"]+" src="([^"]+)">', page.read_text())
    assert sorted(shown) == sorted(str(path.relative_to(page.parent)) for path in page.parent.glob("*_files/*"))
    assert all(imread(page.parent / name).std() > 0.02 for name in shown)
    return shown


def test_the_report_is_a_page_with_its_pictures_beside_it(lab, tmp_path):
    TRUTH.values["test-level", "Q1"] = float("nan")
    bringup(lab)
    marked = lab.connection.calibration().with_faults({"Q1": Fault("no <line> & no current")}, "")
    lab.connection.put_calibration(marked)
    lab.connection.commit_calibration(marked.calibration_id, lab.connection.calibration().calibration_id, "")
    TRUTH.values["test-level", "Q0"] = 0.45
    diagnose(lab, "Q0", "test-level")
    path = write_report(lab, tmp_path / "report.html")
    page = path.read_text()
    assert "no &lt;line&gt; &amp; no current" in page
    assert "<script" not in page
    assert len(pictures_of(path)) == 2 + 5 + 4 + 2
    assert len(page) < 50_000, "the pictures are not in the page"
    assert "Q4-Q3: 1 values" in page
    assert "nothing there" in page


def test_the_report_shows_runs_that_did_not_come_to_their_end_and_survives_a_routine(lab, tmp_path, monkeypatch):
    bringup(lab)
    for number, outcome in enumerate(("stopped", "failed", "good")):
        means = {name: (("schedule", "slot"), np.ones((4, 2)), {"units": "full scale"}) for name in "iq"}
        file = save(xarray.Dataset(means, attrs={"outcome": outcome}), tmp_path / f"r{number}.nc")
        record = RunRecord(f"r{number}", "test-level", f"Q{number}", "calibrate", outcome, 1e9, time.time() + 1)
        lab.connection.put_run(msgspec.structs.replace(record, file=str(file)))
    monkeypatch.setattr(Level, "analyse", lambda self, data: data["nothing"])
    path = write_report(lab, tmp_path / "report.html")
    page = path.read_text()
    assert len(pictures_of(path)) == 2 + 2 + 5 + 4, "all but those of the routine that cannot"
    assert page.count("the data cannot be drawn: ") == 3


def test_a_pair_is_calibrated_for_the_gate_that_its_lines_play():
    """A cross-resonance tone where there is no flux line, a flux pulse where there is one; never both."""
    for name, there, never in (("sim5", "cr-amplitude", "cz-chevron"), ("coupler2", "cz-chevron", "cr-amplitude")):
        device = load_device(Path(pulsed.configs.__file__).parent / f"{name}.toml")
        rows = {node.routine for node in Graph(default_steps(), device).nodes if "-" in node.target}
        assert there in rows
        assert never not in rows
        assert ("rb-ecr" in rows) == ("fine-ecr" in rows) == (name == "sim5")
