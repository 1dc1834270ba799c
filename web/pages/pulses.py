"""Pulses: what a job or a circuit plays, port by port or channel by channel, down to the sample."""

from __future__ import annotations

import hashlib
import tempfile
from collections import OrderedDict
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pulsed.model.errors import InvalidValueError, PulsedError
from pulsed.web.access.sign_in import Visitor
from pulsed.web.children import Answers
from pulsed.web.site import Site, field, number
from pulsed.wire.job_messages import GetSubmission
from pulsed.wire.roles import OTHERS_JOBS, check_owner

_KEPT = 16
"""Sheets, and circuits that were sent: each sheet takes a process that loads the compiler."""


def routes(site: Site) -> list[Route]:
    """Return the routes."""
    lab, sheets = site.lab, Answers(_KEPT)
    circuits: OrderedDict[str, str] = OrderedDict()

    def wanted(request: Request) -> tuple[str, int, bool]:
        query = request.query_params
        return (
            query.get("of", "").strip(),
            number(query.get("program", "0"), "program", 0),
            query.get("rows") == "channels",
        )

    def show(request: Request) -> Response:
        of, program, channels = wanted(request)
        jobs = lab.keep("queue jobs", lambda client: client.jobs(limit=100))
        job = None if not of or of in circuits else lab.client.job(of)
        shown = of if of and of not in circuits else "JOB|FILE"
        options = f"{' --channels' if channels else ''}{f' --program {program}' if program else ''}"
        return site.page(
            request, "pulses.html", of=of, program=program, channels=channels, jobs=jobs[:40], job=job,
            circuit=circuits.get(of, ""), command_line=f"pulsed pulses {shown}{options}",
            may_look=lab.may(request.state.visitor, GetSubmission(0, "")),
        )  # fmt: skip

    def check(visitor: Visitor, job_id: str) -> str:
        client = lab.check(visitor, GetSubmission(0, job_id))
        job, role = client.job(job_id), lab.role(visitor)
        if role < OTHERS_JOBS:
            check_owner(job.job_id, job.owner, client.greeting.user, role)
        return job.job_id

    def run(of: str, *words: str) -> bytes:
        """Return what `pulsed pulses` prints of a job, or of a circuit that was sent."""
        if of not in circuits:
            return lab.ask("pulses", *words, "--", of)
        with tempfile.TemporaryDirectory(prefix="pulsed-web-") as folder:
            path = Path(folder) / "circuit.qasm"
            path.write_text(circuits[of], encoding="utf-8")
            return lab.ask("pulses", *words, "--", str(path))

    def asked(request: Request) -> tuple[str, tuple[str, ...]]:
        """Return what is to be shown, if the visitor may see it, and with which options."""
        of, program, channels = wanted(request)
        if not of:
            raise InvalidValueError("has to be chosen", subject="job", value="nothing", legal="the id of a job")
        of = of if of in circuits else check(request.state.visitor, of)
        return of, (f"--program={program}", *(("--channels",) if channels else ()))

    def data(request: Request) -> Response:
        try:
            of, words = asked(request)
            name = f"{of} {words} {lab.calibration().calibration_id if of in circuits else ''}"
            made = sheets.get(name, lambda: run(of, *words, "--json"))
            return Response(made, media_type="application/json")
        except PulsedError as error:
            return JSONResponse({"error": str(error)}, 403 if error.code == "not_allowed" else 400)

    def send(request: Request) -> Response:
        text = field(request.state.form, "circuit", "OpenQASM 2 or 3", longest=12_000)
        lab.check(request.state.visitor, GetSubmission(0, ""))
        name = f"circuit-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        circuits[name] = text
        while len(circuits) > _KEPT:
            circuits.popitem(last=False)
        return site.go(f"/pulses?of={name}")

    def alone(request: Request) -> Response:
        of, words = asked(request)
        with tempfile.TemporaryDirectory(prefix="pulsed-web-") as folder:
            path = Path(folder) / "pulses.html"
            run(of, *words, f"--html={path}")
            content = path.read_bytes()
        return Response(content, media_type="text/html; charset=utf-8", headers={
            "Content-Disposition": f'attachment; filename="pulses-{of[:12]}.html"',
        })  # fmt: skip

    return [
        Route("/pulses", show),
        Route("/pulses/data", data),
        Route("/pulses/alone.html", alone),
        Route("/pulses/circuit", send, methods=["POST"]),
    ]
