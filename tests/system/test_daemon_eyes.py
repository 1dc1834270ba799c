"""What watches a daemon: systemd, Prometheus, alerts, all as they are outside of it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pulsed.cli.main import invoke
from pulsed.client.home import announced
from pulsed.client.keys import add_client
from pulsed.model.errors import BusyError, NotAllowedError, PulsedError
from pulsed.model.job import JobState
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import flip, job, packed

PATIENCE = 60.0


def figures(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        page = answer.read().decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def hook():
    """A web server of the test, and what was posted to it."""
    posts = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", posts
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def systemd(tmp_path_factory):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        path = str(tmp_path_factory.mktemp("systemd") / "notify")
        listener.bind(path)
        listener.settimeout(30)
        yield listener, path


@pytest.fixture(scope="module")
def watched(tmp_path_factory, hook, systemd):
    """A daemon with everything that watches it."""
    url, _ = hook
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTIFY_SOCKET", systemd[1])
        patch.setenv("WATCHDOG_USEC", "1500000")
        process = DaemonProcess(
            tmp_path_factory.mktemp("watched"), metrics={"listen": "127.0.0.1:0"}, look_every=0.5,
            alerts={"webhooks": [url, "http://127.0.0.1:9/"], "instrument_lost": 0.0, "worker_restarts": 1},
        ).start()  # fmt: skip
    yield process
    assert process.stop() == 0


def test_systemd_hears_ready_and_signs_of_life(watched, systemd):
    listener, _ = systemd
    heard = set()
    while not {"READY", "WATCHDOG", "STATUS"} <= heard:
        name, _, text = listener.recv(1000).decode().partition("=")
        heard.add(name)
        if name == "STATUS":
            assert text.startswith("sim5: ")


def test_the_page_of_metrics_says_what_the_daemon_did(watched):
    url = announced(watched.home).metrics
    with watched.client() as client:
        assert client.status().metrics == url
        assert (client.device().alerts.webhooks, client.device().metrics.listen) == ((), None), "clients are not told"
        before = figures(url)
        for shots in (1, 2, 3):
            request = job(shots=shots)
            client.submit(request, [packed(flip())])
            client.result(request.job_id, PATIENCE)
        bad = job(shots=1)
        client.submit(bad, [packed(flip())[:-20]])
        with pytest.raises(PulsedError):
            client.result(bad.job_id, PATIENCE)
        code = client.job(bad.job_id).error.code
        after = figures(url)
        calibration = client.calibration()
        restarts = client.status().workers["rack"].restarts
    grown = {key: after[key] - before.get(key, 0.0) for key in after}
    assert grown["pulsed_jobs_total", "done"] == 3
    assert grown["pulsed_jobs_total", "failed"] == 1
    assert grown["pulsed_job_errors_total", code] == 1
    assert grown["pulsed_job_stage_seconds_count", "compile"] == 3
    assert grown["pulsed_job_stage_seconds_count", "result"] == 3
    assert grown["pulsed_job_waiting_seconds_count",] == 3
    assert grown["pulsed_rack_busy_seconds_total",] > 0
    assert after["pulsed_qubit_t1_seconds", "Q0"] == calibration.number("Q0.t1")
    assert after["pulsed_instrument_connected", "awg1"] == 1
    assert after["pulsed_worker_restarts_total", "rack"] == restarts
    assert after["pulsed_disk_free_bytes",] > 2**20
    assert after["pulsed_connections", "requests"] >= 1
    assert grown["pulsed_requests_total", "submit"] == 4


def test_what_is_refused_is_in_the_figures(watched):
    url = announced(watched.home).metrics
    add_client(watched.home, "ann", "viewer")
    before = figures(url)
    with watched.client(key="ann") as ann:
        for _ in range(3):
            with pytest.raises(NotAllowedError):
                ann.submit(job(shots=1), [packed(flip())])
    code = "pulsed_requests_refused_total", NotAllowedError.code
    assert figures(url)[code] - before.get(code, 0.0) == 3


def test_an_alert_is_told_once_and_when_it_is_over(watched, hook):
    _, posts = hook

    def told():
        return [post["state"] for post in posts if (post["rule"], post["subject"]) == ("instrument_lost", "sgs2")]

    with watched.client() as client:
        watched.tell("unlocked")
        eventually(lambda: told() == ["firing"], "it is told", 30)
        (alert,) = client.status().alerts
        assert alert.message == "instrument sgs2: has lost its reference"
        watched.untell("unlocked")
        eventually(lambda: told() == ["firing", "over"], "it is told that it is over", 30)
        eventually(lambda: not client.status().alerts, "the status has it no longer", 30)


def test_a_test_message_arrives_and_a_dead_receiver_is_told(watched, hook, capsys, monkeypatch):
    monkeypatch.setenv("PULSED_HOME", str(watched.home))
    _, posts = hook
    assert invoke(["alerts", "test", "--json"]) == 1
    good, bad = json.loads(capsys.readouterr().out)["receivers"]
    assert "error" not in good
    assert "refused" in bad["error"].lower()
    assert any(post["rule"] == "test" for post in posts)
    assert invoke(["alerts", "list"]) == 0
    assert "webhook 127.0.0.1" in capsys.readouterr().out


def test_the_doctor_of_a_daemon_alive_and_of_one_that_was_killed(watched, capsys, tmp_path):
    def examined(home):
        code = invoke(["doctor", "--home", str(home), "--json"])
        return code, {one["subject"]: one for one in json.loads(capsys.readouterr().out)}

    with watched.client() as client:
        client.test_alerts()
    code, found = examined(watched.home)
    assert (code, found["daemon"]["verdict"], found["operation"]["verdict"]) == (1, "good", "good")
    assert "webhook 127.0.0.1 does not get them" in found["alerts"]["message"]
    with watched.client() as client:
        number = len(client.status().instruments)
    assert found["instruments"]["message"].startswith(f"{number} of {number} connected")
    daemon = DaemonProcess(tmp_path).start()
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    code, found = examined(tmp_path)
    assert code == 1
    assert "left over" in found["daemon"]["message"]
    assert "ports" in found


def test_events_are_shown_as_they_come(watched, tmp_path):
    command = [sys.executable, "-m", "pulsed.cli", "events", "--kind", "job", "--count", "3", "--json"]
    environment = {**os.environ, "PULSED_HOME": str(watched.home)}
    with watched.client() as client, subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        lines = []
        end = time.monotonic() + PATIENCE
        while process.poll() is None:  # it listens from some moment on, which nothing tells
            if time.monotonic() > end:
                process.kill()
            request = job(shots=1)
            client.submit(request, [packed(flip())])
            client.result(request.job_id, PATIENCE)
            time.sleep(0.2)
        lines = [json.loads(line) for line in process.stdout.read().splitlines()]
    assert process.returncode == 0
    assert [line["kind"] for line in lines] == ["job"] * 3
    assert all(line["event"]["job"]["state"] for line in lines)


def test_an_instrument_is_used_by_operators_and_not_under_a_job(watched, capsys, monkeypatch):
    monkeypatch.setenv("PULSED_HOME", str(watched.home))
    monkeypatch.setenv("COLUMNS", "100")
    assert invoke(["instrument", "set", "sgs1", "power=-10dBm", "frequency=5.1GHz"]) == 0
    assert invoke(["instrument", "get", "sgs1", "phase"]) == 0
    assert [" ".join(line) for line in watched.lines("settings")][-2:] == [
        'sgs1 {"oscillators.drive.power": -10.0, "oscillators.drive.frequency": 5100000000.0}', "sgs1 {} phase",
    ]  # fmt: skip
    assert "phase  1" in capsys.readouterr().out
    for name, role in (("eve", "viewer"), ("bob", "experimenter")):
        add_client(watched.home, name, role)
    with watched.client(key="bob") as bob, watched.client() as client:
        with pytest.raises(NotAllowedError, match="without a session"):
            bob.use_instrument("sgs1")
        with watched.client(key="eve") as eve, pytest.raises(NotAllowedError):
            eve.use_instrument("sgs1")
        watched.tell("hold")
        request = job(shots=1)
        client.submit(request, [packed(flip())])
        eventually(lambda: client.job(request.job_id).state is JobState.RUNNING, "it plays", PATIENCE)
        with pytest.raises(BusyError, match="nobody turns a knob under a job"):
            client.use_instrument("sgs1")
        watched.untell("hold")
        client.result(request.job_id, PATIENCE)
        mine = bob.open_session("bobs", max_time=60.0)
        first = job(shots=1, session_id=mine.session_id)
        bob.submit(first, [packed(flip())])
        bob.result(first.job_id, PATIENCE)
        eventually(lambda: client.status().session, "his session holds the rack", PATIENCE)
        assert bob.use_instrument("sgs1", reading="power") == {"power": "1"}
        bob.close_session(mine.session_id)


def test_the_longest_wait_is_that_of_the_job_that_came_first(watched):
    url = announced(watched.home).metrics
    with watched.client() as client:
        watched.tell("hold")
        requests = [job(shots=1) for _ in range(3)]
        try:
            client.submit(requests[0], [packed(flip())])
            eventually(lambda: client.job(requests[0].job_id).state is JobState.RUNNING, "it plays", PATIENCE)
            assert figures(url)["pulsed_queue_oldest_seconds",] == 0
            for request in requests[1:]:
                client.submit(request, [packed(flip())])
                time.sleep(0.5)
            waited = time.time() - client.job(requests[1].job_id).created
            found = figures(url)
        finally:
            watched.untell("hold")
        assert waited <= found["pulsed_queue_oldest_seconds",] < waited + 5
        assert (found["pulsed_queue_jobs",], found["pulsed_rack_playing",]) == (2, 1)
        for request in requests:
            client.result(request.job_id, PATIENCE)
