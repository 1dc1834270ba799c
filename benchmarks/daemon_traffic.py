"""What jobs cost a daemon that has many of them: large results, many clients, a long time, and time on the rack."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import zmq
from qiskit import QuantumCircuit, transpile

from benchmarks.bell import bell
from benchmarks.figures import Figure, cost, limit, paired, times
from benchmarks.references import echo
from pulsed.cli.processes import OwnDaemon
from pulsed.client import Client
from pulsed.client.keys import LOCAL, client_path, load_key
from pulsed.compiler.compile import Compiler
from pulsed.daemon.main import RACK
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.model.job import FINAL_STATES, RunOptions
from pulsed.provider import PulsedBackend, PulsedProvider
from pulsed.provider.target import build_target
from pulsed.testing.daemon_process import DaemonProcess
from pulsed.testing.instruments_process import InstrumentsProcess
from pulsed.testing.jobs import PATIENCE, flip, job, packed
from pulsed.wire.job_messages import GetChunk
from pulsed.wire.messages import GetJob, Hello
from pulsed.wire.protocol import frames_of

_GIB = 2**30
_BITS, _SHOTS = 88, 95_325
"""A result of 1 MiB: 11 bytes of each shot."""
_POLLING, _STREAMING = 200, 20
_POLLS = 1.0
"""Polls of each client in a second."""
_JOBS_BEFORE, _JOBS = 300, 2000
_PULSES = {5.5: 4, 0.1: 60}
"""Seconds of pulses of a job on a rack in real time, and how many of them."""


def figures() -> Iterator[Figure]:
    """Yield all figures."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory, OwnDaemon(Path(directory)) as daemon:
        client = daemon.wait()
        backend = PulsedProvider(client=client).get_backend("sim5")
        yield limit("growth of all processes, 1 GiB of raw records", _records(daemon, client, backend), "MiB",
                    at_most=300)  # fmt: skip
        yield limit(f"growth of all processes, {_JOBS} Bell jobs", _long_time(daemon, backend), "%", at_most=5)
    yield from _front()
    yield from _real_time()


class Memory:
    """The memory of a process and all that it started, where what they share counts once, watched in a thread."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self.most = self.now()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def now(self) -> float:
        """Return MiB."""
        total = 0
        for process in (self._root, *self._root.children(recursive=True)):
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total / 1024

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.most = max(self.most, self.now())

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _records(daemon: OwnDaemon, client: Client, backend: PulsedBackend) -> float:
    """Return by how many MiB the daemon and its children grow with records of every shot, 1 GiB of them in one job."""
    circuit = QuantumCircuit(5, 5)
    circuit.h(0)
    circuit.measure(range(5), range(5))
    ready = transpile(circuit, backend)

    def records(shots: int) -> int:
        job_id = backend.run(ready, shots=shots, meas_level=0, meas_return="single").job_id()
        chunks = client.result_chunks(job_id, 1200)
        return sum(memoryview(part).nbytes for _, parts in chunks for part in parts)

    of_one = records(100) // 100
    memory = Memory(daemon.pid)
    before = memory.now()
    with memory:
        brought = records(-(-_GIB // of_one))
    if brought < _GIB:
        raise AssertionError(f"brought back {brought} bytes only")
    return memory.most - before


def _long_time(daemon: OwnDaemon, backend: PulsedBackend) -> float:
    """Return by how many percent the daemon and its children grow over many jobs, after some."""
    circuit = transpile(bell(), backend, seed_transpiler=1)
    memory = Memory(daemon.pid)

    def work(count: int) -> None:
        for _ in range(count // 10):
            for one in [backend.run(circuit, shots=100) for _ in range(10)]:
                one.result(PATIENCE)

    work(_JOBS_BEFORE)
    before = memory.now()
    work(_JOBS)
    return 100 * (memory.now() / before - 1)


def _front() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as directory:
        daemon = DaemonProcess(Path(directory), limits={"rep_delay": 1e-6}).start()
        try:
            with daemon.client() as client:
                yield from _one_mebibyte(client)
                for q, seconds in _crowd(daemon, client).items():
                    yield limit(f"a poll among {_POLLING} polling and {_STREAMING} streaming, {q}", 1e3 * seconds, "ms",
                                at_most=10)  # fmt: skip
        finally:
            daemon.untell("hold")
            daemon.stop()


def _one_mebibyte(client: Client) -> Iterator[Figure]:
    circuit = QuantumCircuit(1, _BITS)
    circuit.measure(0, _BITS - 1)
    request = job(shots=_SHOTS)
    client.submit(request, [packed(circuit)])
    _, parts = client.result(request.job_id, PATIENCE)
    size = sum(memoryview(part).nbytes for part in parts)
    with echo(size) as bare:
        pair = paired(times(10, lambda: client.result(request.job_id, PATIENCE)), times(10, bare), pairs=15)
    yield cost("a result of 1 MiB over a bare DEALER/ROUTER round trip", pair, scale=100, at_most=1.5)


def _crowd(daemon: DaemonProcess, client: Client) -> dict[str, float]:
    """Return quantiles of the seconds that a poll takes while a job plays whose chunks others wait for."""
    request = job(shots=100_000, options={"rep_delay": 10e-3, "confirm_rack_time": True})
    daemon.untell("played")  # by the jobs before: what is held is counted from here
    daemon.tell("hold_after_first")  # it plays as long as anybody asks
    client.submit(request, [packed(flip())])
    client.chunk(request.job_id, 0, PATIENCE)
    key = load_key(client_path(daemon.home, LOCAL))
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    poller = zmq.Poller()
    peers = []
    for _ in range(_POLLING + _STREAMING):
        peer = context.socket(zmq.DEALER)
        peer.linger, peer.curve_serverkey = 0, key.server.encode()
        peer.curve_publickey, peer.curve_secretkey = key.public.encode(), key.secret.encode()
        peer.connect(daemon.endpoint)
        peer.send_multipart(frames_of(Hello(1)))
        peer.recv()
        while peer.getsockopt(zmq.RCVMORE):
            peer.recv()
        poller.register(peer, zmq.POLLIN)
        peers.append(peer)
    polling, numbers = peers[:_POLLING], itertools.count(2)
    for peer in peers[_POLLING:]:
        peer.send_multipart(frames_of(GetChunk(next(numbers), request.job_id, 1)))
    sent: dict[object, float] = {}
    took: list[float] = []
    began = time.perf_counter()
    due = [(began + i / (_POLLS * _POLLING), peer) for i, peer in enumerate(polling)]
    while time.perf_counter() - began < 15:
        now = time.perf_counter()
        while due and due[0][0] <= now:
            when, peer = due.pop(0)
            if peer not in sent:
                sent[peer] = time.perf_counter()
                peer.send_multipart(frames_of(GetJob(next(numbers), request.job_id)))
            due.append((when + 1 / _POLLS, peer))
        for peer, _ in poller.poll(max(0, int(1e3 * (due[0][0] - now)))):
            peer.recv_multipart()
            if peer in sent:
                took.append(time.perf_counter() - sent.pop(peer))
    context.destroy(0)
    daemon.untell("hold_after_first")
    client.cancel(request.job_id)
    return {"p50": float(np.quantile(took, 0.5)), "p99": float(np.quantile(took, 0.99))}


def _real_time() -> Iterator[Figure]:
    """Yield the wall time of a stream of jobs over that of their pulses."""
    instruments = InstrumentsProcess("--real-time")
    with tempfile.TemporaryDirectory() as directory:
        daemon = DaemonProcess(Path(directory), rack=RACK, addresses=instruments.addresses).start()
        try:
            with daemon.client() as client:
                device, calibration = client.device(), client.calibration()
                circuit = transpile(bell(), build_target(device, calibration), seed_transpiler=1)
                (chunk,) = Compiler(device, calibration).compile([circuit], RunOptions(shots=1))
                (period,) = partition_chunk(chunk, device).playbacks["awg1"].entries["period"] * 1e-9
                for (seconds, count), most in zip(_PULSES.items(), (1.005, 1.03), strict=True):
                    ratio = _stream(client, packed(circuit), round(seconds / period), float(period), count)
                    yield limit(f"wall over pulses, jobs of {seconds} s", ratio, "", at_most=most)
        finally:
            daemon.stop()
            instruments.close()


def _stream(client: Client, circuit: bytes, shots: int, period: float, count: int) -> float:
    """Return the wall time of ``count`` jobs over what their shots take on the instruments, ``period`` seconds each."""
    submit: Callable[[], str] = lambda: client.submit(job(shots=shots), [circuit]).job_id  # noqa: E731
    first = submit()
    client.result(first, PATIENCE)
    jobs = [submit() for _ in range(count)]
    done = [client.finished(one, PATIENCE)[0] for one in jobs]
    if any(info.state not in FINAL_STATES for info in done):
        raise AssertionError("a job has not ended")
    # From the end of the first to the end of the last: all but the first lie between.
    wall = done[-1].times["done"] - done[0].times["done"]
    return wall / ((count - 1) * shots * period)
