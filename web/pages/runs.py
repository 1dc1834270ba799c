"""Runs: what was measured, its data and figure, the same analysed again, and both to take along."""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from pulsed.client.home import home_directory
from pulsed.model.calibration import RunRecord
from pulsed.model.errors import NotFoundError, PulsedError
from pulsed.web.children import Answers, asking
from pulsed.web.site import Site, status_of
from pulsed.wire.note_messages import AddNote
from pulsed.wire.roles import Role

SHOWN = 200
SEARCHED = 1000
"""Records among which those are looked for that fit."""
OUTCOMES = ("good", "bad data", "out of spec", "failed", "stopped")


def routes(site: Site) -> list[Route]:
    """Return the routes."""
    lab, answers = site.lab, Answers()

    def show(request: Request) -> Response:
        wanted = {name: request.query_params.get(name, "").strip() for name in ("routine", "target", "outcome", "by")}
        found = lab.keep(
            f"calibration found {wanted['routine']} {wanted['target']}",
            lambda client: client.runs(wanted["routine"] or None, wanted["target"] or None, SEARCHED), 5.0,
        )  # fmt: skip
        looked = len(found)
        found = [
            run for run in found if wanted["outcome"] in ("", run.outcome) and wanted["by"].lower() in run.by.lower()
        ]
        options = "".join(f" --{name} {wanted[name]}" for name in ("routine", "target") if wanted[name])
        return site.page(
            request, "runs.html", runs=found[:SHOWN], number=len(found), wanted=wanted,
            looked=looked if looked == SEARCHED else 0, outcomes=OUTCOMES,
            command_line=f"pulsed cal runs{options}",
        )  # fmt: skip

    def record(request: Request) -> RunRecord:
        wanted = request.path_params["id"]
        return lab.keep(f"calibration run {wanted}", lambda client: client.run_record(wanted), 5.0)

    def data_file(run: RunRecord) -> Path:
        """Return the file of a run; that in this machine's folder where the one that is named is not here."""
        if not run.file:
            raise NotFoundError("nothing was measured", subject=f"run {run.run_id}", value=run.outcome)
        there = Path(run.file)
        path = there if there.is_file() else home_directory(lab.home) / "runs" / there.name
        if path.suffix != ".nc" or path.stem != run.run_id or not path.is_file():
            raise NotFoundError(
                "its data are not on this machine", subject=f"run {run.run_id}", value=run.file,
                legal="a page that runs where the data are",
            )  # fmt: skip
        return path

    def settings(request: Request) -> tuple[str, ...]:
        """Return the changed parameters. Raises :class:`NotAllowedError` for who only looks: each takes a process."""
        changes = tuple(request.query_params.get("set", "").split())
        if changes:
            lab.check_role(request.state.visitor, Role.EXPERIMENTER)
        return changes

    def analysed(run: RunRecord, changes: tuple[str, ...]) -> bytes:
        words, path = [f"--set={change}" for change in changes], str(data_file(run))
        return answers.get(f"{path} {changes}", lambda: lab.ask("cal", "analyse", *words, "--json", "--", path))

    def one(request: Request) -> Response:
        run, changes = record(request), settings(request)
        try:
            path: Path | None = data_file(run)
            problem = ""
        except NotFoundError as error:
            path, problem = None, str(error)
        options = "".join(f" --set {change}" for change in changes)
        return site.page(
            request, "run.html", run=run, file=path, problem=problem, changes=" ".join(changes),
            query=urlencode({"set": " ".join(changes)}) if changes else "",
            command_line=f"pulsed cal analyse {run.run_id}{options}", notes=lab.notes(run.run_id),
            may_note=lab.may(request.state.visitor, AddNote(0, "", "")),
        )  # fmt: skip

    def figure(request: Request) -> Response:
        try:
            return Response(analysed(record(request), settings(request)), media_type="application/json")
        except PulsedError as error:
            return JSONResponse({"error": str(error)}, status_of(error, 400))

    def netcdf(request: Request) -> Response:
        path = data_file(record(request))
        return FileResponse(path, media_type="application/x-netcdf", filename=path.name)

    def png(request: Request) -> Response:
        lab.check_role(request.state.visitor, Role.EXPERIMENTER)
        run = record(request)
        with tempfile.TemporaryDirectory(prefix="pulsed-web-") as folder:
            path = Path(folder) / "figure.png"
            words = [f"--set={change}" for change in settings(request)]
            lab.ask("cal", "analyse", *words, f"--figure={path}", "--", str(data_file(run)))
            content = path.read_bytes()
        return Response(content, media_type="image/png", headers={
            "Content-Disposition": f'attachment; filename="{run.run_id}.png"',
        })  # fmt: skip

    return [
        Route("/runs", show),
        Route("/runs/{id:path}/figure", asking(figure)),
        Route("/runs/{id:path}/data.nc", netcdf),
        Route("/runs/{id:path}/figure.png", asking(png)),
        Route("/runs/{id:path}", one),
    ]
