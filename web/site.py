"""What all pages share: the lab, who is signed in, the templates, and how errors look."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.templating import Jinja2Templates

from pulsed.model import errors
from pulsed.model.errors import InvalidValueError
from pulsed.web import wording
from pulsed.web.access.sign_in import SignIn, Visitor
from pulsed.web.lab import Lab
from pulsed.web.notices import Notices
from pulsed.web.numbers import whole
from pulsed.wire.roles import Role

HERE = Path(__file__).resolve().parent
STATUS = {
    errors.NotAllowedError: 403, errors.NotFoundError: 404, errors.InvalidValueError: 400, errors.ConflictError: 409,
    errors.BusyError: 409, errors.IllegalStepError: 409, errors.ConnectionFailedError: 503, errors.KeyFileError: 503,
}  # fmt: skip
"""HTTP's status by kind of error; 502 for another one, which the daemon answered."""
HEADINGS = {
    403: "Not allowed", 404: "Not found", 400: "That cannot be", 409: "Not now", 503: "The daemon does not answer",
}  # fmt: skip


_SAID = 100
"""Sentences about what was done that are kept."""


class Entry(NamedTuple):
    """A page of the menu."""

    path: str
    name: str


MENU = (
    Entry("/rack", "Rack"), Entry("/queue", "Queue"), Entry("/chip", "Chip"), Entry("/calibration", "Calibration"),
    Entry("/runs", "Runs"), Entry("/history", "History"), Entry("/scan", "Scan"), Entry("/pulses", "Pulses"),
    Entry("/alerts", "Alerts"), Entry("/users", "Users"), Entry("/audit", "Audit"), Entry("/logs", "Logs"),
)  # fmt: skip


class Site:
    """The pages of one lab.

    Args:
        lab: the daemon.
        sign_in: links and sessions.
        notices: what changed.
        cookie: the name of the cookie.
        secure: whether the page is asked for over TLS.

    """

    def __init__(self, lab: Lab, sign_in: SignIn, notices: Notices, cookie: str, *, secure: bool) -> None:
        self.lab, self.sign_in, self.notices, self.cookie, self.secure = lab, sign_in, notices, cookie, secure
        self.templates = Jinja2Templates(HERE / "templates")
        wording.fill(self.templates.env)
        for name in self.templates.env.list_templates():  # now, and not when somebody waits for the page
            self.templates.env.get_template(name)
        self._said: dict[str, str] = {}

    def page(self, request: Request, template: str, status: int = 200, **context: Any) -> Response:
        """Return a page; its templates know the lab, the visitor and the menu."""
        visitor: Visitor | None = getattr(request.state, "visitor", None)
        common = {
            "lab": self.lab, "status": self.lab.status, "visitor": visitor, "menu": MENU, "Role": Role,
            "mark": self.notices.mark, "role": None if visitor is None else self.lab.role(visitor),
            "said": "" if visitor is None else self._said.get(request.query_params.get("said", ""), ""),
            "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        }  # fmt: skip
        return self.templates.TemplateResponse(request, template, {**common, **context}, status_code=status)

    def refuse(self, request: Request, status: int, heading: str, why: str) -> Response:
        """Return the page that says no."""
        return self.page(request, "refused.html", status, heading=heading, why=why)

    def failed(self, request: Request, error: Exception) -> Response:
        """Return the page of an error that the daemon answered, or of its silence."""
        assert isinstance(error, errors.PulsedError)
        status = status_of(error)
        heading = HEADINGS.get(status, "The daemon could not do this")
        return self.page(request, "error.html", status, heading=heading, error=error)

    def done(self, path: str, said: str) -> Response:
        """Return the way back to a page after something was done; that page shows the sentence about it."""
        name = secrets.token_hex(8)
        self._said[name] = said
        while len(self._said) > _SAID:
            del self._said[next(iter(self._said))]
        return RedirectResponse(f"{path}{'&' if '?' in path else '?'}said={name}", 303)

    def go(self, path: str, **query: str) -> Response:
        """Return the way to another page."""
        return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303)


def status_of(error: errors.PulsedError, otherwise: int = 502) -> int:
    """Return HTTP's status for an error."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), otherwise)


Endpoint = Callable[[Request], Response]


def number(text: str, subject: str, least: int) -> int:
    """Return a whole number that a person wrote. Raises :class:`InvalidValueError`."""
    found = whole(text)
    if found is None or found < least:
        raise InvalidValueError("not a number of these", subject=subject, value=text[:20], legal=f"from {least} on")
    return found


def field(form: Mapping[str, str], name: str, legal: str, longest: int = 500) -> str:
    """Return a field of a form that has to be filled in. Raises :class:`InvalidValueError`."""
    value = form.get(name, "").strip()
    if not value:
        raise InvalidValueError("has to be filled in", subject=name, value="nothing", legal=legal)
    if len(value) > longest:
        raise InvalidValueError("is too long", subject=name, value=f"{len(value)} characters", legal=f"up to {longest}")
    return value
