"""The audit log: who did what, from where, when, and with what outcome, as a chain that shows what was done to it.

It is a folder of files ``NNNNNNNNN.jsonl``, each named after its first record, of one JSON object per line. Every
record has a number and the SHA-256 of the line before, so a line that was changed, removed or moved breaks the chain
where it stood. The end of a chain proves nothing by itself: ``head.json`` has number and hash of the last record that
is known to be on the disk, written after it, so what was cut off the end is missed.

Several processes may write; each takes a lock, and looks whether another has written since. A line is written in one
piece before the one who asked is answered, so no kill of a process loses it; :meth:`AuditLog.sync` puts it on the disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pulsed.model.errors import StoreError

MOST = 16 * 2**20
"""Bytes of one file, after which another is begun."""
NOTHING = "0" * 64
"""What the first record has in place of the hash of the line before."""
_TAIL = 1 << 16
"""Bytes that are read of the end of a file; a line is shorter."""
MOST_TEXT = 2000
"""Letters of one field."""


class AuditRecord(msgspec.Struct, frozen=True):
    """One line."""

    who: str
    """Name of the key; of the machine's user for what is done without the daemon."""
    what: str
    """Kind of the request."""
    outcome: str
    """``done``, or ``refused``."""
    role: str = ""
    host: str = ""
    """The address that it came from."""
    object: str = ""
    """What it was about: the id of a job, a session, a calibration set; a key."""
    detail: str = ""
    person: str = ""
    """Whom the holder of the key spoke for, as they said: somebody signed in at the operators' page."""
    n: int = 0
    """Number in the chain, from 1."""
    time: str = ""
    """ISO 8601, UTC."""
    before: str = ""
    """SHA-256 of the line before."""


class _Head(msgspec.Struct, frozen=True):
    n: int = 0
    hash: str = NOTHING


_decode = msgspec.json.Decoder(AuditRecord).decode
_encode = msgspec.json.Encoder().encode


class AuditLog:
    """Appends to the log in ``directory``, which is made where it is not there."""

    def __init__(self, directory: Path, most: int = MOST) -> None:
        self.directory, self._most = directory, most
        self._lock: int | None = None
        self._file: int | None = None
        self._path, self._inode, self._size = directory, 0, 0
        self._end = _Head()
        self._synced = _Head()

    def append(self, records: Sequence[AuditRecord]) -> None:
        """Write records behind the last one, all of them or none. Raises :class:`StoreError`."""
        with self._locked():
            if not self._is_at_end():
                self._find_end()
            if self._size > self._most:
                self._begin_file()
            self._write(records)

    def sync(self) -> None:
        """Have what is written on the disk, then note that in the head. Raises :class:`StoreError`.

        It may be called in another thread, beside :meth:`append`: it takes no lock, and a head that falls back for a
        moment, because another process was faster, misses nothing that the next one does not find.
        """
        file, end = self._file, self._end
        if file is None or end == self._synced:
            return
        with self._errors():
            os.fdatasync(file)
            if read_head(self.directory).n < end.n:
                _write_head(self.directory, end)
            self._synced = end

    def close(self) -> None:
        """Sync, and close the files."""
        self.sync()
        for handle in (self._file, self._lock):
            if handle is not None:
                os.close(handle)
        self._file = self._lock = None

    # --- inside, with the lock ---------------------------------------------------------------------------------

    def _is_at_end(self) -> bool:
        """Whether nobody has written, or has put the file away, since this log has."""
        try:
            there = self._path.stat()
        except OSError:
            return False
        return self._file is not None and (there.st_ino, there.st_size) == (self._inode, self._size)

    def _write(self, records: Sequence[AuditRecord]) -> None:
        assert self._file is not None
        now, end, lines = datetime.now(UTC).isoformat(timespec="microseconds"), self._end, []
        for record in records:
            line = _encode(msgspec.structs.replace(record, n=end.n + 1, time=record.time or now, before=end.hash))
            lines.append(line)
            end = _Head(end.n + 1, hash_of(line))
        data = b"".join(line + b"\n" for line in lines)
        try:
            written = os.write(self._file, data)
            if written != len(data):
                raise OSError("no space left on device")
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)
        self._end = end

    def _find_end(self) -> None:
        """Find where the chain ends, which is where the head says when that is further than the lines."""
        files = files_of(self.directory)
        newest = files[-1] if files else self.directory / _name_of(1)
        self._open(newest)
        assert self._file is not None
        begins = max(0, self._size - _TAIL)
        tail = os.pread(self._file, _TAIL, begins)
        whole, _, torn = tail.rpartition(b"\n")
        if torn:
            self._size -= len(torn)
            os.ftruncate(self._file, self._size)
        head = read_head(self.directory)
        last = whole.rpartition(b"\n")[2]
        if last:
            self._end = _Head(_number_of(last, head.n), hash_of(last))
        elif len(files) > 1:  # the newest was begun, and nothing written
            last = files[-2].read_bytes().rstrip(b"\n").rpartition(b"\n")[2]
            self._end = _Head(_number_of(last, head.n), hash_of(last))
        else:
            self._end = _Head()
        if head.n > self._end.n:
            self._end = head  # lines were cut off: the hole stays visible
        if torn:
            said = f"{len(torn)} bytes of a line that was cut off as it was written were taken away"
            self._write([AuditRecord("pulsed", "audit.repair", "done", detail=said)])

    def _begin_file(self) -> None:
        """Go on in another file. The last line of this one says so, by which other writers notice."""
        following = _name_of(self._end.n + 2)
        self._write([AuditRecord("pulsed", "audit.rotate", "done", object=following)])
        assert self._file is not None
        os.fdatasync(self._file)
        _write_head(self.directory, self._end)
        self._open(self.directory / following)

    def _open(self, path: Path) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        found = os.fstat(self._file)
        self._path, self._inode, self._size = path, found.st_ino, found.st_size

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._errors():
            if self._lock is None:
                self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                with self._holding(self._lock):
                    if not (self.directory / "head.json").exists() and not files_of(self.directory):
                        _write_head(self.directory, _Head())
            with self._holding(self._lock):
                yield

    @staticmethod
    @contextlib.contextmanager
    def _holding(lock: int) -> Iterator[None]:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"the audit log cannot be written: {error.strerror or error}", subject=f"audit log {self.directory}"
            ) from error


def hash_of(line: bytes) -> str:
    """Return the SHA-256 of a line without its end."""
    return hashlib.sha256(line).hexdigest()


def files_of(directory: Path) -> list[Path]:
    """Return the files of a log in their order."""
    return sorted(path for path in directory.glob("*.jsonl") if path.stem.isdigit())


def read_head(directory: Path) -> _Head:
    """Return number and hash of the last record that is known to be on the disk; (0, ...) when that is unknown."""
    try:
        return msgspec.json.decode((directory / "head.json").read_bytes(), type=_Head)
    except (OSError, msgspec.MsgspecError):
        return _Head()


def records_of(directory: Path) -> Iterator[AuditRecord]:
    """Yield the records that can be read, in the order of the files."""
    for path in files_of(directory):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(msgspec.MsgspecError):
                yield _decode(line)


def _write_head(directory: Path, head: _Head) -> None:
    draft = directory / f".head.{os.getpid()}.{threading.get_ident()}"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, _encode(head))
        os.fdatasync(handle)
    finally:
        os.close(handle)
    draft.replace(directory / "head.json")


def _number_of(line: bytes, otherwise: int) -> int:
    try:
        return _decode(line).n
    except msgspec.MsgspecError:
        return otherwise


def _name_of(number: int) -> str:
    return f"{number:09}.jsonl"
