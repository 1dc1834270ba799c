"""What is forgotten is what was asked for, and it is said of it that it was there."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulsed.model.errors import NotFoundError
from pulsed.model.job import JobInfo, JobState, PrunedJobs
from pulsed.store import Store

NOW = 1_800_000_000.0
"""2027-01-15T08:00:00+00:00."""


def ended(store: Store, name: str, created: float, size: int = 10, *, tags: tuple[str, ...] = (), chunks: int = 0):
    store.add_jobs([(JobInfo(name, "sim5", JobState.QUEUED, "me", created, tags=tags), bytes(3))], created)
    for state in (JobState.COMPILING, JobState.READY, JobState.RUNNING):
        store.step(name, state, created)
    for index in range(chunks - 1):
        store.save_chunk(name, index, bytes(size), created)
    last = (chunks - 1, bytes(size)) if chunks else None
    store.finish(name, bytes(size), created, last, result_chunks=chunks)


def test_results_go_and_the_job_stays_in_lists(store):
    ended(store, "old", 1.0, chunks=3)
    ended(store, "new", 100.0)
    ended(store, "kept", 1.0, tags=("x", "keep"))
    store.add_jobs([(JobInfo("waits", "sim5", JobState.QUEUED, "me", 1.0), b"")], 1.0)
    wanted = PrunedJobs(results=1, bytes=3 + 4 * 10)
    assert store.prune_results(50.0, ("keep",), NOW, 100, dry=True) == wanted
    assert store.result("old") == bytes(10), "nothing was done"
    assert store.prune_results(50.0, ("keep",), NOW, 100, dry=False) == wanted
    assert store.prune_results(50.0, ("keep",), NOW, 100, dry=False) == PrunedJobs()
    assert {info.job_id for info in store.jobs()} == {"old", "new", "kept", "waits"}
    assert store.job("old").pruned == NOW
    for ask in (store.result, store.payload):
        with pytest.raises(NotFoundError, match=r"job old: .*deleted by the retention.*2027-01-15T08:00:00"):
            ask("old")
        assert ask("new")
        assert ask("kept")
    assert store.chunk_numbers("old") == []


def test_a_job_that_was_forgotten_is_said_to_have_been_there(store):
    ended(store, "old", 1.0, tags=("x",))
    ended(store, "new", 100.0)
    assert store.prune_jobs(50.0, (), NOW, 100, dry=False) == PrunedJobs(jobs=1, bytes=13)
    assert [info.job_id for info in store.jobs()] == ["new"]
    assert store.jobs(tags=("x",)) == []
    for ask in (store.job, store.result, store.job_log):
        with pytest.raises(NotFoundError, match=r"job old: .*forgotten by the retention.*2027-01-15T08:00:00"):
            ask("old")
    with pytest.raises(NotFoundError, match="no such job"):
        store.job("never")


def test_steps_are_small_and_the_oldest_go_first(store):
    for number in range(5):
        ended(store, f"j{number}", 10.0 - number)
    assert store.prune_jobs(9.5, (), NOW, 2, dry=False).jobs == 2
    assert {info.job_id for info in store.jobs()} == {"j0", "j1", "j2"}
    assert store.prune_jobs(9.5, (), NOW, 5, dry=False).jobs == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=8), st.integers(0, 300))
def test_what_stays_has_the_size_that_it_may_have(tmp_path_factory, sizes: list[tuple[int, bool]], most: int) -> None:
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('size')}/pulsed.db", "sim5")
    store.open(0.0, "me")
    try:
        for number, (size, kept) in enumerate(sizes):
            ended(store, f"j{number}", float(number), size, tags=("keep",) if kept else ())
        bound = store.results_beyond(most, ("keep",))
        if bound > -math.inf:
            store.prune_results(bound, ("keep",), NOW, 100, dry=False)
        left = [number for number in range(len(sizes)) if store.job(f"j{number}").pruned is None]
        gone = [number for number in range(len(sizes)) if number not in left]
        assert all(sizes[number][1] for number in left if gone and number < max(gone)), "the oldest go first"
        assert not any(sizes[number][1] for number in gone)
        total = sum(sizes[number][0] + 3 for number in left)
        assert total <= most or all(sizes[number][1] for number in left)
        if gone:
            assert total + sizes[max(gone)][0] + 3 > most, "no more than has to"
    finally:
        store.close()
