"""The database: connections that are durable, and the tables brought up to date."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

from sqlalchemy import (
    URL,
    Connection,
    Delete,
    Engine,
    Insert,
    Select,
    Update,
    create_engine,
    event,
    inspect,
    make_url,
    text,
)
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.sql.compiler import SQLCompiler

from pulsed.model.errors import ConfigError, IncompatibleError
from pulsed.store.tables import HEAD, metadata

BUSY_SECONDS = 1.0
"""How long a connection waits for another process that writes; what must not be lost is tried again."""

_NAMED = 5
"""Tables that an error lists."""
SqlParameters = dict[str, Any]

READ = {"pulsed_read": True}
"""Execution options of a connection that only reads."""


def connect(url: str) -> Engine:
    """Return an engine for ``url``; nothing is opened yet. Raises :class:`ConfigError`."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername=_POSTGRES_DRIVER)
        settings = _POSTGRES_SETTINGS if parsed.drivername == _POSTGRES_DRIVER else {}
        return create_engine(parsed, pool_pre_ping=True, connect_args=settings)
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError(
            "not the URL of a database", subject="store", value=_PASSWORD.sub(r"\1***@", url), legal=_LEGAL
        ) from error
    except ImportError as error:
        message = f"the driver {error.name} is not installed"
        raise ConfigError(
            message, subject="store", value=parsed.drivername, legal="pip install 'pulsed[postgresql]'"
        ) from error


_PASSWORD = re.compile(r"(//[^/:@]*:).*@")
_LEGAL = "sqlite:////path/of/a/file or postgresql://user@host/database"
_POSTGRES_DRIVER = "postgresql+psycopg"
"""SQLAlchemy before 2.1 would take psycopg2, which is not developed any further."""
_POSTGRES_SETTINGS = {
    "options": f"-c synchronous_commit=on -c lock_timeout={BUSY_SECONDS:.0f}s",
    "connect_timeout": "10",
    "application_name": "pulsed",
}
"""A job that is accepted is on the disk, whatever the server does for others, and nobody waits for ever."""


def _sqlite(url: URL) -> Engine:
    if url.database in (None, "", ":memory:"):
        raise ConfigError("a database in memory would keep nothing", subject="store", legal=_LEGAL)
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: Any) -> None:
        # Transactions are begun below: the driver of Python would leave some statements outside of one.
        connection.isolation_level = None
        # Pages that change often are copied back into the file once per 4000 pages of log (16 MB), not per 1000.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "wal_autocheckpoint = 4000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer locks at once: one that reads first and then writes could be refused without waiting.
        read = connection.get_execution_options().get("pulsed_read", False)
        raw = cast("sqlite3.Connection", connection.connection.dbapi_connection)
        raw.execute("BEGIN" if read else "BEGIN IMMEDIATE")

    return engine


def database_errors(engine: Engine) -> tuple[type[Exception], ...]:
    """Return what a database may raise: SQLAlchemy's errors, and those of the driver, which Prepared lets through."""
    return (SQLAlchemyError, cast("type[Exception]", engine.dialect.loaded_dbapi.Error))


def is_conflict(error: BaseException | None) -> bool:
    """Whether a row was refused because its key is there already (or another condition of its table)."""
    return type(error).__name__ in _CONFLICTS


def is_locked(error: BaseException | None) -> bool:
    """Whether the database has waited for another process that writes, for as long as it may."""
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode & 0xFF in _LOCKED
    return getattr(error, "sqlstate", None) == _LOCK_NOT_AVAILABLE


_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_LOCK_NOT_AVAILABLE = "55P03"
"""What PostgreSQL calls it."""


# Every driver has an IntegrityError of its own; psycopg raises more special ones.
_CONFLICTS = frozenset({"IntegrityError", "UniqueViolation"})


class Prepared:
    """A statement of plain parameters that runs often: SQLAlchemy makes its text once per kind of database.

    The usual way through SQLAlchemy costs several times what SQLite needs for one row.
    """

    def __init__(self, statement: Select[Any] | Insert | Update | Delete) -> None:
        self._statement = statement
        self._texts: dict[str, tuple[str, Callable[[SqlParameters], tuple[object, ...]] | None]] = {}

    def run(self, connection: Connection, parameters: SqlParameters) -> DBAPICursor:
        """Run it once, within the transaction of ``connection``; the cursor has the rows as plain tuples."""
        text, order = self._text(connection)
        cursor = connection.connection.cursor()
        cursor.execute(text, parameters if order is None else order(parameters))
        return cursor

    def run_many(self, connection: Connection, rows: Sequence[SqlParameters]) -> None:
        """Run it for each of ``rows``, within the transaction of ``connection``."""
        if len(rows) == 1:  # a server is asked once, and not for the end of a pipeline, too
            self.run(connection, rows[0])
            return
        text, order = self._text(connection)
        connection.connection.cursor().executemany(text, rows if order is None else [order(row) for row in rows])

    def _text(self, connection: Connection) -> tuple[str, Callable[[SqlParameters], tuple[object, ...]] | None]:
        name = connection.dialect.name
        if name not in self._texts:
            compiled = self._statement.compile(dialect=connection.dialect)
            assert isinstance(compiled, SQLCompiler)
            names = compiled.positiontup
            self._texts[name] = str(compiled), None if names is None else _in_order(names)
        return self._texts[name]


def _in_order(names: Sequence[str]) -> Callable[[SqlParameters], tuple[object, ...]]:
    if len(names) == 1:
        return lambda parameters: (parameters[names[0]],)
    return itemgetter(*names)


def migrate(connection: Connection) -> None:
    """Bring the tables to :data:`HEAD` within the transaction of ``connection``.

    Raises :class:`IncompatibleError` for a store that a newer version has written, and :class:`ConfigError` for the
    database of another program.
    """
    version = _version(connection)
    if version == HEAD:
        return
    _check_ours(connection, version)
    # Alembic takes longer to import than a start takes otherwise; most starts do not need it.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    known = [revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()]
    if version is not None and version not in known:
        raise IncompatibleError(
            "the store was written by a newer version of pulsed", subject="store", value=version, legal=", ".join(known)
        )
    config.attributes["connection"] = connection
    config.attributes["metadata"] = metadata
    command.upgrade(config, HEAD)


def _check_ours(connection: Connection, version: str | None) -> None:
    """Raise :class:`ConfigError` for a database that has tables, and not those that every store has had."""
    found = sorted(inspect(connection).get_table_names())
    if found and (version is None or not {"lease", "job"} <= set(found)):
        raise ConfigError(
            "the database is that of another program: it is left alone", subject="store",
            value=f"tables {', '.join(found[:_NAMED])}", legal="an empty database, a store of pulsed, or another path",
        )  # fmt: skip


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version
