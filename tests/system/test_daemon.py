"""The daemon from outside, with a scripted rack: jobs, rights, errors, hostile peers."""

from __future__ import annotations

import io
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pytest
import zmq
from qiskit import QuantumCircuit, qpy

from pulsed.client import Client
from pulsed.client.keys import add_client, find_key, new_key, save_key
from pulsed.model.calibration import load_calibration
from pulsed.model.errors import (
    CircuitError,
    ConnectionFailedError,
    IncompatibleError,
    InstrumentLimitError,
    InvalidValueError,
    JobCancelledError,
    JobTimeoutError,
    KeyFileError,
    NotAllowedError,
    NotFoundError,
    PulsedError,
)
from pulsed.model.job import JobInfo, JobRequest, JobState, RunOptions
from pulsed.model.payload import read_array
from pulsed.store.store import Store
from pulsed.testing.daemon_process import CONFIGS, DaemonProcess, eventually
from pulsed.wire.messages import AnyNotice, JobChanged, Progress


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path_factory.mktemp("home"), limits={"max_payload": 1_000_000}).start()
    yield process
    assert process.stop() == 0
    assert process.lines("safe"), "the outputs were not made safe at the end"


@pytest.fixture
def client(daemon: DaemonProcess) -> Iterator[Client]:
    with daemon.client() as connected:
        yield connected


def circuits(*programs: QuantumCircuit, version: int = 13) -> bytes:
    file = io.BytesIO()
    qpy.dump(list(programs), file, version=version)
    return file.getvalue()


def flip(name: str = "flip") -> QuantumCircuit:
    circuit = QuantumCircuit(1, 2, name=name)
    circuit.x(0)
    circuit.measure(0, 1)
    return circuit


def job(num_programs: int = 1, kinds: tuple[str, ...] = ("qpy",), **fields: object) -> JobRequest:
    options = RunOptions(**fields.pop("options", {"shots": 10}))  # type: ignore[arg-type]
    return JobRequest(uuid.uuid4().hex, kinds, num_programs, options, **fields)  # type: ignore[arg-type]


def run(client: Client, request: JobRequest, *parts: bytes) -> JobInfo:
    client.submit(request, parts)
    client.result(request.job_id, 20)
    return client.job(request.job_id)


def test_greeting_names_versions_backend_and_role(client: Client) -> None:
    greeting = client.greeting
    assert greeting.backends == ("sim5",)
    assert greeting.role == "admin"
    assert greeting.qpy[0] == 13
    assert greeting.qpy[1] >= 13


def test_job_comes_back_with_its_programs_in_order(client: Client) -> None:
    request = job(3, ("qpy", "qpy"), name="three", tags=("a", "b"))
    accepted = client.submit(request, [circuits(flip("one"), flip("two")), circuits(flip("three"))])
    assert accepted.state is JobState.QUEUED
    result, parts = client.result(request.job_id, 20)
    assert [program.name for program in result.programs] == ["one", "two", "three"]
    assert result.calibration_id == client.calibration().calibration_id
    for program in result.programs:
        assert program.bits is not None
        bits = read_array(program.bits, parts)[:, 0]
        np.testing.assert_array_equal(bits, np.where(np.arange(10) % 2 == 1, 0b11, 0))
    info = client.job(request.job_id)
    assert info.state is JobState.DONE
    assert (info.name, info.tags, info.owner) == ("three", ("a", "b"), "local")
    for what in ("store", "queue", "compile", "handover"):
        assert info.times[f"seconds.{what}"] >= 0


def test_shots_of_many_chunks_come_back_as_one(client: Client, daemon: DaemonProcess) -> None:
    request = job(options={"shots": 5001, "rep_delay": 10e-3})
    info = run(client, request, circuits(flip()))
    assert info.chunks > 1
    assert info.chunks_done == info.chunks
    result, parts = client.result(request.job_id, 5)
    (program,) = result.programs
    assert program.shots == 5001
    assert program.bits is not None
    expected = np.where(np.arange(5001) % 2 == 1, 0b11, 0)
    np.testing.assert_array_equal(read_array(program.bits, parts)[:, 0], expected)


def test_same_id_is_the_same_job(client: Client, daemon: DaemonProcess) -> None:
    request, part = job(), circuits(flip())
    first = client.submit(request, [part])
    client.result(request.job_id, 20)
    played = len(daemon.lines("played"))
    again = client.submit(request, [part])
    assert again.created == first.created
    assert again.state is JobState.DONE
    run(client, job(), part)
    assert len(daemon.lines("played")) == played + 1


def test_many_threads_share_one_client(client: Client) -> None:
    requests = [job(name=f"job {i}") for i in range(30)]
    part = circuits(flip())
    seen: dict[str, str] = {}

    def one(request: JobRequest) -> None:
        client.submit(request, [part])
        seen[request.job_id] = client.result(request.job_id, 30)[0].job_id

    threads = [threading.Thread(target=one, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {request.job_id: request.job_id for request in requests}


def test_jobs_are_listed_by_filter_newest_first(client: Client) -> None:
    tag = uuid.uuid4().hex
    before = time.time()
    ids = [run(client, job(tags=(tag,)), circuits(flip())).job_id for _ in range(3)]
    assert [info.job_id for info in client.jobs(tags=[tag])] == ids[::-1]
    assert [info.job_id for info in client.jobs(tags=[tag], limit=1, skip=1)] == [ids[1]]
    assert client.jobs(tags=[tag], state=JobState.FAILED) == []
    assert client.jobs(tags=[tag], created_before=before) == []
    with pytest.raises(InvalidValueError, match="legal: 1 to"):
        client.jobs(limit=10**9)


def test_higher_priority_overtakes_and_positions_are_told(client: Client, daemon: DaemonProcess) -> None:
    daemon.tell("hold")
    part = circuits(flip())
    low = [job(name=f"low {i}") for i in range(5)]
    try:
        for request in low:
            client.submit(request, [part])
        eventually(lambda: client.job(low[0].job_id).state is JobState.RUNNING, "the first job runs")
        eventually(lambda: client.job(low[2].job_id).state is JobState.READY, "two jobs are compiled ahead")
        urgent = job(name="urgent", priority=5)
        client.submit(urgent, [part])
        assert client.job(urgent.job_id).queue_position == 0
        assert client.job(low[4].job_id).queue_position == 5
        assert client.status().running == low[0].job_id
    finally:
        daemon.untell("hold")
    done = {r.name: (client.result(r.job_id, 20), client.job(r.job_id).times["done"])[1] for r in [*low, urgent]}
    assert done["urgent"] < done["low 3"] < done["low 4"]


def test_cancel_of_waiting_running_and_ended_jobs(client: Client, daemon: DaemonProcess) -> None:
    daemon.tell("hold")
    running, waiting = job(), job()
    try:
        for request in (running, waiting):
            client.submit(request, [circuits(flip())])
        eventually(lambda: client.job(running.job_id).state is JobState.RUNNING, "it runs")
        assert client.cancel(waiting.job_id)
        assert client.cancel(running.job_id)
        eventually(lambda: not client.status().running, "the rack stops playing it", 5)
    finally:
        daemon.untell("hold")
    for request in (running, waiting):
        assert client.job(request.job_id).state is JobState.CANCELLED
        assert not client.cancel(request.job_id)
        with pytest.raises(JobCancelledError):
            client.result(request.job_id, 5)
    assert run(client, job(), circuits(flip())).state is JobState.DONE


def test_result_out_of_time_leaves_the_job_alone(client: Client, daemon: DaemonProcess) -> None:
    daemon.tell("hold")
    request = job()
    try:
        client.submit(request, [circuits(flip())])
        with pytest.raises(JobTimeoutError, match="goes on"):
            client.result(request.job_id, 0.2)
    finally:
        daemon.untell("hold")
    client.result(request.job_id, 20)


def test_watch_tells_each_step_and_subscribe_everything(client: Client) -> None:
    steps: list[JobState] = []
    notices: list[AnyNotice] = []
    ended = threading.Event()
    client.subscribe(notices.append)
    request = job()

    def changed(info: JobInfo) -> None:
        if not steps or steps[-1] is not info.state:
            steps.append(info.state)
        if info.state is JobState.DONE:
            ended.set()

    client.submit(request, [circuits(flip())])
    client.watch(request.job_id, changed)
    assert ended.wait(20)
    assert steps[-1] is JobState.DONE
    path = [notice.job.state for notice in notices if isinstance(notice, JobChanged)]
    assert path == [JobState.QUEUED, JobState.COMPILING, JobState.READY, JobState.RUNNING, JobState.DONE]
    assert any(isinstance(notice, Progress) for notice in notices)
    numbers = [notice.number for notice in notices]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_dry_run_compiles_and_plays_nothing(client: Client, daemon: DaemonProcess) -> None:
    before = len(daemon.lines("started"))
    request = job(options={"shots": 10, "dry_run": True})
    checked = len(daemon.lines("validated"))
    assert run(client, request, circuits(flip())).state is JobState.DONE
    assert len(daemon.lines("started")) == before
    assert len(daemon.lines("validated")) == checked + 1


def test_dry_run_is_refused_as_the_rack_would(client: Client, daemon: DaemonProcess) -> None:
    before = len(daemon.lines("started"))
    daemon.tell("narrow")
    try:
        request = job(options={"shots": 1000, "dry_run": True})
        client.submit(request, [circuits(flip())])
        with pytest.raises(InstrumentLimitError, match="instrument awg1: too many shots; got 1000; legal: at most 999"):
            client.result(request.job_id, 20)
        assert client.job(request.job_id).state is JobState.FAILED
        fitting = job(options={"shots": 999, "dry_run": True})
        assert run(client, fitting, circuits(flip())).state is JobState.DONE
    finally:
        daemon.untell("narrow")
    assert len(daemon.lines("started")) == before
    assert client.status().operational


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
    client.submit(request, [circuits(circuit)])
    with pytest.raises(CircuitError, match=names):
        client.result(request.job_id, 20)
    info = client.job(request.job_id)
    assert info.state is JobState.FAILED
    assert info.error is not None
    assert info.error.code == "circuit"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"shots": 0}, "shots.*got 0.*legal: 1 to 100000"),
        ({"shots": 10**7}, "shots.*legal: 1 to 100000"),
        ({"meas_level": 7}, "meas_level"),
        ({"meas_return": "maybe"}, "meas_return"),
        ({"rep_delay": 5.0}, "rep_delay"),
        ({"qubit_lo_freq": (5e9,)}, "qubit_lo_freq"),
    ],
)
def test_option_out_of_range_is_refused_by_name(client: Client, options: dict[str, object], names: str) -> None:
    request = job(options=options)
    with pytest.raises(InvalidValueError, match=names):
        client.submit(request, [circuits(flip())])
    with pytest.raises(NotFoundError):
        client.job(request.job_id)


@pytest.mark.parametrize("version", [1, 10, 12])
def test_old_qpy_is_refused_before_it_is_decoded(client: Client, version: int) -> None:
    part = bytearray(circuits(flip()))
    part[6] = version
    with pytest.raises(IncompatibleError, match=f"QPY {version}; legal: QPY 13"):
        client.submit(job(), [bytes(part)])


def test_newer_qpy_and_other_bytes_are_refused(client: Client) -> None:
    part = bytearray(circuits(flip()))
    part[6] = 200
    with pytest.raises(IncompatibleError, match="newer"):
        client.submit(job(), [bytes(part)])
    with pytest.raises(IncompatibleError, match="not a QPY file"):
        client.submit(job(), [b"OPENQASM 3.0; qubit q; // a text"])


def test_damaged_qpy_fails_its_job_alone(client: Client) -> None:
    whole = circuits(flip())
    for cut in (25, len(whole) // 2, len(whole) - 3):
        request = job()
        client.submit(request, [whole[:cut]])
        with pytest.raises(PulsedError):
            client.result(request.job_id, 20)
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


def test_roles_bound_what_a_key_may_do(client: Client, daemon: DaemonProcess) -> None:
    name = uuid.uuid4().hex
    for role in ("viewer", "experimenter", "operator"):
        add_client(daemon.home, f"{role}-{name}", role)
    mine = job()
    run(client, mine, circuits(flip()))
    with daemon.client(key=f"viewer-{name}") as viewer:
        assert viewer.status().operational
        assert viewer.job(mine.job_id).owner == "local"
        with pytest.raises(NotAllowedError, match="viewer"):
            viewer.submit(job(), [circuits(flip())])
    with daemon.client(key=f"experimenter-{name}") as experimenter:
        assert run(experimenter, job(), circuits(flip())).owner == f"experimenter-{name}"
        with pytest.raises(NotAllowedError, match="belongs to local"):
            experimenter.result(mine.job_id, 5)
        with pytest.raises(NotAllowedError):
            experimenter.cancel(mine.job_id)
        with pytest.raises(NotAllowedError):
            experimenter.submit(mine, [circuits(flip())])
        with pytest.raises(NotAllowedError, match="stop"):
            experimenter.stop_daemon()
    with daemon.client(key=f"operator-{name}") as operator:
        operator.result(mine.job_id, 5)
        with pytest.raises(NotAllowedError, match="legal: from admin on"):
            operator.stop_daemon()


def test_key_that_is_taken_away_loses_its_rights(daemon: DaemonProcess) -> None:
    path = add_client(daemon.home, uuid.uuid4().hex, "admin")
    with daemon.client(key=path) as other:
        assert other.status().operational
        path.unlink()

        def refused() -> bool:
            try:
                other.status()
            except NotAllowedError as error:
                return "taken away" in str(error)
            return False

        eventually(refused, "the key is refused", 10)


def test_callback_that_fails_does_not_silence_the_others(client: Client) -> None:
    heard = threading.Event()
    client.subscribe(lambda notice: {}[notice])
    client.subscribe(lambda notice: heard.set())
    run(client, job(), circuits(flip()))
    assert heard.wait(10)
    heard.clear()
    run(client, job(), circuits(flip()))
    assert heard.wait(10)


def test_callback_may_ask_the_daemon(client: Client) -> None:
    answers: list[JobState] = []
    done = threading.Event()

    def ask(info: JobInfo) -> None:
        answers.append(client.job(info.job_id).state)
        if info.state is JobState.DONE:
            done.set()

    request = job()
    client.submit(request, [circuits(flip())])
    client.watch(request.job_id, ask)
    assert done.wait(20)
    assert answers[-1] is JobState.DONE


def test_key_problems_say_what_to_do(daemon: DaemonProcess, tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"no such file.*pulsed serve"):
        Client(daemon.endpoint, tmp_path / "none.key").connect()
    mine = find_key(None, daemon.home)
    path = tmp_path / "open.key"
    save_key(path, mine)
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        Client(daemon.endpoint, path).connect()
    save_key(path, new_key("stranger", "admin", mine.server))
    with pytest.raises(ConnectionFailedError, match="does not know this key"):
        Client(daemon.endpoint, path, timeout=5).connect()
    save_key(path, msgspec.structs.replace(mine, server=new_key("other").public))
    with pytest.raises(ConnectionFailedError):
        Client(daemon.endpoint, path, timeout=2).connect()


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
            assert dealer.poll(5000), f"no answer, seed {seed}"
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
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as stranger:
            stranger.sendall(os.urandom(2000))
    assert run(client, job(), circuits(flip())).state is JobState.DONE


def test_wrong_backend_and_unknown_job_are_named(client: Client) -> None:
    with pytest.raises(NotFoundError, match="got paris; legal: sim5"):
        client.device("paris")
    with pytest.raises(NotFoundError, match="nobody"):
        client.job("nobody")
    with pytest.raises(NotFoundError):
        client.calibration("0" * 16)


def test_device_survives_the_wire(client: Client, daemon: DaemonProcess) -> None:
    device = client.device()
    assert device.name == "sim5"
    assert float(device.dt) == 1e-9
    assert client.calibration(client.calibration().calibration_id) == client.calibration()


def test_daemon_process_is_slim(daemon: DaemonProcess) -> None:
    assert daemon.process is not None
    maps = Path(f"/proc/{daemon.process.pid}/maps").read_text()
    for heavy in ("qiskit", "scipy", "llvmlite", "matplotlib"):
        assert f"/{heavy}/" not in maps, heavy


def test_job_runs_with_the_set_it_names_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    shipped = load_calibration(CONFIGS / "calibrations" / "sim5.json")
    older = msgspec.structs.replace(shipped, created="2026-01-01T00:00:00+00:00")
    store = Store(f"sqlite:///{tmp_path / 'pulsed.sqlite'}", "sim5")
    store.open(time.time(), "test")
    for calibration in (older, shipped):
        store.put_calibration(calibration, time.time())
    store.set_current_calibration(shipped.calibration_id, time.time())
    store.close()
    process = DaemonProcess(tmp_path).start()
    try:
        with process.client() as client:
            for named, used in (
                (older.calibration_id, older), (None, shipped), (shipped.calibration_id, shipped),
                (older.calibration_id, older),
            ):  # fmt: skip
                request = job(options={"shots": 10, "calibration_id": named})
                client.submit(request, [circuits(flip())])
                info, result, _ = client.finished(request.job_id, 20)
                assert info.calibration_id == result.calibration_id == used.calibration_id
                assert info.state is JobState.DONE
                assert info.times["done"] >= info.times["running"]
            unknown = job(options={"shots": 10, "calibration_id": "0" * 16})
            with pytest.raises(NotFoundError, match="0000000000000000"):
                client.submit(unknown, [circuits(flip())])
            with pytest.raises(NotFoundError):
                client.job(unknown.job_id)
    finally:
        assert process.stop() == 0


def test_watch_of_an_unknown_job_leaves_nothing_behind(client: Client) -> None:
    request, told = job(), []
    with pytest.raises(NotFoundError):
        client.watch(request.job_id, told.append)
    seen: list[AnyNotice] = []
    end = client.subscribe(seen.append)
    run(client, request, circuits(flip()))
    eventually(
        lambda: any(isinstance(n, JobChanged) and n.job.job_id == request.job_id for n in seen), "the job is told of"
    )
    end()
    assert told == []


def test_address_in_use_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        process = DaemonProcess(tmp_path, url=url, companion=["touch", str(tmp_path / "companion")])
        with pytest.raises(RuntimeError, match=r"cannot listen: Address already in use"):
            process.start()
    assert process.lines("connects") == []
    assert not (tmp_path / "companion").exists()
    assert process.start().stop() == 0


def test_what_the_daemon_writes_is_closed_to_others(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "logs").mkdir(parents=True)
    home.chmod(0o755)
    for name in ("pulsed.sqlite", "logs/daemon.jsonl"):
        (home / name).touch(0o644)
    process = DaemonProcess(home, companion=["sleep", "1000"]).start()
    try:
        with process.client() as client:
            run(client, job(), circuits(flip()))
        written = [home / "logs", *(home / "logs").iterdir(), *home.glob("pulsed.sqlite*"), home / "daemon.json"]
        assert len(written) >= 5
        for path in written:
            assert path.stat().st_mode & 0o077 == 0, path
        assert home.stat().st_mode & 0o777 == 0o755, "the directory itself is its owner's to close"
    finally:
        assert process.stop() == 0
