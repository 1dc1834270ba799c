"""The real workers and the simulated rack: kill each process in turn while a job plays, and get the right counts."""

from __future__ import annotations

import io
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from qiskit import QuantumCircuit, qpy

from pulsed.cli.processes import OwnDaemon
from pulsed.client import Client
from pulsed.model.errors import InstrumentUnreachableError
from pulsed.model.job import JobRequest, JobState, RunOptions
from pulsed.model.payload import read_array
from pulsed.model.result import count_bits
from pulsed.testing.daemon_process import eventually

SHOTS = 2000


@pytest.fixture(scope="module")
def killable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OwnDaemon, Client]]:
    with OwnDaemon(tmp_path_factory.mktemp("killable")) as daemon:
        client = daemon.wait()
        yield daemon, client
        client.close()


@pytest.fixture
def client(killable: tuple[OwnDaemon, Client]) -> Client:
    _, client = killable
    eventually(lambda: client.status().operational, "the rack plays", 60)
    return client


def submit(client: Client, **options: object) -> str:
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    file = io.BytesIO()
    qpy.dump([circuit], file, version=13)
    request = JobRequest(uuid.uuid4().hex, ("qpy",), 1, RunOptions(shots=SHOTS, **options))  # type: ignore[arg-type]
    return client.submit(request, [file.getvalue()]).job_id


def ones(client: Client, job_id: str) -> float:
    result, parts = client.result(job_id, 60)
    (program,) = result.programs
    assert program.bits is not None
    return count_bits(read_array(program.bits, parts)).get(1, 0) / SHOTS


def pid(client: Client, worker: str) -> int:
    return client.status().workers[worker].pid


def running_on_a_stopped_rack(client: Client) -> str:
    """Return a job that is in the middle of its chunk: the rack's process is stopped and does not answer."""
    assert ones(client, submit(client)) > 0.9
    os.kill(pid(client, "companion"), signal.SIGSTOP)
    job_id = submit(client)
    eventually(lambda: client.job(job_id).state is JobState.RUNNING, "it plays")
    return job_id


def test_rack_killed_in_the_middle_of_a_job(client: Client) -> None:
    job_id = running_on_a_stopped_rack(client)
    os.kill(pid(client, "companion"), signal.SIGKILL)
    # A rack that has lost its memory must get every waveform anew.
    assert ones(client, job_id) > 0.9
    info = client.job(job_id)
    assert "interrupted" in info.times
    assert info.attempts == 2


def test_rack_worker_killed_in_the_middle_of_a_job(client: Client) -> None:
    job_id = running_on_a_stopped_rack(client)
    os.kill(pid(client, "rack"), signal.SIGKILL)
    os.kill(pid(client, "companion"), signal.SIGCONT)
    assert ones(client, job_id) > 0.9
    assert client.job(job_id).attempts == 2


def test_compile_worker_killed(client: Client) -> None:
    os.kill(pid(client, "compile"), signal.SIGKILL)
    assert ones(client, submit(client)) > 0.9


def test_rack_that_stays_away_fails_the_job_by_the_name_of_an_instrument(client: Client) -> None:
    job_id = running_on_a_stopped_rack(client)
    # A command that starts again and again and dies at once is kept from coming up by stopping each one.
    first = pid(client, "companion")
    os.kill(first, signal.SIGKILL)
    second = eventually(lambda: (found := pid(client, "companion")) not in (0, first) and found, "it is started again")
    os.kill(second, signal.SIGSTOP)
    with pytest.raises(InstrumentUnreachableError, match=r"instrument (awg|dig|sgs)"):
        client.result(job_id, 90)
    assert not client.status().operational
    os.kill(second, signal.SIGCONT)
    eventually(lambda: client.status().operational, "the rack is back", 60)
    assert ones(client, submit(client)) > 0.9


def test_no_process_is_left(killable: tuple[OwnDaemon, Client]) -> None:
    daemon, client = killable
    pids = [worker.pid for worker in client.status().workers.values()]
    client.close()
    daemon.stop()
    assert daemon.survivors() == []
    assert not [number for number in pids if Path(f"/proc/{number}").exists()]
