"""Pulses: what a job or a circuit plays, port by port or channel by channel, down to the sample."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pulsed.model.errors import InvalidValueError, PulsedError
from pulsed.web.access.sign_in import Visitor
from pulsed.web.children import Answers, asking
from pulsed.web.site import Site, field, number, status_of
from pulsed.wire.job_messages import GetSubmission
from pulsed.wire.roles import OTHERS_JOBS, check_owner

_KEPT = 16
"""Sheets, and circuits that were sent: each sheet takes a process that loads the compiler."""


class _Sent:
    """The texts of the circuits that were sent last, by a name made of each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: OrderedDict[str, str] = OrderedDict()

    def add(self, text: str) -> str:
        name = f"circuit-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        with self._lock:
            self._texts[name] = text
            self._texts.move_to_end(name)
            while len(self._texts) > _KEPT:
                self._texts.popitem(last=False)
        return name

    def get(self, name: str) -> str | None:
        with self._lock:
            return self._texts.get(name)


def routes(site: Site) -> list[Route]:
    """Return the routes."""
    lab, sheets, circuits = site.lab, Answers(_KEPT), _Sent()

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
        circuit, may_look = circuits.get(of), lab.may(request.state.visitor, GetSubmission(0, ""))
        job = lab.client.job(of) if of and circuit is None else None
        shown = of if of and circuit is None else "JOB|FILE"
        options = f"{' --channels' if channels else ''}{f' --program {program}' if program else ''}"
        return site.page(
            request, "pulses.html", of=of, program=program, channels=channels, jobs=jobs[:40], job=job,
            circuit=circuit if circuit and may_look else "", command_line=f"pulsed pulses {shown}{options}",
            may_look=may_look,
        )  # fmt: skip

    def check(visitor: Visitor, job_id: str) -> str:
        client = lab.check(visitor, GetSubmission(0, job_id))
        job, role = client.job(job_id), lab.role(visitor)
        if role < OTHERS_JOBS:
            check_owner(job.job_id, job.owner, client.greeting.user, role)
        return job.job_id

    def run(of: str, circuit: str | None, *words: str) -> bytes:
        """Return what `pulsed pulses` prints of a job, or of a circuit that was sent."""
        if circuit is None:
            return lab.ask("pulses", *words, "--", of)
        with tempfile.TemporaryDirectory(prefix="pulsed-web-") as folder:
            path = Path(folder) / "circuit.qasm"
            path.write_text(circuit, encoding="utf-8")
            return lab.ask("pulses", "--no-includes", *words, "--", str(path))

    def asked(request: Request) -> tuple[str, str | None, tuple[str, ...]]:
        """Return what is to be shown, if the visitor may see it: its name, its text if it was sent, and the options."""
        of, program, channels = wanted(request)
        if not of:
            raise InvalidValueError("has to be chosen", subject="job", value="nothing", legal="the id of a job")
        circuit = circuits.get(of)
        if circuit is None:
            of = check(request.state.visitor, of)
        else:
            lab.check(request.state.visitor, GetSubmission(0, ""))
        return of, circuit, (f"--program={program}", *(("--channels",) if channels else ()))

    def data(request: Request) -> Response:
        try:
            of, circuit, words = asked(request)
            name = f"{of} {words} {'' if circuit is None else lab.calibration().calibration_id}"
            made = sheets.get(name, lambda: run(of, circuit, *words, "--json"))
            return Response(made, media_type="application/json")
        except PulsedError as error:
            return JSONResponse({"error": str(error)}, status_of(error, 400))

    def send(request: Request) -> Response:
        text = field(request.state.form, "circuit", "OpenQASM 2 or 3", longest=12_000)
        lab.check(request.state.visitor, GetSubmission(0, ""))
        return site.go(f"/pulses?of={circuits.add(text)}")

    def alone(request: Request) -> Response:
        of, circuit, words = asked(request)
        with tempfile.TemporaryDirectory(prefix="pulsed-web-") as folder:
            path = Path(folder) / "pulses.html"
            run(of, circuit, *words, f"--html={path}")
            content = path.read_bytes()
        return Response(content, media_type="text/html; charset=utf-8", headers={
            "Content-Disposition": f'attachment; filename="pulses-{of[:12]}.html"',
        })  # fmt: skip

    return [
        Route("/pulses", show),
        Route("/pulses/data", asking(data)),
        Route("/pulses/alone.html", asking(alone)),
        Route("/pulses/circuit", send, methods=["POST"]),
    ]
