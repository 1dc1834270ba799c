"""Pulses, history, runs, calibration, scan, notes, users, audit and logs against a real daemon, over HTTP."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pulsed.calibration.executor import Executor
from pulsed.calibration.routines.relaxation import T1
from pulsed.calibration.runner.runner import run
from pulsed.cli.main import invoke
from pulsed.client import Client
from pulsed.client.keys import add_client, client_path
from pulsed.model.calibration import RunRecord, Value
from pulsed.model.measurement import MeasurementInfo, Plot, PlotTrace
from pulsed.model.queue import QueueMode
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, flip, job, packed
from pulsed.testing.simulated_lab import SimulatedLab
from pulsed.testing.web_page import WebPage, post
from pulsed.web.graph_look import GraphLook
from pulsed.wire.roles import Role

SCRIPT = "<script>alert('x')</script>"


@pytest.fixture(autouse=True, scope="module")
def unlooked() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GraphLook, "look", lambda self: None)
        yield


@pytest.fixture(scope="module")
def page(daemon: DaemonProcess) -> Iterator[WebPage]:
    if not client_path(daemon.home, "web").exists():  # by tests of the page that came before, of the same daemon
        add_client(daemon.home, "web", "operator")
    with WebPage(daemon.home, "web") as served:
        yield served


@pytest.fixture
def operator(page: WebPage) -> Iterator[httpx.Client]:
    with page.visitor(person="anna") as browser:
        yield browser


@pytest.fixture
def viewer(page: WebPage) -> Iterator[httpx.Client]:
    with page.visitor(Role.VIEWER) as browser:
        yield browser


@pytest.fixture
def client(daemon: DaemonProcess) -> Iterator[Client]:
    with daemon.client() as connected:
        yield connected
        connected.set_queue(QueueMode.OPEN)


def pulsed(daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setenv("PULSED_HOME", str(daemon.home))
    with contextlib.suppress(SystemExit):  # what was measured may be no good
        assert invoke(list(words)) == 0


def shown(browser: httpx.Client, path: str, what: str) -> str:
    text = browser.get(path).text
    return text if what in text else ""


def heading(answer: httpx.Response) -> str:
    found = re.search(r"<h1>(.*?)</h1>", answer.text)
    return found[1] if found else ""


def test_every_page_is_there_and_says_its_command(operator):
    pages = {
        "/pulses": "pulsed pulses FILE", "/history": "pulsed cal history", "/runs": "pulsed cal runs",
        "/scan": "pulsed scan Q0", "/users": "pulsed keys list", "/audit": "pulsed audit list", "/logs": "pulsed logs",
        "/calibration": "pulsed cal diagnose",
    }  # fmt: skip
    for path, command in pages.items():
        answer = operator.get(path)
        assert answer.status_code == 200, path
        assert command in answer.text, path
        assert re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|<style|\son\w+=|javascript:", answer.text) is None, path


def test_what_a_viewer_may_not(viewer, client):
    calibration = client.calibration().calibration_id
    for path, fields in (
        ("/notes", {"about": "Q0", "text": "so"}),
        ("/scan", {"targets": "Q0", "first": "wait=0:1us:3", "program": "x wait"}),
        ("/calibration/measure", {"what": "run", "routine": "t1", "targets": "Q0"}),
        ("/calibration/value", {"name": "Q0.t1", "value": "20us", "reason": "so", "expected": calibration}),
        ("/calibration/fault", {"subject": "Q0", "reason": "so", "expected": calibration}),
        ("/calibration/look", {}),
        (f"/calibration/sets/{calibration}/rollback", {"reason": "so", "expected": calibration}),
        ("/keys/add", {"name": "eve"}),
        ("/audit/verify", {}),
        ("/tasks/1/stop", {}),
        ("/pulses/circuit", {"circuit": "OPENQASM 3;"}),
    ):
        assert heading(post(viewer, path, **fields)) == "Not allowed", path
    for path in ("/audit", "/logs"):
        assert heading(viewer.get(path)) == "Not allowed"
    assert "Operators see who holds a key." in viewer.get("/users").text
    assert client.calibration().calibration_id == calibration
    assert client.notes("Q0") == []


def test_notes_have_an_author_and_are_text(operator, client, daemon, monkeypatch, capsys):
    client.put_run(RunRecord("run 7", "t1", "Q3", "calibrate", "good", 1.0, 2.0))
    active = client.calibration().calibration_id
    for about, path in (("Q2", "/chip/Q2"), ("Q0-Q1", "/chip/Q0-Q1"), ("run 7", "/runs/run%207"),
                        (active, f"/calibration/sets/{active}")):  # fmt: skip
        answer = post(operator, "/notes", about=about, text=f"{SCRIPT} seen here", back=path)
        assert answer.headers["location"].startswith(path)
        text = eventually(lambda path=path: shown(operator, path, "seen here"), f"{path} shows the note")
        assert "<script>alert" not in text
        assert client.notes(about)[0].by == "anna (web)"
    assert heading(post(operator, "/notes", about="Q9", text="so")) == "Not found"
    assert heading(post(operator, "/notes", about="Q1", text=" ")) == "That cannot be"
    assert heading(post(operator, "/notes", about="Q1", text="x" * 2001)) == "That cannot be"
    assert post(operator, "/notes", about="Q1", text="so", back="//lab.example").headers["location"].startswith("/chip")
    pulsed(daemon, monkeypatch, "notes", "Q2")
    assert "anna (web)" in capsys.readouterr().out
    pulsed(daemon, monkeypatch, "note", "Q4", "from", "the", "terminal")
    eventually(lambda: shown(operator, "/chip/Q4", "from the terminal"), "the page hears of it")


def test_who_is_signed_in_stands_in_the_audit_log(operator, client, daemon):
    post(operator, "/queue/mode", mode="pause", reason="helium")
    assert client.queue().control.by == "anna (web)"
    paths = sorted((daemon.home / "audit").glob("*.jsonl"))
    lines = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    mine = [line for line in lines if line["what"] == "queue.set" and line["person"] == "anna"]
    assert mine
    assert mine[-1]["who"] == "web"
    text = operator.get("/audit", params={"who": "anna", "what": "queue.set"}).text
    assert re.search(r'<th scope="row">anna</th><td>web</td>', text)
    assert "helium" in text
    said = post(operator, "/audit/verify").headers["location"]
    assert "The log is whole" in operator.get(said).text


def test_the_pulses_of_a_job_and_of_a_circuit(operator, client):
    job_id = client.submit(job(name="flip"), [packed(flip())]).job_id
    client.result(job_id, PATIENCE)
    text = operator.get("/pulses", params={"of": job_id}).text
    assert f'data-sheet="/pulses/data?of={job_id}&amp;program=0&amp;rows=ports"' in text
    sheet = operator.get("/pulses/data", params={"of": job_id}).json()
    assert sheet["programs"] == 1
    assert any(row["lengths"] for row in sheet["rows"])
    assert any(row["windows"] for row in sheet["rows"])
    assert operator.get("/pulses/data", params={"of": job_id, "program": "1"}).status_code == 400
    assert heading(operator.get("/pulses", params={"of": "none"})) == "Not found"
    wrong = post(operator, "/pulses/circuit", circuit="no circuit").headers["location"]
    answer = operator.get(wrong.replace("/pulses?", "/pulses/data?"))
    assert answer.status_code == 400
    assert "is not OpenQASM" in answer.json()["error"] or "OpenQASM" in answer.json()["error"]


def test_history_of_any_value_with_its_roll_back(operator, client):
    first = client.calibration()
    new = first.with_values({"Q2.t1": Value(61e-6, "s", 1e-6, "2026-12-01T00:00:00+00:00", "t1")}, "2026-12-01")
    client.put_calibration(new)
    client.commit_calibration(new.calibration_id, first.calibration_id, "it was measured")
    client.commit_calibration(first.calibration_id, new.calibration_id, "it was wrong")
    text = eventually(lambda: shown(operator, "/history?value=Q2.t1+Q2.f01", "it was wrong"), "the page shows it")
    assert text.count('class="plot"') == 2
    assert 'class="point again"' in text
    assert heading(operator.get("/history?value=Q2.colour")) == "That cannot be"
    assert heading(operator.get("/history?value=" + "+".join(f"Q{k}.t1" for k in range(7)))) == "That cannot be"
    text = operator.get(f"/calibration/sets/{new.calibration_id}", params={"with": first.calibration_id}).text
    assert "Q2.t1" in text
    assert "pulsed cal diff" in text


def test_a_run_is_analysed_again_and_taken_along(operator, client, daemon, tmp_path):
    lab = Executor(SimulatedLab.sim5(seed=11))
    record = run(T1(points=13, shots=300), ["Q0"], lab, folder=daemon.home / "runs")["Q0"].record
    client.put_run(record)
    path = f"/runs/{record.run_id}"
    text = eventually(lambda: shown(operator, path, "data-figure"), "the run is listed")
    assert f"pulsed cal analyse {record.run_id}" in text
    found = operator.get(f"{path}/figure").json()
    assert found["quality"] == record.outcome == "good"
    assert len(found["plot"]["traces"][0]["x"]) == 13
    assert found["values"]["t1"]["value"] == pytest.approx(record.values["Q0.t1"].value)
    assert operator.get(f"{path}/data.nc").content == Path(record.file).read_bytes()
    assert operator.get(f"{path}/figure.png").content.startswith(b"\x89PNG")
    wrong = operator.get(f"{path}/figure", params={"set": "colour=3"})
    assert (wrong.status_code, "no such parameter" in wrong.json()["error"]) == (400, True)
    assert 'href="/runs/' in operator.get("/runs", params={"routine": "t1", "outcome": "good"}).text
    outside = tmp_path / "x.nc"
    outside.write_text("secret")
    client.put_run(RunRecord("run 8", "t1", "Q3", "calibrate", "good", 1.0, 2.0, file=str(outside)))
    assert heading(eventually(lambda: operator.get("/runs/run%208/data.nc"), "asked")) == "Not found"


def test_measurements_grow_and_are_bounded(operator, client, page):
    def told(done: int, outcome: str = "") -> MeasurementInfo:
        x = tuple(map(float, range(done)))
        return MeasurementInfo("m 1", "t1", "Q1", "calibrate", 1.0, done=done, total=9, outcome=outcome,
                               plot=Plot("delay", "signal", (PlotTrace("I", x, x),)))  # fmt: skip

    for done, outcome in ((3, ""), (9, "good")):
        client.tell_measurement(told(done, outcome))
        eventually(
            lambda done=done, outcome=outcome: any(
                one["run_id"] == "m 1" and one.get("done", 0) == done and one.get("outcome", "") == outcome
                for one in operator.get("/measurements").json()
            ),
            "the page hears of it",
        )
    assert all(one["run_id"] != "m 1" for one in operator.get("/measurements?scan=1").json())


def test_a_value_and_a_fault_by_hand_and_two_at_once(operator, client):
    seen = client.calibration().calibration_id
    answer = post(operator, "/calibration/value", name="Q1.t1", value="33us", reason="by hand", expected=seen)
    assert answer.status_code == 303, answer.text
    assert client.calibration().number("Q1.t1") == 33e-6
    assert client.calibration_log(1)[0].by == "anna (web)"
    late = post(operator, "/calibration/fault", subject="Q4", reason="mine", expected=seen)
    assert (late.status_code, heading(late)) == (409, "Not now")
    assert "Q1.t1" in late.text
    assert "anna (web)" in late.text
    now = client.calibration().calibration_id
    assert post(operator, "/calibration/fault", subject="Q4", reason="dead", expected=now).status_code == 303
    fault = client.calibration().faulty("Q4")
    assert (fault.why, fault.by) == ("dead", client.calibration_log(1)[0].by) == ("dead", "anna (web)")
    now = client.calibration().calibration_id
    post(operator, "/calibration/fault", subject="Q4", reason="alive", expected=now, what="enable")
    assert client.calibration().faulty("Q4") is None
    for fields in (
        {"name": "Q1.colour", "value": "1"},
        {"name": "Q1.t1", "value": "much"},
        {"name": "--help", "value": "1"},
    ):
        now = client.calibration().calibration_id
        wrong = post(operator, "/calibration/value", **fields, reason="so", expected=now)
        assert (wrong.status_code, client.calibration().calibration_id) == (400, now), fields


def test_a_scan_is_started_drawn_and_stopped(operator, client):
    for fields in ({"targets": "Q9", "first": "wait=0:1us:3"}, {"targets": "Q0", "first": ""},
                   {"targets": "--url=tcp://192.0.2.1:1", "first": "wait=0:1us:3"},
                   {"targets": "Q0", "first": "wait=0:1us:3", "shots": "many"}):  # fmt: skip
        assert heading(post(operator, "/scan", **fields)) == "That cannot be", fields
    answer = post(operator, "/scan", targets="Q0", first="wait=0:4us:5", program="x wait", shots="50")
    assert "first=wait" in answer.headers["location"]
    text = operator.get(answer.headers["location"]).text
    assert "pulsed scan Q0 --axis wait=0:4us:5 --play &#39;x wait&#39; --shots 50" in text
    found = eventually(
        lambda: next((one for one in operator.get("/measurements?scan=1").json() if one.get("outcome")), None),
        "it is drawn to its end",
    )  # fmt: skip
    assert (found["outcome"], found["by"]) == ("good", "anna (web)")
    assert len(found["plot"]["traces"][0]["x"]) == 5
    eventually(lambda: "running" not in operator.get("/scan").text, "the command has ended", 30)


def test_keys_are_an_admin_s(operator, page, daemon):
    text = operator.get("/users").text
    assert '<th scope="row">web</th>' in text
    assert heading(post(operator, "/keys/add", name="eve")) == "Not allowed", "the key of this page is an operator's"
    add_client(daemon.home, "chief", "admin")
    with WebPage(daemon.home, "chief") as served, served.visitor(person="bea") as admin:
        said = post(admin, "/keys/add", name="carl", role="viewer").headers["location"]
        assert "pulsed keys add carl" in admin.get(said).text
        assert (daemon.home / "clients" / "carl.key").exists()
        post(admin, "/keys/revoke", name="carl")
        assert not (daemon.home / "clients" / "carl.key").exists()
        assert heading(post(admin, "/keys/add", name="x", role="king")) == "That cannot be"
        text = admin.get("/audit", params={"what": "keys.revoke"}).text
        assert '<th scope="row">bea</th>' in text


def test_logs(operator):
    text = operator.get("/logs", params={"level": "info", "grep": "mode"}).text
    assert "What the daemon wrote" in text
    assert heading(operator.get("/logs", params={"level": "loud"})) == "That cannot be"
