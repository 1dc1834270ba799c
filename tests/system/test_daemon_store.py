"""What the daemon does when its database is not what it should be."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulsed.model.errors import InvalidValueError, NotFoundError, StoreLockedError
from pulsed.model.job import JobState
from pulsed.testing.daemon_process import DaemonProcess, eventually, stored_state
from pulsed.testing.jobs import PATIENCE, flip, job, packed, submit


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path_factory.mktemp("store")).start()
    yield process
    process.untell("hold")
    process.stop()


@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(home / "pulsed.sqlite", isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_a_locked_database_is_waited_for_and_no_job_is_lost(daemon: DaemonProcess) -> None:
    with daemon.client() as client:
        daemon.tell("hold")
        playing, waiting = submit(client), submit(client)
        eventually(lambda: daemon.lines("started"), "it plays")
        with locked(daemon.home):
            daemon.untell("hold")
            eventually(lambda: len(daemon.lines("played")) == 2, "both have been played")
            began = time.monotonic()
            with pytest.raises(StoreLockedError, match="another process"):
                client.submit(job(), [packed(flip())])
            assert time.monotonic() - began < 2.5, "two seconds, and the way there and back"
            status = client.status()
            assert not status.operational
            assert "locked by another process" in status.message
            assert {stored_state(daemon.home, one) for one in (playing, waiting)} <= {"running", "ready", "queued"}
            assert client.job(playing).state is not JobState.DONE, "it is not told before it is kept"
        for one in (playing, waiting):
            client.result(one, PATIENCE)
            assert stored_state(daemon.home, one) == "done"
        eventually(lambda: client.status().operational, "it is well again")
        client.result(submit(client), PATIENCE)
    log = (daemon.home / "logs" / "daemon.jsonl").read_text()
    assert "the database is locked by another process" in log
    assert "the database is free again" in log


def test_results_are_pruned_when_an_admin_says_so_and_it_is_told_when(daemon: DaemonProcess) -> None:
    with daemon.client() as client:
        old, new = submit(client), submit(client)
        for one in (old, new):
            client.result(one, PATIENCE)
        with contextlib.closing(sqlite3.connect(daemon.home / "pulsed.sqlite", timeout=30)) as database, database:
            database.execute("UPDATE job SET created = 1.0 WHERE job_id = ?", (old,))
        before = time.time() - 7200
        with pytest.raises(InvalidValueError, match="results: too young"):
            client.prune(before, results=time.time())
        assert client.prune(before, results=before, dry=True).ended.results == 1
        client.result(old, PATIENCE)
        assert client.prune(before, results=before).ended.results == 1
        with pytest.raises(NotFoundError, match="deleted by the retention"):
            client.result(old, PATIENCE)
        assert client.job(old).pruned == pytest.approx(time.time(), abs=60)
        assert client.prune(before, jobs=before).ended.jobs == 1
        with pytest.raises(NotFoundError, match="forgotten by the retention"):
            client.job(old)
        client.result(new, PATIENCE)


def test_a_database_that_is_removed_ends_the_daemon_and_an_empty_one_does_not_start(daemon: DaemonProcess) -> None:
    path = daemon.home / "pulsed.sqlite"
    kept = path.rename(path.with_suffix(".kept"))
    path.touch()
    assert daemon.wait(PATIENCE) != 0
    assert "removed or replaced" in (daemon.home / "output").read_text()
    with pytest.raises(RuntimeError, match="what was in it is lost"):
        daemon.start()
    kept.replace(path)
    daemon.start()
