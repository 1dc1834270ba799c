"""The provider: importing it, a submission over QPY's own encoding, results from the wire, a Target, a sweep."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, qpy, transpile
from qiskit.circuit.random import random_circuit

from benchmarks.estimator import sweeps
from benchmarks.figures import Figure, cost, limit, paired
from benchmarks.workloads import rack, sim5
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.payload import PartWriter
from pulsed.model.result import JobResult, ProgramResult, decode, encode, pack_bits
from pulsed.provider.backend import PulsedBackend
from pulsed.provider.result import build_result
from pulsed.provider.target import build_target

CIRCUITS, QUBITS, DEPTH = 100, 5, 20
SHOTS = 10_000
IQ_BYTES = 4_000_000
_IMPORT = """
import time, psutil
memory = psutil.Process().memory_info
clock = time.process_time  # what else the machine does is no part of it
began = clock(); import qiskit; first = clock() - began; before = memory().rss
began = clock(); import pulsed.provider; second = clock() - began
print(first, second, (memory().rss - before) / 2**20)
"""


def run() -> Iterator[Figure]:
    """Yield every figure."""
    yield from _imported()
    yield _submitted("default")
    yield _submitted(None)
    yield _counted()
    yield _points()
    yield _target()
    yield from sweeps()


def _imported() -> Iterator[Figure]:
    found = [
        [float(text) for text in subprocess.check_output([sys.executable, "-c", _IMPORT], text=True).split()]
        for _ in range(9)
    ]
    qiskit, added, memory = (median(column) for column in zip(*found, strict=True))
    yield limit(f"import pulsed.provider after import qiskit ({qiskit:.2f} s): time", added, "s", at_most=0.1)
    yield limit("import pulsed.provider after import qiskit: memory", memory, "MiB", at_most=15)


class _Accepting:
    """A client whose daemon takes every job at once."""

    def __init__(self) -> None:
        self.greeting = SimpleNamespace(qpy=(qpy.QPY_COMPATIBILITY_VERSION, qpy.QPY_VERSION))
        self.sent = 0

    def submit(self, request: Any, parts: Sequence[Any]) -> Any:
        self.sent += sum(memoryview(part).nbytes for part in parts)


def circuits(backend: PulsedBackend, scheduling: str | None) -> list[QuantumCircuit]:
    """Return random circuits in the gates of ``backend``, measured; with None for the method, its waits among them."""
    made = [random_circuit(QUBITS, DEPTH, max_operands=2, measure=True, seed=seed) for seed in range(CIRCUITS)]
    found: list[QuantumCircuit] = transpile(made, backend, seed_transpiler=1, scheduling_method=scheduling)
    return found


def _submitted(scheduling: str | None) -> Figure:
    """Compare all of ``run`` but the daemon's own work with writing the same circuits by QPY."""
    offline, client = sim5(), _Accepting()
    backend = PulsedBackend(offline.device, offline.calibration_set, client)  # type: ignore[arg-type]
    work = circuits(backend, scheduling)
    pair = paired(lambda: backend.run(work), lambda: qpy.dump(work, io.BytesIO(), version=qpy.QPY_VERSION))
    assert client.sent
    waits = "" if scheduling else " with waits"
    return cost(f"run of {CIRCUITS} circuits of depth {DEPTH}{waits} over qpy.dump", pair, at_most=1.2)


def _from_wire(programs: list[ProgramResult], writer: PartWriter) -> list[bytes]:
    return [bytes(part) for part in encode(JobResult("job", "sim5", "0.1.0", "set", tuple(programs)), writer.parts)]


def _least(work: Any, count: int = 15) -> float:
    """Return the least of several times of the processor: it is one thread, and nothing waits."""
    work()
    return min(_processor(work) for _ in range(count))


def _processor(work: Any) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _counted() -> Figure:
    writer, rng = PartWriter(), np.random.default_rng(1)
    programs = [
        ProgramResult(
            f"c{k}", SHOTS, 2, "single", QUBITS, (("c", QUBITS),),
            bits=writer.add(pack_bits(rng.integers(0, 2, (SHOTS, QUBITS)).astype(bool))),
        )
        for k in range(CIRCUITS)
    ]  # fmt: skip
    parts = _from_wire(programs, writer)

    def counts() -> None:
        result, arrays = decode(parts)
        build_result(result, arrays, memory=False, num_qubits=QUBITS).get_counts()

    return limit(f"wire to get_counts() of {CIRCUITS} x {SHOTS} shots", _least(counts) * 1e3, "ms", at_most=30)


def _points() -> Figure:
    writer, rng = PartWriter(), np.random.default_rng(1)
    shots = IQ_BYTES // 8 // QUBITS
    points = rng.normal(size=(shots, 2 * QUBITS)).astype(np.float32).view(np.complex64)
    parts = _from_wire([ProgramResult("c", shots, 1, "single", QUBITS, (), iq=writer.add(points))], writer)

    def memory() -> None:
        result, arrays = decode(parts)
        build_result(result, arrays, memory=False, num_qubits=QUBITS).get_memory(0)

    return limit(f"wire to get_memory() of {IQ_BYTES / 1e6:g} MB of IQ points", _least(memory) * 1e3, "ms", at_most=10)


def _target() -> Figure:
    large = rack(127)
    device: DeviceDescription = large.device
    calibration: CalibrationSet = large.calibration_set
    return limit("Target of 127 qubits", _least(lambda: build_target(device, calibration)) * 1e3, "ms", at_most=100)
