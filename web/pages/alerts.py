"""Alerts: what needs a person, who is told, and whether that works."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pulsed.web.site import Site
from pulsed.wire.observation_messages import TestAlerts


def routes(site: Site) -> list[Route]:
    """Return the routes."""
    lab = site.lab

    def show(request: Request) -> Response:
        found = lab.keep("rack alerts", lambda client: client.alerts(), 5.0)
        return site.page(request, "alerts.html", alerts=found.alerts, receivers=found.receivers,
                         may_test=lab.may(request.state.visitor, TestAlerts(0)))  # fmt: skip

    def test(request: Request) -> Response:
        found = lab.check(request.state.visitor, TestAlerts(0)).test_alerts()
        bad = [receiver.name for receiver in found.receivers if receiver.error]
        said = f"It did not reach {', '.join(bad)}." if bad else f"{len(found.receivers)} took the test message."
        return site.done("/alerts", said if found.receivers else "Nobody is told: [alerts] names nobody.")

    return [Route("/alerts", show), Route("/alerts/test", test, methods=["POST"])]
