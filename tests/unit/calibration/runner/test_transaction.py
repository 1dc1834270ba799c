"""Propose, validate, commit, verify, roll back: against the double of the store."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.calibration.runner.transaction import commit, refusal, restored, validate
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.errors import ConflictError, InstrumentUnreachableError
from pulsed.model.parameters import PARAMETERS, Limit, row_of
from pulsed.testing.simulated_lab import SimulatedLab


@pytest.fixture
def lab():
    return SimulatedLab.sim5()


def test_good_values_come_into_force_and_are_logged(lab):
    before = lab.calibration()
    found = commit(lab, {"Q0.t1": Value(80e-6, "s", 2e-6, run_id="r1")}, "t1 on Q0")
    assert lab.calibration() == found.calibration
    assert found.calibration.number("Q0.t1") == 80e-6
    assert found.calibration.parent == before.calibration_id
    entry = lab.calibration_log(1)[0]
    assert (entry.changed, entry.why) == (("Q0.t1",), "t1 on Q0")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("Q0.t1", np.nan, "not a number"),
        ("Q0.x.amplitude", 1.2, "outside"),
        ("Q0.x.amplitude", 0.2, "too far"),
        ("Q0.f01", 4.97e9 + 6e6, "too far"),
        ("Q0.readout.error", 0.7, "outside"),
        ("Q0.readout.discriminator", (0.0, 1.0, np.inf, 2.0, 1.0), "not a number"),
    ],
)
def test_bad_values_are_refused_with_the_reason(lab, name, value, why):
    found = commit(lab, {name: Value(value)}, "")
    assert why in found.refused[name]
    assert found.written == {}
    assert len(lab.calibration_log()) == 1, "nothing became active"


def test_values_of_one_run_stand_or_fall_together(lab):
    values = {
        "Q0.f01": Value(5.2e9, "Hz", run_id="a"),
        "Q0.t2star": Value(30e-6, "s", run_id="a"),
        "Q1.t2star": Value(30e-6, "s", run_id="b"),
    }
    good, refused = validate(values, lab.calibration())
    assert set(good) == {"Q1.t2star"}
    assert set(refused) == {"Q0.f01", "Q0.t2star"}


def test_a_longer_pulse_is_weaker_and_that_is_no_jump(lab):
    known = lab.calibration()
    longer = {"Q0.x.duration": Value(64.0, "dt", run_id="a")}
    half = {"Q0.x.amplitude": Value(known.number("Q0.x.amplitude") / 2, "full scale", run_id="a")}
    assert set(validate(longer | half, known)[0]) == {"Q0.x.duration", "Q0.x.amplitude"}
    assert "too far" in validate(half, known)[1]["Q0.x.amplitude"]
    same = {"Q0.x.amplitude": Value(known.number("Q0.x.amplitude"), "full scale", run_id="a")}
    assert "too far" in validate(longer | same, known)[1]["Q0.x.amplitude"]


def test_a_jump_from_a_value_of_the_design_sheet_is_taken(lab):
    cold = SimulatedLab.sim5(calibrated=False).calibration()
    far = Value(4.97e9 + 55e6, "Hz", 1e4)
    assert refusal("Q0.f01", far, cold) == ""
    assert "too far" in refusal("Q0.f01", far, lab.calibration())


def test_the_commit_of_somebody_else_is_taken_along(lab, monkeypatch):
    ours = {"Q0.t1": Value(80e-6, "s")}
    _meanwhile(lab, monkeypatch, {"Q3.t1": Value(50e-6, "s")})
    commit(lab, ours, "ours")
    now = lab.calibration()
    assert (now.number("Q0.t1"), now.number("Q3.t1")) == (80e-6, 50e-6)


def test_what_somebody_else_has_changed_in_between_is_refused_by_name(lab, monkeypatch):
    _meanwhile(lab, monkeypatch, {"Q0.t1": Value(50e-6, "s")})
    ours = {"Q0.t1": Value(80e-6, "s", run_id="a"), "Q0.t2": Value(80e-6, "s", run_id="a"), "Q1.t1": Value(81e-6, "s")}
    found = commit(lab, ours, "ours")
    assert "somebody else" in found.refused["Q0.t1"]
    assert found.conflicts == {"Q0.t1", "Q0.t2"}, "values of one run stand or fall together"
    now = lab.calibration()
    assert (now.number("Q0.t1"), now.number("Q1.t1")) == (50e-6, 81e-6)
    assert set(now.changed(lab.calibration(now.parent))) == {"Q1.t1"}


def test_a_commit_while_we_measured_is_not_lost(lab):
    """What counts is the set that was played under, not the moment in which the values are written."""
    working = lab.calibration()
    _put(lab, {"Q0.f01": Value(4.9701e9, "Hz", 1e3, run_id="B")})
    ours = {"Q0.f01": Value(4.96995e9, "Hz", 1e3, run_id="A"), "Q0.t1": Value(80e-6, "s", run_id="other")}
    found = commit(lab, ours, "A", base=working)
    assert found.conflicts == {"Q0.f01"}
    assert set(found.written) == {"Q0.t1"}
    assert lab.calibration().number("Q0.f01") == 4.9701e9
    assert commit(lab, ours, "A", base=lab.calibration()).conflicts == frozenset()


def test_no_value_crosses_a_cooldown(lab):
    working = lab.calibration()
    cold = CalibrationSet(working.device, {}, "then", working.calibration_id, "2")
    lab.put_calibration(cold)
    lab.commit_calibration(cold.calibration_id, working.calibration_id, "a new cooldown")
    with pytest.raises(ConflictError, match="cooldown"):
        commit(lab, {"Q0.x.amplitude": Value(0.31)}, "measured before", base=working)
    assert lab.calibration() == cold


def test_the_amplitude_of_a_flux_pulse_has_a_sign():
    calibration = SimulatedLab.sim5().calibration()
    assert refusal("Q0-Q1.cz.amplitude", Value(-0.2), calibration) == ""
    assert "outside" in refusal("Q0-Q1.cz.amplitude", Value(-1.2), calibration)
    assert "outside" in refusal("Q0-Q1.ecr.amplitude", Value(-0.2), calibration)


def _put(lab, values):
    now = lab.calibration()
    new = now.with_values(values, "then")
    lab.put_calibration(new)
    lab.commit_calibration(new.calibration_id, now.calibration_id, "theirs")


def _meanwhile(lab, monkeypatch, values):
    """Let somebody else commit between our reading and our writing."""
    write = lab.put_calibration

    def put(calibration):
        monkeypatch.setattr(lab, "put_calibration", write)
        base = lab.calibration()
        other = base.with_values(values, "then")
        write(other)
        lab.commit_calibration(other.calibration_id, base.calibration_id, "theirs")
        return write(calibration)

    monkeypatch.setattr(lab, "put_calibration", put)


def test_what_fails_verification_goes_back_and_the_rest_stays(lab):
    before = lab.calibration()
    values = {"Q0.t1": Value(80e-6, "s"), "Q1.t1": Value(81e-6, "s"), "Q1.new": Value(1.0)}
    seen = []

    def verify(calibration):
        seen.append(calibration.number("Q1.t1"))
        return {"Q1": "out of spec"}

    found = commit(lab, values, "both", verify=verify)
    now = lab.calibration()
    assert seen == [81e-6], "it measures under the new set"
    assert found.rolled_back == {"Q1": "out of spec"}
    assert set(found.written) == {"Q0.t1"}
    assert now.number("Q0.t1") == 80e-6
    assert now.values["Q1.t1"] == before.values["Q1.t1"]
    assert not now.has("Q1.new")
    assert "out of spec" in lab.calibration_log(1)[0].why


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), InstrumentUnreachableError("does not answer")])
def test_what_was_not_verified_to_the_end_goes_back(lab, stop):
    before = lab.calibration()

    def verify(calibration):
        _put(lab, {"Q3.t1": Value(50e-6, "s")})
        raise stop

    with pytest.raises(type(stop)):
        commit(lab, {"Q0.t1": Value(80e-6, "s"), "Q1.new": Value(1.0)}, "ours", verify=verify)
    assert before.changed(lab.calibration()) == ("Q3.t1",), "what somebody else did in between stays"


def test_all_values_of_a_run_that_fails_verification_go_back(lab):
    before = lab.calibration()
    values = {"Q0-Q1.ecr.angle": Value(0.3, run_id="a"), "Q0.t1": Value(80e-6, "s", run_id="a")}
    commit(lab, values, "both", verify=lambda _: {"Q0-Q1": "out of spec"})
    assert before.changed(lab.calibration()) == ()


def test_a_rival_during_verification_keeps_what_he_wrote(lab):
    def verify(calibration):
        _put(lab, {"Q0.t1": Value(51e-6, "s")})
        return {"Q0": "out of spec"}

    commit(lab, {"Q0.t1": Value(80e-6, "s"), "Q0.t2": Value(80e-6, "s")}, "ours", verify=verify)
    assert lab.calibration().number("Q0.t1") == 51e-6


@given(st.sets(st.sampled_from(["Q0.t1", "Q1.t1", "Q2.f01", "Q9.new"])))
def test_going_back_undoes_exactly_these_names(names):
    old = SimulatedLab.sim5().calibration()
    values = {name: Value(1.0) for name in ("Q0.t1", "Q1.t1", "Q2.f01", "Q9.new")}
    back = restored(old.with_values(values, "then"), old, names)
    assert set(back.changed(old)) == set(values) - names


@given(st.floats(-1e3, 1e3), st.floats(0, 100), st.floats(0, 1))
def test_the_larger_jump_counts(old, jump, relative):
    allowed = Limit(-1e9, 1e9, jump, relative).allowed(old)
    assert allowed == max(jump, relative * abs(old))
    assert Limit(0, 1).allowed(old) == np.inf


def test_no_calibrated_value_of_sim5_is_outside_its_limits(lab):
    calibration = lab.calibration()
    assert [name for name, value in calibration.values.items() if refusal(name, value, calibration)] == []


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("Q0.f01", 0.9e9, "outside 1e+09 to 2e+10"),
        ("Q12-Q3.ecr.angle", 7.5, "outside -7 to 7"),
        ("ro.delay", -1.0, "outside 0 to 100000"),
        ("Q0.x.duration", -8.0, "outside 0 to 1e+06"),
        ("Q0.rb.error", 1.1, "outside 0 to 1"),
    ],
)
def test_every_kind_of_subject_has_its_limits(name, value, why):
    assert why in refusal(name, Value(value), CalibrationSet("sim5", {}, "now"))


def test_a_value_of_somebody_elses_routine_must_be_a_number_and_that_is_all():
    empty = CalibrationSet("sim5", {}, "now")
    assert row_of("Q0.own.thing") is None
    assert refusal("Q0.own.thing", Value(1e30), empty) == ""
    assert "not a number" in refusal("Q0.own.thing", Value(float("nan")), empty)


def test_every_row_has_a_range_that_holds_something():
    for rows in PARAMETERS.values():
        for name, row in rows.items():
            assert row.limit.low < row.limit.high, name
