"""Circuits that visitors send: who may see them, which are kept, and what they can read."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from pulsed.model.errors import NotAllowedError, NotFoundError
from pulsed.web.access.sign_in import Visitor
from pulsed.web.pages.pulses import routes
from pulsed.wire.roles import Role, check_right

PLAIN = "OPENQASM 3; qubit q;"


class Lab:
    """Keeps what was asked of the command line."""

    def __init__(self):
        self.asked, self.client = [], SimpleNamespace(job=self.job)

    def job(self, job_id):
        raise NotFoundError("no such job", value=job_id)

    def keep(self, name, ask, seconds=0.0):
        return []

    def calibration(self):
        return SimpleNamespace(calibration_id="c1")

    def check(self, visitor, request):
        check_right(request, "web", visitor.role)
        return self.client

    def may(self, visitor, request):
        try:
            check_right(request, "", visitor.role)
        except NotAllowedError:
            return False
        return True

    def ask(self, *words):
        self.asked.append((words, Path(words[-1]).read_text(encoding="utf-8")))
        return b"{}"


@pytest.fixture
def lab():
    return Lab()


@pytest.fixture
def site(lab):
    """Return the answer of a page: `page(path, role, **query or form)`."""
    site = SimpleNamespace(
        lab=lab, go=lambda path: path, page=lambda request, template, **shown: SimpleNamespace(**shown)
    )
    found = {route.path: route.endpoint for route in routes(site)}

    def ask(path, role=Role.EXPERIMENTER, **fields):
        state = SimpleNamespace(visitor=Visitor(role, "anna", "", 0.0), form=fields)
        answer = found[path](SimpleNamespace(query_params=fields, state=state))
        return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer

    return ask


def test_what_was_sent_is_shown_to_who_may_send_and_reads_no_other_file(site, lab):
    of = site("/pulses/circuit", circuit=PLAIN).partition("=")[2]
    assert site("/pulses/data", of=of).status_code == 200
    ((words, text),) = lab.asked
    assert text == PLAIN
    assert "--no-includes" in words
    assert site("/pulses", of=of).circuit == PLAIN
    assert site("/pulses/data", Role.VIEWER, of=of).status_code == 403
    assert site("/pulses", Role.VIEWER, of=of).circuit == ""
    with pytest.raises(NotAllowedError):
        site("/pulses/alone.html", Role.VIEWER, of=of)
    assert len(lab.asked) == 1


def test_of_many_circuits_the_ones_sent_last_are_kept(site):
    first = site("/pulses/circuit", circuit=PLAIN).partition("=")[2]
    second = site("/pulses/circuit", circuit=f"{PLAIN} // 0").partition("=")[2]
    assert site("/pulses/circuit", circuit=PLAIN).partition("=")[2] == first
    for number in range(1, 15):
        site("/pulses/circuit", circuit=f"{PLAIN} // {number}")
    assert site("/pulses", of=first).circuit == site("/pulses", of=second).circuit.partition(" //")[0] == PLAIN
    site("/pulses/circuit", circuit=f"{PLAIN} // one more")
    assert site("/pulses", of=first).circuit == PLAIN
    with pytest.raises(NotFoundError):
        site("/pulses", of=second)
