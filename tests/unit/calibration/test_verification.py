"""What becomes of imported values, with checks and calibrations that are made up; the rest is the session's own."""

from dataclasses import dataclass, field

import msgspec
import pytest

from pulsed.calibration.bringup import CalibrationSession
from pulsed.calibration.graph.default_graph import default_steps
from pulsed.calibration.graph.maintenance import CheckResult
from pulsed.calibration.verification import count, verify
from pulsed.model.calibration import Value
from pulsed.testing.simulated_lab import SimulatedLab

ISO = "2026-11-21T10:00:00+00:00"
IMPORTED = (
    "Q0.f01", "Q0.t1", "Q0.t2star", "Q0.x.amplitude", "Q0.x.duration", "Q0.x.sigma", "Q0.sx.amplitude", "Q1.f01",
    "Q1.x.amplitude", "Q1.readout.discriminator", "Q1.readout.duration", "Q0-Q1.cz.amplitude", "in.delay",
    "d0.mixer.offset",
)  # fmt: skip


@dataclass
class MadeUp(CalibrationSession):
    """Finds out of spec or bad what it is told to; calibrates to the value that is there, a tenth larger."""

    out: set = field(default_factory=set)
    bad: set = field(default_factory=set)
    hopeless: set = field(default_factory=set)
    healing: str = ""
    """A routine whose calibration makes bad data good."""
    asked: list = field(default_factory=list)

    def check(self, step, targets):
        self.asked += [("check", step.routine, target) for target in targets]
        return {target: self._check(step.routine, target) for target in targets}

    def _check(self, routine, target):
        if (routine, target) in self.bad:
            return CheckResult("bad data", "noise")
        return CheckResult("out of spec" if (routine, target) in self.out else "in spec", "far")

    def calibrate(self, step, targets, parameters):
        found = {}
        for target in targets:
            self.asked.append(("calibrate", step.routine, target))
            key = step.routine, target
            if key in self.hopeless or (key in self.bad and self.healing):
                found[target] = CheckResult("bad data", "still noise")
                continue
            if step.routine == self.healing:
                self.bad = set()
            now = self.connection.calibration()
            names = [full for name in step.gives if (full := f"{target}.{name}") in now.values]
            new = {
                name: msgspec.structs.replace(old, value=old.value * 1.1, quality="good", routine=step.routine)
                for name in names if isinstance((old := now.values[name]).value, float)
            }  # fmt: skip
            after = now.with_values(new, ISO)
            self.connection.put_calibration(after)
            self.connection.commit_calibration(after.calibration_id, now.calibration_id, "")
            found[target] = CheckResult("in spec", "", new)
        return found


@pytest.fixture
def session(tmp_path):
    lab = SimulatedLab.coupler2()
    now = lab.calibration()
    new = {
        name: msgspec.structs.replace(
            now.values.get(name, Value(1e-5, "s")), quality="unverified", routine="import", run_id="f: a", time=ISO
        )
        for name in IMPORTED
    }
    after = now.with_values(new, ISO)
    lab.put_calibration(after)
    lab.commit_calibration(after.calibration_id, now.calibration_id, "")
    return MadeUp(lab, tmp_path, default_steps())


def findings(found):
    return {one.name: one.finding for one in found}


def qualities(session):
    return {name: session.connection.calibration().values[name].quality for name in IMPORTED}


def test_what_checks_find_in_spec_is_good_with_what_belongs_to_it(session):
    found = verify(session)
    assert count(found) == {"good": 12, "mended": 0, "faulty": 0, "not measured": 2}
    left = {one.name: one.why for one in found if one.finding == "not measured"}
    assert left["Q0.t2star"] == "no check looks at it: `pulsed cal run ramsey Q0` measures it"
    assert set(left) == {"Q0.t2star", "d0.mixer.offset"}
    assert all(kind == "check" for kind, *_ in session.asked)
    assert qualities(session)["Q0.x.sigma"] == "good"
    assert qualities(session)["Q0.t2star"] == "unverified"


def test_only_what_is_imported_is_measured(session):
    verify(session)
    asked = {(routine, target) for _, routine, target in session.asked}
    assert ("t1", "Q0") in asked
    assert ("t1", "Q1") not in asked
    assert not {routine for routine, _ in asked} & {"qubit-spectroscopy", "readout-optimum", "mixer", "anharmonicity"}


def test_what_is_out_of_spec_is_measured_and_mended(session):
    session.out = {("fine-amplitude", "Q0"), ("discriminator", "Q1")}
    before = session.connection.calibration().number("Q0.x.amplitude")
    found = {one.name: one for one in verify(session)}
    assert found["Q0.x.amplitude"].finding == "mended"
    assert found["Q0.x.amplitude"].was == before
    assert found["Q0.x.amplitude"].now == pytest.approx(1.1 * before)
    assert found["Q0.x.duration"].finding == "good"
    assert ("calibrate", "fine-amplitude", "Q1") not in session.asked


def test_bad_data_lead_to_what_is_above_and_back(session):
    session.bad, session.healing = {("rabi", "Q0")}, "qubit-spectroscopy"
    found = findings(verify(session))
    order = [(kind, routine) for kind, routine, target in session.asked if target == "Q0"]
    assert order.index(("calibrate", "qubit-spectroscopy")) < order.index(("calibrate", "rabi"))
    assert found["Q0.x.amplitude"] == "mended"
    assert session.connection.calibration().faults == {}


def test_what_cannot_be_found_is_faulty_and_leaves_the_others(session):
    session.bad = {("rabi", "Q1")}
    session.hopeless = {("rabi", "Q1"), ("qubit-spectroscopy", "Q1")}
    found = findings(verify(session))
    assert found["Q1.x.amplitude"] == "faulty"
    assert found["Q0.x.amplitude"] == "good"
    assert "rabi" in session.connection.calibration().faults["Q1"].why
    assert qualities(session)["Q1.x.amplitude"] == "suspect"
    assert found["Q0-Q1.cz.amplitude"] == "faulty", "a pair is of no use without its qubit"


def test_a_stop_keeps_what_was_found(session):
    def tell(action):
        if action.node.routine == "ramsey":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(session, tell=tell)
    assert qualities(session)["Q0.x.amplitude"] == "good"
    assert qualities(session)["Q0.t1"] == "unverified"
    verify(session)
    assert qualities(session)["Q0.t1"] == "good"


def test_targets_are_those_named(session):
    assert {one.name.partition(".")[0] for one in verify(session, ["Q1"])} == {"Q1"}
    assert qualities(session)["Q0.f01"] == "unverified"


def test_without_imported_values_nothing_is_measured(tmp_path):
    session = MadeUp(SimulatedLab.coupler2(), tmp_path, default_steps())
    assert verify(session) == []
    assert session.asked == []


def test_what_is_there_in_part_is_not_overwritten_by_what_is_rough(session):
    """Without the resonance the spectroscopy has nothing to compare with, and would measure all anew."""
    now = session.connection.calibration()
    doubted = msgspec.structs.replace(now.values["Q0.readout.frequency"], quality="unverified", routine="import")
    kept = {name: value for name, value in now.values.items() if name != "Q0.readout.resonance"}
    after = msgspec.structs.replace(now, values={**kept, "Q0.readout.frequency": doubted})
    session.connection.put_calibration(after)
    session.connection.commit_calibration(after.calibration_id, now.calibration_id, "")
    verify(session, ["Q0"])
    assert "resonator-spectroscopy" not in {routine for _, routine, _ in session.asked}
