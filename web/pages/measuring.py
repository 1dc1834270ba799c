"""What measures now: the measurements as they grow, and the commands that this page has started."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pulsed.web.site import Site, number
from pulsed.web.tasks import Tasks
from pulsed.wire.messages import CommitCalibration


def routes(site: Site, tasks: Tasks) -> list[Route]:
    """Return the routes."""
    lab = site.lab

    def points(request: Request) -> Response:
        scans = request.query_params.get("scan") == "1"
        found = [one for one in lab.measurements() if (one.routine == "scan") == scans]
        return Response(msgspec.json.encode(found[:12]), media_type="application/json")

    def stop(request: Request) -> Response:
        lab.check(request.state.visitor, CommitCalibration(0, "", ""))
        task = tasks.stop(number(request.path_params["number"], "task", 1))
        back = "/scan" if task.words[0] == "scan" else "/calibration"
        return site.done(back, f"{task.command} is told to stop; it keeps what it has measured.")

    return [
        Route("/measurements", points),
        Route("/tasks/{number}/stop", stop, methods=["POST"]),
    ]
