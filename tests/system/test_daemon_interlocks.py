"""Interlocks: a value out of limits stops what plays, has the outputs off and holds the queue, until a person acts."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pulsed.cli.simulated_rack import ask_rack
from pulsed.client import Client
from pulsed.daemon.main import RACK
from pulsed.model.errors import InterlockError, InvalidValueError, NotFoundError, PulsedError
from pulsed.model.interlock_status import InterlockState, InterlockStatus
from pulsed.model.job import JobState
from pulsed.model.payload import read_array
from pulsed.model.result import count_bits
from pulsed.testing.daemon_process import CONFIGS, DaemonProcess, eventually
from pulsed.testing.instruments_process import InstrumentsProcess
from pulsed.testing.jobs import PATIENCE, flip, job, packed, submit
from pulsed.testing.scripted_monitor import DRIVER

GOOD = {"still": "0.012", "door": "closed", "pump": "1"}


def interlock(folder: Path, name: str, **fields: Any) -> dict[str, Any]:
    return {"driver": DRIVER, "address": str(folder / name), "parameter": "value", "every": 0.05, **fields}


class Monitors:
    """The files that the interlocks read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.all_good()

    def show(self, name: str, text: str) -> None:
        """Write in one step, so that nobody reads half of it."""
        path = self.folder / f"{name}.new"
        path.write_text(text)
        path.rename(self.folder / name)

    def all_good(self) -> None:
        for name, text in GOOD.items():
            self.show(name, text)


@pytest.fixture(scope="module")
def monitors(tmp_path_factory: pytest.TempPathFactory) -> Monitors:
    return Monitors(tmp_path_factory.mktemp("monitors"))


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, monitors: Monitors) -> Iterator[DaemonProcess]:
    folder = monitors.folder
    process = DaemonProcess(
        tmp_path_factory.mktemp("interlocks"),
        interlocks={
            "still": interlock(folder, "still", above=0.1, hold=0.3),
            "door": interlock(folder, "door", allowed=["closed"], hold=0),
            # What fails its jobs; on a slow machine it is not to trip for want of processor time.
            "pump": interlock(folder, "pump", below=0.5, hold=2.0, jobs="fail"),
        },
    ).start()
    yield process
    assert process.stop() == 0


@pytest.fixture
def daemon(process: DaemonProcess, monitors: Monitors) -> DaemonProcess:
    """Give the daemon with every interlock armed."""
    monitors.all_good()
    for name in ("hold", "hold_after_first"):
        process.untell(name)
    with process.client() as client:
        arm_all(client)
    return process


def of(client: Client, name: str) -> InterlockStatus:
    return {one.name: one for one in client.status().interlocks}[name]


def arm_all(client: Client) -> None:
    """Arm what has tripped, when its value is good again: a slow machine may need more than one try."""

    def armed() -> bool:
        for one in client.status().interlocks:
            if one.state is InterlockState.TRIPPED and not one.problem:
                try:
                    client.rearm_interlock(one.name, "a test begins")
                except InterlockError:
                    return False
        return all(one.state is InterlockState.ARMED for one in client.status().interlocks)

    eventually(armed, "every interlock is armed")


def test_a_job_that_is_cut_off_goes_on_once_the_interlock_is_armed_again(
    daemon: DaemonProcess, monitors: Monitors
) -> None:
    with daemon.client() as client:
        daemon.tell("hold")
        cut, waiting = submit(client, shots=10), submit(client, shots=20)
        eventually(lambda: client.job(cut).state is JobState.RUNNING and daemon.lines("started"), "it plays")
        safe = len(daemon.lines("safe"))
        monitors.show("still", "0.5")
        found = eventually(lambda: of(client, "still").state is InterlockState.TRIPPED and of(client, "still"), "trips")
        assert found.reason == "its value is 0.5, above 0.1 K"
        eventually(lambda: client.job(cut).state is JobState.INTERRUPTED, "the job is cut off")
        eventually(lambda: len(daemon.lines("safe")) > safe, "the outputs are off")
        eventually(lambda: client.status().alerts, "somebody is told")
        status = client.status()
        assert not status.operational
        assert "interlock still has tripped: its value is 0.5, above 0.1 K" in status.message
        assert {alert.rule for alert in status.alerts} == {"interlock"}
        entries = client.queue().entries
        assert {entry.job_id for entry in entries} == {cut, waiting}
        assert all("interlock still has tripped" in entry.why for entry in entries)
        with pytest.raises(InterlockError, match=r"cannot be armed: its value is 0.5"):
            client.rearm_interlock("still", "I do not care")
        with pytest.raises(InterlockError):
            client.use_instrument("sgs1", {"oscillators.drive.power": -10.0})
        connects = len(daemon.lines("connects"))
        os.kill(client.status().workers["rack"].pid, signal.SIGKILL)
        eventually(lambda: len(daemon.lines("connects")) > connects, "another rack worker connects")
        eventually(lambda: all(one.identity for one in client.status().instruments.values()), "all answer")
        with pytest.raises(InterlockError):  # it has been told before it could do anything
            client.use_instrument("sgs1", {"oscillators.drive.power": -10.0})
        assert client.use_instrument("sgs1", reading="power"), "reading is allowed"

        monitors.show("still", "0.02")
        eventually(lambda: not of(client, "still").problem, "it is cold again")
        assert client.job(cut).state is JobState.INTERRUPTED, "nothing plays before a person says so"
        daemon.untell("hold")
        started = len(daemon.lines("played"))
        client.rearm_interlock("still", "the compressor is back")
        for job_id, shots in ((cut, 10), (waiting, 20)):
            assert client.result(job_id, PATIENCE)[0].programs[0].shots == shots
        assert len(daemon.lines("played")) == started + 2, "each was played to its end once"
        assert [entry.detail for entry in client.job_log(cut) if entry.what == "interrupted"] == [
            "rack: interlock still has tripped: its value is 0.5, above 0.1 K; legal: when the interlock is armed again"
        ]
        eventually(lambda: not client.status().alerts, "the alert is over")
        assert client.status().operational
    log = [json.loads(line) for path in (daemon.home / "audit").iterdir() for line in path.read_text().splitlines()]
    said = json.dumps(log)
    assert "interlock.trip" in said
    assert "the compressor is back" in said


def test_a_door_that_opens_trips_at_once_and_whoever_names_no_reason_does_not_arm_it(
    daemon: DaemonProcess, monitors: Monitors
) -> None:
    with daemon.client() as client:
        monitors.show("door", "open")
        eventually(lambda: of(client, "door").state is InterlockState.TRIPPED, "it trips")
        assert of(client, "door").reason == "its value is 'open', not closed"
        monitors.show("door", "closed")
        eventually(lambda: not of(client, "door").problem, "it is closed")
        for name, reason, error in (("window", "why", NotFoundError), ("door", " ", InvalidValueError)):
            with pytest.raises(error):
                client.rearm_interlock(name, reason)
        assert of(client, "door").state is InterlockState.TRIPPED
        arm_all(client)
        with pytest.raises(InterlockError, match="has not tripped"):
            client.rearm_interlock("door", "twice")


@pytest.mark.parametrize("text", ["broken", "hangs", "nan"])
def test_what_cannot_be_read_trips_too(daemon: DaemonProcess, monitors: Monitors, text: str) -> None:
    with daemon.client() as client:
        monitors.show("still", text)
        eventually(lambda: of(client, "still").state is InterlockState.TRIPPED, "it trips")
        assert of(client, "still").problem
        if text == "hangs":  # a thread that waits for its instrument is given up with its process
            os.kill(client.status().workers["interlock"].pid, signal.SIGKILL)


def test_an_interlock_process_that_stands_still_trips_all_that_it_does_not_read(
    daemon: DaemonProcess, monitors: Monitors
) -> None:
    with daemon.client() as client:
        pid = client.status().workers["interlock"].pid
        os.kill(pid, signal.SIGSTOP)
        eventually(lambda: of(client, "still").state is InterlockState.TRIPPED, "it trips")
        assert of(client, "still").reason.startswith("nothing was heard of it for")
        eventually(lambda: client.status().workers["interlock"].pid not in (0, pid), "another process reads")
        eventually(lambda: not of(client, "still").problem, "it is read again")


def test_a_job_fails_where_that_is_wanted(daemon: DaemonProcess, monitors: Monitors) -> None:
    with daemon.client() as client:
        daemon.tell("hold")
        cut = submit(client, shots=10)
        eventually(lambda: client.job(cut).state is JobState.RUNNING, "it plays")
        monitors.show("pump", "0")
        with pytest.raises(PulsedError) as failed:
            client.result(cut, PATIENCE)
        assert "interlock pump has tripped" in str(failed.value)
        assert client.job(cut).state is JobState.FAILED


def test_it_stays_tripped_when_the_daemon_is_killed(daemon: DaemonProcess, monitors: Monitors) -> None:
    with daemon.client() as client:
        monitors.show("door", "open")
        eventually(lambda: of(client, "door").state is InterlockState.TRIPPED, "it trips")
        job_id = submit(client, shots=10)
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    monitors.show("door", "closed")
    daemon.start()
    with daemon.client() as client:
        found = eventually(lambda: of(client, "door").value == "closed" and of(client, "door"), "it is read")
        assert found.state is InterlockState.TRIPPED
        assert found.reason == "its value is 'open', not closed"
        assert client.job(job_id).state is not JobState.DONE
        arm_all(client)
        client.result(job_id, PATIENCE)


CHIP = str(CONFIGS / "chips" / "sim5.toml")


def test_a_fridge_that_warms_up_with_real_outputs(tmp_path: Path) -> None:
    """The simulated rack, and a thermometer that the stock driver of QCoDeS reads."""
    table = {
        "driver": "qcodes.instrument_drivers.Lakeshore:LakeshoreModel336", "address": "TCPIP::127.0.0.1::1::SOCKET",
        "parameter": "A.temperature", "above": 0.1, "hold": 0.5, "every": 0.1,
    }  # fmt: skip
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
    config = tmp_path / "rack.toml"
    config.write_text(f"{(CONFIGS / 'sim5.toml').read_text()}\n[interlocks.still]\n{lines}\n")
    rack = InstrumentsProcess("--real-time", "--chip", CHIP, device=config)
    daemon = DaemonProcess(tmp_path / "home", rack=RACK, addresses=rack.addresses, interlocks={"still": table})
    try:
        with daemon.start().client() as client:
            eventually(lambda: of(client, "still").state is InterlockState.ARMED, "it is cold")
            shots = 20_000  # ten seconds
            request = job(shots=shots)
            client.submit(request, [packed(flip())])
            eventually(lambda: "sgs1 OUTP?" in rack.on(), "outputs are on")
            ask_rack(rack.control, "temperature", instrument="interlocks.still", input="A", kelvin=0.25)
            eventually(lambda: client.job(request.job_id).state is JobState.INTERRUPTED, "the job is cut off")
            eventually(lambda: "confirmed" not in client.status().message, "the outputs are off")
            assert rack.on() == set()
            assert of(client, "still").reason == "its value is 0.25, above 0.1 K"
            ask_rack(rack.control, "temperature", instrument="interlocks.still", input="A", kelvin=0.02)
            eventually(lambda: not of(client, "still").problem, "it is cold again")
            client.rearm_interlock("still", "it was the pulse tube")
            result, parts = client.result(request.job_id, PATIENCE)
            program = result.programs[0]
            assert program.shots == shots
            assert program.bits is not None
            counts = count_bits(read_array(program.bits, parts))
            assert sum(counts.values()) == shots
            assert counts[1] > 0.8 * shots, "an x gate, with readout errors"
            assert client.job(request.job_id).attempts == 2
    finally:
        daemon.stop()
        rack.close()
