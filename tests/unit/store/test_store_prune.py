"""What may be forgotten, and all that may not."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.model.calibration import CalibrationSet, Pruned, RunRecord, Value
from pulsed.model.errors import NotFoundError
from pulsed.model.job import JobInfo, JobState, RunOptions
from pulsed.model.notes import Note
from pulsed.store import Store

OLD, NOW = 100.0, 1000.0
BEFORE = 500.0


def record(run_id: str, ended: float = OLD, routine: str = "t1", **fields: object) -> RunRecord:
    return RunRecord(run_id, routine, "Q0", "calibrate", "good", ended - 1, ended, **fields)  # type: ignore[arg-type]


@pytest.fixture
def first(store: Store) -> CalibrationSet:
    found = CalibrationSet("sim5", {f"Q{i}.f01": Value(4.9e9 + i, "Hz") for i in range(20)}, "t0")
    store.put_calibration(found, OLD)
    store.commit_calibration(found.calibration_id, None, OLD)
    return found


def nudged(base: CalibrationSet, value: float, run_id: str = "", name: str = "Q0.f01") -> CalibrationSet:
    return base.with_values({name: Value(value, "Hz", run_id=run_id)}, f"t{value}")


def gone(store: Store, one: CalibrationSet) -> bool:
    try:
        return store.calibration(one.calibration_id) != one
    except NotFoundError:
        return True


def test_candidates_and_old_records_go_and_nothing_else(store, first):
    idle, young, tagged, committed = (nudged(first, value) for value in (1.0, 2.0, 3.0, 4.0))
    for one, stored in ((idle, OLD), (young, NOW), (tagged, OLD), (committed, OLD)):
        store.put_calibration(one, stored)
    store.tag_calibration(tagged.calibration_id, "good one")
    store.commit_calibration(committed.calibration_id, first.calibration_id, NOW)
    store.commit_calibration(first.calibration_id, committed.calibration_id, NOW)
    for one in (record("a", file="a.nc"), record("b", file="b.nc"), record("c"), record("young", NOW, "rb")):
        store.put_run(one)
    would = store.prune(BEFORE, dry=True)
    assert would == Pruned(2, 1, ("a.nc", "b.nc"))
    assert not gone(store, idle)
    assert store.prune(BEFORE) == would
    assert gone(store, idle)
    assert not any(gone(store, one) for one in (first, young, tagged, committed))
    assert [one.run_id for one in store.runs()] == ["young", "c"], "the newest of its kind stays, however old"
    assert store.prune(BEFORE) == Pruned(0, 0)
    again = nudged(first, 9.0)
    store.put_calibration(again, NOW)
    assert not gone(store, again), "a number is given again"


def test_sets_that_a_job_names_stay_and_their_parents(store, first):
    parent = nudged(first, 1.0)
    asked, played, other = nudged(parent, 2.0), nudged(parent, 3.0), nudged(first, 4.0)
    for one in (parent, asked, played, other):
        store.put_calibration(one, OLD)
    jobs = [
        JobInfo("a", "sim5", JobState.QUEUED, "me", OLD, options=RunOptions(calibration_id=asked.calibration_id)),
        JobInfo("b", "sim5", JobState.QUEUED, "me", OLD, calibration_id=played.calibration_id),
    ]
    store.add_jobs([(job, b"") for job in jobs], OLD)
    assert store.prune(BEFORE).sets == 1
    assert gone(store, other)
    assert not any(gone(store, one) for one in (parent, asked, played))


def test_where_the_values_that_were_in_force_came_from_is_known(store, first):
    measured, candidate = nudged(first, 1.0, "origin"), nudged(first, 2.0, "idle")
    for one in (measured, candidate):
        store.put_calibration(one, OLD)
    store.commit_calibration(measured.calibration_id, first.calibration_id, OLD)
    store.commit_calibration(first.calibration_id, measured.calibration_id, NOW)
    for run_id in ("origin", "idle", "newest"):
        store.put_run(record(run_id, file="same.nc"))
    assert store.prune(BEFORE) == Pruned(1, 1, ()), "a file that another record names, too, is not given up"
    assert {one.run_id for one in store.runs()} == {"origin", "newest"}


def test_a_record_that_stays_keeps_its_sets_and_a_set_the_records_of_its_values(store, first):
    """One after the other: the newest record names a set, whose value came from a record, which names another set."""
    deep = nudged(first, 1.0)
    named = nudged(first, 2.0, "source")
    for one in (deep, named):
        store.put_calibration(one, OLD)
    store.put_run(record("source", before=deep.calibration_id))
    store.put_run(record("newest", before=first.calibration_id, after=named.calibration_id))
    assert store.prune(BEFORE) == Pruned(0, 0)
    store.put_run(record("newer still"))
    assert store.prune(BEFORE) == Pruned(2, 2)


def test_what_somebody_wrote_a_note_about_stays(store, first):
    parent = nudged(first, 1.0)
    noted, idle = nudged(parent, 2.0), nudged(first, 3.0)
    for one in (parent, noted, idle):
        store.put_calibration(one, OLD)
    for one in (record("noted", file="n.nc"), record("idle"), record("newest")):
        store.put_run(one)
    notes = [Note("noted", "a TLS", "anna", OLD), Note(noted.calibration_id, "try again", "anna", OLD)]
    for one in notes:
        store.add_note(one)
    assert store.prune(BEFORE, dry=True) == store.prune(BEFORE) == Pruned(1, 1)
    assert not any(gone(store, one) for one in (parent, noted))
    assert gone(store, idle)
    assert [one.run_id for one in store.runs()] == ["newest", "noted"]
    assert store.notes() == notes[::-1]


def test_another_rack_in_the_same_store_is_left_alone(store, first, url):
    other = Store(url, "sim2")
    other.open(0.0, "another daemon")
    theirs = CalibrationSet("sim2", {"Q0.f01": Value(1.0)}, "t0")
    other.put_calibration(theirs, OLD)
    other.put_run(record("theirs"))
    other.put_run(record("theirs, too"))
    store.prune(BEFORE)
    assert not gone(other, theirs)
    assert len(other.runs()) == 2
    assert other.prune(BEFORE) == Pruned(1, 1)
    other.close()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_happened_what_is_kept_is_whole(tmp_path_factory, seed):
    moments = random.Random(seed)
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('prune')}/s.db", "sim5")
    store.open(0.0, "daemon")
    sets = [CalibrationSet("sim5", {f"Q{i}.f01": Value(float(i)) for i in range(8)}, "t0")]
    store.put_calibration(sets[0], OLD)
    store.commit_calibration(sets[0].calibration_id, None, OLD)
    in_force = sets[0]
    for step in range(30):
        one = nudged(moments.choice(sets), float(step), f"r{moments.randrange(30)}", f"Q{moments.randrange(8)}.f01")
        sets.append(one)
        store.put_calibration(one, moments.choice([OLD, OLD, NOW]))
        names = [moments.choice(sets).calibration_id for _ in range(2)]
        store.put_run(record(f"r{step}", moments.choice([OLD, NOW]), before=names[0], after=names[1]))
        if moments.random() < 0.2:
            store.commit_calibration(one.calibration_id, in_force.calibration_id, OLD + step)
            in_force = one
        if moments.random() < 0.1:
            store.add_jobs([(JobInfo(f"j{step}", "sim5", JobState.QUEUED, "", OLD, calibration_id=names[0]), b"")], OLD)
    before = [store.calibration(entry.calibration_id) for entry in store.calibration_log()]
    log, runs = store.calibration_log(), {one.run_id: one for one in store.runs()}
    pruned = store.prune(BEFORE)
    assert store.calibration_log() == log, seed
    kept = [one for one in sets if not gone(store, one)]
    assert len(sets) - len(kept) == pruned.sets, seed
    ids = {one.calibration_id for one in kept}
    assert {entry.calibration_id for entry in log} <= ids, seed
    assert [store.calibration(entry.calibration_id) for entry in log] == before, seed
    left = {one.run_id: one for one in store.runs()}
    assert len(runs) - len(left) == pruned.runs, seed
    assert all(one == runs[name] for name, one in left.items()), seed
    for one in left.values():
        assert {one.before, one.after} <= ids, seed
    for one in kept:
        assert one.parent is None or one.parent in ids, seed
        assert {value.run_id for value in one.values.values() if value.run_id in runs} <= left.keys(), seed
    for job in store.jobs(limit=None):
        assert job.calibration_id in ids, seed
    assert msgspec.structs.replace(store.prune(BEFORE), files=()) == Pruned(0, 0), seed
    store.close()
