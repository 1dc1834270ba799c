"""What stands before every page: the name that it was asked for by, who asks, whose form it is, strict headers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pulsed.client.speaking import speaking_for
from pulsed.web.access.sign_in import SignIn, SignInError, Visitor, is_theirs
from pulsed.web.numbers import whole

OPEN_PATHS = ("/static/", "/sign-in")
"""What nobody needs to be signed in for."""
LARGEST_FORM = 16_384
"""Bytes."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), usb=(), serial=(), payment=()",
}
"""Sent with everything. No page has a script or a style of its own, so the policy needs no exception.
With the referrer policy `no-referrer` browsers send the origin of a form as `null`, and could not tell whose it is."""

Refuse = Callable[[Request, int, str, str], Response]
"""Makes the page that says no: the status, what it is about, and why."""


class Guard:
    """Lets a request through to ``app``, or says why not.

    Behind it ``request.state`` has the ``visitor`` and, of a form, its fields as ``form``: dict[str, str].

    Args:
        app: what is behind it.
        sign_in: who is signed in.
        cookie: the name of the cookie.
        hosts: the names, without port, by which the page may be asked for: another one is a page of somebody else's
            that had its name lead here.
        refuse: makes the page that says no.

    """

    def __init__(self, app: ASGIApp, sign_in: SignIn, cookie: str, hosts: Collection[str], refuse: Refuse) -> None:
        self._app, self._sign_in, self._cookie, self._hosts, self._refuse = app, sign_in, cookie, hosts, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        request = Request(scope, receive)
        refusal = await self._refusal(request)
        if refusal is None:
            visitor: Visitor | None = getattr(request.state, "visitor", None)
            with speaking_for("" if visitor is None else visitor.person):
                await self._app(scope, receive, send_strictly)
        else:
            await refusal(scope, receive, send_strictly)

    async def _refusal(self, request: Request) -> Response | None:
        if _host(request.headers.get("host", "")) not in self._hosts:
            return self._refuse(
                request, 421, "Not by this name", f"This page answers to {', '.join(self._hosts)} alone."
            )
        if request.url.path.startswith(OPEN_PATHS):
            return None
        try:
            visitor = self._sign_in.visitor(request.cookies.get(self._cookie))
        except SignInError as error:
            return self._refuse(request, 401, "Sign in", error.refusal)
        request.state.visitor = visitor
        if request.method not in ("GET", "HEAD"):
            return await self._refused_form(request, visitor)
        return None

    async def _refused_form(self, request: Request, visitor: Visitor) -> Response | None:
        size = whole(request.headers.get("content-length", ""))
        if size is None or size > LARGEST_FORM:
            return self._refuse(
                request, 413, "Too much", f"A form may have {LARGEST_FORM} bytes, and has to say how many."
            )
        async with request.form() as form:
            request.state.form = {name: value for name, value in form.items() if isinstance(value, str)}
        if not (_is_ours(request.headers) and is_theirs(visitor, request.state.form.get("token", ""))):
            return self._refuse(
                request, 403, "A forged form",
                "This form does not come from a page that you were given. Nothing was done. Open the page again and "
                "send it from there; if you did not send it, somebody tried to in your name.",
            )  # fmt: skip
        return None


def _host(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _is_ours(headers: Headers) -> bool:
    """Whether the browser, as far as it says so, sends this from a page of ours."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    return site in (None, "same-origin") and (
        origin is None or origin.partition("://")[2] == headers.get("host", "").lower()
    )
