"""The operators' page against a real daemon, over HTTP: who gets in, what is shown, what its buttons do."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pulsed.client import Client
from pulsed.client.keys import add_client, client_path
from pulsed.model.calibration import RunRecord, Value
from pulsed.model.job import JobState
from pulsed.model.queue import QueueMode
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, flip, job, packed
from pulsed.testing.web_page import WebPage, post
from pulsed.web.access.sign_in import SESSION_SECONDS
from pulsed.web.graph_look import GraphLook
from pulsed.wire.roles import Role

SCRIPT = "<script>alert('x')</script>"
"""As the name of a job."""
PART = [packed(flip())]


@pytest.fixture(autouse=True, scope="module")
def unlooked() -> Iterator[None]:
    """Nobody looks at the graph here: that takes seconds, and has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GraphLook, "look", lambda self: None)
        yield


@pytest.fixture(scope="module")
def home(daemon: DaemonProcess) -> Path:
    if not client_path(daemon.home, "web").exists():  # by tests of the page that came before, of the same daemon
        add_client(daemon.home, "web", "operator")
    add_client(daemon.home, "wall", "viewer")
    return daemon.home


@pytest.fixture(scope="module")
def page(home: Path) -> Iterator[WebPage]:
    with WebPage(home, "web") as served:
        yield served


@pytest.fixture
def operator(page: WebPage) -> Iterator[httpx.Client]:
    with page.visitor() as browser:
        yield browser


@pytest.fixture
def client(daemon: DaemonProcess) -> Iterator[Client]:
    with daemon.client() as connected:
        yield connected
        connected.set_queue(QueueMode.OPEN)


def heading(answer: httpx.Response) -> str:
    found = re.search(r"<h1>(.*?)</h1>", answer.text)
    return found[1] if found else ""


# --- who gets in ---------------------------------------------------------------------------------------------------


def test_who_is_not_signed_in_sees_nothing_of_the_lab(page):
    with page.visitor(None) as stranger:
        for path in ("/", "/rack", "/queue", "/queue/progress", "/jobs/x", "/events", "/nowhere"):
            answer = stranger.get(path)
            assert answer.status_code == 401
            assert heading(answer) == "Sign in"
            assert "You are not signed in." in answer.text
            assert "sim5" not in answer.text
        assert stranger.post("/queue/mode", data={"mode": "pause"}).status_code == 401


def test_a_link_signs_one_browser_in_once(page):
    link = page.sign_in.new_link(Role.OPERATOR)
    with page.visitor(None) as first, page.visitor(None) as second:
        answer = first.get("/sign-in", params={"link": link})
        cookie = answer.headers["set-cookie"].lower()
        assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/", "max-age="))
        assert first.get("/rack").status_code == 200
        used = second.get("/sign-in", params={"link": link})
        assert (used.status_code, heading(used)) == (403, "Sign in")
        assert "This link has been used" in used.text
        wrong = second.get("/sign-in", params={"link": link[::-1]})
        assert wrong.status_code == 403
        assert "not one of ours" in wrong.text
        assert second.get("/rack").status_code == 401


def test_a_cookie_expires(page):
    with page.visitor() as browser:
        assert browser.get("/rack").status_code == 200
        page.shift = 12 * 3600.0
        try:
            over = browser.get("/rack")
        finally:
            page.shift = 0.0
        assert over.status_code == 401
        assert "as long as one may be" in over.text
        assert SESSION_SECONDS[Role.VIEWER] > 12 * 3600.0


def test_signing_out_ends_it(page):
    with page.visitor() as browser:
        post(browser, "/sign-out")
        assert browser.get("/rack").status_code == 401


def test_headers_have_no_exception(page, operator):
    with page.visitor(None) as stranger:
        answers = [operator.get("/rack"), stranger.get("/rack"), operator.get("/static/live.js"), operator.get("/none")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
    assert answers[0].headers["cache-control"] == "no-store"
    # Nothing on a page needs an exception either: no script, style or handler is written into it.
    for path in ("/rack", "/queue", "/chip", "/chip/Q0", "/calibration", "/alerts"):
        text = operator.get(path).text
        assert re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|<style|\son\w+=|javascript:", text) is None
        assert re.findall(r'(?:src|href)="(?:https?:)?//[^"]*', text) == [], "nothing comes from elsewhere"


def test_another_name_that_leads_here_is_refused(page, operator):
    for name in ("lab.example", "192.0.2.7", "127.0.0.1.lab.example", "", "["):
        answer = operator.get("/rack", headers={"Host": name})
        assert answer.status_code in (400, 421)
        assert "awg1" not in answer.text


FORGED = [
    ({"token": "guess"}, {}),
    ({}, {}),
    (None, {"Origin": "http://lab.example"}),
    (None, {"Origin": "null"}),
    (None, {"Sec-Fetch-Site": "cross-site"}),
    (None, {"Sec-Fetch-Site": "same-site"}),
]


@pytest.mark.parametrize(("fields", "headers"), FORGED)
def test_a_forged_form_does_nothing(operator, client, fields, headers):
    token = re.search(r'name="token" value="([^"]+)"', operator.get("/rack").text)[1]
    fields = {"token": token} if fields is None else fields
    answer = operator.post("/queue/mode", data={"mode": "pause", "reason": "forged", **fields}, headers=headers)
    assert (answer.status_code, heading(answer)) == (403, "A forged form")
    assert client.queue().control.mode is QueueMode.OPEN


def test_another_visitor_s_form_is_forged(page, operator, client):
    with page.visitor() as other:
        token = re.search(r'name="token" value="([^"]+)"', other.get("/rack").text)[1]
    answer = operator.post("/queue/mode", data={"mode": "pause", "reason": "forged", "token": token})
    assert heading(answer) == "A forged form"
    assert client.queue().control.mode is QueueMode.OPEN


def test_forms_are_bounded(operator):
    assert post(operator, "/queue/mode", mode="pause", reason="x" * 20_000).status_code == 413
    long = post(operator, "/queue/mode", mode="pause", reason="x" * 600)
    assert (long.status_code, heading(long)) == (400, "That cannot be")


@pytest.mark.parametrize("key", ["web", "wall"])
def test_a_viewer_looks_and_posts_nothing(page, home, client, key):
    """Whether the link says that they only look, or the key of the page may do no more."""
    with contextlib.ExitStack() as stack:
        served = page if key == "web" else stack.enter_context(WebPage(home, key))
        viewer = stack.enter_context(served.visitor(Role.VIEWER if key == "web" else Role.ADMIN))
        assert "awg1" in viewer.get("/rack").text
        job_id = client.submit(job(), PART).job_id
        for path, fields in (
            ("/queue/mode", {"mode": "pause", "reason": "so"}),
            ("/queue/mode", {"mode": "resume"}),
            ("/rack/stop", {"reason": "so"}),
            (f"/jobs/{job_id}/cancel", {}),
            ("/rack/interlocks/fridge/rearm", {"reason": "so"}),
            ("/rack/instruments/awg1/read", {}),
            ("/alerts/test", {}),
            ("/calibration/sets/x/rollback", {"expected": "x", "reason": "so"}),
            ("/links", {"role": "operator", "person": "x"}),
            ("/links", {"role": "viewer", "person": "x"}),
        ):
            answer = post(viewer, path, **fields)
            assert (answer.status_code, heading(answer)) == (403, "Not allowed"), path
        assert client.queue().control.mode is QueueMode.OPEN
        client.result(job_id, PATIENCE)


# --- what is shown, and done ---------------------------------------------------------------------------------------


def test_the_rack(operator):
    text = operator.get("/rack").text
    for name in ("awg1", "digitizer", "sgs1", "operational", "Ports", "5.1 GHz"):
        assert name in text
    answer = post(operator, "/rack/instruments/awg1/read")
    assert "pulsed instrument get awg1" in answer.text
    assert heading(post(operator, "/rack/instruments/none/read")) == "Not found"


def test_the_chip_and_its_qubits(operator):
    text = operator.get("/chip", params={"qubit": "t1", "pair": "ecr.error"}).text
    assert re.findall(r'<a href="/chip/(Q\d)" aria-label="Q\d: [\d.]+ (?:± [\d.]+ )?µs', text) == [
        f"Q{q}" for q in range(5)
    ]
    assert text.count('<line class="pair') == 4
    assert heading(operator.get("/chip", params={"qubit": "colour"})) == "That cannot be"
    for name, what in (("Q1", "Q1.t1 over time"), ("Q0-Q1", "Q0-Q1.ecr.error over time")):
        text = operator.get(f"/chip/{name}", params={"value": what.split()[0].partition(".")[2]}).text
        assert what in text
        assert "pulsed cal history" in text
        assert operator.get(f"/chip/{name}").status_code == 200
    assert "awg1" in operator.get("/chip/Q1").text, "the wiring"
    for wrong in ("/chip/Q5", "/chip/Q1-Q0", "/chip/x"):
        assert heading(operator.get(wrong)) == "Not found"


def another(client: Client, t1: float, why: str = "") -> str:
    """Make a set with another T1 of Q1 the active one."""
    active = client.calibration()
    new = active.with_values({"Q1.t1": Value(t1, "s", 1e-6, "2026-12-01T00:00:00+00:00", "t1")}, "2026-12-01")
    client.put_calibration(new)
    client.commit_calibration(new.calibration_id, active.calibration_id, why)
    return new.calibration_id


def test_a_set_is_rolled_back_with_a_reason(operator, client):
    first = client.calibration().calibration_id
    second = another(client, 77e-6, SCRIPT)
    text = eventually(lambda: shown(operator, "/calibration", second), "the page shows the new set")
    assert "<script>alert" not in text
    assert f'href="/calibration/sets/{first}"' in text
    text = operator.get(f"/calibration/sets/{first}").text
    assert "Q1.t1" in text
    assert "77.0 ± 1.0 µs" in text
    answer = post(operator, f"/calibration/sets/{first}/rollback", expected=second, reason="too good to be true")
    assert answer.status_code == 303
    assert client.calibration().calibration_id == first
    entry = client.calibration_log(1)[0]
    assert (entry.by, entry.why) == ("web", "too good to be true")
    text = eventually(lambda: shown(operator, "/chip/Q1?value=t1", "rolled back to"), "its history says so")
    assert 'class="point again"' in text


def test_two_operators_at_once_the_second_sees_what_changed(operator, client):
    first = client.calibration().calibration_id
    seen = another(client, 78e-6)
    another(client, 79e-6)  # after the page was made
    answer = post(operator, f"/calibration/sets/{first}/rollback", expected=seen, reason="so")
    assert (answer.status_code, heading(answer)) == (409, "Not now")
    assert "Q1.t1" in answer.text
    assert client.calibration().number("Q1.t1") == 79e-6


def test_roll_backs_that_cannot_be(operator, client):
    active = client.calibration().calibration_id
    for wanted, fields, said in (
        ("none", {"expected": active, "reason": "so"}, "Not found"),
        (active, {"expected": active, "reason": "so"}, "That cannot be"),
        (active, {"expected": active, "reason": ""}, "That cannot be"),
        (active, {"reason": "so"}, "That cannot be"),
    ):
        assert heading(post(operator, f"/calibration/sets/{wanted}/rollback", **fields)) == said
    assert heading(operator.get("/calibration/sets/none")) == "Not found"


def test_runs_and_alerts(operator, client):
    client.put_run(RunRecord("run 1/2", "t1", "Q3", "calibrate", "bad data", 1.0, 2.0, reason=SCRIPT, by="ann"))
    text = eventually(lambda: shown(operator, "/calibration?target=Q3", "t1 Q3"), "the run is listed")
    assert "<script>alert" not in text
    assert heading(operator.get("/runs/none")) == "Not found"
    assert operator.get("/runs/run%201%2F2").status_code == 200
    assert "t1 Q3" not in operator.get("/calibration?target=Q2&routine=t1").text
    assert "Who is told" in operator.get("/alerts").text
    answer = post(operator, "/alerts/test")
    assert "Nobody is told: [alerts]" in operator.get(answer.headers["location"]).text


def test_scripts_in_names_are_text(operator, client):
    client.set_queue(QueueMode.PAUSED, "<b>reason</b>")
    job_id = client.submit(job(name=SCRIPT, tags=(SCRIPT,)), PART).job_id
    try:
        for path in ("/queue", f"/jobs/{job_id}"):
            text = eventually(lambda path=path: shown(operator, path, "&lt;script&gt;"), f"{path} shows the name")
            assert "<script>alert" not in text
            assert "<b>reason" not in text
    finally:
        client.cancel(job_id)


def shown(browser: httpx.Client, path: str, what: str) -> str:
    text = browser.get(path).text
    return text if what in text else ""


def test_the_queue_is_paused_with_a_reason_and_opened_again(operator, client):
    answer = post(operator, "/queue/mode", mode="pause", reason="helium")
    assert answer.status_code == 303
    assert (client.queue().control.mode, client.queue().control.by) == (QueueMode.PAUSED, "web")
    assert "by web: helium" in operator.get(answer.headers["location"]).text, "it says what was done"
    eventually(lambda: shown(operator, "/queue", "queue paused"), "the page says it by itself")
    post(operator, "/queue/mode", mode="resume")
    assert client.queue().control.mode is QueueMode.OPEN
    for mode, reason in (("halt", "so"), ("pause", " "), ("", "so")):
        assert heading(post(operator, "/queue/mode", mode=mode, reason=reason)) == "That cannot be"


def test_a_job_is_seen_and_cancelled(operator, client):
    client.set_queue(QueueMode.PAUSED, "so that it waits")
    job_id = client.submit(job(name="bell", priority=3), PART).job_id
    text = eventually(lambda: shown(operator, "/queue", "bell"), "the queue shows it")
    assert f'id="job-{job_id}"' in text
    said = post(operator, f"/jobs/{job_id}/cancel").headers["location"]
    assert client.job(job_id).state is JobState.CANCELLED
    assert f"Job {job_id} is cancelled." in operator.get(said).text
    assert "is cancelled" not in operator.get("/queue?said=is+cancelled").text, "nobody else puts words there"
    said = post(operator, f"/jobs/{job_id}/cancel").headers["location"]
    assert "had ended before" in operator.get(said).text
    assert heading(operator.get("/jobs/none")) == "Not found"


def test_stop_now_pauses_the_queue_and_ends_the_job(daemon, operator, client):
    daemon.tell("hold")
    try:
        job_id = client.submit(job(), PART).job_id
        eventually(lambda: client.status().running == job_id, "it is on the rack")
        eventually(lambda: shown(operator, "/queue", "running"), "the page shows that it plays")
        answer = post(operator, "/rack/stop", reason="smoke")
        assert answer.status_code == 303
    finally:
        daemon.untell("hold")
    assert client.queue().control.sentence() == "the queue is paused by web: smoke"
    eventually(lambda: client.job(job_id).state is JobState.CANCELLED, "it is cancelled")
    assert f"job {job_id} is cancelled" in operator.get(answer.headers["location"]).text


def test_what_is_done_is_in_the_audit_log(daemon, operator, client):
    job_id = client.submit(job(), PART).job_id
    post(operator, "/queue/mode", mode="lock", reason="for the log")
    post(operator, f"/jobs/{job_id}/cancel")
    paths = sorted((daemon.home / "audit").glob("*.jsonl"))
    lines = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    mine = [(line["what"], line["role"]) for line in lines if line["who"] == "web"]
    assert ("queue.set", "operator") in mine
    assert ("cancel", "operator") in mine


def test_a_screen_for_the_wall_is_let_in_as_a_viewer(page, operator):
    answer = post(operator, "/links", role="viewer", person="the wall")
    link = re.search(r'value="http://[^"]*/sign-in\?link=([^"]+)"', answer.text)[1]
    with page.visitor(None) as wall:
        wall.get("/sign-in", params={"link": link})
        assert ", viewer</p>" in wall.get("/rack").text
    assert heading(post(operator, "/links", role="admin", person="the wall")) == "Not allowed"
    assert heading(post(operator, "/links", role="king", person="the wall")) == "That cannot be"


def test_pages_hear_of_changes_and_catch_up(page, operator, client):
    mark = re.search(r'data-mark="([^"]+)"', operator.get("/queue").text)[1]
    with operator.stream("GET", "/events", params={"after": mark}) as stream:
        lines = stream.iter_lines()
        client.set_queue(QueueMode.PAUSED, "told")
        told: set[str] = set()
        while "queue" not in told:
            line = next(lines)
            told |= set(line.removeprefix("data: ").split()) if line.startswith("data: ") else set()
            last = line.removeprefix("id: ") if line.startswith("id: ") else mark
            mark = last if line.startswith("id: ") else mark
    eventually(lambda: page.notices.listeners == 0, "the page's connection is let go")
    client.set_queue(QueueMode.OPEN)  # while nobody listens
    with operator.stream("GET", "/events", headers={"Last-Event-ID": mark}) as stream:
        lines = stream.iter_lines()
        while not (line := next(lines)).startswith("data: "):
            pass
    assert "queue" in line
    assert operator.get("/events", params={"after": "x" * 65}).status_code == 400


def test_a_daemon_that_stops_and_starts_under_an_open_page(tmp_path):
    own = DaemonProcess(tmp_path).start()
    add_client(own.home, "web", "operator")
    with WebPage(own.home, "web") as served, served.visitor() as browser:
        assert "operational" in browser.get("/rack").text
        own.stop()
        text = eventually(lambda: shown(browser, "/rack", "The daemon does not answer"), "the page says so")
        assert "What is shown is from before." in text
        assert "awg1" in text
        refused = post(browser, "/queue/mode", mode="pause", reason="so")
        assert (refused.status_code, heading(refused)) == (503, "The daemon does not answer")
        own.start()  # at another port: the page finds it by the home directory
        eventually(lambda: "does not answer" not in browser.get("/rack").text, "the page recovers by itself")
        assert post(browser, "/queue/mode", mode="pause", reason="so").status_code == 303
    assert own.stop() == 0
