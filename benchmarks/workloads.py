"""What the compiler's benchmarks compile: racks of any size on paper, and the circuits of the budgets."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import quantum_volume
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import random_clifford

from pulsed.compiler.compile import Compiler
from pulsed.model.calibration import CalibrationSet, Value, load_calibration
from pulsed.model.device import DeviceDescription, InstrumentDescription, load_device
from pulsed.model.job import RunOptions
from pulsed.provider.backend import PulsedBackend
from pulsed.pulse.channels import AcquireChannel, DriveChannel, MeasureChannel, MemorySlot
from pulsed.pulse.instructions import Acquire, Play
from pulsed.pulse.library import Constant, Drag
from pulsed.pulse.schedule import Schedule

CONFIGS = Path(__file__).parents[1] / "configs"
OPTIONS = RunOptions(shots=1000)
BATCH = 24_000
"""Instructions of one timed batch: a short circuit is compiled so often that what the collector, which runs before each
batch, left in the caches does not count."""
READOUT_GROUP = 5
"""Qubits that share a readout port and a digitizer, as on the shipped rack."""

SEEDS = (48, 0, 1, 2)
"""Of random circuits; the first has about 300 gates when transpiled."""


class Workload(NamedTuple):
    """One circuit in the gates of a rack, and that rack's compiler."""

    name: str
    circuit: QuantumCircuit
    backend: PulsedBackend
    compiler: Compiler

    @property
    def instructions(self) -> int:
        """How many instructions the walk reads."""
        return len(self.circuit.data)

    def program(self) -> None:
        """Compile the circuit."""
        self.compiler.compile([self.circuit], OPTIONS)


def workloads() -> list[Workload]:
    """Return the circuits of the budgets, the one of about 300 gates first."""
    five, twenty, many = sim5(), rack(20), rack(127)
    compilers = {item.name: Compiler(item.device, item.calibration_set) for item in (five, twenty, many)}
    made = [(f"random 5q of {c.size()} gates", c, five) for c in (random5(five, seed) for seed in SEEDS)]
    made += [
        ("1q RB of 1000 Cliffords", benchmarking(five), five),
        ("QV-20", volume(twenty), twenty),
        ("127q x 10 layers", layers(many), many),
    ]
    return [Workload(name, circuit, backend, compilers[backend.name]) for name, circuit, backend in made]


def sim5() -> PulsedBackend:
    """Return the shipped rack, offline."""
    return PulsedBackend(load_device(CONFIGS / "sim5.toml"), load_calibration(CONFIGS / "calibrations" / "sim5.json"))


def rack(num_qubits: int) -> PulsedBackend:
    """Return a line of ``num_qubits`` qubits wired like the shipped rack, with made-up calibrated values, offline."""
    small = sim5().device
    groups = range(-(-num_qubits // READOUT_GROUP))
    ports, instruments = {}, {"sgs1": small.instruments["sgs1"], "sgs2": small.instruments["sgs2"]}

    def box(like: str, trigger: str | None) -> InstrumentDescription:
        address = f"TCPIP::127.0.0.1::{20000 + len(instruments)}::SOCKET"
        return small.instruments[like].model_copy(update={"address": address, "trigger": trigger})

    for number, (name, like) in enumerate(
        [*((f"d{q}", "d0") for q in range(num_qubits)), *((f"ro{g}", "ro") for g in groups)]
    ):
        awg = f"awg{number // 4}"
        if awg not in instruments:
            instruments[awg] = box("awg1", None if awg == "awg0" else "awg0")
        ports[name] = small.ports[like].model_copy(update={"instrument": awg, "pair": number % 4 + 1})
    for g in groups:
        instruments[f"digitizer{g}"] = box("digitizer", "awg0")
        ports[f"in{g}"] = small.ports["in"].model_copy(update={"instrument": f"digitizer{g}"})
    qubits = [
        small.qubits[q % small.num_qubits].model_copy(
            update={"drive": f"d{q}", "readout": f"ro{q // READOUT_GROUP}", "acquire": f"in{q // READOUT_GROUP}"}
        )
        for q in range(num_qubits)
    ]
    # The control is the even one of two neighbours: up to three channels on a drive port.
    pairs = [(q, q + 1) if q % 2 == 0 else (q + 1, q) for q in range(num_qubits - 1)]
    members = [tuple(range(g * READOUT_GROUP, min((g + 1) * READOUT_GROUP, num_qubits))) for g in groups]
    data = small.model_dump(exclude_none=True) | {
        "name": f"line{num_qubits}",
        "meas_map": members,
        "instruments": {name: item.model_dump() for name, item in instruments.items()},
        "ports": {name: item.model_dump() for name, item in ports.items()},
        "qubits": [item.model_dump() for item in qubits],
        "couplings": [{"control": c, "target": t} for c, t in pairs],
    }
    device = DeviceDescription.model_validate(data)
    return PulsedBackend(device, _calibration(device))


def _calibration(device: DeviceDescription) -> CalibrationSet:
    values: dict[str, float | tuple[float, ...]] = {}
    for q, qubit in enumerate(device.qubits):
        values |= {f"Q{q}.f01": qubit.design_frequency, f"Q{q}.readout.frequency": qubit.design_readout_frequency}
        for name, amplitude in (("x", 0.4), ("sx", 0.2)):
            drag = {"amplitude": amplitude + 1e-3 * q, "angle": 0.0, "beta": 0.5, "duration": 32.0, "sigma": 8.0}
            values |= {f"Q{q}.{name}.{key}": value for key, value in drag.items()} | {f"Q{q}.{name}.error": 3e-4}
        values |= {f"Q{q}.readout.amplitude": 0.1, f"Q{q}.readout.duration": 800.0, f"Q{q}.readout.error": 0.01}
        values[f"Q{q}.readout.discriminator"] = (0.01, 0.0, -0.01, 0.0, 1e-5)
    for pair in device.couplings:
        ecr = {"duration": 400.0, "sigma": 16.0, "width": 336.0, "amplitude": 0.7, "angle": 0.3, "error": 6e-3}
        ecr |= {"cancel.amplitude": 0.03, "cancel.angle": -1.0, "rz_control": 0.05, "rz_target": -0.02}
        values |= {f"Q{pair.control}-Q{pair.target}.ecr.{key}": value for key, value in ecr.items()}
    return CalibrationSet(device.name, {name: Value(value) for name, value in values.items()}, "2026-11-21T00:00:00Z")


def transpiled(circuit: QuantumCircuit, backend: PulsedBackend, **options: Any) -> QuantumCircuit:
    """Return ``circuit`` in the gates of ``backend``, the same every time."""
    return transpile(circuit, backend, optimization_level=1, seed_transpiler=1, num_processes=1, **options)


def random5(backend: PulsedBackend, seed: int) -> QuantumCircuit:
    """Return a random circuit of five qubits, depth 20, gates of one and two qubits, all measured."""
    return transpiled(random_circuit(5, 20, max_operands=2, measure=True, seed=seed), backend)


def benchmarking(backend: PulsedBackend, cliffords: int = 1000, seed: int = 0) -> QuantumCircuit:
    """Return randomized benchmarking of one qubit without the closing inverse, which changes nothing here."""
    rng = random.Random(seed)
    base = [random_clifford(1, seed=i).to_circuit() for i in range(24)]
    circuit = QuantumCircuit(1, 1)
    for _ in range(cliffords):
        circuit.compose(rng.choice(base), [0], inplace=True)
        circuit.barrier()
    circuit.measure(0, 0)
    return transpiled(circuit, backend, initial_layout=[0])


def volume(backend: PulsedBackend, num_qubits: int = 20) -> QuantumCircuit:
    """Return a quantum-volume circuit as deep as it is wide, routed on the line."""
    circuit = quantum_volume(num_qubits, num_qubits, seed=1)
    circuit.measure_all()
    return transpiled(circuit, backend)


def layers(backend: PulsedBackend, depth: int = 10) -> QuantumCircuit:
    """Return ``depth`` layers of sx and rz on every qubit and ecr on every other pair, all measured."""
    n = backend.num_qubits
    circuit = QuantumCircuit(n, n)
    pairs = [(pair.control, pair.target) for pair in backend.device.couplings[::2]]
    for layer in range(depth):
        for q in range(n):
            circuit.sx(q)
            circuit.rz(0.1 * layer + 0.3, q)
        for control, target in pairs:
            circuit.ecr(control, target)
    circuit.measure(range(n), range(n))
    return transpiled(circuit, backend, initial_layout=list(range(n)))


def rotations(num_qubits: int, count: int, seed: int) -> QuantumCircuit:
    """Return ``count`` gates x or sx on each qubit, each after a turn of 0 to 3 quarters: a random sequence."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(num_qubits, num_qubits)
    for q in range(num_qubits):
        for quarters, half in zip(rng.integers(4, size=count).tolist(), rng.integers(2, size=count), strict=True):
            if quarters:
                circuit.rz(quarters * np.pi / 2, q)
            _ = circuit.x(q) if half else circuit.sx(q)
    circuit.measure(range(num_qubits), range(num_qubits))
    return circuit


def pulse_sequences(num_qubits: int, count: int, seed: int) -> Schedule:
    """Return ``count`` DRAG pulses on each qubit, of two amplitudes and four phases at random, and a readout."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, Any]] = []
    end = 32 * count
    for q in range(num_qubits):
        pulses = [Drag(32, 0.4 + 0.4 * (k & 1), sigma=8, beta=0.5, angle=(k >> 1) * np.pi / 2) for k in range(8)]
        rows += [(32 * i, Play(pulses[k], DriveChannel(q))) for i, k in enumerate(rng.integers(8, size=count).tolist())]
        rows.append((end, Play(Constant(400, 0.2), MeasureChannel(q))))
        rows.append((end, Acquire(400, AcquireChannel(q), MemorySlot(q))))
    return Schedule(*rows)


def two_gates() -> QuantumCircuit:
    """Return the smallest circuit with a gate of one and a gate of two qubits."""
    circuit = QuantumCircuit(2, 2)
    circuit.sx(0)
    circuit.ecr(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit
