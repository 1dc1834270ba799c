"""Calibration sets come back as they were, and it is known which one was active when."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.model.calibration import CalibrationSet, Fault, Value
from pulsed.model.errors import InvalidValueError, NotFoundError
from pulsed.store import Store


def some_set(count: int = 3, device: str = "sim5") -> CalibrationSet:
    values = {f"Q{i}.f01": Value(4.9e9 + i, "Hz", 1e3, "2026-11-21", "ramsey", f"run{i}") for i in range(count)}
    return CalibrationSet(device, values, created="2026-11-21T10:00:00Z", cooldown="c7")


def test_a_set_comes_back_as_it_was(store):
    first = some_set()
    assert store.put_calibration(first, 1.0) == first.calibration_id
    assert store.calibration(first.calibration_id) == first
    second = first.with_values({"Q1.f01": Value((1.0, -2.5)), "d0.mixer.offset": Value((0.1, 0.2), "V")}, "later")
    store.put_calibration(second, 2.0)
    store.put_calibration(second, 3.0)
    assert store.calibration(second.calibration_id) == second
    assert store.calibration(second.calibration_id).calibration_id == second.calibration_id
    assert store.calibration(first.calibration_id) == first


def test_a_value_that_is_gone_stays_gone(store):
    first = some_set(8)
    store.put_calibration(first, 1.0)
    fewer = CalibrationSet(
        "sim5", {k: v for k, v in first.values.items() if k != "Q1.f01"}, "t", first.calibration_id, cooldown="c7"
    )
    back = fewer.with_values({"Q1.f01": first.values["Q1.f01"]}, "u")
    store.put_calibration(fewer, 2.0)
    store.put_calibration(back, 3.0)
    assert store.calibration(fewer.calibration_id) == fewer
    assert store.calibration(back.calibration_id) == back


def test_a_set_whose_parent_is_elsewhere_is_whole(store):
    child = some_set().with_values({"Q0.f01": Value(1.0)}, "later")
    store.put_calibration(child, 1.0)
    assert store.calibration(child.calibration_id) == child


def test_what_would_come_back_otherwise_is_refused(store):
    bad = CalibrationSet("sim5", {"Q0.f01": Value(5)}, "t")
    with pytest.raises(InvalidValueError, match="floats") as caught:
        store.put_calibration(bad, 1.0)
    assert bad.calibration_id in caught.value.subject
    with pytest.raises(NotFoundError, match=bad.calibration_id):
        store.calibration(bad.calibration_id)


def test_which_set_is_in_force_and_was(store):
    first, second = some_set(), some_set(4)
    assert store.current_calibration() is None
    assert store.calibration_as_of(1e12) is None
    for one in (first, second):
        store.put_calibration(one, 0.0)
    assert store.current_calibration() is None
    store.set_current_calibration(first.calibration_id, 10.0)
    store.set_current_calibration(second.calibration_id, 20.0)
    store.set_current_calibration(first.calibration_id, 30.0)
    assert store.current_calibration() == first
    found = [store.calibration_as_of(t) for t in (9.9, 10.0, 19.9, 20.0, 29.9, 30.0, 1e9)]
    assert found == [None, first, first, second, second, first, first]
    with pytest.raises(NotFoundError, match="nowhere"):
        store.set_current_calibration("nowhere", 40.0)
    assert store.current_calibration() == first


def test_a_clock_that_went_back_does_not_hide_the_newest_set(store):
    first, second = some_set(), some_set(4)
    for one, now in ((first, 100.0), (second, 50.0)):
        store.put_calibration(one, now)
        store.set_current_calibration(one.calibration_id, now)
    assert store.current_calibration() == second
    assert store.calibration_as_of(100.0) == second


def test_a_store_grows_with_what_changed(store):
    current = some_set(200)
    store.put_calibration(current, 0.0)
    changed, ids = 200, [current]
    for i in range(300):
        current = current.with_values({f"Q{i % 200}.f01": Value(float(i)), "Q7.f01": Value(-float(i))}, str(i))
        changed += 2
        store.put_calibration(current, float(i))
        ids.append(current)
    with store._read() as connection:
        rows = connection.exec_driver_sql("SELECT count(*) FROM calibration_change").scalar_one()
        weight = connection.exec_driver_sql("SELECT max(weight) FROM calibration_set").scalar_one()
    assert rows <= 4 * changed
    assert weight <= 1.5 * 200
    for one in ids[::37]:
        assert store.calibration(one.calibration_id) == one


def test_sets_in_which_no_value_changes_make_no_endless_chain(store):
    """Faults come and go, and candidates of equal values are proposed: reading one set stays cheap."""
    current = some_set(40)
    store.put_calibration(current, 0.0)
    for i in range(200):
        current = current.with_faults({f"Q{i % 7}": Fault("why")}, str(i))
        store.put_calibration(current, float(i))
    with store._read() as connection:
        longest = connection.exec_driver_sql("SELECT max(number - base) FROM calibration_set").scalar_one()
    assert longest <= 40
    assert store.calibration(current.calibration_id) == current


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_family_of_sets_comes_back(tmp_path_factory, seed):
    draw = random.Random(seed)
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('family')}/s.db", "sim5")
    store.open(0.0, "test")
    family = [some_set(draw.randrange(6))]
    for i in range(25):
        parent = draw.choice(family)
        values = dict(parent.values)
        for name in draw.sample([f"Q{k}.f01" for k in range(6)], draw.randrange(4)):
            if draw.random() < 0.3:
                values.pop(name, None)
            else:
                values[name] = Value(draw.choice([0.0, 1.0, (1.0, 2.0), -3e300]), stderr=draw.choice([None, 0.5]))
        origin = draw.choice([parent.calibration_id, parent.calibration_id, None])
        family.append(CalibrationSet("sim5", values, str(i), origin))
    try:
        for one in family:
            store.put_calibration(one, 0.0)
        for one in family:
            assert store.calibration(one.calibration_id) == one, f"seed {seed}"
    finally:
        store.close()
