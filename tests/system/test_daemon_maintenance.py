"""A daemon that has its rack looked after when nobody uses it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pulsed.client import Client
from pulsed.daemon.maintenance import URGENT
from pulsed.model.job import JobInfo, JobState
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, flip, job, packed, submit

MANY = {"shots": 90_000, "memory": True}
"""Played in several chunks."""


def passes(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_passes_are_made_when_the_rack_is_idle_and_not_while_it_plays(tmp_path: Path) -> None:
    log = tmp_path / "passes"
    process = DaemonProcess(
        tmp_path / "home", maintenance={"every": 0.5, "idle": 0.2}, maintain=["sh", "-c", f"echo pass >> {log}; exit 3"]
    ).start()
    try:
        eventually(lambda: passes(log) >= 2, "passes, also after one that failed")
        with process.client() as client:
            assert client.status().operational, "a pass that failed is no fault of the rack"
            assert "maintenance" in client.status().workers
            process.tell("hold")
            held = submit(client)
            eventually(lambda: client.job(held).state is JobState.RUNNING, "the job plays")
            eventually(lambda: client.status().workers["maintenance"].state == "down", "one that had begun ends")
            before = passes(log)
            time.sleep(1.0)  # twice as long as between passes
            assert passes(log) == before, "nothing is measured while a job plays"
            process.untell("hold")
            client.result(held, PATIENCE)
            eventually(lambda: passes(log) > before, "passes go on")
            client.open_session("s")
            request = job(session_id="s")
            client.submit(request, [packed(flip())])
            client.result(request.job_id, PATIENCE)
            eventually(lambda: client.status().workers["maintenance"].state == "down", "one that had begun ends")
            before = passes(log)
            time.sleep(1.0)
            assert passes(log) == before, "nor while a session holds the rack, whether it plays or not"
            client.close_session("s")
        eventually(lambda: passes(log) > before, "passes go on")
    finally:
        assert process.stop() == 0
    assert '"code": 3' in (tmp_path / "home" / "logs" / "daemon.jsonl").read_text()


CHECK = """
import sys
from pulsed.client import Client
from pulsed.testing.jobs import PATIENCE, flip, job, packed
with Client(home=sys.argv[1]).connect() as client:
    request = job(priority=int(sys.argv[3]), name="check")
    client.submit(request, [packed(flip())])
    client.result(request.job_id, PATIENCE)
"""


def test_a_long_job_gives_way_to_a_pass_that_is_overdue_and_a_session_does_not(tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = DaemonProcess(
        home, maintenance={"every": 0.5, "overdue": 1.0, "idle": 1000.0}, limits={"rep_delay": 1e-3},
        maintain=[sys.executable, "-c", CHECK, str(home)],
    ).start()  # fmt: skip

    def checks(client: Client) -> list[JobInfo]:
        return [info for info in client.jobs() if info.name == "check" and info.state is JobState.DONE]

    try:
        with process.client() as client:
            process.tell("hold_after_first")
            long = submit(client, **MANY)
            eventually(lambda: client.job(long).chunks_done == 1, "its first chunk is played")
            eventually(lambda: client.queue().total > 1, "a check waits")
            eventually(lambda: "ready" in {entry.state for entry in client.queue().entries}, "it is compiled")
            process.untell("hold_after_first")
            result, _ = client.result(long, PATIENCE)
            assert result.programs[0].shots == MANY["shots"]
            told = [entry.detail for entry in client.job_log(long) if entry.what == "interrupted"]
            assert told[0] == f"gives way: a job of priority {URGENT} is ready"
            (first, *_) = sorted(checks(client), key=lambda info: info.created)
            assert first.times["done"] < client.job(long).times["done"], "it was played between two chunks"

            client.open_session("s")
            request = job(session_id="s")
            client.submit(request, [packed(flip())])
            client.result(request.job_id, PATIENCE)
            eventually(lambda: client.status().workers["maintenance"].state == "down" or client.queue().total, "rests")
            before = len(checks(client))
            time.sleep(2.0)
            assert len(checks(client)) == before, "exclusive time is exclusive"
            client.close_session("s", cancel=True)
    finally:
        assert process.stop() == 0


def test_a_pass_under_way_ends_with_the_daemon(tmp_path: Path) -> None:
    started = tmp_path / "started"
    process = DaemonProcess(
        tmp_path / "home", maintenance={"every": 0.1, "idle": 0.0},
        maintain=["sh", "-c", f"echo $$ > {started}; exec sleep 1000"],
    ).start()  # fmt: skip
    eventually(lambda: started.exists() and started.read_text().strip(), "a pass begins")
    pid = int(started.read_text())
    assert process.stop() == 0
    assert not Path(f"/proc/{pid}").exists()


def test_without_a_plan_nobody_is_there_to_measure(tmp_path: Path) -> None:
    """When a plan has a pass made is for the unit tests of the scheduler."""
    process = DaemonProcess(tmp_path / "home", maintain=["false"]).start()
    try:
        with process.client() as client:
            assert "maintenance" not in client.status().workers
    finally:
        assert process.stop() == 0
