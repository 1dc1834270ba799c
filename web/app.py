"""The pages as one application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection
from importlib.resources import files

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from pulsed.model.errors import PulsedError
from pulsed.web.access.guard import Guard
from pulsed.web.access.sign_in import SignIn
from pulsed.web.graph_look import GraphLook
from pulsed.web.lab import Lab
from pulsed.web.notices import Notices
from pulsed.web.pages import (
    alerts,
    calibration,
    chip,
    committing,
    doors,
    history,
    measuring,
    notes,
    people,
    pulses,
    queue,
    rack,
    runs,
    scan,
)
from pulsed.web.site import HERE, Site
from pulsed.web.tasks import Tasks


class _Static(StaticFiles):
    """Style, scripts and fonts: a browser may keep them, and asks whether they are still the same."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return one file."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def make_app(
    lab: Lab, sign_in: SignIn, notices: Notices, *, cookie: str, hosts: Collection[str], secure: bool = False
) -> Starlette:
    """Return the application; the lab is connected while it runs.

    Args:
        lab: the daemon.
        sign_in: links and sessions.
        notices: what the lab tells.
        cookie: the name of the cookie; cookies know no ports, so that of another page on this machine is another one.
        hosts: the names that the page answers to.
        secure: whether it is asked for over TLS.

    """
    site = Site(lab, sign_in, notices, cookie, secure=secure)
    graph = GraphLook(
        lambda: lab.commands.words(lab.client.url, "cal", "graph", "--json"), lambda: notices.tell("calibration"),
        lab.commands.environment,
    )  # fmt: skip
    tasks = Tasks(lab.commands, lambda: notices.tell("tasks"))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        notices.open()
        lab.start()
        yield
        graph.close()
        tasks.close()
        lab.close()

    async def not_found(request: Request, _: Exception) -> Response:
        return site.refuse(request, 404, "Not found", "There is no such page.")

    async def not_so(request: Request, _: Exception) -> Response:
        return site.refuse(request, 405, "Not so", "This page is not asked for in this way.")

    return Starlette(
        routes=[
            Mount("/static/plots", _Static(directory=str(files("pulsed.model") / "plots")), name="plots"),
            Mount("/static", _Static(directory=HERE / "static"), name="static"),
            *doors.routes(site), *rack.routes(site), *queue.routes(site),
            *chip.routes(site),
            *calibration.routes(site, graph, tasks),
            *committing.routes(site),
            *measuring.routes(site, tasks),
            *scan.routes(site, tasks),
            *runs.routes(site),
            *history.routes(site),
            *pulses.routes(site),
            *notes.routes(site),
            *people.routes(site),
            *alerts.routes(site),
        ],
        middleware=[Middleware(Guard, sign_in=sign_in, cookie=cookie, hosts=hosts, refuse=site.refuse)],
        exception_handlers={PulsedError: site.failed, 404: not_found, 405: not_so},
        lifespan=lifespan,
    )  # fmt: skip
