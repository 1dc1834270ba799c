"""Which set became active when, by whom and why; conflicts; tags; records of measurements."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from pulsed.model.calibration import CalibrationSet, Fault, PastValue, RunRecord, Value
from pulsed.model.errors import ConflictError, NotFoundError
from pulsed.store import Store


def first_set(count: int = 4) -> CalibrationSet:
    return CalibrationSet("sim5", {f"Q{i}.f01": Value(4.9e9 + i, "Hz") for i in range(count)}, "t0", cooldown="c7")


def put(store: Store, *sets: CalibrationSet) -> list[str]:
    return [store.put_calibration(one, 0.0) for one in sets]


def test_the_log_says_who_changed_what_and_why(store):
    first = first_set()
    second = first.with_values({"Q1.f01": Value(1.0), "Q9.t1": Value(2.0, "s")}, "t1")
    third = second.with_faults({"Q3": Fault("dead", "t2", "bob")}, "t2")
    a, b, c = put(store, first, second, third)
    store.commit_calibration(a, None, 10.0, "alice", "start")
    assert store.commit_calibration(b, a, 20.0, "alice", "a Ramsey") == second
    assert store.commit_calibration(c, b, 30.0, "bob", "no line") == third
    store.commit_calibration(a, c, 40.0, "alice", "back")
    log = store.calibration_log()
    assert [(e.calibration_id, e.since, e.by, e.why) for e in log] == [
        (a, 40.0, "alice", "back"), (c, 30.0, "bob", "no line"), (b, 20.0, "alice", "a Ramsey"),
        (a, 10.0, "alice", "start"),
    ]  # fmt: skip
    assert [e.changed for e in log] == [
        ("Q1.f01", "Q3.fault", "Q9.t1"), ("Q3.fault",), ("Q1.f01", "Q9.t1"), tuple(sorted(first.values)),
    ]  # fmt: skip
    assert store.calibration(c).faulty("Q3-Q2") == Fault("dead", "t2", "bob")
    assert store.calibration_log(2) == log[:2]
    assert store.calibration_log(name="Q9.t1") == [log[0], log[2]]
    assert store.calibration_log(name="Q3.fault") == log[:2]
    assert store.value_history("Q9.t1") == [PastValue(20.0, Value(2.0, "s"), b)]
    assert [(p.since, p.value.value, p.calibration_id) for p in store.value_history("Q1.f01")] == [
        (40.0, 4.9e9 + 1, a), (20.0, 1.0, b), (10.0, 4.9e9 + 1, a),
    ]  # fmt: skip
    assert store.value_history("Q1.f01", 1) == store.value_history("Q1.f01")[:1]
    assert store.value_history("Q0.nothing") == []


def test_the_second_of_two_operators_is_told_what_changed(store):
    first = first_set(20)
    mine = first.with_values({"Q0.f01": Value(1.0)}, "mine")
    theirs = first.with_values({f"Q{i}.f01": Value(2.0) for i in range(1, 16)}, "theirs")
    a, b, c = put(store, first, mine, theirs)
    store.commit_calibration(a, None, 1.0)
    store.commit_calibration(c, a, 2.0, "bob")
    with pytest.raises(ConflictError) as caught:
        store.commit_calibration(b, a, 3.0, "alice")
    assert caught.value.value.startswith("changed: Q1.f01, Q10.f01")
    assert caught.value.value.endswith("and 3 more")
    assert "Q0.f01" not in caught.value.value
    assert c in caught.value.legal
    assert store.current_calibration() == theirs
    assert len(store.calibration_log()) == 2
    with pytest.raises(ConflictError):
        store.commit_calibration(b, None, 3.0)
    with pytest.raises(NotFoundError, match="nowhere"):
        store.commit_calibration("nowhere", c, 3.0)
    with pytest.raises(NotFoundError):
        store.commit_calibration(b, "unheard-of", 3.0)


def test_a_commit_that_is_sent_twice_is_one(store):
    a, b = put(store, first_set(), first_set(5))
    for _ in range(2):
        store.commit_calibration(a, None, 1.0)
    for _ in range(2):
        store.commit_calibration(b, a, 2.0)
    assert [entry.calibration_id for entry in store.calibration_log()] == [b, a]


def test_tags_name_sets_and_are_not_taken_by_accident(store):
    a, b = put(store, first_set(), first_set(5))
    store.set_current_calibration(a, 1.0)
    for _ in range(2):
        store.tag_calibration(a, "good")
    store.tag_calibration(a, "also")
    assert store.tagged_calibration("good") == first_set()
    assert store.calibration_log()[0].tags == ("also", "good")
    with pytest.raises(ConflictError) as caught:
        store.tag_calibration(b, "good")
    assert caught.value.value == a
    store.tag_calibration(b, "good", move=True)
    assert store.tagged_calibration("good").calibration_id == b
    assert store.calibration_log()[0].tags == ("also",)
    with pytest.raises(NotFoundError, match="bad") as missing:
        store.tagged_calibration("bad")
    assert missing.value.legal == "also, good"
    with pytest.raises(NotFoundError, match="nowhere"):
        store.tag_calibration("nowhere", "x")


def test_records_of_measurements_come_back_newest_first(store):
    records = [
        RunRecord(f"r{i}", routine, target, "calibrate", "good", float(i), i + 0.5, values={"Q0.t1": Value(1.0, "s")})
        for i, (routine, target) in enumerate([("t1", "Q0"), ("t1", "Q1"), ("rabi", "Q0"), ("t1", "Q0")])
    ]
    for record in records:
        store.put_run(record)
    assert store.runs() == records[::-1]
    assert store.runs("t1") == [records[3], records[1], records[0]]
    assert store.runs("t1", "Q0", 1) == [records[3]]
    assert store.runs(target="Q0") == [records[3], records[2], records[0]]
    assert store.runs("drag") == []
    assert [store.runs(limit=1, run_id=one.run_id) for one in records] == [[one] for one in records]
    assert store.runs(run_id="r9") == store.runs("rabi", run_id="r0") == []
    again = RunRecord("r1", "t1", "Q1", "calibrate", "bad data", 1.0, 9.0, reason="flat")
    store.put_run(again)
    assert store.runs("t1", "Q1") == [again]
    assert len(store.runs()) == 4


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_history_is_that_of_the_sets_that_were_in_force(tmp_path_factory, seed):
    draw = random.Random(seed)
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('log')}/s.db", "sim5")
    store.open(0.0, "test")
    family, past = [first_set()], []
    try:
        for i in range(20):
            names = draw.sample([f"Q{k}.f01" for k in range(4)], draw.randrange(3))
            family.append(draw.choice(family).with_values({n: Value(draw.random()) for n in names}, str(i)))
            put(store, family[-1])
            chosen = draw.choice(family)
            put(store, chosen)
            current = past[-1].calibration_id if past else None
            store.commit_calibration(chosen.calibration_id, current, float(i))
            if chosen.calibration_id != current:
                past.append(chosen)
        assert [e.calibration_id for e in store.calibration_log()] == [p.calibration_id for p in past[::-1]]
        for name in first_set().values:
            expected = [p.values[name].value for p in past]
            changes = [v for i, v in enumerate(expected) if i == 0 or v != expected[i - 1]]
            assert [p.value.value for p in store.value_history(name)] == changes[::-1], f"seed {seed}"
    finally:
        store.close()


def test_an_older_store_gets_its_log_when_it_is_opened(store, url, monkeypatch):
    first = first_set()
    second = first.with_values({"Q1.f01": Value(1.0)}, "t1")
    ids = put(store, first, second)
    for i, now in ((0, 1.0), (1, 2.0), (0, 3.0)):
        store.set_current_calibration(ids[i], now)
    log, values = store.calibration_log(), store.value_history("Q1.f01")
    store.close()
    engine = create_engine(url)
    with engine.begin() as connection:  # as the first migration left it
        for table in (
            "calibration_commit", "calibration_history", "calibration_tag", "run", "job_log", "session", "usage",
            "queue_control", "interlocks", "job_session", "rack_address", "pruned_job", "note",
        ):  # fmt: skip
            connection.exec_driver_sql(f"DROP TABLE {table}")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    engine.dispose()
    store.open(1e3, "daemon")
    assert store.calibration_log() == log
    assert store.value_history("Q1.f01") == values
    assert len(values) == 3
