"""A daemon that has its rack looked after when nobody uses it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pulsed.model.job import JobState
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, submit


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
            time.sleep(2.0)
            assert passes(log) == before, "nothing is measured while a job plays"
            process.untell("hold")
            client.result(held, PATIENCE)
        eventually(lambda: passes(log) > before, "passes go on")
    finally:
        assert process.stop() == 0
    assert '"code": 3' in (tmp_path / "home" / "logs" / "daemon.jsonl").read_text()


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


@pytest.mark.parametrize("maintenance", [{}, {"every": 3600.0}])
def test_nothing_is_measured_unasked(tmp_path: Path, maintenance: dict[str, float]) -> None:
    log = tmp_path / "passes"
    process = DaemonProcess(
        tmp_path / "home", maintenance=maintenance, maintain=["sh", "-c", f"echo pass >> {log}"]
    ).start()
    try:
        time.sleep(2.5)
        assert passes(log) == 0
    finally:
        assert process.stop() == 0
