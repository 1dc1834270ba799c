"""The page of metrics, read with Prometheus' own parser, and what else names its figures."""

import asyncio
import json
import re
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from pulsed.daemon.observe.metrics import RULES, STAGES, DaemonMetrics
from pulsed.daemon.observe.metrics_server import MOST_CONNECTIONS, MetricsServer
from pulsed.daemon.observe.snapshot import CalibrationHealth, DaemonSnapshot
from pulsed.model.alerts import Alert, AlertState
from pulsed.model.calibration import CalibrationSet, Fault, Value
from pulsed.model.errors import ConfigError, ErrorInfo
from pulsed.model.interlock_status import InterlockState, InterlockStatus
from pulsed.model.job import JobInfo, JobState, RunOptions
from pulsed.model.observation import Alerts
from pulsed.wire.messages import InstrumentStatus, JobChanged, Status, WorkerStatus

DOCS = Path(__file__).parents[4] / "docs" / "monitoring"
VALUES = {
    "Q0.t1": Value(50e-6, "s"), "Q1.t1": Value(60e-6, "s", quality="design"), "Q0.t2": Value(40e-6, "s"),
    "Q0.readout.error": Value(0.02), "Q0.rb.x": Value(3e-4), "Q1-Q0.ecr.error": Value(8e-3),
}  # fmt: skip
ALERT = Alert("disk_low", "disk", AlertState.FIRING, "full", "sim5", 0.0, 0.0)
STATUS = Status(
    "sim5", "0.2.0", True, pending_jobs=3, running="job0", started=1e9,
    instruments={"awg1": InstrumentStatus("a,b,c,d"), "sgs1": InstrumentStatus(error=ErrorInfo("x", "gone"))},
    workers={"rack": WorkerStatus("up", 7, 2), "compile": WorkerStatus("starting")}, alerts=(ALERT,),
    interlocks=(
        InterlockStatus("door", InterlockState.ARMED, "closed", "closed"),
        InterlockStatus("still", InterlockState.TRIPPED, "up to 0.1", 0.5, trips=2),
    ),
)  # fmt: skip
CALIBRATION = CalibrationSet("sim5", VALUES, "2026-11-21").with_faults({"Q4": Fault("broken")}, "2026-11-21")
SNAPSHOT = DaemonSnapshot(
    1e9 + 60, STATUS, CALIBRATION, waiting_since=1e9 + 20, free_disk=123, changes={"sgs1": 4},
    health=CalibrationHealth(1e9, {"fresh": 90, "stale": 7}), connections={"requests": 5, "events": 4},
    requests={"status": 9}, refused={"not_allowed": 2, "made_up": 1}, ended={"no known key": 6},
)  # fmt: skip


def job(job_id, state, **changes):
    now = time.time()
    times = {"running": now, str(state): now, "seconds.play": 0.5, "seconds.knitting": 2.0}
    return JobInfo(job_id, "sim5", state, "ada", now - 5, 1, RunOptions(shots=1), times=times, attempts=1, **changes)


def samples(metrics, snapshot=SNAPSHOT):
    found = {}
    for family in text_string_to_metric_families(metrics.page(snapshot).decode()):
        for sample in family.samples:
            found[sample.name, *sample.labels.values()] = sample.value
    return found


def test_the_page_says_what_the_snapshot_says():
    found = samples(DaemonMetrics())
    expected = {
        ("pulsed_daemon_info", "sim5", "0.2.0"): 1, ("pulsed_start_time_seconds",): 1e9, ("pulsed_operational",): 1,
        ("pulsed_queue_jobs",): 3, ("pulsed_queue_oldest_seconds",): 40, ("pulsed_rack_playing",): 1,
        ("pulsed_instrument_connected", "awg1"): 1, ("pulsed_instrument_healthy", "sgs1"): 0,
        ("pulsed_instrument_changes_total", "sgs1"): 4, ("pulsed_instrument_changes_total", "awg1"): 0,
        ("pulsed_interlock_armed", "door"): 1, ("pulsed_interlock_armed", "still"): 0,
        ("pulsed_interlock_value", "still"): 0.5, ("pulsed_interlock_value", "door"): None,
        ("pulsed_interlock_trips_total", "still"): 2,
        ("pulsed_worker_up", "rack"): 1, ("pulsed_worker_up", "compile"): 0,
        ("pulsed_worker_restarts_total", "rack"): 2, ("pulsed_disk_free_bytes",): 123,
        ("pulsed_alerts_active", "disk_low"): 1, ("pulsed_alerts_active", "drift"): 0,
        ("pulsed_connections", "events"): 4, ("pulsed_requests_total", "status"): 9,
        ("pulsed_requests_refused_total", "not_allowed"): 2, ("pulsed_requests_refused_total", "other"): 1,
        ("pulsed_connections_ended_total", "no known key"): 6, ("pulsed_qubit_t1_seconds", "Q0"): 50e-6,
        ("pulsed_qubit_t2_seconds", "Q0"): 40e-6, ("pulsed_qubit_readout_error_ratio", "Q0"): 0.02,
        ("pulsed_gate_error_ratio", "x", "Q0"): 3e-4, ("pulsed_gate_error_ratio", "ecr", "Q1-Q0"): 8e-3,
        ("pulsed_faulty_targets",): 1, ("pulsed_calibration_nodes", "stale"): 7,
        ("pulsed_calibration_nodes", "failed"): 0, ("pulsed_calibration_looked_time_seconds",): 1e9,
    }  # fmt: skip
    assert {key: found.get(key) for key in expected} == expected
    assert ("pulsed_qubit_t1_seconds", "Q1") not in found, "the design sheet is no measurement"
    assert found["process_resident_memory_bytes",] > 1e6


def test_jobs_are_counted_once_with_their_stages_and_errors():
    metrics = DaemonMetrics()
    failed = job("a", JobState.FAILED, error=ErrorInfo("instrument_timeout", "late"))
    for event in (job("a", JobState.RUNNING), failed, failed, job("b", JobState.DONE)):
        metrics.saw(JobChanged(0, event))
    found = samples(metrics)
    assert [found["pulsed_jobs_total", state] for state in ("done", "failed", "cancelled")] == [1, 1, 0]
    assert found["pulsed_job_errors_total", "instrument_timeout"] == 1
    assert found["pulsed_job_stage_seconds_sum", "play"] == 1.0
    assert found["pulsed_job_stage_seconds_sum", "other"] == 4.0, "a stage that nobody knows has no label of its own"
    assert found["pulsed_job_waiting_seconds_count",] == 2
    assert found["pulsed_job_waiting_seconds_sum",] == pytest.approx(10, abs=1)


def test_a_job_that_ended_long_ago_and_gets_a_name_is_not_counted():
    metrics, old = DaemonMetrics(), job("a", JobState.DONE)
    old.times["done"] -= 1000
    metrics.saw(JobChanged(0, old))
    assert samples(metrics)["pulsed_jobs_total", "done"] == 0


def test_the_rack_is_busy_while_there_is_a_job_on_it(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("pulsed.daemon.observe.metrics.time.monotonic", lambda: now[0])
    metrics = DaemonMetrics()
    for after, event in ((0, "running"), (3, "running"), (4, "done"), (10, "running")):
        now[0] = 100.0 + after
        metrics.saw(JobChanged(0, job("a", JobState(event))))
    now[0] = 112.0
    assert samples(metrics)["pulsed_rack_busy_seconds_total",] == 4 + 2


def names(metrics):
    """Return the names of all series, and their labels with the values that there are."""
    found = {}
    for family in text_string_to_metric_families(metrics.page(SNAPSHOT).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def full():
    metrics = DaemonMetrics()
    metrics.saw(JobChanged(0, job("a", JobState.FAILED, error=ErrorInfo("instrument_timeout", "late"))))
    return metrics


def expressions():
    board = json.loads((DOCS / "pulsed-dashboard.json").read_text())
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (item["query"] for item in board["templating"]["list"])
    rules = YAML(typ="safe").load((DOCS / "pulsed-alerts.yml").read_text())
    yield from (rule["expr"] for group in rules["groups"] for rule in group["rules"])


def test_dashboard_and_alert_rules_name_only_what_there_is_and_all_of_it():
    known, used = names(full()), set()
    for expression in expressions():
        for name in re.findall(r"\b(?:pulsed|process)_\w+", expression):
            used.add(name)
            assert name in known, f"{name} in {expression}"
            labels = {label for row in known[name] for label in row} | {"instance", "job"}
            for label in re.findall(rf"{name}\{{([^}}]*)\}}", expression):
                assert {part.split("=")[0].rstrip("!~") for part in label.split(",")} <= labels, expression
    beside = {f"pulsed_{name}" for name in ("daemon_info", "start_time_seconds", "worker_up",
                                            "calibration_looked_time_seconds")}  # fmt: skip
    served = [name for name in known if name.startswith("pulsed_") and not name.endswith("_created")]
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in served}
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in used}
    assert families - shown == beside, "a figure that nobody looks at"


def test_names_keep_the_rules_of_prometheus():
    for family in text_string_to_metric_families(full().page(SNAPSHOT).decode()):
        if family.name.startswith("pulsed_"):
            assert re.fullmatch(r"[a-z][a-z0-9_]*", family.name)
            assert family.documentation.endswith(".")
            assert not re.search(r"_(ms|us|milliseconds|percent|mb)\b", family.name)
            if family.type == "counter":
                assert all(sample.name.endswith(("_total", "_created")) for sample in family.samples)


def test_labels_are_bounded_by_lists_that_are_whole():
    rules = {name for name in Alerts.model_fields if name not in ("webhooks", "mail", "repeat", "most")}
    assert set(RULES) == rules
    assert len(set(STAGES)) == len(STAGES)


async def ask(url, request):
    port = int(url.rsplit(":", 1)[1].partition("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:  # it was closed with some of what we said unread
        return b""
    finally:
        writer.close()


@pytest.fixture
async def server():
    async def page():
        return b"up 1\n"

    found = MetricsServer("127.0.0.1:0", page)
    await found.start()
    yield found
    await found.stop()


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [
        (b"GET /metrics HTTP/1.1", b"200 OK", b"up 1\n"),
        (b"GET /metrics?x=1 HTTP/1.1", b"200 OK", b"up 1\n"),
        (b"HEAD /metrics HTTP/1.1", b"200 OK", b""),
        (b"GET / HTTP/1.1", b"404 Not Found", b"the figures are at /metrics\n"),
        (b"POST /metrics HTTP/1.1", b"405 Method Not Allowed", b"only GET\n"),
        (b"\xff\xfe", b"405 Method Not Allowed", b"only GET\n"),
    ],
)
async def test_one_page_is_served(server, request_line, status, body):
    head, _, content = (await ask(server.url, request_line + b"\r\nHost: x\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert content == body


async def test_who_says_too_much_or_nothing_or_comes_too_often_costs_little(server, monkeypatch):
    assert await ask(server.url, b"GET /" + b"x" * 100_000) == b""
    monkeypatch.setattr("pulsed.daemon.observe.metrics_server.SECONDS", 0.2)
    assert await ask(server.url, b"GET /met") == b""
    monkeypatch.setattr("pulsed.daemon.observe.metrics_server.SECONDS", 5.0)
    port = int(server.url.rsplit(":", 1)[1].partition("/")[0])
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST_CONNECTIONS)]
    await asyncio.sleep(0.1)
    assert await ask(server.url, b"GET /metrics HTTP/1.1\r\n\r\n") == b""
    for _, writer in idle:
        writer.close()
    await asyncio.sleep(0.1)
    assert (await ask(server.url, b"GET /metrics HTTP/1.1\r\n\r\n")).endswith(b"up 1\n")


async def test_an_address_that_is_taken_is_an_error_that_names_it(server):
    taken = server.url.removeprefix("http://").partition("/")[0]
    with pytest.raises(ConfigError, match=f"metrics.listen.*{taken}"):
        await MetricsServer(taken, None).start()
