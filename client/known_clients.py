"""The clients that a daemon lets in.

It takes names and roles from its own ``clients/`` only: a remote user needs a copy of their ``.key``, or sends in the
public half as ``clients/NAME.pub``.
"""

from __future__ import annotations

from pathlib import Path

from zmq.utils import z85

from pulsed.client.keys import load_key
from pulsed.model.errors import PulsedError
from pulsed.wire.roles import Role, parse_role


class KnownClients:
    """The keys that a daemon lets in, read again when the directory changes."""

    def __init__(self, home: Path) -> None:
        self.directory = home / "clients"
        self.problems: list[PulsedError] = []
        """What was wrong with the files at the last reading."""
        self._seen: tuple[tuple[str, int], ...] = ()
        self._by_public: dict[bytes, tuple[str, Role]] = {}
        self._by_name: dict[str, Role] = {}

    def of_public(self, public: bytes) -> tuple[str, Role] | None:
        """Return name and role of the client with this public key (32 raw bytes)."""
        self.refresh()
        return self._by_public.get(public)

    def role_of(self, name: str) -> Role | None:
        """Return the role of the client ``name`` as of the last reading, None when it is not let in any longer."""
        return self._by_name.get(name)

    def refresh(self) -> None:
        """Read the directory again if it has changed."""
        files = sorted(p for p in self.directory.glob("*") if p.suffix in (".key", ".pub"))
        seen = tuple((path.name, _last_change(path)) for path in files)
        if seen == self._seen:
            return
        self._seen = seen
        self._by_public, self._by_name, self.problems = {}, {}, []
        for path in files:
            try:
                key = load_key(path, secret=path.suffix == ".key")
                entry = (path.stem, parse_role(key.role or str(Role.VIEWER)))
            except PulsedError as error:
                self.problems.append(error)
                continue
            self._by_public[z85.decode(key.public.encode())] = entry
            self._by_name[path.stem] = entry[1]


def _last_change(path: Path) -> int:
    """Return when the file or its mode changed last, 0 when it no longer exists."""
    try:
        return path.stat().st_ctime_ns
    except OSError:
        return 0
