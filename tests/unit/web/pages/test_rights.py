"""What needs a right, on all pages."""

import re

import pytest
from starlette.routing import Route

from pulsed.web.lab import Lab
from pulsed.wire.roles import Role

FORMS = [
    ("/queue/mode", {"mode": "pause", "reason": "so"}),
    ("/rack/stop", {"reason": "so"}),
    ("/rack/interlocks/fridge/rearm", {"reason": "so"}),
    ("/rack/instruments/awg1/read", {}),
    ("/alerts/test", {}),
    ("/scan", {"targets": "Q0", "first": "wait=0:1us:3"}),
    ("/notes", {"about": "Q0", "text": "so"}),
    ("/calibration/look", {}),
    ("/calibration/measure", {"what": "run", "routine": "t1", "targets": "Q0"}),
    ("/calibration/value", {"name": "Q0.t1", "value": "20us", "reason": "so", "expected": "x"}),
    ("/calibration/fault", {"subject": "Q0", "reason": "so", "expected": "x"}),
    ("/calibration/sets/x/rollback", {"expected": "x", "reason": "so"}),
    ("/pulses/circuit", {"circuit": "OPENQASM 3;"}),
    ("/keys/add", {"name": "eve"}),
    ("/audit/verify", {}),
    ("/tasks/1/stop", {}),
    ("/links", {"role": "viewer", "person": "x"}),
]
"""Of the lab, which a viewer may not send."""
ELSEWHERE = {"/sign-out", "/jobs/{job_id}/cancel", "/sessions/{session_id}/close"}
"""One's own, and those that a daemon is asked about first: tests/system has them."""


def test_no_form_is_left_out(app):
    posted = [route for route in app.routes if isinstance(route, Route) and "POST" in (route.methods or ())]
    found = {route.path for route in posted if any(route.path_regex.match(path) for path, _ in FORMS)}
    assert found | ELSEWHERE == {route.path for route in posted}


@pytest.mark.parametrize(("path", "fields"), FORMS)
def test_a_viewer_may_not(visit, lab, path, fields):
    assert visit(Role.VIEWER).send(path, **fields).status_code == 403
    assert lab.asked == []


@pytest.mark.parametrize(("path", "fields"), FORMS)
def test_without_a_daemon_nobody_may(visit, lab, path, fields):
    lab.problem = "away"
    assert visit().send(path, **fields).status_code == 503
    assert lab.asked == []
    assert Lab.role(lab, visit().who) is Role.VIEWER


def test_who_made_a_link_is_known_of_who_comes_by_it(visit, sign_in):
    text = visit(Role.OPERATOR, "anna").send("/links", role="viewer", person="the wall").text
    link = re.search(r"sign-in\?link=([\w-]+)", text)[1]
    _, visitor = sign_in.use_link(link)
    assert (visitor.inviter, visitor.person, visitor.role) == ("anna", "the wall", Role.VIEWER)
