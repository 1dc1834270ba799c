"""The daemon itself, and the guard, are stopped for a while (SIGSTOP) while a job plays: every job ends once.

Each other process is stopped in a test of its own: the rack worker and instruments in test_daemon_outputs.py, the
compile worker in test_daemon_kills.py, the interlock worker in test_daemon_interlocks.py, the simulated rack in
test_daemon_rack.py and test_maintenance_pass.py.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from pulsed.client import Client
from pulsed.model.job import JobState
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, submit

STOPPED = float(os.environ.get("CHAOS_STOPPED", "10"))
"""Seconds; more than those after which a worker that gives no sign of life is ended."""


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path_factory.mktemp("stopped")).start()
    yield process
    assert process.stop() == 0


@pytest.fixture
def daemon(process: DaemonProcess) -> Iterator[DaemonProcess]:
    process.tell("hold")
    yield process
    process.untell("hold")


def begun(daemon: DaemonProcess, client: Client) -> list[str]:
    """Submit a job that plays for as long as the rack is told to, and two that wait."""
    before = len(daemon.lines("started"))
    jobs = [submit(client, shots=10), submit(client, shots=20), submit(client, shots=30)]
    eventually(lambda: len(daemon.lines("started")) > before, "it plays")
    return jobs


def all_end(client: Client, jobs: list[str]) -> None:
    for job_id, shots in zip(jobs, (10, 20, 30), strict=True):
        result, _ = client.result(job_id, PATIENCE)
        assert result.programs[0].shots == shots
        assert client.job(job_id).state is JobState.DONE


def test_the_daemon_itself_takes_its_own_absence_for_nobodys_silence(daemon: DaemonProcess) -> None:
    with daemon.client() as client:
        jobs, workers = begun(daemon, client), client.status().workers
        played = len(daemon.lines("played"))
        daemon.signal(signal.SIGSTOP)
        try:
            time.sleep(STOPPED)
            daemon.untell("hold")  # the rack worker plays on; what it says waits in its pipe
            eventually(lambda: len(daemon.lines("played")) > played, "nobody else is held up")
        finally:
            daemon.signal(signal.SIGCONT)
        all_end(client, jobs)
        assert {name: one.pid for name, one in client.status().workers.items()} == {
            name: one.pid for name, one in workers.items()
        }, "nobody was taken for hung"
        assert client.job(jobs[0]).attempts == 1


def test_a_guard_that_stands_still_holds_nobody_up(daemon: DaemonProcess) -> None:
    with daemon.client() as client:
        jobs, pid = begun(daemon, client), client.status().workers["outputs-guard"].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            daemon.untell("hold")
            all_end(client, jobs)
            os.kill(client.status().workers["rack"].pid, signal.SIGKILL)  # the next one says something to the guard
            eventually(lambda: client.status().operational, "the rack is back")
            more = begun(daemon, client)
            all_end(client, more)
        finally:
            os.kill(pid, signal.SIGCONT)
