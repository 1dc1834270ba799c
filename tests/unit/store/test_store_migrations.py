"""Opening a store: migrations, stores of other versions, and what is no store."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Select, Update, create_engine, inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

import pulsed.store
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.errors import ConfigError, IncompatibleError
from pulsed.model.job import JobState
from pulsed.store import Store, calibration_log, calibrations, engine, jobs, leases, runs
from pulsed.store.tables import HEAD, metadata

MIGRATIONS = Path(pulsed.store.__file__).parent / "migrations"


def test_head_is_the_newest_migration():
    from alembic.script import ScriptDirectory

    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [HEAD]


def test_the_migrations_make_the_tables_of_the_code(store, url):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        for table in metadata.tables.values() if engine.dialect.name == "sqlite" else ():
            made = connection.exec_driver_sql(
                "SELECT sql FROM sqlite_master WHERE name = ?", (table.name,)
            ).scalar_one()
            assert made.split() == str(CreateTable(table).compile(engine)).split()
    engine.dispose()


def test_a_store_that_is_up_to_date_opens_without_alembic(store, url):
    store.close()
    code = (
        "import sys; from pulsed.store import Store; s = Store(sys.argv[1], 'sim5'); s.open(0.0, 'x'); s.close();"
        "sys.exit(next((f'imported {m}' for m in ('alembic', 'numpy', 'pydantic') if m in sys.modules), 0))"
    )
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_store_of_a_newer_version_is_refused_and_left_alone(store, url):
    store.close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(IncompatibleError, match="newer version") as caught:
        store.open(1.0, "daemon")
    assert caught.value.value == "9999"
    assert HEAD in caught.value.legal
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == "9999"
    engine.dispose()


def test_a_migration_is_whole_or_not_at_all(url, monkeypatch):
    from pulsed.store import leases

    def fails(*_args: object) -> int:
        raise RuntimeError("on purpose")

    store = Store(url, "sim5")
    with monkeypatch.context() as patch:
        patch.setattr(leases, "take", fails)
        with pytest.raises(RuntimeError, match="on purpose"):
            store.open(0.0, "daemon")
    engine = create_engine(url)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == []
    engine.dispose()
    store.open(0.0, "daemon")
    assert store.jobs() == []
    store.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "not the URL"),
        ("nosuchdatabase://x/y", "not the URL"),
        ("sqlite://", "would keep nothing"),
        ("sqlite:///:memory:", "would keep nothing"),
        ("sqlite+nosuchdriver:///x", "not the URL"),
    ],
)
def test_a_url_that_cannot_be_used_is_named(url, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Store(url, "sim5").open(0.0, "daemon")
    assert caught.value.value in (url, "")
    assert "sqlite:////path" in caught.value.legal


def test_a_password_is_not_shown(tmp_path):
    with pytest.raises(ConfigError, match="not the URL") as caught:
        Store("nosuchdatabase://lab:secret@host/pulsed", "sim5").open(0.0, "daemon")
    assert caught.value.value == "nosuchdatabase://lab:***@host/pulsed"


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "pulsed.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigError, match="not a database"):
        Store(f"sqlite:///{path}", "sim5").open(0.0, "daemon")
    assert path.read_bytes() == b"not a database" * 100


def test_the_constructor_touches_nothing(tmp_path):
    Store(f"sqlite:///{tmp_path}/deep/er/pulsed.db", "sim5")
    assert list(tmp_path.iterdir()) == []


def test_the_tables_are_ones_that_postgresql_takes():
    dialect = postgresql.dialect()
    for table in metadata.sorted_tables:
        text = str(CreateTable(table).compile(dialect=dialect))
        assert "BYTEA" in text or not any(str(column.type) == "BLOB" for column in table.columns)
        for index in table.indexes:
            str(CreateIndex(index).compile(dialect=dialect))
        assert "rack" in table.columns


def test_the_statements_are_ones_that_postgresql_takes():
    dialect, seen = postgresql.dialect(), 0
    for module in (calibrations, calibration_log, jobs, leases, runs):
        for statement in vars(module).values():
            if isinstance(statement, Select | Update):
                text = str(statement.compile(dialect=dialect))
                assert ":" not in text.replace("::", ""), "a parameter in the style of another database"
                seen += 1
    assert seen >= 12


def fill_from(connection: sqlite3.Connection, path: Path) -> None:
    """Copy what the tables of two databases have in common."""
    connection.execute("ATTACH ? AS new", (str(path),))
    tables = "SELECT name FROM {0}.sqlite_master WHERE type = 'table' AND name != 'alembic_version'"
    columns = "SELECT name FROM pragma_table_info(?, '{0}')"
    both = [" INTERSECT ".join(query.format(name) for name in ("main", "new")) for query in (tables, columns)]
    for (table,) in connection.execute(both[0]).fetchall():
        names = ", ".join(f'"{name}"' for (name,) in connection.execute(both[1], (table, table)))
        connection.execute(f"INSERT OR REPLACE INTO main.{table} ({names}) SELECT {names} FROM new.{table}")
    connection.commit()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004", "0005", "0006"])
def test_a_store_of_an_older_version_keeps_its_jobs_and_calibrations(
    store, url, tmp_path, monkeypatch, make_job, revision
):
    """Rows of today in the tables of then: the columns that both have."""
    first = make_job("a", name="first", tags=("x", "y"), session_id="s1")
    store.add_jobs([(first, b"one"), (make_job("b"), b"two")], 1.0)
    for state in (JobState.COMPILING, JobState.READY, JobState.RUNNING):
        store.step("a", state, 2.0)
    store.finish("a", b"result", 3.0)
    calibration = CalibrationSet("sim5", {"Q0.f01": Value(5e9, "Hz")}, "2026-11-20T12:00:00+00:00")
    store.put_calibration(calibration, 1.0)
    store.set_current_calibration(calibration.calibration_id, 2.0)
    store.close()
    old = tmp_path / "old.db"
    maker = create_engine(f"sqlite:///{old}")
    with monkeypatch.context() as patch, maker.begin() as connection:
        patch.setattr(engine, "HEAD", revision)
        engine.migrate(connection)
    maker.dispose()
    with contextlib.closing(sqlite3.connect(old)) as connection:
        fill_from(connection, tmp_path / "pulsed.db")
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(revision,)]
        assert connection.execute("SELECT count(*) FROM job").fetchall() == [(2,)]
    upgraded, today = Store(f"sqlite:///{old}", "sim5"), Store(url, "sim5")
    for one in (upgraded, today):
        one.open(100.0, "daemon")
    assert upgraded.jobs() == today.jobs()
    assert [[job.job_id for job in one.jobs(session_id="s1")] for one in (upgraded, today)] == [["a"], ["a"]]
    assert [job.state for job in upgraded.unfinished()] == [JobState.QUEUED]
    assert (upgraded.payload("b"), upgraded.result("a")) == (b"two", b"result")
    assert upgraded.current_calibration() == calibration
    upgraded.add_jobs([(make_job("c"), b"three")], 101.0)
    assert upgraded.job("c").state is JobState.QUEUED
    for one in (upgraded, today):
        one.close()
