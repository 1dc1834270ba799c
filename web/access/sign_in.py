"""Sign-in by links that work once, and the sessions that they begin: values and times in, no socket, no page."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pulsed.model.visible import visible
from pulsed.wire.roles import Role

LINK_SECONDS = 600.0
"""For which a link waits to be used."""
SESSION_SECONDS = {Role.VIEWER: 30 * 86400.0}
"""For which somebody stays signed in, by role; what only looks may hang on a wall."""
_USUAL_SECONDS = 12 * 3600.0
_MOST = 1000
"""Links and sessions that are kept, the newest."""


TERMINAL = "the terminal"
"""Who makes the links that no page has made."""
_log = logging.getLogger(__name__)


class Refusal(StrEnum):
    """Why somebody is not let in, in words for a person."""

    NO_LINK = "This link is not one of ours."
    USED_LINK = "This link has been used: each works once."
    OLD_LINK = "This link has waited too long: each works for ten minutes."
    NO_COOKIE = "You are not signed in."
    OLD_COOKIE = "You were signed in for as long as one may be."


class SignInError(Exception):
    """Somebody is not let in."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


@dataclass(frozen=True)
class Visitor:
    """Somebody who is signed in."""

    role: Role
    """The most that they may do; the key of the page may be allowed less."""
    person: str
    """Who it is, as whoever made the link said; it stands in the audit log beside the key of the page."""
    token: str
    """What each of their forms carries, so that no other page can send one in their name."""
    until: float
    """Unix time, seconds."""
    inviter: str = ""
    """Who made the link: a person at a page, or the terminal that the page was started from."""


class SignIn:
    """Links and sessions of one page. Only hashes are kept of what lets somebody in."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._links: dict[str, tuple[Role, str, str, float]] = {}
        self._used: dict[str, float] = {}
        self._visitors: dict[str, Visitor] = {}

    def now(self) -> float:
        """Return the Unix time, seconds."""
        return self._clock()

    def new_link(self, role: Role, person: str = "", inviter: str = TERMINAL) -> str:
        """Return the secret of a link by which ``inviter`` lets ``person`` in once, as ``role``; the log says so."""
        secret = secrets.token_urlsafe(32)
        self._links[_hash(secret)] = role, person, inviter, self._clock() + LINK_SECONDS
        _bound(self._links)
        self._say("link.made", inviter, person, role)
        return secret

    def use_link(self, secret: str) -> tuple[str, Visitor]:
        """Return the cookie of whoever comes with a link, and who that is now. Raises :class:`SignInError`."""
        name, now = _hash(secret), self._clock()
        if name in self._used:
            raise SignInError(Refusal.USED_LINK)
        if name not in self._links:
            raise SignInError(Refusal.NO_LINK)
        role, person, inviter, until = self._links.pop(name)
        self._used[name] = now
        _bound(self._used)
        if now >= until:
            raise SignInError(Refusal.OLD_LINK)
        cookie = secrets.token_urlsafe(32)
        until = now + SESSION_SECONDS.get(role, _USUAL_SECONDS)
        visitor = Visitor(role, person, secrets.token_urlsafe(32), until, inviter)
        self._say("link.used", inviter, person, role)
        self._visitors[_hash(cookie)] = visitor
        _bound(self._visitors)
        return cookie, visitor

    def visitor(self, cookie: str | None) -> Visitor:
        """Return who comes with this cookie. Raises :class:`SignInError`."""
        found = self._visitors.get(_hash(cookie)) if cookie else None
        if found is None:
            raise SignInError(Refusal.NO_COOKIE)
        if self._clock() >= found.until:
            raise SignInError(Refusal.OLD_COOKIE)
        return found

    @staticmethod
    def _say(what: str, inviter: str, person: str, role: Role) -> None:
        _log.info("%s by=%s for=%s role=%s", what, visible(repr(inviter)), visible(repr(person)), role)

    def sign_out(self, cookie: str) -> None:
        """Forget a session."""
        self._visitors.pop(_hash(cookie), None)


def is_theirs(visitor: Visitor, token: str) -> bool:
    """Whether a form with this token comes from a page that the visitor was given."""
    return hmac.compare_digest(visitor.token.encode(), token.encode())


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _bound(kept: dict[str, Any]) -> None:
    while len(kept) > _MOST:
        kept.pop(next(iter(kept)))
