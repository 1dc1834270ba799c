"""Real instruments on their emulators: making the maker's program, and uploading it, beside the maker's own work."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.random import random_circuit

from benchmarks.figures import Figure, cost, limit, paired, times
from benchmarks.workloads import CONFIGS, OPTIONS, benchmarking
from pulsed.compiler.compile import Compiler
from pulsed.compiler.program import Chunk
from pulsed.drivers.contract import after
from pulsed.drivers.instruments.qblox.driver import ClusterDriver
from pulsed.drivers.instruments.qblox.modules import ModuleModel, read_modules
from pulsed.drivers.instruments.qblox.plan import make_plan
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.model.calibration import load_calibration
from pulsed.model.device import DeviceDescription, load_device
from pulsed.model.job import RunOptions
from pulsed.provider.backend import PulsedBackend
from pulsed.pulse.channels import AcquireChannel, DriveChannel, MeasureChannel, MemorySlot
from pulsed.pulse.instructions import Acquire, Play
from pulsed.pulse.library import Constant, Gaussian
from pulsed.pulse.schedule import Schedule

POINTS, SHOTS = 101, 1000
_READOUT = 800
"""Samples of the readout pulse."""


@dataclass
class _Lab:
    """The example rack on paper."""

    device: DeviceDescription
    compiler: Compiler
    modules: dict[int, ModuleModel]
    amplitude: float
    """Of the readout of qubit 0."""

    def work(self, chunk: Chunk) -> Any:
        """Return what the Cluster is given."""
        return partition_chunk(chunk, self.device).work["cluster"]


def run() -> Iterator[Figure]:
    """Yield every figure; none where the maker's package is not installed."""
    if importlib.util.find_spec("qblox_instruments") is None:
        print("qblox-instruments is not installed: pip install 'pulsed[qblox]'", file=sys.stderr)
        return
    lab = _lab()
    yield from _made(lab)
    yield _chunks(lab)
    yield from _uploaded(lab)


def _lab() -> _Lab:
    device = load_device(CONFIGS / "examples" / "qblox.toml")
    calibration = load_calibration(CONFIGS / "examples" / "calibrations" / "qblox5.json")
    modules = read_modules("cluster", device.instruments["cluster"].options)
    return _Lab(device, Compiler(device, calibration), modules, calibration.number("Q0.readout.amplitude"))


def _backend(lab: _Lab) -> PulsedBackend:
    calibration = load_calibration(CONFIGS / "examples" / "calibrations" / "qblox5.json")
    return PulsedBackend(lab.device, calibration)


def _made(lab: _Lab) -> Iterator[Figure]:
    """Compare making the programs of all sequencers with compiling the circuit."""
    backend = _backend(lab)
    plain = random_circuit(5, 40, max_operands=2, measure=True, seed=48)
    circuits = [
        ("random 5q", transpile(plain, backend, seed_transpiler=1, optimization_level=1)),
        ("1q RB of 1000 Cliffords", benchmarking(backend)),
    ]
    for name, circuit in circuits:
        yield _made_of(lab, name, circuit)


def _made_of(lab: _Lab, name: str, circuit: QuantumCircuit) -> Figure:
    (chunk,) = lab.compiler.compile([circuit], OPTIONS)
    work = lab.work(chunk)
    count, events = 20, len(work.playback.events) + len(work.recording.rows)
    pair = paired(
        times(count, lambda: make_plan(work, lab.modules, "instrument cluster")),
        times(count, lambda: lab.compiler.compile([circuit], OPTIONS)),
    )
    title = f"Program to Q1ASM beside circuit to Program: {name}, {events} events"
    return cost(title, pair, scale=1e6 / count / events, unit="us/event", at_most=2)


def _chunks(lab: _Lab) -> Figure:
    """Count the chunks of 1000 sequences of 100 Cliffords."""
    backend = _backend(lab)
    circuit = benchmarking(backend)
    length = len(circuit.data) // 10
    short = circuit.copy_empty_like()
    short.data = circuit.data[:length]
    short.measure(0, 0)
    chunks = lab.compiler.compile([short] * 1000, RunOptions(shots=100))
    # The events of a thousand of them, three instructions each, and the bins of a sequencer.
    return limit("chunks of 1000 sequences of 100 Cliffords, 100 shots", len(chunks), "chunks", at_most=60)


def _rabi(lab: _Lab, shots: int) -> Chunk:
    schedules = []
    for amplitude in np.linspace(0.01, 0.9, POINTS).tolist():
        schedule = Schedule()
        schedule.insert(0, Play(Gaussian(64, amplitude, 16), DriveChannel(0)), inplace=True)
        schedule.insert(64, Play(Constant(_READOUT, lab.amplitude), MeasureChannel(0)), inplace=True)
        schedule.insert(64, Acquire(_READOUT, AcquireChannel(0), MemorySlot(0)), inplace=True)
        schedules.append(schedule)
    (chunk,) = lab.compiler.compile(schedules, RunOptions(shots=shots, rep_delay=2e-5, meas_level=1, meas_return="avg"))
    return chunk


def _uploaded(lab: _Lab) -> Iterator[Figure]:
    """Compare checking, making and uploading a Rabi experiment with the maker's ``sequence()`` of the same programs."""
    # Other shots make other programs, so that nothing is held already.
    works = [lab.work(_rabi(lab, SHOTS + k)) for k in (0, 1)]
    with _emulated(lab) as driver:
        turn = [0]

        def ours() -> None:
            turn[0] += 1
            work = works[turn[0] % 2]
            driver.validate(work)
            driver.upload(work, after(60))

        ours()
        plan = make_plan(works[0], lab.modules, driver.subject)
        frame = driver.frame

        def makers() -> None:
            for one in plan.sequencers:
                frame.sequencer(one.place).sequence(one.sequence())

        pair = paired(ours, makers, 31)
    lines = sum(len(one.text.splitlines()) for one in plan.sequencers)
    title = (
        f"upload of a Rabi of {POINTS} points x {SHOTS} shots, {lines} lines, beside the maker's sequence() of the same"
    )
    yield cost(title, pair, at_most=1.5)


@contextmanager
def _emulated(lab: _Lab) -> Iterator[ClusterDriver]:
    """Connect to an emulated Cluster in a thread of this process."""
    from pulsed.simulator.chip.chip_file import load_chip
    from pulsed.simulator.engine.engine import Engine
    from pulsed.simulator.instruments.conductor import Conductor
    from pulsed.simulator.instruments.qblox.cluster import VirtualCluster
    from pulsed.simulator.instruments.qblox.server import ClusterServer
    from pulsed.simulator.rack import build_instruments, choose_ports

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    conductor = Conductor(
        Engine(load_chip(CONFIGS / "examples" / "chips" / "qblox5.toml"), 1), loop.call_soon_threadsafe
    )
    cluster = build_instruments(lab.device, conductor)["cluster"]
    assert isinstance(cluster, VirtualCluster)
    server = ClusterServer("cluster", cluster)
    host, port = choose_ports(lab.device, "ephemeral")["cluster"]
    asyncio.run_coroutine_threadsafe(server.open(host, port), loop).result(30)
    address = f"TCPIP::{host}::{port}::SOCKET"
    driver = ClusterDriver("cluster", lab.device.instruments["cluster"].model_copy(update={"address": address}))
    try:
        driver.connect(after(120))
        yield driver
    finally:
        driver.close()
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(30)
        conductor.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
