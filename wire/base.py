"""The roots of all messages, and the version of what they say."""

from __future__ import annotations

import msgspec

PROTOCOL = 1
"""Version of the wire. It grows when an old peer could misunderstand a new one, not for a new field."""
REVISION = 1
"""Of the messages within the protocol. It grows with every message, field or key of the device description that is new;
:mod:`pulsed.wire.revisions` says which came when. A side learns the other's from the greeting."""


class Message(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """Root of all messages."""


class _Spoken(Message, frozen=True, kw_only=True):
    """What every request may say besides."""

    person: str = ""
    """Whom the holder of the key speaks for, as the holder says: somebody who is signed in at the operators' page."""


class Request(_Spoken, frozen=True):
    """Root of what a client sends."""

    id: int


class Reply(Message, frozen=True):
    """Root of what answers a request."""

    id: int


class DaemonEvent(Message, frozen=True):
    """Root of what all subscribers get."""

    number: int
