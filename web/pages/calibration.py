"""Calibration: the graph with the state of every node, the sets that were active, roll-backs, and runs."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.errors import InvalidValueError
from pulsed.web.graph_look import GraphLook, GraphNode
from pulsed.web.pages.committing import check_unchanged
from pulsed.web.site import Site, field
from pulsed.web.tasks import Tasks
from pulsed.wire.messages import CommitCalibration
from pulsed.wire.note_messages import AddNote
from pulsed.wire.roles import Role

SETS_SHOWN = 50
RUNS_SHOWN = 100
STATES = ("fresh", "stale", "never", "failed", "faulty", "unused")
MEASURES = {
    "run": "measure with a routine, and make what it finds active",
    "check": "only look whether the active values are right",
    "maintain": "check what is old, calibrate what has drifted", "diagnose": "find out what is wrong with one target",
    "bringup": "tune up what is not tuned yet",
}  # fmt: skip
"""What is done from here, and what it is."""
OLD_LOOK = 1800.0
"""Seconds after which a page has somebody look again."""


@dataclass(frozen=True)
class GraphRow:
    """A routine with its targets."""

    routine: str
    nodes: tuple[GraphNode, ...]


@dataclass(frozen=True)
class Reason:
    """Why nodes are not fresh, those of one routine, state and reason together; of faulty targets without a routine."""

    status: str
    routine: str
    targets: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Difference:
    """A value that two sets do not share."""

    name: str
    here: Value | None
    there: Value | None


def rows(nodes: Iterable[GraphNode]) -> list[GraphRow]:
    """Return nodes by routine, in the order of the graph."""
    grouped: dict[str, list[GraphNode]] = {}
    for node in nodes:
        grouped.setdefault(node.routine, []).append(node)
    return [GraphRow(routine, tuple(found)) for routine, found in grouped.items()]


def reasons(nodes: Iterable[GraphNode]) -> list[Reason]:
    """Return why nodes are neither fresh nor unused, the failed ones first."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for node in nodes:
        if node.status not in ("fresh", "unused"):
            routine = "" if node.status == "faulty" else node.routine  # the target itself is
            targets = grouped.setdefault((node.status, routine, node.why), [])
            targets += [node.target] if node.target not in targets else []
    found = [Reason(status, routine, tuple(t), why) for (status, routine, why), t in grouped.items()]
    return sorted(found, key=lambda reason: ("failed", "faulty", "stale", "never").index(reason.status))


def differences(active: CalibrationSet, other: CalibrationSet) -> list[Difference]:
    """Return the values, not the faults, in which two sets differ."""
    names = [name for name in active.changed(other) if not name.endswith(".fault")]
    return [Difference(name, active.values.get(name), other.values.get(name)) for name in names]


def measuring_words(what: str, routine: str, targets: list[str]) -> tuple[str, ...]:
    """Return the words of the command that measures this. Raises :class:`InvalidValueError` for what is missing."""
    if what in ("run", "check"):
        if not routine:
            raise InvalidValueError("has to be chosen", subject="routine", value="nothing", legal="one of the graph")
        return ("cal", "run", "--live", *(("--check",) if what == "check" else ()), "--", routine, *targets)
    if what == "diagnose":
        if len(targets) != 1:
            raise InvalidValueError("one is diagnosed at a time", subject="targets", value=len(targets), legal="Q0")
        suspected = (f"--routine={routine}",) if routine else ()
        return ("cal", "diagnose", "--live", *suspected, "--", *targets)
    return ("cal", what, "--live", *(f"--target={target}" for target in targets))


def routes(site: Site, graph: GraphLook, tasks: Tasks) -> list[Route]:
    """Return the routes; ``graph`` is looked at when a page shows it and the set has changed since."""
    lab = site.lab
    seen_set = [""]

    def show(request: Request) -> Response:
        calibration = lab.calibration()
        old = graph.looked + OLD_LOOK < time.time()
        if not lab.problem and (calibration.calibration_id != seen_set[0] or old):
            seen_set[0] = calibration.calibration_id
            graph.look()
        wanted = {name: request.query_params.get(name, "").strip() for name in ("routine", "target")}
        runs = lab.keep(
            f"calibration all runs {wanted['routine']} {wanted['target']}",
            lambda client: client.runs(wanted["routine"] or None, wanted["target"] or None, RUNS_SHOWN), 5.0,
        )  # fmt: skip
        log = lab.keep("calibration log", lambda client: client.calibration_log(SETS_SHOWN))
        counts = {word: sum(node.status == word for node in graph.nodes) for word in STATES}
        return site.page(
            request, "calibration.html", calibration=calibration, graph=graph, rows=rows(graph.nodes),
            reasons=reasons(graph.nodes), counts=counts, log=log, runs=runs, wanted=wanted,
            measures=MEASURES, tasks=[task for task in tasks.listed() if task.words[0] == "cal"],
            may_measure=lab.may(request.state.visitor, CommitCalibration(0, "", "")),
            may_commit=lab.may(request.state.visitor, CommitCalibration(0, "", "")),
        )  # fmt: skip

    def look(request: Request) -> Response:
        lab.check_role(request.state.visitor, Role.EXPERIMENTER)
        graph.look()
        return site.done("/calibration", "The graph is looked at; this page shows it when that is done.")

    def measure(request: Request) -> Response:
        form = request.state.form
        what = field(form, "what", ", ".join(MEASURES))
        if what not in MEASURES:
            raise InvalidValueError("no such thing to do", subject="what", value=what, legal=", ".join(MEASURES))
        routine, targets = form.get("routine", "").strip(), form.get("targets", "").split()
        lab.check(request.state.visitor, CommitCalibration(0, "", ""))
        task = tasks.start(lab.client.url, *measuring_words(what, routine, targets))
        return site.done("/calibration", f"{task.command} has begun.")

    def one_set(request: Request) -> Response:
        wanted, active = request.path_params["id"], lab.calibration()
        beside = request.query_params.get("with", "").strip()
        if beside and beside != active.calibration_id:
            active = lab.client.calibration(beside)
        other = active if wanted == active.calibration_id else lab.client.calibration(wanted)
        faults = sorted(active.faults.keys() ^ other.faults.keys())
        return site.page(
            request, "set.html", active=active, other=other, differences=differences(active, other), faults=faults,
            may_commit=lab.may(request.state.visitor, CommitCalibration(0, "", "")),
            is_active=wanted == lab.calibration().calibration_id, beside=beside,
            sets=lab.keep("calibration log", lambda client: client.calibration_log(SETS_SHOWN)),
            notes=lab.notes(other.calibration_id), may_note=lab.may(request.state.visitor, AddNote(0, "", "")),
            current=lab.calibration().calibration_id,
        )  # fmt: skip

    def rollback(request: Request) -> Response:
        wanted, form = request.path_params["id"], request.state.form
        why, expected = field(form, "reason", "a sentence, kept in the log"), field(form, "expected", "the active set")
        client = lab.check(request.state.visitor, CommitCalibration(0, wanted, expected, why))
        check_unchanged(lab, expected)
        active, other = client.calibration(), client.calibration(wanted)
        if other.calibration_id == active.calibration_id:
            raise InvalidValueError("is active already", subject="calibration set", value=wanted, legal="another one")
        if other.cooldown != active.cooldown:
            raise InvalidValueError(
                "is of another cooldown; `pulsed cal rollback --force` makes it active all the same",
                subject=f"calibration set {wanted}", value=other.cooldown or "none", legal=active.cooldown or "none",
            )  # fmt: skip
        client.commit_calibration(wanted, expected, why)
        return site.done("/calibration", f"Set {wanted} is active again.")

    return [
        Route("/calibration", show),
        Route("/calibration/look", look, methods=["POST"]),
        Route("/calibration/sets/{id}", one_set),
        Route("/calibration/sets/{id}/rollback", rollback, methods=["POST"]),
        Route("/calibration/measure", measure, methods=["POST"]),
    ]
