"""A pass of `pulsed cal maintain` as the daemon starts it, on the simulated rack: jobs go first, it stops cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pulsed.calibration.results.data import load
from pulsed.cli.simulated_rack import with_simulated_rack
from pulsed.client import Client
from pulsed.client.keys import LOCAL, client_path
from pulsed.daemon.main import RACK
from pulsed.daemon.maintenance import PRIORITY, maintain_command
from pulsed.model.device import load_device
from pulsed.model.job import JobInfo, JobState
from pulsed.testing.daemon_process import CONFIGS, DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, submit


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    config = CONFIGS / "sim5.toml"
    device, companion = with_simulated_rack(load_device(config), config)
    addresses = {name: instrument.address for name, instrument in device.instruments.items()}
    process = DaemonProcess(
        tmp_path_factory.mktemp("kept"), rack=RACK, companion=companion, addresses=addresses, rack_wait=PATIENCE
    ).start()
    yield process
    assert process.stop() == 0


@contextmanager
def making_a_pass(serving: DaemonProcess) -> Iterator[subprocess.Popen[bytes]]:
    key, data = client_path(serving.home, LOCAL), serving.home / "runs"
    command = (
        *maintain_command(sys.executable, serving.endpoint, str(key), str(data)), "--priority", str(PRIORITY),
    )  # fmt: skip
    log = (serving.home / "pass.log").open("wb")
    with log, subprocess.Popen(command, stdout=log, stderr=log) as child:
        try:
            yield child
        finally:
            child.kill()


def of_the_pass(client: Client) -> list[JobInfo]:
    return [info for info in client.jobs(limit=1000) if info.name == "calibration"]


def test_a_job_does_not_wait_for_the_pass(serving: DaemonProcess) -> None:
    with serving.client() as client, making_a_pass(serving) as child:
        eventually(lambda: of_the_pass(client), "the pass measures")
        mine = [submit(client) for _ in range(5)]
        for job_id in mine:
            client.result(job_id, PATIENCE)
        assert child.poll() is None, "the pass goes on"
        jobs = of_the_pass(client)
        assert {info.priority for info in jobs} == {PRIORITY}
        first, last = client.job(mine[0]), client.job(mine[-1])
        between = [info for info in jobs if first.created < info.times.get("running", 0) < last.times["running"]]
        assert len(between) <= 1, "but for one that was on its way to the rack"
        eventually(lambda: len(of_the_pass(client)) > len(jobs), "the pass goes on after them")
        child.terminate()
        assert child.wait(PATIENCE) == 130


def test_a_pass_that_is_ended_cancels_its_job_and_keeps_what_it_has(serving: DaemonProcess) -> None:
    with serving.client() as client:
        companion = client.status().workers["companion"].pid
        os.kill(companion, signal.SIGSTOP)
        try:
            known = {info.job_id for info in of_the_pass(client)}
            with making_a_pass(serving) as child:
                (played,) = eventually(
                    lambda: [info for info in of_the_pass(client) if info.job_id not in known], "the pass measures"
                )
                child.terminate()
                assert child.wait(PATIENCE) == 130
            assert client.job(played.job_id).state is JobState.CANCELLED
        finally:
            os.kill(companion, signal.SIGCONT)
        records = [record for record in client.runs(limit=20) if record.outcome == "stopped"]
        assert records
        assert all(not record.file or load(Path(record.file)).attrs["outcome"] == "stopped" for record in records)
        assert client.result(submit(client), PATIENCE), "the rack plays on"
