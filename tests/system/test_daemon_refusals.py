"""What the daemon refuses, by name: circuits, options, bytes, messages. It goes on after each."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pytest
import zmq
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from pulsed.client import Client
from pulsed.client.keys import find_key
from pulsed.model.errors import (
    CircuitError,
    IncompatibleError,
    InvalidValueError,
    NotFoundError,
    PulsedError,
)
from pulsed.model.job import Bindings, JobRequest, JobState
from pulsed.testing.daemon_process import DaemonProcess
from pulsed.testing.jobs import PATIENCE, flip, job, packed, run


def wide() -> QuantumCircuit:
    circuit = QuantumCircuit(7, 1)
    circuit.x(6)
    circuit.measure(6, 0)
    return circuit


def toffoli() -> QuantumCircuit:
    circuit = QuantumCircuit(3, 1)
    circuit.ccx(0, 1, 2)
    circuit.measure(2, 0)
    return circuit


def uncoupled() -> QuantumCircuit:
    circuit = QuantumCircuit(5, 1)
    circuit.ecr(0, 4)
    circuit.measure(0, 0)
    return circuit


@pytest.mark.parametrize(("circuit", "names"), [(wide(), "7"), (toffoli(), "ccx"), (uncoupled(), "ecr")])
def test_circuit_that_does_not_fit_fails_by_name(client: Client, circuit: QuantumCircuit, names: str) -> None:
    request = job()
    client.submit(request, [packed(circuit)])
    with pytest.raises(CircuitError, match=names):
        client.result(request.job_id, PATIENCE)
    info = client.job(request.job_id)
    assert info.state is JobState.FAILED
    assert info.error is not None
    assert info.error.code == "circuit"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"shots": 0}, "shots.*got 0.*legal: an integer from 1 to 100000"),
        ({"shots": 10**7}, "shots.*legal: an integer from 1 to 100000"),
        ({"meas_level": 7}, "meas_level"),
        ({"meas_return": "maybe"}, "meas_return"),
        ({"rep_delay": 5.0}, "rep_delay"),
        ({"qubit_lo_freq": (5e9,)}, "qubit_lo_freq"),
    ],
)
def test_option_out_of_range_is_refused_by_name(client: Client, options: dict[str, object], names: str) -> None:
    request = job(options=options)
    with pytest.raises(InvalidValueError, match=names):
        client.submit(request, [packed(flip())])
    with pytest.raises(NotFoundError):
        client.job(request.job_id)


@pytest.mark.parametrize("version", [1, 10, 12])
def test_old_qpy_is_refused_before_it_is_decoded(client: Client, version: int) -> None:
    part = bytearray(packed(flip()))
    part[6] = version
    with pytest.raises(IncompatibleError, match=f"QPY {version}; legal: QPY 13"):
        client.submit(job(), [bytes(part)])


def test_newer_qpy_and_other_bytes_are_refused(client: Client) -> None:
    part = bytearray(packed(flip()))
    part[6] = 200
    with pytest.raises(IncompatibleError, match="newer"):
        client.submit(job(), [bytes(part)])
    with pytest.raises(IncompatibleError, match="not a QPY file"):
        client.submit(job(), [b"OPENQASM 3.0; qubit q; // a text"])


def test_damaged_qpy_fails_its_job_alone(client: Client) -> None:
    whole = packed(flip())
    for cut in (25, len(whole) // 2, len(whole) - 3):
        request = job()
        client.submit(request, [whole[:cut]])
        with pytest.raises(PulsedError):
            client.result(request.job_id, PATIENCE)
    assert run(client, job(), whole).state is JobState.DONE


def test_oversized_submission_is_refused_at_both_ends(client: Client) -> None:
    with pytest.raises(InvalidValueError, match="too large"):
        client.submit(job(), [bytes(2_000_000)])
    greeting = client._connected().greeted.result()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(client), "greeting", msgspec.structs.replace(greeting, max_payload=2**40))
        with pytest.raises(PulsedError, match="too large"):
            client.submit(job(), [bytes(2_000_000)])
    assert client.status().operational


def raw_socket(daemon: DaemonProcess, context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
    key = find_key(None, daemon.home)
    dealer = context.socket(zmq.DEALER)
    dealer.linger = 0
    dealer.curve_secretkey, dealer.curve_publickey = key.secret.encode(), key.public.encode()
    dealer.curve_serverkey = key.server.encode()
    dealer.connect(daemon.endpoint)
    return dealer


def test_random_messages_are_answered_with_an_error(client: Client, daemon: DaemonProcess) -> None:
    seed = int.from_bytes(os.urandom(4))
    random = np.random.default_rng(seed)
    with zmq.Context() as context, raw_socket(daemon, context) as dealer:
        for _ in range(100):
            frames = [random.bytes(int(random.integers(0, 200))) for _ in range(int(random.integers(1, 5)))]
            dealer.send_multipart(frames)
            assert dealer.poll(60_000), f"no answer, seed {seed}"
            answer = msgspec.msgpack.decode(dealer.recv_multipart()[0])
            assert answer["type"] == "error", f"seed {seed}"
            assert answer["error"]["code"] == "protocol", f"seed {seed}"
        dealer.send(msgspec.msgpack.encode({"type": "dance", "id": 7, "partner": "you"}))
        answer = msgspec.msgpack.decode(dealer.recv_multipart()[0])
        assert (answer["id"], answer["error"]["value"]) == (7, "dance")
        dealer.send(msgspec.msgpack.encode({"type": "status", "id": 8, "new_in_2030": True}))
        assert msgspec.msgpack.decode(dealer.recv_multipart()[0])["id"] == 8
    assert client.status().operational


def test_random_bytes_on_the_port_do_nothing(client: Client, daemon: DaemonProcess) -> None:
    parts = urlsplit(daemon.endpoint)
    for _ in range(20):
        with socket.create_connection((parts.hostname, parts.port), timeout=60) as stranger:
            stranger.sendall(os.urandom(2000))
    assert run(client, job(), packed(flip())).state is JobState.DONE


def test_wrong_backend_and_unknown_job_are_named(client: Client) -> None:
    with pytest.raises(NotFoundError, match="got paris; legal: sim5"):
        client.device("paris")
    with pytest.raises(NotFoundError, match="nobody"):
        client.job("nobody")
    ids = [client.submit(JobRequest(f"alike{end}", ("qpy",), 1), [packed(flip())]).job_id for end in "abcdefg"]
    with pytest.raises(
        NotFoundError, match=r"more than one job begins like this; got alike; legal: alikeg, .*, [.]{3}$"
    ):
        client.job("alike")
    assert client.job("alikec").job_id == ids[2]
    with pytest.raises(
        NotFoundError, match=r"too short for .* a job's id; got ali; legal: an id, or its first 4 letters"
    ):
        client.job("ali")
    with pytest.raises(NotFoundError, match="no such job; got alij; legal: an id, or its first 4 letters"):
        client.job("alij")
    with pytest.raises(NotFoundError):
        client.calibration("0" * 16)


def turning() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    circuit.rz(Parameter("theta"), 0)
    circuit.measure(0, 0)
    return circuit


def swept(*bindings: Bindings, results: int) -> JobRequest:
    return job(results, ("qpy", *["values"] * len(bindings)), bindings=bindings)


def test_one_program_has_a_result_for_each_binding(client: Client) -> None:
    request = swept(Bindings(0, ("theta",), 3), results=3)
    assert run(client, request, packed(turning()), np.arange(3.0).tobytes()).state is JobState.DONE
    result, _ = client.result(request.job_id, PATIENCE)
    assert len(result.programs) == 3


@pytest.mark.parametrize(
    ("bindings", "values", "results", "names"),
    [
        ((), np.zeros(0), 2, "another number of programs"),
        ((Bindings(0, ("theta",), 3),), np.zeros(3), 2, "another number of programs"),
        ((Bindings(0, ("theta",), 3),), np.zeros(2), 3, "16 bytes; legal: 24 bytes"),
        ((Bindings(0, ("theta",), 0),), np.zeros(0), 1, "at least one binding"),
        ((Bindings(0, ("phi",), 3),), np.zeros(3), 3, "phi; legal: theta"),
        ((Bindings(7, ("theta",), 3),), np.zeros(3), 3, "got 7; legal: 0 to 0"),
        ((Bindings(0, ("theta",), 3),), np.array([0, np.inf, 0]), 3, "not finite"),
    ],
)
def test_bindings_that_do_not_fit_are_refused_by_name(
    client: Client, bindings: tuple[Bindings, ...], values: np.ndarray, results: int, names: str
) -> None:
    request = swept(*bindings, results=results)
    parts = [packed(turning()), values.tobytes()][: 1 + len(bindings)]
    with pytest.raises(PulsedError, match=names):
        run(client, request, *parts)
    assert client.status().operational


def test_values_without_bindings_are_refused(client: Client) -> None:
    with pytest.raises(InvalidValueError, match="one part of values per program"):
        client.submit(job(kinds=("qpy", "values")), [packed(flip()), bytes(8)])
