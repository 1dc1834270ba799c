"""Notes on qubits, pairs, runs and calibration sets; other pages show those of what they are about."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pulsed.web.site import Site, field
from pulsed.wire.note_messages import AddNote


def routes(site: Site) -> list[Route]:
    """Return the routes."""
    lab = site.lab

    def add(request: Request) -> Response:
        form = request.state.form
        about = field(form, "about", "a qubit, a pair, the id of a run or of a set")
        text = field(form, "text", "what there is to say", longest=2000)
        client = lab.check(request.state.visitor, AddNote(0, about, text))
        client.add_note(about, text)
        back = form.get("back", "/chip")
        return site.done(
            back if back.startswith("/") and not back.startswith("//") else "/chip", f"Noted about {about}."
        )

    return [Route("/notes", add, methods=["POST"])]
