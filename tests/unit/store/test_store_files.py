"""What is taken for a store, and what a locked or damaged one does."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.errors import ConfigError, StoreError, StoreLockedError
from pulsed.store import Store, files
from pulsed.store import store as module
from pulsed.store.errors import LeaseLostError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pulsed.sqlite"


def opened(path: Path) -> Store:
    store = Store(f"sqlite:///{path}", "sim5")
    store.open(0.0, "me")
    return store


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_an_empty_file_is_refused_and_left_alone(path: Path) -> None:
    path.touch()
    with pytest.raises(ConfigError, match=r"is empty: what was in it is lost.*backup"):
        opened(path)
    assert path.stat().st_size == 0


def test_a_new_store_is_never_an_empty_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is killed while it is made leaves no file of its name that would be refused from then on."""
    files.prepare(path)
    assert path.stat().st_size > 0
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    opened(path).close()


def test_the_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE moz_places (url TEXT)")
    with pytest.raises(ConfigError, match=r"of another program.*tables moz_places"):
        opened(path)
    with contextlib.closing(sqlite3.connect(path)) as other, other:
        assert [name for (name,) in other.execute("SELECT name FROM sqlite_master")] == ["moz_places"]
        other.execute("CREATE TABLE alembic_version (version_num TEXT)")
        other.execute("INSERT INTO alembic_version VALUES ('ae12')")
    with pytest.raises(ConfigError, match="of another program"):
        opened(path)


def test_a_file_that_is_replaced_or_removed_is_noticed(path: Path) -> None:
    store = opened(path)
    store.renew(1.0)
    kept = path.rename(path.with_suffix(".kept"))
    with pytest.raises(LeaseLostError, match="removed or replaced"):
        store.renew(2.0)
    kept.rename(path)
    store.renew(2.0)
    shutil.copy(path, kept)
    kept.replace(path)
    with pytest.raises(LeaseLostError, match="removed or replaced"):
        store.renew(3.0)
    store.close()


def test_a_locked_database_is_told_within_two_seconds_and_nothing_is_written(path: Path, make_job) -> None:
    store = opened(path)
    with locked(path):
        began = time.monotonic()
        with pytest.raises(StoreLockedError, match="another process"):
            store.add_jobs([(make_job("a"), b"")], 1.0)
        assert time.monotonic() - began < 2.0
        assert store.jobs() == [], "reading goes on"
    store.add_jobs([(make_job("a"), b"")], 1.0)
    store.close()


def test_opening_waits_for_whoever_has_locked_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(path).close()
    monkeypatch.setattr(module, "_OPENING", 0.0)
    with locked(path), pytest.raises(StoreLockedError):
        opened(path)
    opened(path).close()


@pytest.mark.parametrize("damage", ["value", "name", "head", "parent"])
def test_a_set_whose_content_is_not_its_own_is_not_returned(path: Path, damage: str) -> None:
    store = opened(path)
    first = CalibrationSet("sim5", {f"Q{i}.frequency": Value(5e9 + i, "Hz") for i in range(9)}, "2026-01-01")
    second = first.with_values({"Q0.frequency": Value(6e9, "Hz")}, "2026-01-02")
    for one in (first, second):
        store.put_calibration(one, 0.0)
        assert store.calibration(one.calibration_id) == one
    store.set_current_calibration(second.calibration_id, 1.0)
    damages = {
        "value": "UPDATE calibration_change SET value = (SELECT value FROM calibration_change WHERE name = "
        "'Q1.frequency') WHERE name = 'Q2.frequency'",
        "name": "UPDATE calibration_change SET name = 'Q99.frequency' WHERE name = 'Q2.frequency'",
        "head": "UPDATE calibration_set SET head = (SELECT head FROM calibration_set WHERE number = 3 - number) "
        "WHERE number = 2",
        "parent": "DELETE FROM calibration_change WHERE name = 'Q2.frequency'",
    }
    if damage == "head":
        damages["head"] = "UPDATE calibration_set SET head = (SELECT head FROM calibration_set WHERE number = 1)"
    with contextlib.closing(sqlite3.connect(path)) as other, other:
        assert other.execute(damages[damage]).rowcount > 0
    for ask in (lambda: store.calibration(second.calibration_id), store.current_calibration):
        with pytest.raises(StoreError, match=f"calibration set {second.calibration_id}: .*damaged"):
            ask()
    store.close()
