"""The file of a database: what may be taken for one, and that it stays the one that was opened."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from pathlib import Path

from pulsed.model.errors import ConfigError

_HEADER = b"SQLite format 3\0"

FileMark = tuple[int, int]
"""Device and inode."""


def prepare(path: Path) -> None:
    """Make a new database where there is no file. Raises :class:`ConfigError` for a file that is no database.

    An empty file is none: SQLite would make a new database of it, in place of one that was lost. A new one is made
    beside and renamed, so that none is left empty by whom is killed in between.
    """
    if not path.exists():
        _create(path)
        return
    with path.open("rb") as file:
        head = file.read(len(_HEADER))
    if not head:
        raise ConfigError(
            "the file of the database is empty: what was in it is lost", subject=f"store {path}",
            legal="a copy of it from a backup; or remove the file to begin with an empty store",
        )  # fmt: skip
    if head != _HEADER:
        raise ConfigError(
            "not a database: the file is left alone", subject=f"store {path}", value=repr(head)[1:],
            legal="a store of pulsed, or the path of a file that does not exist yet",
        )  # fmt: skip


def _create(path: Path) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    new = Path(name)
    try:
        with contextlib.closing(sqlite3.connect(new)) as database:
            database.execute("PRAGMA journal_mode = WAL")
        try:
            os.link(new, path)
        except FileExistsError:
            return  # somebody else was faster
        except OSError:  # no file has two names here
            new.rename(path)
    finally:
        new.unlink(missing_ok=True)


def mark(path: Path) -> FileMark | None:
    """Return which file this is, None when there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
