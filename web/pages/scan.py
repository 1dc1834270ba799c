"""Scan: one or two parameters swept by hand and drawn as they come: what `pulsed scan` does."""

from __future__ import annotations

import shlex

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pulsed.model.errors import InvalidValueError
from pulsed.web.pages.chip import names
from pulsed.web.site import Site, field, number
from pulsed.web.tasks import Tasks
from pulsed.wire.messages import CommitCalibration

EXAMPLES = (
    ("T1", "wait=0:100us:41", "", "x wait"), ("Rabi", "x.amplitude=0:0.9:41", "", "x"),
    ("Ramsey", "wait=0:20us:61", "", "sx wait sx"), ("Spectroscopy", "f01=+-5MHz:61", "", "x"),
    ("Chevron", "f01=+-4MHz:21", "x.amplitude=0:0.9:21", "x"),
)  # fmt: skip
"""By name: the axes and what is played."""


def words_of(targets: list[str], axes: list[str], program: str, shots: int) -> tuple[str, ...]:
    """Return the words of the command that scans this."""
    play = (f"--play={program}",) if program else ()
    return ("scan", "--live", "--yes", *(f"--axis={axis}" for axis in axes), *play, f"--shots={shots}", "--", *targets)


def spoken(targets: list[str], axes: list[str], program: str, shots: int) -> str:
    """Return the command as a person types it."""
    play = ["--play", program] if program else []
    options = [part for axis in axes for part in ("--axis", axis)]
    return shlex.join(["pulsed", "scan", *targets, *options, *play, "--shots", str(shots)])


def routes(site: Site, tasks: Tasks) -> list[Route]:
    """Return the routes."""
    lab = site.lab

    def show(request: Request) -> Response:
        query = request.query_params
        qubits = names(lab.device())[0]
        given = {
            "targets": query.get("targets", qubits[0]), "first": query.get("first", EXAMPLES[0][1]),
            "second": query.get("second", ""),
            "program": query.get("program", EXAMPLES[0][3] if "first" not in query else ""),
            "shots": query.get("shots", "300"),
        }  # fmt: skip
        axes = [axis for axis in (given["first"], given["second"]) if axis]
        shots = number(given["shots"], "shots", 2)
        return site.page(
            request, "scan.html", given=given, examples=EXAMPLES,
            tasks=[task for task in tasks.listed() if task.words[0] == "scan"],
            command_line=spoken(given["targets"].split(), axes, given["program"], shots),
            may_measure=lab.may(request.state.visitor, CommitCalibration(0, "", "")),
        )  # fmt: skip

    def begin(request: Request) -> Response:
        form = request.state.form
        targets = field(form, "targets", "qubits, such as Q0 Q2").split()
        legal = names(lab.device())[0]
        for target in targets:
            if target not in legal:
                raise InvalidValueError("no such qubit", subject="targets", value=target, legal=", ".join(legal))
        axes = [field(form, "first", "an axis, such as wait=0:20us:41"), form.get("second", "").strip()]
        program, shots = form.get("program", "").strip(), number(form.get("shots", "300"), "shots", 2)
        lab.check(request.state.visitor, CommitCalibration(0, "", ""))
        tasks.start(lab.client.url, *words_of(targets, [axis for axis in axes if axis], program, shots))
        query = {
            "targets": " ".join(targets),
            "first": axes[0],
            "second": axes[1],
            "program": program,
            "shots": str(shots),
        }
        return site.go("/scan", **query)

    return [Route("/scan", show), Route("/scan", begin, methods=["POST"])]
