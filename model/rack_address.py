"""Where the daemons are that share a database."""

from __future__ import annotations

import msgspec


class RackAddress(msgspec.Struct, frozen=True):
    """One rack of a database, and the daemon that has it or had it last."""

    rack: str
    url: str
    """Where it listens, or listened: ``"tcp://HOST:PORT"``."""
    server_key: str
    """Its public key, Z85."""
    alive: bool
    """Whether it holds its lease."""
