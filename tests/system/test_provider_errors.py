"""A daemon that is absent, goes while one waits, or speaks another protocol: errors that users of Qiskit know."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from pathlib import Path

import pytest
from qiskit import QuantumCircuit
from qiskit.exceptions import QiskitError
from qiskit.providers.exceptions import JobError, JobTimeoutError

from pulsed.client import Client
from pulsed.client.keys import add_client
from pulsed.model.errors import ConnectionFailedError, NotAllowedError, NotFoundError, ProtocolError
from pulsed.provider import PulsedProvider, Session
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, flip


def test_no_daemon_at_all(daemon: DaemonProcess, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    key = daemon.home / "clients" / "local.key"
    provider = PulsedProvider(url, key)
    with pytest.raises(QiskitError, match="no daemon answers there: start one with `pulsed serve`") as caught:
        provider.get_backend("sim5")
    assert isinstance(caught.value, ConnectionFailedError)
    with pytest.raises(QiskitError, match="no such file"):
        PulsedProvider(url, tmp_path / "none.key").backends()


def test_another_protocol(daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pulsed.wire.protocol.PROTOCOL", 99)
    provider = PulsedProvider(client=Client(home=daemon.home))
    with pytest.raises(QiskitError, match=r"install the same version of pulsed.*got 99; legal: 1") as caught:
        provider.get_backend("sim5")
    assert isinstance(caught.value, ProtocolError)


def test_what_may_not_be_and_what_is_not_there(client: Client, daemon: DaemonProcess) -> None:
    provider = PulsedProvider(client=client)
    mine = provider.get_backend("sim5").run(flip(), shots=10)
    mine.result(PATIENCE)
    for call in (lambda: provider.job("nothing-like-it"), lambda: Session.from_id("nothing", mine.backend())):
        with pytest.raises(QiskitError, match="no such") as caught:
            call()
        assert isinstance(caught.value, NotFoundError)
    add_client(daemon.home, "mallory", "experimenter")
    add_client(daemon.home, "onlooker", "viewer")
    with Client(home=daemon.home, key="mallory") as other, Client(home=daemon.home, key="onlooker") as viewer:
        theirs = PulsedProvider(client=other).job(mine.job_id())
        for call in (lambda: theirs.update_name("x"), theirs.circuits, lambda: next(theirs.stream())):
            with pytest.raises(QiskitError, match="belongs to local") as caught:
                call()
            assert isinstance(caught.value, NotAllowedError)
        with pytest.raises(JobError, match="belongs to local"):
            theirs.result()
        looking = PulsedProvider(client=viewer).get_backend("sim5")
        for call in (lambda: looking.run(flip()), looking.open_session):
            with pytest.raises(QiskitError, match="the role viewer may not do this"):
                call()


def test_a_daemon_that_dies_while_one_waits(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    daemon.tell("hold")
    daemon.start()
    client = daemon.client(timeout=1.0)
    try:
        provider = PulsedProvider(client=client)
        backend = provider.get_backend("sim5")
        circuit = QuantumCircuit(1, 1)
        circuit.measure(0, 0)
        job = backend.run(circuit, shots=10)
        eventually(job.running, "it runs")
        killer = threading.Timer(0.2, daemon.signal, [signal.SIGKILL])
        killer.start()
        with pytest.raises(JobTimeoutError, match=r"(?s)does not answer: it keeps the job.*`pulsed serve`"):
            job.result(timeout=3.0)
        killer.join()
        daemon.wait()
        for call in (job.status, backend.status, lambda: backend.run(circuit), provider.jobs, job.logs):
            with pytest.raises(QiskitError, match=r"no answer within 1 s|connection") as caught:
                call()
            assert isinstance(caught.value, ConnectionFailedError)

        async def awaited() -> None:
            waiting = asyncio.ensure_future(job)
            await asyncio.sleep(0.1)
            assert not waiting.done(), "the job may still come"
            await asyncio.to_thread(client.close)
            with pytest.raises(QiskitError, match="connection was closed"):
                await waiting

        asyncio.run(awaited())
    finally:
        client.close()
        daemon.untell("hold")
        daemon.stop()
