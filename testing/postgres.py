"""A PostgreSQL server of its own for tests: in a directory, on a free port of loopback, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import NullPool, create_engine, text

_INSTALLED = "/usr/lib/postgresql/*/bin"
"""Where Debian puts the programs, which are not on the PATH."""
_SETTINGS = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=32MB", "max_connections=50")


def missing() -> str:
    """Return why there can be no server here; empty when there can be one."""
    if not _program("initdb"):
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    if os.geteuid() == 0 and not (shutil.which("runuser") and _account()):
        return "PostgreSQL does not run as root, and there is no account postgres"
    return ""


def _program(name: str) -> str:
    places = sorted(Path("/").glob(_INSTALLED.lstrip("/")), reverse=True)
    return shutil.which(name, path=os.pathsep.join([*map(str, places), os.environ.get("PATH", "")])) or ""


def _account() -> pwd.struct_passwd | None:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres")
    return None


class PostgresServer:
    """One server. Its databases are as durable as SQLite with ``synchronous = FULL``: the defaults."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="pulsed-postgres-"))
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        account = _account()
        if self._as and account is not None:
            os.chown(self._directory, account.pw_uid, account.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        data = self._data = self._directory / "data"
        self._run("initdb", "-D", str(data), "-U", "pulsed", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        options = " ".join(f"-c {setting}" for setting in (f"port={self.port}", *_SETTINGS))
        self._start = ("-w", "-t", "120", "-l", str(self._directory / "log"), "-o", options)
        self._run("pg_ctl", "-D", str(data), *self._start, "start")

    def restart(self) -> None:
        """End the server, with all connections, and start it again."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "fast", *self._start, "restart")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as, _program(program), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, cwd=self._directory, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr[-1000:]}")

    def url(self, database: str) -> str:
        """Return the URL of a database, there or not."""
        return f"postgresql+psycopg://pulsed@127.0.0.1:{self.port}/{database}"

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database, yield its URL and drop it."""
        name = f"t{secrets.token_hex(6)}"
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        try:
            with engine.connect() as connection:
                connection.execute(text(f"CREATE DATABASE {name}"))
            yield self.url(name)
            with engine.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        finally:
            engine.dispose()

    def stop(self) -> None:
        """End the server, whatever is connected, and remove its files."""
        with contextlib.suppress(RuntimeError):
            self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._directory, ignore_errors=True)
