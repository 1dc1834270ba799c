"""What the daemon keeps of a job beside its result: its log, its names, what was submitted."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from qiskit import QuantumCircuit

from pulsed.cli.main import invoke
from pulsed.client import Client
from pulsed.client.keys import add_client
from pulsed.daemon.jobs.jobs import MOST_CHANGES
from pulsed.model.errors import InvalidValueError, JobCancelledError, JobTimeoutError, NotAllowedError, NotFoundError
from pulsed.model.job import JobState
from pulsed.provider import PulsedProvider, as_completed
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, flip, job, packed, run


@pytest.fixture(scope="module")
def eve(daemon: DaemonProcess):
    add_client(daemon.home, "eve", "experimenter")
    with Client(home=daemon.home, key="eve") as client:
        yield client


def test_the_log_has_each_step_and_each_chunk(client: Client) -> None:
    before = time.time()
    info = run(client, job(options={"shots": 5001, "rep_delay": 10e-3}), packed(flip()))
    log = client.job_log(info.job_id)
    assert [entry.what for entry in log] == [
        "accepted", "compiling", "ready", "running", *["chunk"] * info.chunks, "done",
    ]  # fmt: skip
    details = [entry.detail for entry in log]
    assert details[0] == "from local"
    assert info.calibration_id in details[1]
    assert details[2].startswith(f"chunks {info.chunks}, ")
    assert details[3] == "attempt 1"
    assert [detail.split(":")[0] for detail in details[4:-1]] == [f"{k} of {info.chunks}" for k in (1, 2)]
    times = [entry.time for entry in log]
    assert times == sorted(times)
    assert before <= times[0] <= times[-1] <= time.time()


def test_the_log_says_who_did_what(client: Client, eve: Client, daemon: DaemonProcess) -> None:
    daemon.tell("hold")
    request = job()
    try:
        client.submit(request, [packed(flip())])
        eventually(lambda: client.job(request.job_id).state is JobState.RUNNING, "it runs")
        for _ in range(3):
            with pytest.raises(NotAllowedError, match="belongs to local"):
                eve.cancel(request.job_id)
        with pytest.raises(NotAllowedError, match="belongs to local"):
            eve.update_job(request.job_id, name="mine")
        assert client.update_job(request.job_id, name="new").name == "new"
        with pytest.raises(InvalidValueError, match="not a chunk; got 3; legal: 0 to 1"):
            client.chunk(request.job_id, 3, PATIENCE)
        client.cancel(request.job_id)
    finally:
        daemon.untell("hold")
    with pytest.raises(JobCancelledError):
        client.result(request.job_id, PATIENCE)
    said = [(entry.what, entry.detail) for entry in eve.job_log(request.job_id)]
    assert said[4:] == [
        ("refused", "cancel by eve"),
        ("refused", "change by eve"),
        ("changed", "by local: name 'new'"),
        ("cancelled", "by local"),
    ]


def test_what_was_interrupted_says_why(client: Client, daemon: DaemonProcess) -> None:
    daemon.tell("lose_once")
    info = run(client, job(), packed(flip()))
    log = [(entry.what, entry.detail) for entry in client.job_log(info.job_id)]
    assert info.attempts == 2
    assert [what for what, _ in log[3:]] == ["running", "interrupted", "running", "chunk", "done"]
    assert log[4][1] == "instrument awg2: the connection broke"
    assert (log[3][1], log[5][1]) == ("attempt 1", "attempt 2")


def test_new_names_and_tags_are_kept_and_found(client: Client, eve: Client) -> None:
    info = run(client, job(name="old", tags=("before",)), packed(flip()))
    assert client.update_job(info.job_id, tags=["after", "later"]).name == "old"
    client.update_job(info.job_id, name="new")
    assert (eve.job(info.job_id).name, eve.job(info.job_id).tags) == ("new", ("after", "later"))
    assert [found.job_id for found in eve.jobs(tags=["after"])] == [info.job_id]
    assert client.jobs(tags=["before"]) == []
    with pytest.raises(InvalidValueError, match="job_name"):
        client.update_job(info.job_id, name="x" * 2000)
    with pytest.raises(NotFoundError):
        client.update_job("nothing", name="x")
    with pytest.raises(InvalidValueError, match="nothing to change; legal: a name, tags, or both"):
        client.update_job(info.job_id)


def test_the_log_of_a_job_is_bounded(client: Client) -> None:
    info = run(client, job(), packed(flip()))
    for _ in range(MOST_CHANGES):
        client.update_job(info.job_id, tags=["x" * 255] * 64)
    with pytest.raises(InvalidValueError, match=f"changed too often; got {MOST_CHANGES + 1}"):
        client.update_job(info.job_id, name="once more")
    assert sum(len(entry.detail) for entry in client.job_log(info.job_id)) < 200_000


def test_a_running_job_keeps_its_new_name_to_the_end(client: Client, daemon: DaemonProcess) -> None:
    daemon.tell("hold")
    request = job(name="old")
    try:
        client.submit(request, [packed(flip())])
        eventually(lambda: client.job(request.job_id).state is JobState.RUNNING, "it runs")
        client.update_job(request.job_id, name="new")
        assert client.job(request.job_id).name == "new"
    finally:
        daemon.untell("hold")
    assert client.finished(request.job_id, PATIENCE)[0].name == "new"
    assert client.job(request.job_id).name == "new"


def test_what_was_submitted_comes_back_to_its_owner_alone(client: Client, eve: Client) -> None:
    request, part = job(), packed(flip())
    run(client, request, part)
    back, parts = client.submission(request.job_id)
    assert back == request
    assert [bytes(one) for one in parts] == [part]
    with pytest.raises(NotAllowedError, match="belongs to local"):
        eve.submission(request.job_id)
    again = PulsedProvider(client=client).job(request.job_id)
    assert [circuit.name for circuit in again.circuits()] == ["flip"]
    assert again.result().results[0].header["qreg_sizes"] == [["q", 1]]


def test_the_log_on_the_terminal(
    client: Client, daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = run(client, job(), packed(flip()))
    monkeypatch.setenv("PULSED_HOME", str(daemon.home))
    assert invoke(["job", info.job_id[:12], "--log"]) == 0
    screen = capsys.readouterr().out
    assert "attempt 1" in screen
    assert invoke(["job", info.job_id[:12], "--log", "--json"]) == 0
    assert [entry["what"] for entry in json.loads(capsys.readouterr().out)][-1] == "done"


def test_a_stream_of_a_running_job(client: Client, daemon: DaemonProcess) -> None:
    """The scripted rack holds behind the first chunk: that is there before the job has ended."""
    for name in ("started", "played"):
        daemon.untell(name)
    daemon.tell("hold_after_first")
    request = job(options={"shots": 8000, "rep_delay": 10e-3})
    try:
        client.submit(request, [packed(flip())])
        ours = PulsedProvider(client=client).job(request.job_id)
        found = ours.stream(PATIENCE)
        first = next(found)
        assert first.status == "PARTIAL"
        shots = sum(first.get_counts().values())
        assert 0 < shots < 8000
        info, chunk, _ = client.chunk(request.job_id, 0)
        assert chunk is not None
        assert info.chunks > 2
        assert sum(next(ours.stream(PATIENCE)).get_counts().values()) == shots, "it may be asked for again"
        with pytest.raises(JobTimeoutError):
            client.chunk(request.job_id, 1, 0.1)
        with pytest.raises(InvalidValueError, match="not a chunk"):
            client.chunk(request.job_id, -1)
    finally:
        daemon.untell("hold_after_first")
    rest = list(found)
    assert len(rest) == info.chunks - 1
    assert rest[-1] is ours.result()
    assert ours.result().get_counts() == {"0": 4000, "1": 4000}
    assert client.chunk(request.job_id, 0)[1] is None, "what has ended has a result instead"


def test_a_stream_is_for_its_owner_and_ends_with_the_job(client: Client, eve: Client, daemon: DaemonProcess) -> None:
    daemon.tell("hold")
    request = job()
    try:
        client.submit(request, [packed(flip())])
        with pytest.raises(NotAllowedError, match="belongs to local"):
            eve.chunk(request.job_id, 0)
        timer = threading.Timer(0.2, client.cancel, [request.job_id])
        timer.start()
        info, chunk, _ = client.chunk(request.job_id, 0, PATIENCE)
        timer.join()
        assert (info.state, chunk) == (JobState.CANCELLED, None)
    finally:
        daemon.untell("hold")


def test_hundreds_of_jobs_at_once(client: Client, daemon: DaemonProcess) -> None:
    """Handed in, looked at, and taken as they end: no thread and no descriptor for any one of them."""
    many = 100
    backend = PulsedProvider(client=client).get_backend("sim5")
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    daemon.tell("hold")
    try:
        backend.run(circuit, shots=1)
        client.follow()
        before = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
        jobs = [backend.run(circuit, shots=10) for _ in range(many)]
        positions = [one.queue_position() for one in jobs]
        assert positions == sorted(positions)
        ended = as_completed(jobs, PATIENCE)
        futures = [one.ended() for one in jobs]
        assert (threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))) == before
    finally:
        daemon.untell("hold")
    found = [sum(one.result().get_counts().values()) for one in ended]
    assert found == [10] * many
    assert all(future.result(PATIENCE) for future in futures)


def test_a_job_that_waits_may_be_expected(client: Client, daemon: DaemonProcess) -> None:
    backend = PulsedProvider(client=client).get_backend("sim5")
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    daemon.tell("hold")
    try:
        running = backend.run(circuit, shots=1000, rep_delay=10e-3)
        eventually(running.running, "the first one runs")
        first, second = (backend.run(circuit, shots=1000, rep_delay=10e-3) for _ in range(2))
        one, other = first.queue_info(), second.queue_info()
        now = datetime.now(UTC)
        assert timedelta(0) < one.estimated_start_time - now < timedelta(seconds=12), "ten seconds of the first"
        assert one.estimated_complete_time <= other.estimated_start_time
        assert timedelta(seconds=19) < other.estimated_complete_time - one.estimated_start_time < timedelta(seconds=23)
        assert running.queue_info() is None
        for each in (running, first, second):
            each.cancel()
    finally:
        daemon.untell("hold")
