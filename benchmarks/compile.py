"""The compiler: against the walk over a circuit's instructions, the gather, and what Qiskit 1.4 and LabOne Q take."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from benchmarks.beside_peers import beside_laboneq, beside_qiskit
from benchmarks.figures import Figure, cost, limit, paired, rate, seconds, times
from benchmarks.references import gather, walk
from benchmarks.workloads import BATCH, OPTIONS, Workload, two_gates, workloads
from pulsed.compiler.compile import Compiler
from pulsed.compiler.render import CODED, codes
from pulsed.model.job import RunOptions

TABLE = 4096
"""Entries of the table that the gather looks up."""
CLOCK, FREQUENCY = 1e9, -131.9e6
LONG, MANY = 1 << 20, 4000


def run() -> Iterator[Figure]:
    """Yield every figure; what needs a peer that is not installed is left out."""
    work = workloads()
    for item in work:
        yield _walked(item)
    yield _linear(work)
    yield from _swept(work[0])
    yield from _idle(work[0].compiler)
    yield from _rendered()
    yield from _many_sequences()
    yield from beside_qiskit(work)
    yield from beside_laboneq()


def _walked(item: Workload) -> Figure:
    count = -(-BATCH // item.instructions)
    pair = paired(times(count, item.program), times(count, lambda: walk(item.circuit)))
    name = f"circuit to Program: {item.name}"
    return cost(name, pair, scale=1e6 / count / item.instructions, unit="us/instruction", at_most=1.5)


def _linear(work: list[Workload]) -> Figure:
    """Compare the time per gate beyond a two-gate circuit's, at 300 gates and at 127 qubits."""
    small, large = work[0], next(item for item in work if item.backend.num_qubits == 127)
    count, two = round(large.instructions / small.instructions), two_gates()

    def fixed(compiler: Compiler) -> float:
        repeats = 200
        return min(seconds(times(repeats, lambda: compiler.compile([two], OPTIONS))) for _ in range(5)) / repeats

    base_small, base_large = fixed(small.compiler), fixed(large.compiler)
    pair = paired(large.program, times(count, small.program), 31)
    ours = (pair.ours - base_large) / large.instructions
    reference = (pair.reference / count - base_small) / small.instructions
    ratio = ours / reference
    ok = 1 / 1.5 <= ratio <= 1.5
    name = f"per instruction beyond the fixed cost: {large.name} over {small.name}"
    return Figure(name, ours * 1e6, "us", reference * 1e6, ratio, "1/1.5 to 1.5 x", ok)


def _swept(item: Workload) -> Iterator[Figure]:
    """Compare 1000 bindings of one angle with one lowering of the same circuit with a number there."""
    angle = Parameter("angle")

    def circuit(value: object) -> QuantumCircuit:
        turned = QuantumCircuit(item.circuit.num_qubits, item.circuit.num_clbits)
        turned.rz(value, 0)
        return turned.compose(item.circuit)

    open_circuit, closed = circuit(2 * angle + 0.1), circuit(0.3)
    values = {angle: np.linspace(-np.pi, np.pi, 1000)}
    # A chunk plays for 30 s at most: 1000 bindings with 1000 shots each are many chunks, with 10 shots one.
    for shots in (10, 1000):
        options = RunOptions(shots=shots)
        chunks = len(item.compiler.sweep(open_circuit, values, options))
        pair = paired(
            times(40, lambda options=options: item.compiler.sweep(open_circuit, values, options)),
            times(40, lambda options=options: item.compiler.compile([closed], options)),
        )
        name = f"1000 bindings of one angle in {chunks} chunks over one lowering: {item.name}"
        yield cost(name, pair, scale=1e3 / 40, unit="ms", at_most=3)


def _idle(compiler: Compiler) -> Iterator[Figure]:
    """Compare what a second of waiting and a millisecond of waiting leave in a chunk."""
    size = {}
    for wait in (10**6, 10**9):
        circuit = QuantumCircuit(1, 1)
        circuit.sx(0)
        circuit.delay(wait, 0, "dt")
        circuit.sx(0)
        circuit.measure(0, 0)
        (chunk,) = compiler.compile([circuit], RunOptions(shots=1))
        size[wait] = sum(len(part) for part in chunk.encode())
    yield limit("bytes of a program that a delay of 1 s takes more than one of 1 ms", size[10**9] - size[10**6],
                "bytes", at_most=0)  # fmt: skip


def _rendered() -> Iterator[Figure]:
    """Compare int16 values written per second: envelopes with a carrier against looked up ones."""
    rng = np.random.default_rng(1)
    table = rng.integers(-8000, 8000, TABLE).astype(np.int16)
    for name, lengths in (
        ("one envelope of 1 Mi samples", np.array([LONG])),
        (f"{MANY} envelopes of 32 to 1024 samples", rng.integers(32, 1025, MANY)),
    ):
        stops = np.cumsum(lengths)
        # As the compiler has them: each shape once, played by many events.
        longest = int(max(lengths))
        shapes = rng.uniform(-0.7, 0.7, (2, 16 * longest)).astype(np.float32)
        events = np.zeros(len(lengths), dtype=CODED)
        events["shape"], events["length"] = np.arange(len(lengths)) % 16 * longest, lengths
        events["out"] = events["time"] = stops - lengths
        events["amplitude"], events["phase"], events["frequency"] = 0.6, 0.3, FREQUENCY
        out = np.zeros(2 * int(stops[-1]), dtype=np.int16)
        indices = rng.integers(0, TABLE, len(out))

        def ours(shapes: np.ndarray = shapes, events: np.ndarray = events, out: np.ndarray = out) -> None:
            codes((shapes[0], shapes[1]), events, CLOCK, out)

        def looked_up(indices: np.ndarray = indices, out: np.ndarray = out) -> None:
            gather(table, indices, out)

        pair = paired(ours, looked_up, 31)
        yield rate(f"carrier to int16, {name}", pair, work=len(out) / 1e6, unit="Mvalues/s", at_least=0.8)


def _many_sequences() -> Iterator[Figure]:
    found = json.loads(
        subprocess.run(
            [sys.executable, "-m", "benchmarks.many_sequences"],
            cwd=Path(__file__).parents[1], check=True, stdout=subprocess.PIPE,
        ).stdout
    )  # fmt: skip
    name = "20,000 sequences x 100 pulses"
    yield Figure(f"{name}: the circuits alone", found["before"], "MiB", None, None, "", True)
    yield limit(f"{name}: most memory of the compiling process", found["peak"], "MiB", at_most=1024)
    name = f"{name} over two times 10,000"
    yield Figure(name, found["all"], "s", found["halves"], found["ratio"], "<= 1.2 x", found["ratio"] <= 1.2)
