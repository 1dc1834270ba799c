"""Sign in and out, links for other screens, and what tells open pages of changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from pulsed.client.speaking import check_person
from pulsed.model.errors import InvalidValueError, NotAllowedError
from pulsed.web.access.sign_in import SignInError
from pulsed.web.site import Site, field
from pulsed.wire.roles import Role, parse_role


def routes(site: Site) -> list[Route]:
    """Return the routes."""

    def sign_in(request: Request) -> Response:
        link = request.query_params.get("link")
        if link is None:
            return site.page(request, "refused.html", heading="Sign in", why="")
        try:
            cookie, visitor = site.sign_in.use_link(link)
        except SignInError as error:
            return site.refuse(request, 403, "Sign in", error.refusal)
        response = site.page(request, "signed_in.html")
        age = int(visitor.until - site.sign_in.now())
        response.set_cookie(
            site.cookie, cookie, max_age=age, httponly=True, samesite="strict", secure=site.secure, path="/"
        )
        return response

    def sign_out(request: Request) -> Response:
        site.sign_in.sign_out(request.cookies.get(site.cookie, ""))
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(site.cookie, path="/", httponly=True, samesite="strict", secure=site.secure)
        return response

    def new_link(request: Request) -> Response:
        visitor = request.state.visitor
        site.lab.check_role(visitor, Role.EXPERIMENTER)  # a viewer lets nobody in
        mine, wanted = site.lab.role(visitor), parse_role(field(request.state.form, "role", "viewer"))
        if wanted > mine:
            raise NotAllowedError(
                "nobody lets others do more than they may do themselves", value=str(wanted), legal=f"up to {mine}"
            )
        person = check_person(field(request.state.form, "person", "who will be there, or what the screen is"))
        secret = site.sign_in.new_link(wanted, person, visitor.person or f"key {site.lab.greeting.user}")
        link = f"{request.url.scheme}://{request.headers['host']}/sign-in?link={secret}"
        return site.page(request, "link.html", link=link, wanted=wanted, person=person)

    async def events(request: Request) -> Response:
        mark = request.headers.get("last-event-id") or request.query_params.get("after", "")
        if len(mark) > 64:
            raise InvalidValueError("no such mark", subject="after", value=f"{len(mark)} characters", legal="up to 64")
        cookie = request.cookies.get(site.cookie)

        def goes_on() -> bool:
            try:
                site.sign_in.visitor(cookie)
            except SignInError:
                return False
            return True

        async def stream() -> AsyncIterator[str]:
            yield "retry: 1000\n\n"
            async for notice in site.notices.listen(mark, goes_on):
                yield f"id: {notice.mark}\nevent: changed\ndata: {' '.join(notice.topics)}\n\n"
            yield "event: over\ndata: \n\n"
            await asyncio.sleep(0)

        return StreamingResponse(stream(), media_type="text/event-stream")

    def home(_request: Request) -> Response:
        return RedirectResponse("/rack", 303)

    return [
        Route("/", home),
        Route("/sign-in", sign_in),
        Route("/sign-out", sign_out, methods=["POST"]),
        Route("/links", new_link, methods=["POST"]),
        Route("/events", events),
    ]
