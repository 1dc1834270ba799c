"""The compiler beside Qiskit 1.4's ``schedule`` and LabOne Q's compiler, in turn, on equal work."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.figures import Figure, Paired, cost, paired, rate, times
from benchmarks.peer import Peer, gates_of, write_circuits
from benchmarks.workloads import BATCH, OPTIONS, Workload, pulse_sequences, rotations, sim5, two_gates
from pulsed.compiler.compile import Compiler, Runnable
from pulsed.pulse.instructions import Play

QUBITS, SEQUENCES, PULSES = 2, 50, 300
PAIRS = 5


def beside_qiskit(work: list[Workload]) -> Iterator[Figure]:
    """Yield how many times faster the Program and the Schedule are than Qiskit 1.4's Schedule."""
    if not Peer.installed("qiskit14", "Qiskit 1.4"):
        return
    yield from _fixed(work[0])
    for item in _chosen(work):
        with tempfile.TemporaryDirectory() as name, Peer("qiskit14", "schedule_qiskit14.py") as peer:
            pairs = PAIRS if item.instructions < 1000 else 3
            _introduce(peer, item, Path(name))
            theirs = peer.ask(0)
            ours = sum(isinstance(found, Play) for _, found in item.compiler.schedule(item.circuit).instructions)
            if theirs != ours:
                raise RuntimeError(f"{item.name}: Qiskit plays {theirs} pulses and we {ours}")
            gates = item.circuit.size()
            for what, call, least in (
                ("Program", item.program, 200),
                ("Schedule", lambda item=item: item.compiler.schedule(item.circuit), 50),
            ):
                pair = _batched(call, peer, pairs, -(-BATCH // item.instructions))
                yield rate(f"{what} over Qiskit 1.4's schedule: {item.name}", pair, work=gates, unit="gates/s",
                           at_least=least)  # fmt: skip


def _chosen(work: list[Workload]) -> list[Workload]:
    """Return one of each kind. QV-20 is left out: Qiskit takes most of a minute for one."""
    return [work[0], work[1], *(item for item in work if item.name.startswith(("1q", "127q")))]


def _introduce(peer: Peer, item: Workload, directory: Path) -> None:
    write_circuits([item.circuit], directory / "circuits.qpy")
    peer.ask({"backend": gates_of(item.backend), "circuits": str(directory / "circuits.qpy")})


def _batched(ours: Callable[[], object], peer: Peer, pairs: int, count: int) -> Paired:
    """Compare one call of ours, out of ``count`` in a row, with one of the peer's, which takes as long as all."""
    pair = paired(times(count, ours), lambda: peer.ask(0), pairs)
    return Paired(pair.ours / count, pair.reference, pair.ratio / count)


def _fixed(item: Workload) -> Iterator[Figure]:
    two = two_gates()
    with tempfile.TemporaryDirectory() as name, Peer("qiskit14", "schedule_qiskit14.py") as peer:
        _introduce(peer, item, Path(name))
        pair = _batched(lambda: item.compiler.compile([two], OPTIONS), peer, PAIRS, BATCH // 4)
    yield cost(f"two-gate circuit over {item.name} in Qiskit 1.4", pair, at_most=0.05)


def beside_laboneq() -> Iterator[Figure]:
    """Yield pulses per second against LabOne Q's, from circuits and from Schedules; everything is compiled once."""
    if not Peer.installed("laboneq", "LabOne Q"):
        return
    backend = sim5()
    compiler = Compiler(backend.device, backend.calibration_set)
    kinds: dict[str, Callable[[int], Runnable]] = {
        "circuits": lambda seed: rotations(QUBITS, PULSES, seed),
        "Schedules": lambda seed: pulse_sequences(QUBITS, PULSES, seed),
    }
    for name, make in kinds.items():
        pair = _in_turn(compiler, make)
        pulses = QUBITS * SEQUENCES * PULSES
        what = f"{SEQUENCES} x {PULSES} pulses on {QUBITS} qubits over LabOne Q: {name}"
        yield rate(what, pair, work=pulses, unit="pulses/s", at_least=5)


def _in_turn(compiler: Compiler, make: Callable[[int], Runnable]) -> Paired:
    jobs = iter([[make(SEQUENCES * job + i) for i in range(SEQUENCES)] for job in range(PAIRS + 1)])
    numbers = itertools.count()
    with Peer("laboneq", "compile_laboneq.py") as peer:
        peer.ask({"make": list(range(PAIRS + 1)), "qubits": QUBITS, "sequences": SEQUENCES, "pulses": PULSES})
        return paired(lambda: compiler.compile(next(jobs), OPTIONS), lambda: peer.ask(next(numbers)), PAIRS)
