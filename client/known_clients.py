"""The clients that a daemon lets in.

It takes names and roles from its own ``clients/`` only: a remote user needs a copy of their ``.key``, or sends in the
public half as ``clients/NAME.pub``. ``clients/NAME.old`` is the public half of a key that was rotated, for as long as
it goes on to be valid.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import msgspec
from zmq.utils import z85

from pulsed.client.keys import load_key, write_private
from pulsed.model.errors import PulsedError
from pulsed.wire.roles import Role, parse_role

SUFFIXES = (".old", ".key", ".pub")
"""Of files with keys of clients, the ones that count least first."""


class KnownClient(msgspec.Struct, frozen=True):
    """One key that is let in: whose it is, what it may do, and until when (Unix time in s, 0 for ever)."""

    name: str
    role: Role
    public: str
    """In Z85."""
    expires: float = 0.0

    def is_valid(self, now: float) -> bool:
        """Whether it has not expired at the Unix time ``now`` (s)."""
        return not self.expires or now < self.expires


class KnownClients:
    """The keys that a daemon lets in, read again when the directory changes."""

    def __init__(self, home: Path) -> None:
        self.directory = home / "clients"
        self.problems: list[PulsedError] = []
        """What was wrong with the files at the last reading."""
        self._seen: tuple[tuple[str, int], ...] = ()
        self._listed = 0
        self._read_since = False
        self._looked = 0.0
        self._by_public: dict[str, KnownClient] = {}
        self._roles: dict[str, Role] = {}

    def of_public(self, public: bytes) -> KnownClient | None:
        """Return the client with this public key (32 raw bytes), even if it has expired."""
        self.refresh()
        return self._by_public.get(z85.encode(public).decode())

    def holder(self, public: str) -> KnownClient | None:
        """Return whose the public key (Z85) is, as of the last reading; None when it is not valid any longer."""
        found = self._by_public.get(public)
        return found if found is not None and found.is_valid(time.time()) else None

    def role_of(self, name: str) -> Role | None:
        """Return the role of the client ``name`` as of the last reading, expired or not; None when there is no key."""
        return self._roles.get(name)

    def has_changed(self) -> bool:
        """Look whether keys came, went or expired since the last look. Costs next to nothing when none did.

        A key that came and went in between is a change, too: a connection may have been made with it.
        """
        listed, now = _changed_at(self.directory), time.time()
        if listed != self._listed:
            self._listed = listed
            self.refresh()
        changed = self._read_since or any(self._looked < one.expires <= now for one in self._by_public.values())
        self._looked, self._read_since = now, False
        return changed

    def refresh(self) -> None:
        """Read the directory again if it has changed."""
        files = sorted(key_files(self.directory), key=lambda path: (SUFFIXES.index(path.suffix), path.name))
        seen = tuple((path.name, _changed_at(path)) for path in files)
        if seen == self._seen:
            return
        self._seen, self._read_since = seen, True
        self._by_public, self._roles, self.problems = {}, {}, []
        for path in files:
            try:
                key = load_key(path, secret=path.suffix == ".key")
                role = parse_role(key.role or str(Role.VIEWER))
            except PulsedError as error:
                self.problems.append(error)
                continue
            self._roles[path.stem] = role
            self._by_public[key.public] = KnownClient(path.stem, role, key.public, key.expires)


def key_files(directory: Path) -> list[Path]:
    """Return the files with keys of clients in ``directory``."""
    return [path for path in directory.glob("*") if path.suffix in SUFFIXES and not path.name.startswith(".")]


def _changed_at(path: Path) -> int:
    """Return when a file, its mode, or the names in a directory changed last; 0 when it no longer exists."""
    try:
        return path.stat().st_ctime_ns
    except OSError:
        return 0


class LastSeen:
    """When each client was last heard of, kept in ``seen.json`` of the home directory for `pulsed keys list`."""

    def __init__(self, home: Path) -> None:
        self._path = home / "seen.json"
        self._times = read_last_seen(home)
        self._written = dict(self._times)

    def saw(self, name: str) -> None:
        """Take note that the client ``name`` speaks now."""
        self._times[name] = time.time()

    def keep(self) -> None:
        """Write what is new to the file; a disk that does not take it is no reason to stop."""
        if self._times == self._written:
            return
        times = dict(self._times)
        with contextlib.suppress(OSError):
            write_private(self._path, msgspec.json.encode(times))
            self._written = times


def read_last_seen(home: Path) -> dict[str, float]:
    """Return when each client was last heard of, in Unix time (s); nothing when nobody has been."""
    try:
        return msgspec.json.decode((home / "seen.json").read_bytes(), type=dict[str, float])
    except (OSError, msgspec.MsgspecError):
        return {}
