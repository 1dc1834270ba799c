"""Users and keys, the audit log, and the log of the daemon: of the machine that this page runs on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pulsed.client.home import announced, home_directory
from pulsed.client.speaking import check_person
from pulsed.model.errors import InvalidValueError
from pulsed.web.site import Site, field, number
from pulsed.wire.roles import Role

LOOKS = Role.OPERATOR
"""The lowest role that sees who did what, and the log."""
MAKES = Role.ADMIN
"""The lowest role that makes and takes away keys."""
LEVELS = ("info", "warning", "error")


def routes(site: Site) -> list[Route]:
    """Return the routes."""
    lab = site.lab

    def ask(*words: str, good: Sequence[int] = (0,)) -> bytes:
        """Return what a command says of the files of the page's daemon, if that runs on this machine."""
        here = announced(home_directory(lab.home))
        if here is None or here.instance != lab.greeting.instance:
            raise InvalidValueError(
                "these are files of the daemon's machine, and it does not run here", subject="this page",
                value=str(home_directory(lab.home)), legal="a page that runs beside the daemon",
            )  # fmt: skip
        return lab.commands.ask(None, *words, good=good)

    def local(*words: str) -> Any:
        return json.loads(ask(*words, "--json"))

    def users(request: Request) -> Response:
        role = lab.role(request.state.visitor)
        keys, problem = [], ""
        if role >= LOOKS:
            try:
                keys = local("keys", "list")
            except InvalidValueError as error:
                problem = str(error)
        return site.page(
            request, "users.html", users=lab.queue().users, keys=keys, problem=problem, sees=role >= LOOKS,
            may_make=role >= MAKES, roles=[str(one) for one in Role],
        )  # fmt: skip

    def change(request: Request) -> Response:
        lab.check_role(request.state.visitor, MAKES)
        form, what = request.state.form, request.path_params["what"]
        name = check_person(field(form, "name", "the name of a key"))
        role = form.get("role", "experimenter")
        words = {"add": (f"--role={role}", "--", name), "revoke": ("--", name), "rotate": ("--", name)}.get(what)
        if words is None:
            raise InvalidValueError("no such thing to do", subject="keys", value=what, legal="add, revoke, rotate")
        said = ask("keys", what, *words).decode().strip()
        return site.done("/users", f"{shlex.join(('pulsed', 'keys', what, name))}: {said}")

    def audit(request: Request) -> Response:
        lab.check_role(request.state.visitor, LOOKS)
        wanted = {name: request.query_params.get(name, "").strip() for name in ("who", "what", "about")}
        refused = request.query_params.get("refused") == "1"
        words = [f"--{name}={text}" for name, text in wanted.items() if text] + (["--refused"] if refused else [])
        records = local("audit", "list", "--limit=300", *words)
        return site.page(
            request, "audit.html", records=list(reversed(records)), wanted=wanted, refused=refused,
            command_line=shlex.join(("pulsed", "audit", "list", *words)), checked=None,
        )  # fmt: skip

    def verify(request: Request) -> Response:
        lab.check_role(request.state.visitor, LOOKS)
        report = json.loads(ask("audit", "verify", "--json", good=(0, 1)))
        faults = report.get("faults", [])
        said = f"The log is whole: {report['records']} records." if not faults else f"It was changed: {faults[0]}"
        return site.done("/audit", said)

    def logs(request: Request) -> Response:
        lab.check_role(request.state.visitor, LOOKS)
        query = request.query_params
        level, grep = query.get("level", "info"), query.get("grep", "").strip()
        if level not in LEVELS:
            raise InvalidValueError("no such level", subject="level", value=level, legal=", ".join(LEVELS))
        limit = number(query.get("limit", "200"), "limit", 1)
        words = [f"--level={level}", f"--limit={min(limit, 2000)}", *([f"--grep={grep}"] if grep else [])]
        lines = local("logs", *words)
        return site.page(
            request, "logs.html", lines=list(reversed(lines)), level=level, grep=grep, levels=LEVELS,
            command_line=shlex.join(("pulsed", "logs", *words)),
        )  # fmt: skip

    return [
        Route("/users", users),
        Route("/keys/{what}", change, methods=["POST"]),
        Route("/audit", audit),
        Route("/audit/verify", verify, methods=["POST"]),
        Route("/logs", logs),
    ]
