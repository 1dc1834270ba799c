"""What one job or one peer asks for has a bounded effect, on itself alone."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from qiskit import QuantumCircuit

from pulsed.client.keys import LOCAL, client_path, load_key
from pulsed.daemon.front.connections import MOST_UNPROVEN, UNPROVEN_BYTES
from pulsed.model.errors import JobFailedError, ResultSizeError, StoreFullError
from pulsed.model.job import JobState
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, flip, job, packed, submit
from pulsed.wire import messages as m
from pulsed.wire.protocol import frames_of

MOST = 3_000_000
"""Bytes of a file: that is how full the disk is."""
LARGE = 100_000
"""Shots; of 400 bits each they are 5 MB."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(
        tmp_path_factory.mktemp("bounds"), file_size=MOST, limits={"max_result": 20_000_000, "rep_delay": 1e-6}
    ).start()
    yield process
    assert process.stop() == 0


def wide() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 400)
    circuit.measure(0, 399)
    return circuit


def test_a_result_that_the_disk_does_not_take_fails_its_job_alone(daemon: DaemonProcess) -> None:
    large, small = job(shots=LARGE), job()
    with daemon.client() as client:
        client.submit(large, [packed(wide())])
        client.submit(small, [packed(flip())])
        with pytest.raises(JobFailedError, match="could not be stored"):
            client.result(large.job_id, PATIENCE)
        assert client.job(large.job_id).state is JobState.FAILED
        client.result(small.job_id, PATIENCE)
        assert client.status().workers["rack"].restarts == 0
    assert daemon.stop() == 0
    daemon.start()
    with daemon.client() as client:
        assert client.job(large.job_id).state is JobState.FAILED
        after = job()
        client.submit(after, [packed(flip())])
        client.result(after.job_id, PATIENCE)


def test_a_result_above_the_limit_is_refused_before_it_plays(daemon: DaemonProcess) -> None:
    with daemon.client() as client:
        played = len(daemon.lines("started"))
        with pytest.raises(ResultSizeError, match=r"at least .*MiB.*limits.max_result"):
            client.submit(job(shots=LARGE, options={"meas_level": 1}, num_programs=1000), [packed(flip())])
        known_when_compiled = job(shots=LARGE, options={"meas_level": 1})
        client.submit(known_when_compiled, [packed(wide())])
        with pytest.raises(ResultSizeError, match=r"320000000 bytes \(305 MiB\)"):
            client.result(known_when_compiled.job_id, PATIENCE)
        assert len(daemon.lines("started")) == played


def test_submissions_are_refused_below_the_mark_of_the_disk(tmp_path_factory: pytest.TempPathFactory) -> None:
    process = DaemonProcess(tmp_path_factory.mktemp("full"), limits={"free_disk": 2**60}).start()
    try:
        with process.client() as client:
            with pytest.raises(StoreFullError, match=r"disk of .*almost full.*limits\.free_disk"):
                client.submit(job(), [packed(flip())])
            status = eventually(lambda: (now := client.status()) and "almost full" in now.message and now, "told")
            assert not status.operational
    finally:
        assert process.stop() == 0


# --- peers: one daemon whose results are large --------------------------------------------------------------------


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path_factory.mktemp("door"), limits={"rep_delay": 1e-6}).start()
    yield process
    assert process.stop() == 0


def memory(daemon: DaemonProcess) -> int:
    """Return the bytes of memory that the daemon's own process has."""
    assert daemon.process is not None
    for line in Path(f"/proc/{daemon.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def raw(endpoint: str) -> socket.socket:
    host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def is_ended(peer: socket.socket) -> bool:
    """Whether the other end has closed a connection, of which anything may be left to read."""
    peer.setblocking(False)
    try:
        while peer.recv(65536):
            continue
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + bytes(32)
"""ZMTP 3.1: signature, version, mechanism, client; what follows is the handshake."""


@pytest.mark.parametrize("which", ["requests", "events"])
def test_connections_without_a_known_key_are_bounded_in_number_and_harm_nobody(door: DaemonProcess, which: str) -> None:
    with door.client() as client:
        greeting = client.greeting
        endpoint = door.endpoint if which == "requests" else greeting.notices.replace("*", "127.0.0.1")
        peers = [raw(endpoint) for _ in range(3 * MOST_UNPROVEN)]
        try:
            eventually(lambda: sum(not is_ended(peer) for peer in peers) <= MOST_UNPROVEN, "the oldest are ended")
            assert client.status().backend == "sim5"
            with door.client() as another:
                another.result(submit(another), PATIENCE)
        finally:
            for peer in peers:
                peer.close()


@pytest.mark.parametrize("which", ["requests", "events"])
def test_a_large_frame_before_the_key_is_cut_off(door: DaemonProcess, which: str) -> None:
    """The size that it claims is legal for a submission, and far more than a handshake has."""
    before = memory(door)
    with door.client() as client:
        endpoint = door.endpoint if which == "requests" else client.greeting.notices.replace("*", "127.0.0.1")
        with raw(endpoint) as peer:
            peer.sendall(GREETING + b"\x06" + struct.pack(">Q", 200 * 2**20))  # a long command
            sent = 0
            with contextlib.suppress(ConnectionError, TimeoutError):
                while sent < 200 * 2**20:
                    sent += peer.send(bytes(1 << 14))
                    time.sleep(0.002)
            assert sent < 150 * 2**20
            eventually(lambda: is_ended(peer), "it is ended")
        assert client.status().backend == "sim5"
    assert f"more than {UNPROVEN_BYTES} bytes without a known key" in (door.home / "logs/daemon.jsonl").read_text()
    assert memory(door) - before < 100 * 2**20


def test_a_client_that_never_reads_costs_bounded_memory(door: DaemonProcess) -> None:
    with door.client() as client:
        request = job(shots=LARGE)
        client.submit(request, [packed(wide())])
        client.result(request.job_id, PATIENCE)  # 5 MB
        before = memory(door)
        key = load_key(client_path(door.home, LOCAL))
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        silent = context.socket(zmq.DEALER)
        silent.linger, silent.rcvhwm = 0, 1
        silent.curve_publickey, silent.curve_secretkey = key.public.encode(), key.secret.encode()
        silent.curve_serverkey = key.server.encode()
        silent.connect(door.endpoint)
        try:
            for number in range(1, 101):
                silent.send_multipart(frames_of(m.GetResult(number, request.job_id)))
            time.sleep(1.5)
            assert memory(door) - before < 120 * 2**20, "100 results are 500 MB"
            client.result(request.job_id, PATIENCE)
            silent.rcvhwm = 1000
            got = 0
            while got < 100 and silent.poll(30_000):
                got += len(silent.recv_multipart()) > 0
            assert got == 100, "what waited comes when it is read"
        finally:
            context.destroy()
