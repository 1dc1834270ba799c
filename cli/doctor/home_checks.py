"""The home directory of a daemon: its keys, its store, its disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from pulsed.cli.screens.doctor import Finding, good, note, problem
from pulsed.client.keys import load_key
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import KeyFileError

_QUICK = 256 * 2**20
"""Bytes of a database that is looked through; of a larger one only the head."""
_LOW = 4
"""Times ``limits.free_disk``: below this much room there will be too little soon."""


def check_home(home: Path) -> Iterator[Finding]:
    """Look at the directory itself."""
    if not home.is_dir():
        advice = "start a daemon once (`pulsed serve`), or name its home with --home or $PULSED_HOME"
        yield problem("home", f"there is no directory {home}", advice)
        return
    mode = stat.S_IMODE(home.stat().st_mode)
    if home.stat().st_uid != os.getuid() and os.getuid() != 0:
        yield problem("home", f"{home} belongs to another user", "run this as the user that runs the daemon")
    elif not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        yield problem("home", f"{home} cannot be written", f"chmod u+rwx {home}")
    elif mode & 0o022:
        yield problem("home", f"others may write into {home} ({mode:04o})", f"chmod 700 {home}")
    else:
        yield good("home", str(home))


def check_keys(home: Path) -> Iterator[Finding]:
    """Look at each key file as the daemon would."""
    clients = home / "clients"
    secret = [home / "server.key", *sorted(clients.glob("*.key"))]
    found, bad = 0, 0
    for path, has_secret in [*((path, True) for path in secret), *((path, False) for path in clients.glob("*.pub"))]:
        if path == secret[0] and not path.exists():
            yield problem("keys", f"there is no {path}", "the first start of a daemon makes one: `pulsed serve`")
            bad += 1
            continue
        try:
            load_key(path, secret=has_secret)
            found += 1
        except KeyFileError as error:
            bad += 1
            said = f": {error.value}" if error.value else ""
            advice = f"chmod 600 {path}" if "others" in error.message else "restore it, or delete it and make another"
            yield problem("keys", f"{path.name} {error.message}{said}", advice)
    if not bad:
        yield good("keys", f"the daemon's and {found - 1} of clients, each closed to others")


def check_store(home: Path) -> Iterator[Finding]:
    """Look at the database without changing anything, also beside a daemon that runs."""
    path = home / "pulsed.sqlite"
    if not path.exists():
        yield note("store", "there is none here yet", "the first start of a daemon makes one; or it is elsewhere")
        return
    restore = "stop the daemon, and restore pulsed.sqlite with its -wal from a backup; jobs in it are lost otherwise"
    if path.stat().st_size == 0:
        yield problem("store", f"{path} is empty", restore)
        return
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2.0) as database:
            yield _looked_through(database, path, restore)
        database.close()
    except sqlite3.OperationalError as error:
        advice = "see who has it open: `fuser pulsed.sqlite`; or whether its folder can be written"
        yield problem("store", f"{path} cannot be read: {error}", advice)
    except sqlite3.DatabaseError as error:
        yield problem("store", f"{path} is no database, or a damaged one: {error}", restore)


def _looked_through(database: sqlite3.Connection, path: Path, restore: str) -> Finding:
    from pulsed.store.tables import HEAD

    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "alembic_version" not in tables or "job" not in tables:
        return problem("store", f"{path} is a database of something else", restore)
    (version,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
    if version > HEAD:
        return problem("store", f"was written by a newer pulsed (tables {version}, {HEAD} here)", "update pulsed")
    if path.stat().st_size <= _QUICK:
        (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            return problem("store", f"{path} is damaged: {said}", restore)
    (jobs,) = database.execute("SELECT COUNT(*) FROM job").fetchone()
    return good("store", f"{jobs} jobs in {path.stat().st_size / 2**20:.1f} MiB, tables {version}")


def check_disk(home: Path, device: DeviceDescription | None) -> Iterator[Finding]:
    """Look at how much room there is."""
    mark = (DeviceDescription.model_fields["limits"].default if device is None else device.limits).free_disk
    place = next((path for path in (home, *home.parents) if path.exists()), Path("/"))
    free = shutil.disk_usage(place).free
    said = f"{free / 2**30:.1f} GiB free"
    advice = "make room; `pulsed cal prune --files` removes files of old measurements"
    if free < mark:
        yield problem("disk", f"{said}: no job is accepted below {mark / 2**30:.1f} GiB (limits.free_disk)", advice)
    elif free < _LOW * mark:
        yield note("disk", f"{said}; below {mark / 2**30:.1f} GiB no job is accepted", advice)
    else:
        yield good("disk", said)
