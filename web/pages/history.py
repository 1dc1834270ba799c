"""History: any value across sets and cooldowns, with what was rolled back."""

from __future__ import annotations

import time
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pulsed.model.calibration import CalibrationSet, PastValue
from pulsed.model.errors import InvalidValueError
from pulsed.web.drawing.history import draw
from pulsed.web.site import Site

SHOWN = 500
MOST = 6
"""Values that are drawn below each other."""


def names_of(calibration: CalibrationSet) -> list[str]:
    """Return the names of values that are one number."""
    return sorted(name for name, value in calibration.values.items() if not isinstance(value.value, tuple))


def routes(site: Site) -> list[Route]:
    """Return the routes."""
    lab = site.lab

    def past_of(name: str) -> list[PastValue]:
        return lab.keep(f"calibration past {name}", lambda client: client.value_history(name, SHOWN))

    def show(request: Request) -> Response:
        calibration = lab.calibration()
        names = names_of(calibration)
        asked = [part for text in request.query_params.getlist("value") for part in text.replace(",", " ").split()]
        wanted = list(dict.fromkeys(asked)) or names[:1]
        if len(wanted) > MOST:
            raise InvalidValueError(
                "too many values at once", subject="value", value=len(wanted), legal=f"up to {MOST}"
            )
        drawn = []
        for name in wanted:
            past = past_of(name)
            if not past and name not in calibration.values:
                raise InvalidValueError(
                    "no such value", subject="value", value=name, legal=f"such as {', '.join(names[:6])}"
                )
            drawn.append((name, past, draw(past, time.time())))
        log = lab.keep("calibration log all", lambda client: client.calibration_log(SHOWN))
        entries = {(entry.calibration_id, entry.since): entry for entry in log}
        return site.page(
            request, "history.html", names=names, wanted=wanted, drawn=drawn, entries=entries,
            query="&".join(f"value={quote(name)}" for name in wanted),
        )  # fmt: skip

    return [Route("/history", show)]
