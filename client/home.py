"""The home directory of a daemon, and where the one that runs there listens.

It (``$PULSED_HOME``, else the user's data directory) holds ``server.key``, one file per client in ``clients/`` and,
while the daemon runs, ``daemon.json`` with its address.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import platformdirs

DEFAULT_URL = "tcp://127.0.0.1:5810"


class RunningDaemon(msgspec.Struct, frozen=True):
    """What ``daemon.json`` says while a daemon runs."""

    url: str
    pid: int
    backend: str
    version: str
    started: float
    metrics: str = ""
    """Where the page of metrics is, empty when there is none."""
    instance: str = ""
    """What its greeting says too, another at each start; empty of a daemon that does not write it."""


def home_directory(home: Path | str | None = None) -> Path:
    """Return ``home``, else ``$PULSED_HOME``, else the user's data directory for pulsed."""
    if home is not None:
        return Path(home)
    if named := os.environ.get("PULSED_HOME"):
        return Path(named)
    return Path(platformdirs.user_data_path("pulsed", appauthor=False))


def announced(home: Path) -> RunningDaemon | None:
    """Return what ``daemon.json`` says; it may be left over of a daemon that was killed."""
    try:
        return msgspec.json.decode((home / "daemon.json").read_bytes(), type=RunningDaemon)
    except (OSError, msgspec.MsgspecError):
        return None


def find_url(url: str | None, home: Path) -> str:
    """Return ``url``, else that of the daemon that runs at ``home``, else the default one."""
    if url is not None:
        return url
    there = announced(home)
    return DEFAULT_URL if there is None else there.url
