"""Jobs: stored once, led through their states, listed and queued."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import create_engine, event

from pulsed.model.errors import (
    ErrorInfo,
    IllegalStepError,
    InvalidValueError,
    NotAllowedError,
    NotFoundError,
    StoreError,
)
from pulsed.model.job import JobLogEntry, JobState, RunOptions
from pulsed.store import Store
from pulsed.store.jobs import JobStep
from pulsed.testing import postgres


def chunks_of(store, job_id):
    return {index: store.chunk(job_id, index) for index in store.chunk_numbers(job_id)}


def run_to(store: Store, job_id: str, *states: JobState, now: float = 1.0) -> None:
    for state in states:
        store.step(job_id, state, now)


TO_RUNNING = (JobState.COMPILING, JobState.READY, JobState.RUNNING)


def test_a_submission_comes_back_as_it_was(store, make_job):
    options = RunOptions(shots=17, qubit_lo_freq=(4.9e9, 5.0e9))
    new = make_job("a", created=3.5, options=options, name="bell", tags=("x", "y"), priority=2, num_programs=4)
    (stored,) = store.add_jobs([(new, b"\x00payload\xff")], 4.0)
    assert stored == store.job("a")
    assert stored.times == {"queued": 4.0}
    assert (stored.options, stored.tags, stored.priority, stored.created) == (options, ("x", "y"), 2, 3.5)
    assert store.payload("a") == b"\x00payload\xff"


def test_the_same_id_gives_the_stored_job(store, make_job):
    first = store.add_jobs([(make_job("a", name="first"), b"1")], 1.0)
    run_to(store, "a", JobState.COMPILING)
    answers = store.add_jobs([(make_job("b"), b"2"), (make_job("a", name="other"), b"3"), (make_job("b"), b"4")], 2.0)
    assert [job.job_id for job in answers] == ["b", "a", "b"]
    assert answers[1].name == first[0].name
    assert answers[1].state is JobState.COMPILING
    assert store.payload("a") == b"1"
    assert store.payload("b") == b"2"
    assert len(store.jobs()) == 2


def test_an_id_of_another_owner_is_refused_and_nothing_of_the_group_stays(store, make_job):
    store.add_jobs([(make_job("a", "alice"), b"")], 1.0)
    with pytest.raises(NotAllowedError, match="job a"):
        store.add_jobs([(make_job("b", "bob"), b""), (make_job("a", "bob"), b"")], 2.0)
    assert [job.job_id for job in store.jobs()] == ["a"]
    assert store.job("a").owner == "alice"


def test_steps_follow_the_table_and_record_their_time(store, make_job):
    store.add_jobs([(make_job("a"), b"")], 1.0)
    store.step("a", JobState.COMPILING, 2.0, attempts=1)
    job = store.step("a", JobState.READY, 3.0, chunks=4, calibration_id="c1", times={"seconds.compile": 0.5})
    assert job.times == {"queued": 1.0, "compiling": 2.0, "ready": 3.0, "seconds.compile": 0.5}
    assert (job.attempts, job.chunks, job.calibration_id) == (1, 4, "c1")
    with pytest.raises(IllegalStepError):
        store.step("a", JobState.DONE, 4.0, attempts=9)
    assert store.job("a") == job
    error = ErrorInfo("instrument", "lost", "instrument awg1")
    assert store.step("a", JobState.FAILED, 5.0, error=error).error == error
    with pytest.raises(IllegalStepError):
        store.step("a", JobState.QUEUED, 6.0)


def test_an_update_changes_no_state(store, make_job):
    store.add_jobs([(make_job("a", tags=("old",)), b"")], 1.0)
    job = store.update("a", name="renamed", tags=("new", "newer"))
    assert (job.name, job.tags, job.state, job.times) == ("renamed", ("new", "newer"), JobState.QUEUED, {"queued": 1.0})
    assert store.jobs(tags=["old"]) == []
    assert store.jobs(tags=["newer", "new"], name="renamed") == [job]
    with pytest.raises(InvalidValueError, match="owner") as caught:
        store.update("a", owner="bob")  # type: ignore[call-arg]
    assert "calibration_id" in caught.value.legal
    assert store.job("a") == job


def test_what_does_not_exist_is_named(store, make_job):
    for call in (store.job, store.payload, store.result, store.chunk_numbers, store.update):
        with pytest.raises(NotFoundError, match=r"no such job.*nowhere"):
            call("nowhere")
    store.add_jobs([(make_job("a"), b"")], 1.0)
    with pytest.raises(NotFoundError, match="no result, it is queued"):
        store.result("a")


def test_lists_by_every_condition(store, make_job):
    rows = [make_job(f"j{i}", "alice" if i % 2 else "bob", float(i), name=f"n{i % 3}") for i in range(12)]
    store.add_jobs([(row, b"") for row in rows], 0.0)
    store.step("j3", JobState.CANCELLED, 20.0)

    def ids(**conditions: object) -> list[str]:
        return [job.job_id for job in store.jobs(**conditions)]

    assert ids() == [f"j{i}" for i in range(11, 1, -1)]
    assert ids(limit=None, newest_first=False) == [f"j{i}" for i in range(12)]
    assert ids(limit=3, skip=2) == ["j9", "j8", "j7"]
    assert ids(limit=None, skip=10) == ["j1", "j0"]
    assert ids(state=JobState.CANCELLED) == ["j3"]
    assert ids(state=[JobState.CANCELLED, JobState.DONE], owner="bob") == []
    assert ids(owner="alice", name="n0") == ["j9", "j3"]
    assert ids(created_after=4.0, created_before=7.0) == ["j6", "j5", "j4"]


def test_the_queue_is_by_priority_then_by_submission(store, make_job):
    for i, priority in enumerate((0, 5, 0, 5, -1)):
        store.add_jobs([(make_job(f"j{i}", priority=priority), b"")], 0.0)
    store.step("j1", JobState.CANCELLED, 1.0)
    run_to(store, "j2", *TO_RUNNING)
    assert [job.job_id for job in store.unfinished()] == ["j3", "j0", "j2", "j4"]


def test_chunks_then_the_result(store, make_job):
    store.add_jobs([(make_job("a"), b""), (make_job("b"), b"")], 0.0)
    for job_id in ("a", "b"):
        run_to(store, job_id, *TO_RUNNING)
    store.save_chunk("b", 0, b"other", 2.0)
    assert store.save_chunk("a", 1, b"one", 2.0).chunks_done == 1
    assert store.save_chunk("a", 0, b"zero", 2.0).chunks_done == 2
    assert store.save_chunk("a", 1, b"one again", 2.0).chunks_done == 2
    assert chunks_of(store, "a") == {0: b"zero", 1: b"one again"}
    job = store.finish("a", b"result", 3.0, times={"seconds.play": 1.5})
    assert (job.state, job.chunks_done) == (JobState.DONE, 2)
    assert job.times["done"] == 3.0
    assert job.times["seconds.play"] == 1.5
    assert store.result("a") == b"result"
    assert chunks_of(store, "a") == {}
    assert chunks_of(store, "b") == {0: b"other"}
    with pytest.raises(IllegalStepError):
        store.save_chunk("a", 2, b"late", 4.0)
    with pytest.raises(IllegalStepError):
        store.finish("a", b"twice", 4.0)
    assert store.result("a") == b"result"


def test_steps_taken_together_are_those_taken_one_by_one(store, make_job):
    store.add_jobs([(make_job("a"), b""), (make_job("b"), b"")], 0.0)
    steps = [
        JobStep(state, now, {"log": (JobLogEntry(now, str(state)),), **more})
        for state, now, more in [
            (JobState.COMPILING, 1.0, {"calibration_id": "set"}),
            (JobState.READY, 2.0, {"chunks": 1}),
            (None, 0.0, {}),
            (JobState.RUNNING, 3.0, {"attempts": 1, "times": {"seconds.queue": 0.5}}),
        ]
    ]
    for step in steps:
        if step.state is None:
            store.update("a", **step.changes)
        else:
            store.step("a", step.state, step.now, **step.changes)
    store.finish("a", b"result", 4.0)
    store.steps("b", lambda: steps[:2])
    store.steps("b", list)  # none are left
    store.finish("b", b"result", 4.0, None, steps[2:])
    one, other = store.job("a"), store.job("b")
    assert other == msgspec.structs.replace(one, job_id="b")
    assert store.job_log("b") == store.job_log("a")
    assert len(store.job_log("b")) == 4


def test_of_steps_of_which_one_is_illegal_none_is_taken(store, make_job):
    store.add_jobs([(make_job("a"), b"")], 0.0)
    with pytest.raises(IllegalStepError):
        store.steps("a", lambda: [JobStep(JobState.COMPILING, 1.0, {}), JobStep(JobState.RUNNING, 2.0, {})])
    with pytest.raises(IllegalStepError):
        store.finish("a", b"result", 2.0, None, [JobStep(JobState.COMPILING, 1.0, {})])
    assert store.job("a").state is JobState.QUEUED
    with pytest.raises(NotFoundError):
        store.result("a")


def test_a_job_that_ends_otherwise_leaves_no_chunks(store, make_job):
    store.add_jobs([(make_job("a"), b"")], 0.0)
    run_to(store, "a", *TO_RUNNING)
    store.save_chunk("a", 0, b"x", 1.0)
    store.step("a", JobState.INTERRUPTED, 2.0)
    assert chunks_of(store, "a") == {0: b"x"}
    store.step("a", JobState.CANCELLED, 3.0)
    assert chunks_of(store, "a") == {}


def test_everything_is_there_after_opening_again(store, url, make_job):
    store.add_jobs([(make_job("a"), b"p")], 0.0)
    run_to(store, "a", *TO_RUNNING)
    store.save_chunk("a", 0, b"c", 1.0)
    before = store.job("a")
    store.close()
    again = Store(url, "sim5")
    again.open(100.0, "daemon")
    assert (again.job("a"), again.payload("a"), chunks_of(again, "a")) == (before, b"p", {0: b"c"})
    again.close()


def test_racks_in_one_database_do_not_see_each_other(store, url, make_job):
    other = Store(url, "other")
    other.open(0.0, "someone else")
    store.add_jobs([(make_job("a", tags=("t",)), b"ours")], 0.0)
    other.add_jobs([(make_job("a", "bob", tags=("t",)), b"theirs")], 0.0)
    run_to(store, "a", *TO_RUNNING)
    store.save_chunk("a", 0, b"x", 0.0)
    other.step("a", JobState.CANCELLED, 0.0)
    assert store.payload("a") == b"ours"
    assert other.payload("a") == b"theirs"
    assert chunks_of(store, "a") == {0: b"x"}
    assert [job.owner for job in store.jobs(tags=["t"])] == ["alice"]
    assert [job.owner for job in other.jobs(tags=["t"])] == ["bob"]
    assert other.unfinished() == []
    other.close()


def test_threads_may_share_a_store(store, make_job):
    def submit(thread: int) -> None:
        for i in range(20):
            store.add_jobs([(make_job(f"{thread}-{i}"), b"x")], 0.0)
            store.job(f"{thread}-{i}")

    threads = [threading.Thread(target=submit, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.jobs(limit=None)) == 80


def test_a_database_that_fails_is_a_typed_error_and_the_store_goes_on(store, url, make_job):
    store.add_jobs([(make_job("a"), b"")], 0.0)
    vandal = create_engine(url)
    with vandal.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE payload RENAME TO hidden")
    with pytest.raises(StoreError, match="payload"):
        store.add_jobs([(make_job("b"), b"")], 0.0)
    with pytest.raises(StoreError, match="payload"):
        store.payload("a")
    with vandal.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE hidden RENAME TO payload")
    vandal.dispose()
    assert [job.job_id for job in store.jobs()] == ["a"]
    store.add_jobs([(make_job("b"), b"now")], 0.0)
    assert store.payload("b") == b"now"


def test_a_closed_store_says_so(url, make_job):
    store = Store(url, "sim5")
    for call in (store.jobs, store.unfinished, lambda: store.add_jobs([(make_job("a"), b"")], 0.0)):
        with pytest.raises(StoreError, match="not open"):
            call()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_the_file_is_durable_by_its_settings(store, url):
    with store._read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 1_000}
    assert Path(url.removeprefix("sqlite:///") + "-wal").exists()


def test_a_server_that_comes_back_is_used_again(make_job):
    """A server of its own, which is stopped under the store."""
    if postgres.missing():
        pytest.skip(postgres.missing())
    server = postgres.PostgresServer()
    try:
        with server.database() as url:
            store = Store(url, "sim5")
            store.open(0.0, "daemon")
            store.add_jobs([(make_job("a"), b"payload")], 0.0)
            server.restart()
            assert store.payload("a") == b"payload", "a read finds another connection"
            with pytest.raises(StoreError):
                store.add_jobs([(make_job("b"), b"")], 0.0)
            store.add_jobs([(make_job("b"), b"")], 0.0)
            assert {job.job_id for job in store.jobs()} == {"a", "b"}
            store.close()
    finally:
        server.stop()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_server_keeps_what_it_has_said_it_keeps_whatever_its_own_settings(store, url):
    """A connection asks for it: an administrator may have switched it off for the others."""
    other = create_engine(url)
    with other.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ALTER ROLE pulsed SET synchronous_commit = off")
    try:
        store.close()
        store.open(1.0, "daemon")
        with store._read() as connection:
            found = [
                connection.exec_driver_sql(f"SHOW {name}").scalar() for name in ("synchronous_commit", "lock_timeout")
            ]
        assert found == ["on", "1s"]
    finally:
        with other.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ALTER ROLE pulsed RESET synchronous_commit")
        other.dispose()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("conditions", [{"state": JobState.DONE}, {"owner": "alice"}, {"tags": ["t"]}])
def test_a_list_reads_an_index_and_not_the_rack(store, conditions):
    sent: list[tuple[str, object]] = []
    event.listen(store._engine, "before_cursor_execute", lambda _c, _k, sql, values, *_: sent.append((sql, values)))
    store.jobs(**conditions)
    ((sql, values),) = sent
    with store._read() as connection:
        plans = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert any("SEARCH" in plan for plan in plans), plans
    assert not any(plan.startswith("SCAN") for plan in plans), plans


def test_the_log_of_a_job_is_kept_in_order(store, make_job):
    store.add_jobs([(make_job("a"), b""), (make_job("b"), b"")], 1.0)
    first, second, third = (JobLogEntry(float(3 - k), f"what {k}", "é" * k) for k in range(3))
    assert store.job_log("a") == []
    store.step("a", JobState.COMPILING, 2.0, log=(first,))
    store.update("b", log=(third,))
    store.save_chunk("a", 0, b"", 3.0, [second])
    store.update("a", log=(third, first))
    assert store.job_log("a") == [first, second, third, first]
    assert store.job_log("b") == [third]
    assert store.job("a").state is JobState.COMPILING
    with pytest.raises(NotFoundError):
        store.job_log("c")


def test_a_result_in_chunks_keeps_them_and_no_other(store, make_job):
    store.add_jobs([(make_job("a"), b"")], 0.0)
    run_to(store, "a", *TO_RUNNING)
    for index in (0, 1, 5):  # the last is of another cut, before a restart
        store.save_chunk("a", index, bytes([index]), 1.0)
    with pytest.raises(StoreError, match="chunk of the result is missing"):
        store.finish("a", b"heads", 2.0, (3, b"last"), result_chunks=4)
    assert store.job("a").state is JobState.RUNNING
    assert store.chunk_numbers("a") == [0, 1, 5], "nothing of it was done"
    assert store.finish("a", b"heads", 2.0, (2, b"last"), result_chunks=3).result_chunks == 3
    assert chunks_of(store, "a") == {0: b"\0", 1: b"\1", 2: b"last"}
    assert store.result("a") == b"heads"
