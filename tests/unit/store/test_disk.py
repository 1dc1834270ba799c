"""Room on the disk: what is refused, and that nothing was written then."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from pulsed.model.errors import StoreError, StoreFullError
from pulsed.model.job import JobState
from pulsed.store import Store
from pulsed.store.disk import DiskWatch, path_of

MARK = 512 * 2**20


@pytest.fixture
def free(monkeypatch):
    """Set how many bytes are free."""

    def is_now(size):
        monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=size // 4096, f_frsize=4096))

    return is_now


def test_jobs_are_refused_below_the_mark_by_the_name_of_the_disk(free):
    disk = DiskWatch(Path("/srv/pulsed"), MARK)
    free(MARK)
    disk.check()
    disk._looked = -10.0
    free(MARK - 4096)
    with pytest.raises(
        StoreFullError, match=r"/srv/pulsed.*almost full.*511 MiB free|/srv/pulsed.*512 MiB free"
    ) as caught:
        disk.check()
    assert "limits.free_disk" in caught.value.legal
    assert "what jobs brought back is kept" in caught.value.legal
    assert isinstance(caught.value, StoreError)


@pytest.mark.parametrize("size", [0, 1, 2**20, 256 * 2**20])
def test_what_is_written_leaves_room_for_small_rows(free, size):
    disk = DiskWatch(Path("/srv/pulsed"), MARK)
    free(2 * size + MARK // 8 + 4096)
    disk.check_room(size)
    free(2 * size + MARK // 8 - 4096)
    with pytest.raises(StoreFullError):
        disk.check_room(size)


def test_a_database_elsewhere_has_a_disk_that_nobody_sees():
    assert path_of("postgresql+psycopg://user@host/pulsed") is None
    assert path_of("not a url") is None
    assert path_of("sqlite:////srv/pulsed/pulsed.sqlite") == Path("/srv/pulsed/pulsed.sqlite")
    disk = DiskWatch(None, 2**60)
    disk.check()
    disk.check_room(2**60)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_nothing_is_changed_by_what_does_not_fit(url, make_job, free):
    store = Store(url, "sim5", free_disk=MARK)
    store.open(0.0, "daemon")
    free(2**40)
    store.add_jobs([(make_job("a"), b"payload")], 0.0)
    for state in (JobState.COMPILING, JobState.READY, JobState.RUNNING):
        store.step("a", state, 1.0)
    free(MARK + 4096)
    store.disk._looked = -10.0
    with pytest.raises(StoreFullError, match="no room for it"):
        store.add_jobs([(make_job("large"), bytes(MARK // 2))], 0.0)
    free(2**20)
    store.disk._looked = -10.0
    with pytest.raises(StoreFullError):
        store.add_jobs([(make_job("b"), b"payload")], 0.0)
    with pytest.raises(StoreFullError):
        store.save_chunk("a", 0, b"chunk", 2.0)
    with pytest.raises(StoreFullError):
        store.finish("a", b"result", 2.0)
    assert store.job("a").state is JobState.RUNNING
    assert [info.job_id for info in store.jobs()] == ["a"]
    assert store.step("a", JobState.FAILED, 3.0).state is JobState.FAILED
    store.close()
