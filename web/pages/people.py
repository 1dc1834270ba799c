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
from pulsed.web.children import Answers, asking
from pulsed.web.lab import Lab
from pulsed.web.site import Site, field, number
from pulsed.wire.roles import Role

LOOKS = Role.OPERATOR
"""The lowest role that sees who did what, and the log."""
MAKES = Role.ADMIN
"""The lowest role that makes and takes away keys."""
_SECONDS = 5.0
"""For which a list is shown again: each takes a process."""
LEVELS = ("info", "warning", "error")


class _Files:
    """What commands say of the files of the page's daemon, if that runs on this machine."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._kept = lab, Answers(seconds=_SECONDS)

    def ask(self, *words: str, good: Sequence[int] = (0,)) -> bytes:
        """Return what a command says."""
        self._check()
        return self._lab.commands.ask(None, *words, good=good)

    def change(self, *words: str) -> bytes:
        """Return what a command says after which lists are others."""
        said = self.ask(*words)
        self._kept.forget()
        return said

    def listed(self, *words: str) -> Any:
        """Return what a command lists, or listed a few seconds ago."""
        name = f"{self._check()} {words}"
        return json.loads(self._kept.get(name, lambda: self._lab.commands.ask(None, *words, "--json")))

    def _check(self) -> str:
        """Return the instance of the daemon. Raises :class:`InvalidValueError` when it runs elsewhere."""
        home, instance = home_directory(self._lab.home), self._lab.greeting.instance
        here = announced(home)
        if here is None or here.instance != instance:
            raise InvalidValueError(
                "these are files of the daemon's machine, and it does not run here", subject="this page",
                value=str(home), legal="a page that runs beside the daemon",
            )  # fmt: skip
        return instance


def routes(site: Site) -> list[Route]:
    """Return the routes."""
    lab = site.lab
    files = _Files(lab)

    def users(request: Request) -> Response:
        role = lab.role(request.state.visitor)
        keys, problem = [], ""
        if role >= LOOKS:
            try:
                keys = files.listed("keys", "list")
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
        said = files.change("keys", what, *words).decode().strip()
        return site.done("/users", f"{shlex.join(('pulsed', 'keys', what, name))}: {said}")

    def audit(request: Request) -> Response:
        lab.check_role(request.state.visitor, LOOKS)
        wanted = {name: request.query_params.get(name, "").strip() for name in ("who", "what", "about")}
        refused = request.query_params.get("refused") == "1"
        words = [f"--{name}={text}" for name, text in wanted.items() if text] + (["--refused"] if refused else [])
        records = files.listed("audit", "list", "--limit=300", *words)
        return site.page(
            request, "audit.html", records=list(reversed(records)), wanted=wanted, refused=refused,
            command_line=shlex.join(("pulsed", "audit", "list", *words)), checked=None,
        )  # fmt: skip

    def verify(request: Request) -> Response:
        lab.check_role(request.state.visitor, LOOKS)
        report = json.loads(files.ask("audit", "verify", "--json", good=(0, 1)))
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
        lines = files.listed("logs", *words)
        return site.page(
            request, "logs.html", lines=list(reversed(lines)), level=level, grep=grep, levels=LEVELS,
            command_line=shlex.join(("pulsed", "logs", *words)),
        )  # fmt: skip

    return [
        Route("/users", asking(users)),
        Route("/keys/{what}", asking(change), methods=["POST"]),
        Route("/audit", asking(audit)),
        Route("/audit/verify", asking(verify), methods=["POST"]),
        Route("/logs", asking(logs)),
    ]
