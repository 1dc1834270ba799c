"""The database: connections that are durable, and the tables brought up to date."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from pulsed.model.errors import ConfigError, IncompatibleError
from pulsed.store.tables import HEAD, metadata

BUSY_SECONDS = 10.0
"""How long a connection waits for another process that writes."""

READ = {"pulsed_read": True}
"""Execution options of a connection that only reads."""


def connect(url: str) -> Engine:
    """Return an engine for ``url``; nothing is opened yet. Raises :class:`ConfigError`."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed)
        return create_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError("not the URL of a database", subject="store", value=url, legal=_LEGAL) from error
    except ImportError as error:
        raise ConfigError(f"the driver {error.name} is not installed", subject="store", value=url) from error


_LEGAL = "sqlite:////path/of/a/file or postgresql+DRIVER://user@host/database"


def _sqlite(url: URL) -> Engine:
    if url.database in (None, "", ":memory:"):
        raise ConfigError("a store in memory keeps nothing", subject="store", value=str(url), legal=_LEGAL)
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: Any) -> None:
        # Transactions are begun below: the driver of Python would leave some statements outside of one.
        connection.isolation_level = None
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer locks at once: one that reads first and then writes could be refused without waiting.
        read = connection.get_execution_options().get("pulsed_read", False)
        connection.exec_driver_sql("BEGIN" if read else "BEGIN IMMEDIATE")

    return engine


def migrate(connection: Connection) -> None:
    """Bring the tables to :data:`HEAD` within the transaction of ``connection``.

    Raises :class:`IncompatibleError` for a store that a newer version has written.
    """
    version = _version(connection)
    if version == HEAD:
        return
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


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version
