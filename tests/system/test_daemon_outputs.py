"""Outputs are off on every way out: asked of the instruments, past the daemon, which they outlive here."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulsed.client import Client
from pulsed.daemon.main import RACK
from pulsed.model.errors import ErrorInfo, JobCancelledError
from pulsed.testing.daemon_process import DaemonProcess, alive, eventually
from pulsed.testing.instruments_process import InstrumentsProcess
from pulsed.testing.jobs import PATIENCE, submit

NEVER, OFTEN = 1e6, 0.3
"""Seconds between two looks at idle instruments."""


@pytest.fixture(scope="module")
def instruments() -> Iterator[InstrumentsProcess]:
    rack = InstrumentsProcess()
    yield rack
    rack.close()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, instruments: InstrumentsProcess) -> Iterator[DaemonProcess]:
    home = tmp_path_factory.mktemp("outputs")
    process = DaemonProcess(home, rack=RACK, addresses=instruments.addresses, look_every=NEVER)
    yield process
    process.stop()


@pytest.fixture
def daemon(process: DaemonProcess) -> DaemonProcess:
    """Give the daemon as each test finds it, whatever the test before has left: running, and without looks."""
    return running(process, NEVER)


def running(process: DaemonProcess, look_every: float) -> DaemonProcess:
    """Start a daemon that looks at its idle instruments every so many seconds, unless it runs."""
    if process.process is None or process.process.poll() is not None or process.options["look_every"] != look_every:
        process.stop()
        process.options["look_every"] = look_every
        process.start()
    return process


def plays(daemon: DaemonProcess, client: Client, instruments: InstrumentsProcess) -> int:
    """Play a job, so that outputs are on; return the process id of the rack worker."""
    client.result(submit(client, shots=10), PATIENCE)
    assert instruments.on()
    return client.status().workers["rack"].pid


def test_what_somebody_left_on_is_off_once_the_daemon_is_ready(
    process: DaemonProcess, instruments: InstrumentsProcess
) -> None:
    process.stop()
    for name in ("awg1", "sgs1"):
        assert instruments.say(name, "OUTP1 ON;OUTP1?" if name == "awg1" else "OUTP ON;OUTP?") == "1"
    with running(process, NEVER).client() as client:
        eventually(lambda: client.status().operational, "the rack is there")
    assert instruments.on() == set()


def test_nothing_that_was_measured_with_a_setting_changed_by_hand_is_brought_back(
    daemon: DaemonProcess, instruments: InstrumentsProcess
) -> None:
    """Nobody looks between the jobs here: it is found with the chunk, which plays once more."""
    with daemon.client() as client:
        plays(daemon, client, instruments)
        for name, change, query in (
            ("sgs1", "SOUR:FREQ 5.2e9", "SOUR:FREQ?"),
            ("awg1", "OUTP1:OFFS 0.3,0", "OUTP1:OFFS?"),
        ):
            before = instruments.say(name, query)
            instruments.say(name, f"{change};:{query}")
            changed = submit(client, shots=10)
            client.result(changed, PATIENCE)
            assert client.job(changed).attempts == 2
            assert any(name in entry.detail and "changed" in entry.detail for entry in client.job_log(changed))
            assert instruments.say(name, query) == before


def starts_of_rack_workers(daemon: DaemonProcess) -> int:
    """Return how many the log tells of."""
    lines = (json.loads(line) for line in (daemon.home / "logs" / "daemon.jsonl").read_text().splitlines())
    return sum((line.get("child"), line.get("state")) == ("rack", "starting") for line in lines)


def test_rack_worker_killed(daemon: DaemonProcess, instruments: InstrumentsProcess) -> None:
    with daemon.client() as client:
        worker = plays(daemon, client, instruments)
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: not instruments.on(), "another worker has switched the outputs off")
        plays(daemon, client, instruments)


def test_a_second_daemon_on_the_same_instruments_is_refused_and_leaves_them_alone(
    daemon: DaemonProcess, instruments: InstrumentsProcess, tmp_path: Path
) -> None:
    with daemon.client() as client:
        plays(daemon, client, instruments)
        on = instruments.on()
        with pytest.raises(RuntimeError, match=f"held by the daemon in {daemon.home}, process"):
            DaemonProcess(tmp_path, rack=RACK, addresses=instruments.addresses).start()
        assert instruments.on() == on


def test_hung_rack_worker_is_replaced_and_its_job_can_be_cancelled(
    daemon: DaemonProcess, instruments: InstrumentsProcess
) -> None:
    with daemon.client() as client:
        worker = plays(daemon, client, instruments)
        os.kill(worker, signal.SIGSTOP)
        cancelled, waiting = submit(client, shots=10), submit(client, shots=20)
        assert client.cancel(cancelled)
        with pytest.raises(JobCancelledError):
            client.result(cancelled, PATIENCE)
        client.result(waiting, PATIENCE)
        assert not alive(worker)
        assert client.status().workers["rack"].pid != worker
    assert "the rack worker hangs" in (daemon.home / "logs" / "daemon.jsonl").read_text()


def test_daemon_killed(daemon: DaemonProcess, instruments: InstrumentsProcess) -> None:
    with daemon.client() as client:
        plays(daemon, client, instruments)
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    eventually(lambda: not instruments.on(), "the rack worker has switched the outputs off as it ended")


@pytest.mark.parametrize("seconds", [0.05, 0.6, 2.0])
def test_daemon_killed_while_its_rack_worker_is_replaced(
    daemon: DaemonProcess, instruments: InstrumentsProcess, seconds: float
) -> None:
    """The new worker has not come to the instruments when it finds itself alone."""
    with daemon.client() as client:
        worker, before = plays(daemon, client, instruments), starts_of_rack_workers(daemon)
        os.kill(worker, signal.SIGKILL)
    eventually(lambda: starts_of_rack_workers(daemon) > before, "another worker is started")
    time.sleep(seconds)
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    eventually(lambda: not instruments.on(), "the new worker has switched the outputs off as it ended")


def test_daemon_and_rack_worker_killed_together(daemon: DaemonProcess, instruments: InstrumentsProcess) -> None:
    """The daemon stands still, so that it does not get to start another worker, however fast it is."""
    with daemon.client() as client:
        worker, guard = plays(daemon, client, instruments), client.status().workers["outputs-guard"].pid
    daemon.signal(signal.SIGSTOP)
    os.kill(worker, signal.SIGKILL)
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    eventually(lambda: not instruments.on(), "the guard has had them switched off")
    eventually(lambda: not alive(guard), "and has gone")


def test_a_guard_that_was_killed_before_is_replaced_and_takes_the_worst_for_granted(
    daemon: DaemonProcess, instruments: InstrumentsProcess
) -> None:
    with daemon.client() as client:
        worker, guard = plays(daemon, client, instruments), client.status().workers["outputs-guard"].pid
        os.kill(guard, signal.SIGKILL)
        eventually(lambda: client.status().workers["outputs-guard"].pid not in (0, guard), "another one is there")
        eventually(lambda: client.status().operational, "and up")
        assert client.status().workers["rack"].pid == worker, "nothing else was disturbed"
    daemon.signal(signal.SIGSTOP)
    os.kill(worker, signal.SIGKILL)
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    eventually(lambda: not instruments.on(), "the guard has had them switched off")


def test_stop_while_another_rack_worker_starts(daemon: DaemonProcess, instruments: InstrumentsProcess) -> None:
    """It never had the instruments, so that its end says nothing of the outputs which the killed one left on."""
    with daemon.client() as client:
        os.kill(plays(daemon, client, instruments), signal.SIGKILL)
        time.sleep(0.3)  # it is about to be there
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(PATIENCE) == 0
    assert instruments.on() == set()


def test_stop_with_a_hung_rack_worker(daemon: DaemonProcess, instruments: InstrumentsProcess) -> None:
    """Another worker does what that one could not; the code says that it is done."""
    with daemon.client() as client:
        os.kill(plays(daemon, client, instruments), signal.SIGSTOP)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(PATIENCE) == 0
    assert instruments.on() == set()


def test_a_change_by_hand_is_told_and_put_right_by_the_next_job(
    process: DaemonProcess, instruments: InstrumentsProcess
) -> None:
    daemon = running(process, OFTEN)
    with daemon.client() as client:
        plays(daemon, client, instruments)
        instruments.say("sgs1", "SOUR:FREQ 5.2e9;:SOUR:FREQ?")

        def told() -> ErrorInfo | None:
            return client.status().instruments["sgs1"].error

        error = eventually(told, "the look at idle instruments finds it")
        assert (error.code, error.value) == ("instrument_changed", "SOUR:FREQ? 5200000000.0")
        assert client.status().operational
        job_id = submit(client, shots=10)
        client.result(job_id, PATIENCE)
        assert client.job(job_id).attempts == 1, "it was put right before it played"
        eventually(lambda: told() is None, "and is as it was left")


def test_stop_when_no_instrument_answers(daemon: DaemonProcess, instruments: InstrumentsProcess) -> None:
    with daemon.client() as client:
        plays(daemon, client, instruments)
    instruments.process.send_signal(signal.SIGSTOP)
    try:
        daemon.signal(signal.SIGTERM)
        assert daemon.wait(PATIENCE) == 1
    finally:
        instruments.process.send_signal(signal.SIGCONT)
    assert "nothing has confirmed that the outputs are off" in (daemon.home / "output").read_text()
    eventually(lambda: not instruments.on(), "they took it when they went on")
