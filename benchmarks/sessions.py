"""The gap between two jobs of a session on the rack, while jobs of others wait."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

from qiskit import transpile

from benchmarks.bell import bell
from benchmarks.figures import Figure, limit
from pulsed.cli.processes import OwnDaemon
from pulsed.client import Client
from pulsed.client.keys import add_client
from pulsed.provider import PulsedJob, PulsedProvider, Session

JOBS = 60
SHOTS = 100


def run() -> Iterator[Figure]:
    """Yield the gaps of a loop that waits for each result, and of jobs that lie in the queue."""
    with tempfile.TemporaryDirectory() as directory, OwnDaemon(Path(directory)) as daemon:
        client = daemon.wait()
        backend = PulsedProvider(client=client).get_backend("sim5")
        circuit = transpile(bell(), backend, optimization_level=3, seed_transpiler=1)
        add_client(Path(directory), "other", "experimenter")
        with Client(home=directory, key="other") as other, Session(backend):
            for _ in range(10):
                backend.run(circuit, shots=SHOTS).result(60)
            theirs = PulsedProvider(client=other).get_backend("sim5")
            waiting = [theirs.run(circuit, shots=SHOTS) for _ in range(5)]
            looped = []
            for _ in range(JOBS):
                looped.append(backend.run(circuit, shots=SHOTS))
                looped[-1].result(60)
            queued = [backend.run(circuit, shots=SHOTS) for _ in range(JOBS)]
            queued[-1].result(60)
            assert not any(job.running() or job.done() for job in waiting)
            for what, jobs in (
                ("each handed in when the one before has come back", looped),
                ("handed in before", queued),
            ):
                yield limit(f"job to job in a session, {what}", gap(jobs), "ms", at_most=10)
        client.close()


def gap(jobs: Sequence[PulsedJob]) -> float:
    """Return the median time in which the rack does not play between two jobs, in ms."""
    times = [job.info().times for job in jobs]
    return median(1e3 * (after["running"] - before["done"]) for before, after in pairwise(times))
