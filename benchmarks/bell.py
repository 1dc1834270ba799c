"""A Bell state, from ``backend.run`` to counts on a warm daemon, alone and in a stream, over its floor; its memory.

The floor is what no stack on this rack can do without: one durable insert of the job, the job's SCPI traffic
exchanged with an instrument that answers at once, and the physics of the chip called directly.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import psutil
from qiskit import QuantumCircuit, transpile

from benchmarks.figures import Figure, cost, limit, paired, seconds
from benchmarks.recorded import NullRack, Recording
from benchmarks.references import DurableInserts
from pulsed.cli.processes import OwnDaemon
from pulsed.compiler.compile import Compiler
from pulsed.model.job import RunOptions
from pulsed.provider import PulsedProvider

SHOTS = 4096
FEW, BLOCK, BLOCKS = 100, 100, 10
"""Shots of each job of the stream, jobs that are handed in at once, and how often."""
CHIP = Path(__file__).parents[1] / "configs" / "chips" / "sim5.toml"


def bell() -> QuantumCircuit:
    """Return the circuit, not transpiled."""
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def run() -> Iterator[Figure]:
    """Yield the time against the floor, where the rest goes, and the memory of the daemon with its children."""
    with tempfile.TemporaryDirectory() as directory, OwnDaemon(Path(directory)) as daemon:
        client = daemon.wait()
        backend = PulsedProvider(client=client).get_backend("sim5")
        circuit = transpile(bell(), backend, optimization_level=3, seed_transpiler=1)

        def ours() -> None:
            backend.run(circuit, shots=SHOTS).result(60).get_counts()

        for _ in range(20):
            ours()
        (chunk,) = Compiler(backend.device, backend.calibration_set).compile([circuit], RunOptions(shots=SHOTS))
        recording = Recording(backend.device, CHIP)
        exchanges, sequence = recording.play(chunk)
        inserts, numbers = DurableInserts(Path(directory)), itertools.count()
        payload = bytes(2048)

        def insert() -> None:
            inserts.one_by_one([(str(next(numbers)), payload)])

        def physics(shots: int = SHOTS) -> None:
            recording.physics.play(sequence, shots, (next(numbers), 0), "integrated")

        def stream() -> None:
            jobs = [backend.run(circuit, shots=FEW) for _ in range(BLOCK)]
            for job in jobs:
                job.result(60).get_counts()

        with NullRack(exchanges) as null:

            def floor() -> None:
                insert(), null.replay(), physics()

            def floors() -> None:
                for _ in range(BLOCK):
                    insert(), null.replay(), physics(FEW)

            yield cost("bell: submit to counts", paired(ours, floor, pairs=60), at_most=1.7)
            pair = paired(stream, floors, pairs=BLOCKS)
            yield cost(f"bell: {BLOCK * BLOCKS} jobs of {FEW} shots, each", pair, scale=1e3 / BLOCK, at_most=1.5)
            for name, part in (("durable insert", insert), ("SCPI replayed", null.replay), ("physics", physics)):
                yield _plain(f"bell: floor, {name}", median(seconds(part) for _ in range(40)) * 1e3, "ms")
        yield from _where(backend, circuit)
        recording.close()
        inserts.close()
        yield from memory(daemon)
        client.close()


def _plain(name: str, value: float, unit: str) -> Figure:
    return Figure(name, value, unit, None, None, "", True)


def _where(backend: object, circuit: QuantumCircuit) -> Iterator[Figure]:
    """Yield the median time of each part of a job, as its metrics tell."""
    parts: dict[str, list[float]] = {}
    for _ in range(40):
        start = time.perf_counter()
        job = backend.run(circuit, shots=SHOTS)  # type: ignore[attr-defined]
        accepted = time.perf_counter()
        result = job.result(60)
        arrived = time.perf_counter()
        result.get_counts()
        counted = time.perf_counter()
        spent = {"run() returned": accepted - start, "result() returned": arrived - accepted}
        spent |= {"get_counts()": counted - arrived, **job.metrics()["seconds"]}
        for name, value in spent.items():
            parts.setdefault(name, []).append(value)
    for name, values in parts.items():
        yield _plain(f"bell: {name}", median(values) * 1e3, "ms")


def memory(daemon: OwnDaemon) -> Iterator[Figure]:
    """Yield what the daemon and all its children hold; a page that several of them share counts once (PSS)."""
    process = psutil.Process(daemon.pid)
    total = 0.0
    for item in (process, *process.children(recursive=True)):
        size = item.memory_full_info().pss / 2**20
        total += size
        yield _plain(f"memory: {_role(item)}", size, "MiB")
    yield limit("memory: daemon with all its children", total, "MiB", at_most=600)


def _role(process: psutil.Process) -> str:
    return next((word for word in process.cmdline() if word.startswith("pulsed.")), process.name())
