"""Keys: who the daemon is, who its clients are, and where all of it lies.

The home directory of a daemon (``$PULSED_HOME``, else the user's data directory) holds ``server.key``, one file per
client in ``clients/`` and, while the daemon runs, ``daemon.json`` with its address. A file with a secret is open to
its owner alone (0600), or it is not used. The daemon takes names and roles from its own ``clients/`` only: a remote
user needs a copy of their ``.key``, or sends in the public half as ``clients/NAME.pub``.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
from pathlib import Path

import msgspec
import platformdirs
import zmq
from zmq.utils import z85

from pulsed.model.errors import KeyFileError, PulsedError
from pulsed.wire.roles import Role, parse_role

DEFAULT_URL = "tcp://127.0.0.1:5810"
LOCAL = "local"
"""Name of the key that a local client uses when it is given none; made on first start, role admin."""


class Key(msgspec.Struct, frozen=True, omit_defaults=True):
    """A CURVE key pair in Z85, whose it is, and for a client the daemon's public key."""

    name: str
    public: str
    secret: str = ""
    role: str = ""
    server: str = ""
    format: int = 1


class RunningDaemon(msgspec.Struct, frozen=True):
    """What ``daemon.json`` says while a daemon runs."""

    url: str
    pid: int
    backend: str
    version: str
    started: float


def home_directory(home: Path | str | None = None) -> Path:
    """Return ``home``, else ``$PULSED_HOME``, else the user's data directory for pulsed."""
    if home is not None:
        return Path(home)
    if named := os.environ.get("PULSED_HOME"):
        return Path(named)
    return Path(platformdirs.user_data_path("pulsed", appauthor=False))


def new_key(name: str, role: str = "", server: str = "") -> Key:
    """Return a fresh key."""
    public, secret = zmq.curve_keypair()
    return Key(name, public.decode(), secret.decode(), role, server)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that its owner alone can read, at once or not at all. An existing file is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def save_key(path: Path, key: Key) -> None:
    """Write ``key`` to ``path``."""
    write_private(path, msgspec.json.format(msgspec.json.encode(key), indent=1) + b"\n")


def load_key(path: Path, *, secret: bool = True) -> Key:
    """Read a key file. Raises :class:`KeyFileError` that says what to do.

    With ``secret`` the file has to hold a secret key and be closed to everyone but its owner.
    """
    subject = f"key file {path}"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        data = path.read_bytes()
    except FileNotFoundError:
        raise KeyFileError(
            "there is no such file: start a daemon once on this machine (`pulsed serve`), or copy the key that the "
            "daemon's admin made for you",
            subject=subject,
        ) from None
    except OSError as error:
        raise KeyFileError(f"cannot be read: {error.strerror or error}", subject=subject) from error
    try:
        key = msgspec.json.decode(data, type=Key)
        z85.decode(key.public.encode())
    except (msgspec.MsgspecError, ValueError, KeyError, IndexError, struct.error) as error:
        raise KeyFileError(f"is not a key file: {error}", subject=subject) from error
    if key.format != 1 or len(key.public) != 40 or (secret and len(key.secret) != 40):
        raise KeyFileError("does not hold a CURVE key", subject=subject, legal="public and secret of 40 characters")
    if key.secret and mode & 0o077:
        raise KeyFileError(
            f"is open to others: make it yours alone (`chmod 600 {path}`)",
            subject=subject, value=f"{mode:04o}", legal="0600",
        )  # fmt: skip
    return key


def make_keys(home: Path) -> Key:
    """Return the daemon's key; on first start make it, and the local client's."""
    path = home / "server.key"
    if not path.exists():
        save_key(path, new_key("server"))
    server = load_key(path)
    local = client_path(home, LOCAL)
    if not local.exists():
        save_key(local, new_key(LOCAL, str(Role.ADMIN), server.public))
    return server


def add_client(home: Path, name: str, role: str) -> Path:
    """Make a key for one more client of the daemon at ``home``; return its file, to be handed to the user."""
    parse_role(role)
    path = client_path(home, name)
    if path.exists():
        raise KeyFileError("there is one already: delete it first", subject=f"key file {path}")
    save_key(path, new_key(name, role, load_key(home / "server.key").public))
    return path


def client_path(home: Path, name: str) -> Path:
    """Return where the key of client ``name`` lies. Raises :class:`KeyFileError` for a name that is a path."""
    if not name or Path(name).name != name or name.startswith("."):
        raise KeyFileError("not a name for a key", value=name, legal="a plain file name")
    return home / "clients" / f"{name}.key"


def find_key(key: Path | str | None, home: Path) -> Key:
    """Return the client's key: ``key`` is a file, a name in ``home``, or None for the local one."""
    if key is None:
        path = client_path(home, LOCAL)
    elif isinstance(key, str) and Path(key).name == key and not Path(key).exists():
        path = client_path(home, key)
    else:
        path = Path(key)
    found = load_key(path)
    if len(found.server) != 40:
        raise KeyFileError(
            "is not a client's key: it does not hold the daemon's public key", subject=f"key file {path}"
        )
    return found


def find_url(url: str | None, home: Path) -> str:
    """Return ``url``, else that of the daemon that runs at ``home``, else the default one."""
    if url is not None:
        return url
    try:
        return msgspec.json.decode((home / "daemon.json").read_bytes(), type=RunningDaemon).url
    except (OSError, msgspec.MsgspecError):
        return DEFAULT_URL


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
    """Return when the file or its mode changed last, 0 when it is not there any longer."""
    try:
        return path.stat().st_ctime_ns
    except OSError:
        return 0
