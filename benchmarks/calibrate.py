"""Calibration: what a bring-up costs beside its physics, multiplexing, drift that is mended, fits through the pool."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, limit, seconds
from pulsed.calibration.bringup import CalibrationSession, bringup, maintain
from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit
from pulsed.calibration.fits.fringes import fringe, fringes
from pulsed.calibration.graph.default_graph import default_steps
from pulsed.calibration.graph.graph import HOUR, Step
from pulsed.calibration.routine import find_routine
from pulsed.calibration.runner.runner import run as measure
from pulsed.compute import PoolSettings, Workers
from pulsed.model.calibration import Value
from pulsed.model.device import load_device
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.chip.random_rack import write_rack
from pulsed.testing.simulated_lab import SimulatedLab

QUBITS, SEED = 2, 4
RAMSEYS, POINTS = 100, 101
DRIFT = 40e3
"""Hz."""


def run() -> Iterator[Figure]:
    """Measure everything on a rack within this process, without daemon and instruments."""
    with tempfile.TemporaryDirectory(prefix="pulsed-executor-") as name:
        yield from _bring_up(Path(name))
        yield from _multiplexed(Path(name))
    yield from _pool()


def _bring_up(folder: Path) -> Iterator[Figure]:
    rack = write_rack(folder, SEED, QUBITS)
    connection = SimulatedLab(load_device(rack), load_chip(rack.with_name("chip.toml")), None, SEED)
    physics = _watched(connection)
    steps = default_steps(
        without=("mixer", "rb", "rb-ecr")
    )  # no analyser here; benchmarking takes longer than all else
    lab = CalibrationSession(connection, folder / "runs", steps)
    lab.folder.mkdir()
    start = time.perf_counter()
    bringup(lab)
    took, cold = time.perf_counter() - start, connection.rack_seconds
    left = sum(state.status not in ("fresh", "unused") for state in lab.states().values())
    yield limit(f"bring-up of {QUBITS} qubits: what did not come out well", float(left), "nodes", at_most=0)
    outside = (took - physics[0]) * 5 / QUBITS
    yield limit("the same outside the physics, of five qubits at this rate", outside, "s", at_most=360)
    jobs = len(connection.played)
    maintain(lab)
    yield limit("maintain with nothing stale: jobs", float(len(connection.played) - jobs), "jobs", at_most=0)
    now = connection.calibration()
    drifted = now.with_values({"Q1.f01": _moved(now.values["Q1.f01"])}, now.created + "+")
    connection.put_calibration(drifted)
    connection.commit_calibration(drifted.calibration_id, now.calibration_id, "as if the qubit had drifted")
    lab = CalibrationSession(connection, lab.folder, _old(lab))
    before = connection.rack_seconds
    actions = maintain(lab)
    touched = {action.node.target for action in actions if action.kind == "calibrate"}
    yield limit("one drifted frequency: targets calibrated", float(len(touched)), "targets", at_most=1)
    off = abs(connection.calibration().number("Q1.f01") - now.number("Q1.f01"))
    yield limit("the same: frequency mended to", off, "Hz", at_most=5e3)
    yield limit("the same: rack time over a bring-up's", (connection.rack_seconds - before) / cold, "", at_most=0.05)


def _old(lab: CalibrationSession) -> list[Step]:
    """Return the rows with those that a lab looks at every hour as old as that."""
    hourly = {name for name, step in lab.graph.steps.items() if step.age <= HOUR}
    seen = max(state.seen or 0.0 for node, state in lab.states().items() if node.routine in hourly)
    age = time.time() - seen
    return [replace(step, age=age) if name in hourly else step for name, step in lab.graph.steps.items()]


def _watched(connection: SimulatedLab) -> list[float]:
    """Return a list of one number that grows by the seconds that the physics takes."""
    spent, play = [0.0], connection.engine.play

    def timed(*arguments: object) -> object:
        start = time.perf_counter()
        try:
            return play(*arguments)  # type: ignore[arg-type]
        finally:
            spent[0] += time.perf_counter() - start

    connection.engine.play = timed  # type: ignore[method-assign,assignment]
    return spent


def _moved(value: Value) -> Value:
    assert not isinstance(value.value, tuple)
    return Value(value.value + DRIFT, value.unit, value.stderr, value.time, value.routine, value.run_id)


def _multiplexed(folder: Path) -> Iterator[Figure]:
    """Compare rack time: five qubits at once, or in two colours, against one by one."""
    for name, at_least in (("t1", 4.0), ("echo", 2.0)):
        connection = SimulatedLab.sim5(seed=SEED)
        executor, routine = Executor(connection), find_routine(name)(points=9, shots=100)
        targets = [f"Q{q}" for q in range(executor.device.num_qubits)]
        measure(routine, targets, executor, folder=folder)
        together = connection.rack_seconds
        for target in targets:
            measure(routine, [target], executor, folder=folder)
        apart = connection.rack_seconds - together
        gain = apart / together
        what = f"{name} of five qubits: one by one over multiplexed, rack time"
        yield Figure(what, gain, "", None, None, f">= {at_least:g}", gain >= at_least)


def ramsey(seed: int) -> Fit:
    """Fit the fringes of one made-up qubit, as the routine does that of one frequency."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 60e-6, POINTS)
    z = fringe(x, 0.45, rng.uniform(-500e3, 500e3), 0.0, 1 / rng.uniform(25e-6, 60e-6), 0.0)
    z = z + (rng.normal(size=x.size) + 1j * rng.normal(size=x.size)) * 0.03
    return fringes(x, z, 0.03)


def _warm(seconds: float) -> int:
    ramsey(0)
    time.sleep(seconds)
    return os.getpid()


def _pool() -> Iterator[Figure]:
    count = min(2, len(os.sched_getaffinity(0)))
    workers = Workers(PoolSettings(workers=count))
    try:
        warm: set[int] = set()
        while len(warm) < count:  # each has imported what it needs
            warm |= {future.result() for future in [workers.submit(_warm, 0.2) for _ in range(count)]}

        def pooled() -> None:
            workers.map(ramsey, range(RAMSEYS))

        def serial() -> None:
            for seed in range(RAMSEYS):
                ramsey(seed)

        # The best of each: what else the machine does costs who needs all of its processors more than who needs one.
        both = [(seconds(pooled), seconds(serial)) for _ in range(9)]
    finally:
        workers.close()
    ours, share = min(a for a, _ in both), min(b for _, b in both) / count
    yield Figure(f"fits of {RAMSEYS} Ramseys on {count} workers", ours, "s", share, ours / share, "<= 1.2",
                 ours / share <= 1.2)  # fmt: skip
