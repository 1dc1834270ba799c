"""Taking keys away, and putting new ones in their place."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import msgspec

from pulsed.client.keys import LOCAL, NEXT_SERVER, Key, client_path, load_key, new_key, save_key
from pulsed.model.errors import KeyFileError


def revoke_client(home: Path, name: str) -> list[Path]:
    """Delete the keys of a client of the daemon at ``home``; return the files that they were in.

    A daemon that runs ends its connections within a moment. Raises :class:`KeyFileError` for a client that has none,
    and for this machine's own.
    """
    if name == LOCAL:
        raise KeyFileError(
            "is this machine's own, which the daemon needs itself", subject="key", value=name,
            legal=f"`pulsed keys rotate {LOCAL}` replaces it",
        )  # fmt: skip
    there = [path for path in _files(home, name) if path.exists()]
    if not there:
        raise no_such_client(home, name)
    for path in there:
        path.unlink(missing_ok=True)
    return there


def rotate_client(home: Path, name: str, overlap: float) -> Path:
    """Give a client a new key, with the role and the end that the old one has; return its file.

    The old one stays valid for ``overlap`` seconds. Raises :class:`KeyFileError` for a client whose secret is
    elsewhere: its owner makes the new pair.
    """
    key_path, public_path, old_path = _files(home, name)
    if not key_path.exists():
        if public_path.exists():
            raise KeyFileError(
                "only its public half is here: have its owner make a new pair and send in that public half",
                subject=f"key file {public_path}",
            )
        raise no_such_client(home, name)
    old = load_key(key_path)
    if overlap > 0:
        until = time.time() + overlap
        ends = min(until, old.expires) if old.expires else until
        save_key(old_path, Key(name, old.public, role=old.role, expires=ends))
    else:
        old_path.unlink(missing_ok=True)
    fresh = new_key(name, old.role, old.server, old.expires)
    save_key(key_path, msgspec.structs.replace(old, public=fresh.public, secret=fresh.secret))
    return key_path


def rotate_server(home: Path, overlap: float) -> Key:
    """Make the daemon at ``home`` a new key, which takes the old one's place in ``overlap`` seconds; return it.

    Until then the daemon tells every client that connects, and the keys in ``home`` know both. Without overlap the new
    one takes over at once. Raises :class:`KeyFileError` while another one is about to.
    """
    path = home / NEXT_SERVER
    if path.exists() and overlap > 0:
        raise KeyFileError(
            "the daemon's key is being replaced already", subject=f"key file {path}",
            legal="with an overlap of 0 the new one takes over now",
        )  # fmt: skip
    if not path.exists():
        fresh = new_key("server")
        save_key(path, msgspec.structs.replace(fresh, begins=time.time() + overlap))
    following = load_key(path)
    _tell_clients(home, server_next=following.public)
    if overlap <= 0:
        save_key(path, msgspec.structs.replace(following, begins=time.time()))
        take_over(home)
    return following


def take_over(home: Path) -> Key | None:
    """Put the daemon's next key in the place of its present one, if its time has come; return it then."""
    path = home / NEXT_SERVER
    if not path.exists():
        return None
    following = load_key(path)
    if following.begins > time.time():
        return None
    # Whatever ends this half-way, the next start begins it again.
    _tell_clients(home, server=following.public, server_next="")
    following = msgspec.structs.replace(following, begins=0.0)
    save_key(home / "server.key", following)
    path.unlink()
    return following


def _tell_clients(home: Path, **fields: str) -> None:
    """Change what the keys in ``home`` know of the daemon."""
    for path in (home / "clients").glob("*.key"):
        with contextlib.suppress(KeyFileError):
            save_key(path, msgspec.structs.replace(load_key(path), **fields))


def learn_server(path: Path, server: str, server_next: str) -> None:
    """Keep in a client's key file what its daemon has said of its keys. Raises ``OSError`` where that cannot be."""
    key = load_key(path)
    if (key.server, key.server_next) != (server, server_next):
        save_key(path, msgspec.structs.replace(key, server=server, server_next=server_next))


def no_such_client(home: Path, name: str) -> KeyFileError:
    """Return the error that a daemon has no client ``name``."""
    known = sorted({path.stem for path in (home / "clients").glob("*.key")} | {
        path.stem for path in (home / "clients").glob("*.pub")
    })  # fmt: skip
    return KeyFileError("no such client", subject="key", value=name, legal=", ".join(known) or "none yet")


def _files(home: Path, name: str) -> tuple[Path, Path, Path]:
    path = client_path(home, name)
    return path, path.with_suffix(".pub"), path.with_suffix(".old")
