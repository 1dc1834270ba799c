"""A large result is kept and sent chunk by chunk, and is in the end what one in one piece would be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import zmq
from qiskit import QuantumCircuit

from pulsed.client.keys import LOCAL, client_path, load_key
from pulsed.daemon.jobs.execution_stage import JOINED
from pulsed.model.job import JobRequest
from pulsed.model.payload import read_array
from pulsed.model.result import count_bits, decode
from pulsed.testing.daemon_process import DaemonProcess
from pulsed.testing.jobs import PATIENCE, flip, job, packed
from pulsed.wire import messages as m
from pulsed.wire.protocol import frames_of

BITS, SHOTS = 400, 100_000
"""Together 5 MB."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path_factory.mktemp("results"), limits={"rep_delay": 1e-6}).start()
    yield process
    assert process.stop() == 0


@pytest.fixture(scope="module")
def large(daemon: DaemonProcess) -> JobRequest:
    circuit = QuantumCircuit(1, BITS)
    circuit.measure(0, BITS - 1)
    request = job(2, shots=SHOTS)
    with daemon.client() as client:
        client.submit(request, [packed(circuit, flip())])
        client.result(request.job_id, PATIENCE)
    return request


def check(programs: tuple, parts: list) -> None:
    wide, narrow = programs
    for program in (wide, narrow):
        assert program.shots == SHOTS
        np.testing.assert_array_equal(read_array(program.bits, parts)[:, 0] & 1, np.arange(SHOTS) % 2)
    assert read_array(wide.bits, parts).shape == (SHOTS, BITS // 8)
    assert count_bits(read_array(narrow.bits, parts)) == {0: SHOTS // 2, 1: SHOTS // 2}


def test_it_is_put_together_of_its_chunks(daemon: DaemonProcess, large: JobRequest) -> None:
    with daemon.client() as client:
        info, result, parts = client.finished(large.job_id, PATIENCE)
        assert info.result_chunks == info.chunks > 1
        check(result.programs, parts)
        assert set(result.times) > {"seconds.play"}
        small = job()
        client.submit(small, [packed(flip())])
        assert client.finished(small.job_id, PATIENCE)[0].result_chunks == 0


def test_chunks_come_one_by_one_and_none_is_large(daemon: DaemonProcess, large: JobRequest) -> None:
    with daemon.client() as client:
        shots = {0: 0, 1: 0}
        for chunk, parts in client.result_chunks(large.job_id, PATIENCE):
            assert sum(memoryview(part).nbytes for part in parts) <= JOINED
            for i, program in enumerate(chunk.programs, chunk.first_program):
                assert chunk.first_shot == shots[i]
                shots[i] += program.shots
        assert shots == {0: SHOTS, 1: SHOTS}
        abandoned = client.result_chunks(large.job_id, PATIENCE)
        next(abandoned)
        abandoned.close()
        assert client.status().backend == "sim5"


def test_a_client_that_knows_no_chunks_gets_one_piece(daemon: DaemonProcess, large: JobRequest) -> None:
    key = load_key(client_path(daemon.home, LOCAL))
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    older = context.socket(zmq.DEALER)
    older.linger, older.curve_serverkey = 0, key.server.encode()
    older.curve_publickey, older.curve_secretkey = key.public.encode(), key.secret.encode()
    older.connect(daemon.endpoint)
    try:
        older.send_multipart(frames_of(m.GetResult(1, large.job_id)))
        assert older.poll(1000 * PATIENCE)
        _, *parts = older.recv_multipart()
        result, arrays = decode(parts)
        check(result.programs, list(arrays))
    finally:
        context.destroy()


def test_it_is_there_after_a_restart_and_a_chunk_that_is_none_is_told(daemon: DaemonProcess, large: JobRequest) -> None:
    assert daemon.stop() == 0
    daemon.start()
    with daemon.client() as client:
        info, result, parts = client.finished(large.job_id, PATIENCE)
        check(result.programs, list(parts))
        assert client.chunk(large.job_id, info.result_chunks)[1] is None
