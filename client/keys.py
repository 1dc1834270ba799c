"""Key files: who the daemon is, and who its clients are.

A file with a secret is open to its owner alone (0600), or it is not used.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
from pathlib import Path

import msgspec
import zmq
from zmq.utils import z85

from pulsed import old_names
from pulsed.model.errors import KeyFileError
from pulsed.wire.roles import Role, parse_role

__getattr__ = old_names(__name__)

LOCAL = "local"
"""Name of the key that a local client uses when it is given none; made on first start, role admin."""


NEXT_SERVER = "server.next.key"
"""In the home directory: the key that the daemon will have."""


class Key(msgspec.Struct, frozen=True, omit_defaults=True):
    """A CURVE key pair in Z85, whose it is, and for a client the daemon's public key."""

    name: str
    public: str
    secret: str = ""
    role: str = ""
    server: str = ""
    format: int = 1
    expires: float = 0.0
    """Unix time, seconds, from which the daemon does not take it any longer; 0 for never."""
    server_next: str = ""
    """The public key that the daemon will have, where it has said so; for the daemon's own next one see ``begins``."""
    begins: float = 0.0
    """Unix time, seconds, from which the daemon uses it: of its own next key."""


def new_key(name: str, role: str = "", server: str = "", expires: float = 0.0) -> Key:
    """Return a fresh key."""
    public, secret = zmq.curve_keypair()
    return Key(name, public.decode(), secret.decode(), role, server, expires=expires)


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
            f"can be read by others: make it yours alone (`chmod 600 {path}`)",
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


def add_client(home: Path, name: str, role: str, expires: float = 0.0) -> Path:
    """Make a key for one more client of the daemon at ``home``; return its file, to be handed to the user.

    It expires at the Unix time ``expires`` (s), or with 0 never.
    """
    parse_role(role)
    path = client_path(home, name)
    for taken in (path, path.with_suffix(".pub")):
        if taken.exists():
            raise KeyFileError(f"already exists: `pulsed keys revoke {name}` first", subject=f"key file {taken}")
    fresh = new_key(name, role, load_key(home / "server.key").public, expires)
    save_key(path, msgspec.structs.replace(fresh, server_next=next_public(home)))
    return path


def next_public(home: Path) -> str:
    """Return the public key that the daemon at ``home`` will have; empty when it keeps the one it has."""
    path = home / NEXT_SERVER
    return load_key(path).public if path.exists() else ""


def client_path(home: Path, name: str) -> Path:
    """Return where the key of client ``name`` lies. Raises :class:`KeyFileError` for a name that is a path."""
    if not name or Path(name).name != name or name.startswith("."):
        raise KeyFileError("invalid name of a key", value=name, legal="a plain file name")
    return home / "clients" / f"{name}.key"


def key_path(key: Path | str | None, home: Path) -> Path:
    """Return the file of a client's key: ``key`` is a file, a name in ``home``, or None for the local one."""
    if key is None:
        return client_path(home, LOCAL)
    if isinstance(key, str) and Path(key).name == key and not Path(key).is_file():
        return client_path(home, key)
    return Path(key)


def find_key(key: Path | str | None, home: Path, server: str | None = None) -> Key:
    """Return the client's key: ``key`` is a file, a name in ``home``, or None for the local one.

    ``server``: public key of the daemon that is meant, when it is another one than the file names.
    """
    path = key_path(key, home)
    found = load_key(path)
    if server is not None:
        found = msgspec.structs.replace(found, server=server, server_next="")
    if len(found.server) != 40:
        raise KeyFileError(
            "is not a client's key: it does not hold the daemon's public key", subject=f"key file {path}"
        )
    return found
