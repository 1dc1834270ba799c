"""Pages of jobs, taken while others come and go: what is there all the time is on exactly one of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from pulsed.model.job import JobInfo, JobState
from pulsed.store import Store, tables

between = st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=6)
"""What happens between two pages: True hands a job in, False takes the one at this place away."""


def info(job_id: str, created: float = 0.0) -> JobInfo:
    return JobInfo(job_id, "sim5", JobState.QUEUED, "alice", created, tags=("even",) if int(job_id) % 2 == 0 else ())


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('pages')}/pulsed.db", "sim5")
    store.open(0.0, "daemon")
    yield store
    store.close()


def take_away(store: Store, job_id: str | None) -> None:
    """Delete a job, or all; no call of the store does."""
    with store._write() as connection:
        numbers = select(tables.job.c.number)
        if job_id is not None:
            numbers = numbers.where(tables.job.c.job_id == job_id)
        for table in (tables.job_tag, tables.payload, tables.job):
            connection.execute(delete(table).where(table.c.number.in_(numbers)))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 25), st.integers(1, 7), st.booleans(), st.booleans(), st.lists(between, min_size=1, max_size=12)
)  # fmt: skip
def test_each_job_that_is_there_all_the_time_is_on_one_page(
    pages: Store, count: int, size: int, newest_first: bool, tagged: bool, changes: list[list[tuple[bool, int]]]
) -> None:
    take_away(pages, None)
    if count:
        pages.add_jobs([(info(str(i)), b"") for i in range(count)], 0.0)
    ids = itertools.count(count)
    there = [str(i) for i in range(count)]
    gone: set[str] = set()
    found: list[str] = []
    key = None
    for change in itertools.chain(changes, itertools.repeat([])):
        page, key = pages.page(key, limit=size, newest_first=newest_first, tags=("even",) if tagged else ())
        assert len(page) <= size
        found += [one.job_id for one in page]
        if key is None:
            break
        for comes, place in change:
            if comes:
                there.append(str(next(ids)))
                pages.add_jobs([(info(there[-1]), b"")], 1.0)
            elif there:
                gone.add(taken := there.pop(place % len(there)))
                take_away(pages, taken)
    always = [str(i) for i in range(count) if str(i) not in gone and (not tagged or i % 2 == 0)]
    assert len(set(found)) == len(found), "twice"
    assert set(always) <= set(found), "dropped"
    assert [one for one in found if one in always] == (always[::-1] if newest_first else always), "order"


@pytest.mark.parametrize("count", [0, 3, 4, 5, 8])
def test_the_last_page_says_so(tmp_path: Path, count: int) -> None:
    store = Store(f"sqlite:///{tmp_path}/pulsed.db", "sim5")
    store.open(0.0, "daemon")
    if count:
        store.add_jobs([(info(str(i)), b"") for i in range(count)], 0.0)
    key, found, pages = None, [], 0
    while pages == 0 or key is not None:
        page, key = store.page(key, limit=4)
        found += page
        pages += 1
    assert [one.job_id for one in found] == [str(i) for i in reversed(range(count))]
    assert pages == count // 4 + 1
    store.close()


def test_a_beginning_is_taken_as_it_is_written(store, make_job) -> None:
    names = ["abcd1", "ABCD2", "abc%3", "abc_4", "abcd5", "ábcd6"]
    store.add_jobs([(make_job(name), b"") for name in names], 0.0)
    for start, fitting in [
        ("abcd", ["abcd5", "abcd1"]), ("ABCD", ["ABCD2"]), ("abc%", ["abc%3"]), ("abc_", ["abc_4"]),
        ("ábcd", ["ábcd6"]), ("abcd12", []),
    ]:  # fmt: skip
        assert [one.job_id for one in store.jobs_beginning_with(start)] == fitting
    assert [one.job_id for one in store.jobs_beginning_with("abc", limit=2)] == ["abcd5", "abc_4"]
