"""The real workers and the simulated rack: kill each process in turn while a job plays, and get the right counts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulsed.cli.simulated_rack import with_simulated_rack
from pulsed.client import Client
from pulsed.daemon.main import RACK
from pulsed.model.device import load_device
from pulsed.model.errors import InstrumentUnreachableError, PulsedError
from pulsed.model.payload import read_array
from pulsed.model.result import count_bits
from pulsed.testing.daemon_process import CONFIGS, DaemonProcess, alive, eventually, stored_state
from pulsed.testing.jobs import PATIENCE, submit

SHOTS = 2000


@pytest.fixture(scope="module")
def killable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    config = CONFIGS / "sim5.toml"
    device, companion = with_simulated_rack(load_device(config), config)
    addresses = {name: instrument.address for name, instrument in device.instruments.items()}
    daemon = DaemonProcess(
        tmp_path_factory.mktemp("killable"), rack=RACK, companion=companion, addresses=addresses, rack_wait=20.0
    ).start()
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture
def client(killable: DaemonProcess) -> Iterator[Client]:
    with killable.client() as connected:
        eventually(lambda: connected.status().operational, "the rack plays")
        yield connected


def ones(client: Client, job_id: str) -> float:
    result, parts = client.result(job_id, PATIENCE)
    (program,) = result.programs
    assert program.bits is not None
    return count_bits(read_array(program.bits, parts)).get(1, 0) / SHOTS


def pid(client: Client, worker: str) -> int:
    return client.status().workers[worker].pid


def running_on_a_stopped_rack(killable: DaemonProcess, client: Client) -> str:
    """Return a job that is in the middle of its chunk: the rack's process is stopped and does not answer.

    The store knows it, too: what the daemon tells of runs ahead of that.
    """
    assert ones(client, submit(client, shots=SHOTS)) > 0.9
    os.kill(pid(client, "companion"), signal.SIGSTOP)
    job_id = submit(client, shots=SHOTS)
    eventually(lambda: stored_state(killable.home, job_id) in ("running", "interrupted"), "it plays")
    return job_id


def test_rack_killed_in_the_middle_of_a_job(killable: DaemonProcess, client: Client) -> None:
    job_id = running_on_a_stopped_rack(killable, client)
    os.kill(pid(client, "companion"), signal.SIGKILL)
    # A rack that has lost its memory must get every waveform again.
    assert ones(client, job_id) > 0.9
    info = client.job(job_id)
    assert "interrupted" in info.times
    assert info.attempts == 2


def test_rack_worker_killed_in_the_middle_of_a_job(killable: DaemonProcess, client: Client) -> None:
    job_id = running_on_a_stopped_rack(killable, client)
    os.kill(pid(client, "rack"), signal.SIGKILL)
    os.kill(pid(client, "companion"), signal.SIGCONT)
    assert ones(client, job_id) > 0.9
    assert client.job(job_id).attempts == 2


def test_compile_worker_killed(client: Client) -> None:
    os.kill(pid(client, "compile"), signal.SIGKILL)
    assert ones(client, submit(client, shots=SHOTS + 1)) > 0.9  # so many were not compiled before


def test_rack_that_stays_away_fails_the_job_by_an_instrument(killable: DaemonProcess, client: Client) -> None:
    job_id = running_on_a_stopped_rack(killable, client)
    # A command that starts again and again and dies at once is kept from coming up by stopping each one.
    first = pid(client, "companion")
    os.kill(first, signal.SIGKILL)
    second = eventually(lambda: (found := pid(client, "companion")) not in (0, first) and found, "it is started again")
    os.kill(second, signal.SIGSTOP)
    with pytest.raises(InstrumentUnreachableError, match=r"instrument (awg|dig|sgs)"):
        client.result(job_id, PATIENCE)
    assert not client.status().operational
    os.kill(second, signal.SIGCONT)
    eventually(lambda: client.status().operational, "the rack is back")
    assert ones(client, submit(client, shots=SHOTS)) > 0.9


def test_daemon_killed_in_the_middle_of_a_job(killable: DaemonProcess, client: Client) -> None:
    job_id = running_on_a_stopped_rack(killable, client)
    pids = [worker.pid for worker in client.status().workers.values()]
    killable.signal(signal.SIGKILL)
    killable.wait()
    eventually(lambda: not any(map(alive, pids)), "its children end with it")
    killable.start()
    with killable.client() as another:
        assert ones(another, job_id) > 0.9
        assert another.job(job_id).attempts == 2


def test_no_process_is_left(killable: DaemonProcess, client: Client) -> None:
    pids = [worker.pid for worker in client.status().workers.values()]
    assert killable.stop() == 0
    assert not [number for number in pids if alive(number)]


def test_dry_run_needs_no_instrument_and_knows_the_bands_of_their_ports(tmp_path: Path) -> None:
    """No rack runs here: the addresses are ports that nobody listens on."""
    device, _ = with_simulated_rack(load_device(CONFIGS / "sim5.toml"), CONFIGS / "sim5.toml")
    addresses = {name: instrument.address for name, instrument in device.instruments.items()}
    daemon = DaemonProcess(tmp_path, rack=RACK, addresses=addresses).start()
    try:
        with daemon.client() as client:
            job_id = submit(client, shots=SHOTS, dry_run=True)
            result, _ = client.result(job_id, PATIENCE)
            assert (result.programs, result.instruments) == ((), {})
            with pytest.raises(PulsedError, match=r"meas_lo_freq.*legal: 6.76 GHz to 7.46 GHz"):
                submit(client, shots=SHOTS, dry_run=True, meas_lo_freq=(9.9e9,) * 5)
            assert not client.status().operational
    finally:
        assert daemon.stop() == 1, "no instrument has confirmed that its outputs are off"
    assert "nothing has confirmed that the outputs are off" in (tmp_path / "output").read_text()
