"""One daemon per instrument: a lock by address on this machine, which says who holds it and ends with its holder.

A lock is a file that the kernel locks for a process (flock), so that one that is killed leaves none behind. Daemons on
other machines do not see it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import socket
import stat
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from pulsed.drivers.contract import remaining
from pulsed.drivers.scpi.session import parse_address
from pulsed.model.errors import ConfigError, InstrumentTakenError

_PLACES = Path("/run/lock"), Path("/tmp")
_RETRY_SECONDS = 0.1
_LONGEST = 500
"""Letters of a holder."""


class InstrumentLocks:
    """The locks of the instruments with these ``addresses``, by name."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses
        self._files: dict[str, tuple[Path, int]] = {}

    def take(self, holder: str, deadline: float) -> None:
        """Take all locks in the name of ``holder``, or none; those that are taken are waited for until ``deadline``.

        Raises :class:`InstrumentTakenError` that says who has an instrument. Idempotent.
        """
        try:
            for name, address in sorted(self._addresses.items()):
                if name not in self._files:
                    path = _place() / f"pulsed-{hashlib.sha256(_endpoint(address).encode()).hexdigest()[:16]}.lock"
                    self._files[name] = path, _locked(path, name, address, holder, deadline)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let all go. Idempotent."""
        while self._files:
            path, file = self._files.popitem()[1]
            with contextlib.suppress(OSError):  # that of another user stays
                path.unlink()
            os.close(file)


def _locked(path: Path, name: str, address: str, holder: str, deadline: float) -> int:
    """Return the open file whose lock this process has from now on."""
    while True:
        file = _open(path)
        try:
            if _try_lock(file) and _is_at(file, path):
                os.ftruncate(file, 0)
                os.pwrite(file, holder[:_LONGEST].encode(), 0)
                return file
            if not remaining(deadline):
                raise InstrumentTakenError(
                    "another daemon on this machine has this instrument: stop it first", subject=f"instrument {name}",
                    value=f"{address}, held by {os.pread(file, _LONGEST, 0).decode(errors='replace')}",
                )  # fmt: skip
        except BaseException:
            os.close(file)
            raise
        os.close(file)
        time.sleep(_RETRY_SECONDS)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: int, path: Path) -> bool:
    """Whether an open file is still the one of ``path``: whoever had it may have removed it in between."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _open(path: Path) -> int:
    """Open a file that all users of this machine share. An existing one of another user may not be created again."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, flags)
    file = os.open(path, flags | os.O_CREAT, 0o666)
    with contextlib.suppress(OSError):  # somebody else was faster
        os.fchmod(file, 0o666)
    return file


def _place() -> Path:
    """Return the directory of the locks: the same for all users, so one that only some may write to will not do."""
    shared = (place for place in _PLACES if place.is_dir() and place.stat().st_mode & stat.S_IWOTH)
    return next(shared, Path(tempfile.gettempdir()))


def _endpoint(address: str) -> str:
    """Return what is the same for all ways to address one instrument: its host and port, else the address itself."""
    try:
        parsed, _ = parse_address(address)
    except ConfigError:
        return address.upper()
    host = str(parsed.host_address).lower()
    with contextlib.suppress(OSError):
        host = socket.gethostbyname(host)
    port = getattr(parsed, "port", None) or parsed.lan_device_name.partition(",")[2] or "4880"
    return f"{host}:{port}"
