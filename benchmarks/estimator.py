"""A sweep by the estimator, against one circuit and against Qiskit's own estimator over the same backend."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives import BackendEstimatorV2

from benchmarks.figures import Figure
from pulsed.cli.processes import OwnDaemon
from pulsed.provider import PulsedBackend, PulsedEstimator, PulsedJob, PulsedProvider

ANGLES = np.linspace(0, np.pi, 1000)
OBSERVABLES = [["IIIZI"], ["IIIIZ"], ["IIIZZ"]]
PRECISION = 0.1
SHOTS = 100
"""That reach the precision."""
PAIRS = 2


def ansatz(layers: int = 4) -> QuantumCircuit:
    """Return a circuit of one angle on two qubits, in gates of the rack."""
    theta, circuit = Parameter("θ"), QuantumCircuit(5)
    for layer in range(layers):
        for q in (0, 1):
            circuit.sx(q)
            circuit.rz(theta * (layer + 1) + np.pi * q, q)
            circuit.sx(q)
        circuit.ecr(0, 1)
    return circuit


def sweeps() -> Iterator[Figure]:
    """Yield what a sweep takes beside what the chip takes, and the same by Qiskit's estimator over the same backend."""
    with tempfile.TemporaryDirectory() as directory, OwnDaemon(Path(directory)) as daemon:
        client = daemon.wait()
        backend = PulsedProvider(client=client).get_backend("sim5")
        backend.set_options(confirm_rack_time=True)
        yield from _sweep(backend)
        client.close()


class _Spent:
    """Seconds of one piece of work, and how many of them the rack played."""

    def __init__(self, backend: PulsedBackend, work: Callable[[], object]) -> None:
        jobs: list[PulsedJob] = []
        run = backend.run

        def noted(*args: Any, **options: Any) -> PulsedJob:
            jobs.append(run(*args, **options))
            return jobs[-1]

        backend.run = noted  # type: ignore[method-assign]
        began = time.perf_counter()
        work()
        self.wall = time.perf_counter() - began
        del backend.run
        self.played = sum(job.metrics()["seconds"]["play"] for job in jobs)
        self.outside = self.wall - self.played


def _sweep(backend: PulsedBackend) -> Iterator[Figure]:
    circuit = ansatz()
    shift = count()

    def pub() -> tuple[Any, ...]:
        # Angles that nobody has played: the rack keeps sequences, and what the simulated one has worked out of them.
        return circuit, OBSERVABLES, ANGLES + 1e-4 * next(shift)

    plain = circuit.assign_parameters([1.0])
    plain.measure_all()

    def ours() -> None:
        PulsedEstimator(backend).run([pub()], precision=PRECISION).result()

    def theirs() -> None:
        BackendEstimatorV2(backend=backend).run([pub()], precision=PRECISION).result()

    def one() -> None:
        backend.run(plain, shots=SHOTS * len(ANGLES)).result().get_counts()

    ours(), one()
    found = [(_Spent(backend, ours), _Spent(backend, theirs), _Spent(backend, one)) for _ in range(PAIRS)]
    yield _plain("estimator, 1000 angles x 3: wall, simulated rack", [mine.wall for mine, _, _ in found], "s")
    yield _plain("one circuit of as many shots: wall, simulated rack", [single.wall for *_, single in found], "s")
    # A rack plays shots at its repetition rate, whatever the angles; the simulated one works each angle out.
    shots = len(ANGLES) * SHOTS * backend.device.limits.rep_delay
    on_rack = median((mine.outside + shots) / (single.outside + shots) for mine, _, single in found)
    mine, single = (median(each[k].outside for each in found) + shots for k in (0, 2))
    name = "estimator, 1000 angles x 3: on the clock of a rack"
    yield Figure(name, mine, "s", single, on_rack, "<= 3 x", on_rack <= 3)
    ratio = median(other.outside / mine.outside for mine, other, _ in found)
    mine, other = (median(each[k].outside for each in found) for k in (0, 1))
    name = "estimator outside the physics: ours, BackendEstimatorV2"
    yield Figure(name, mine, "s", other, ratio, ">= 20 x", ratio >= 20)


def _plain(name: str, values: Sequence[float], unit: str) -> Figure:
    return Figure(name, median(values), unit, None, None, "", True)
