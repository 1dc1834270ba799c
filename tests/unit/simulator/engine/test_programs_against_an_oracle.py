"""Random programs on a chip without noise, against a density matrix of qubits: pulses, windows and tones at any time.

The oracle knows unitaries, projections and the order in time, and nothing of pulses. The programs go through the
compiler and the engine, and what is compared are classified bits.
"""

from __future__ import annotations

import math
import secrets
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import pytest
from qiskit.circuit.library import ECRGate, RZGate, SXGate, XGate

from pulsed.calibration.executor import Executor
from pulsed.calibration.schedules import Blocks
from pulsed.pulse.channels import MeasureChannel
from pulsed.pulse.instructions import Acquire, Play
from pulsed.pulse.schedule import Schedule
from pulsed.simulator.dynamics import pulses
from pulsed.simulator.dynamics.trajectories import SimulationLimitError
from pulsed.simulator.readout import readout_cache
from pulsed.testing.simulated_lab import SimulatedLab

QUBITS, SHOTS, PROGRAMS = 5, 1000, 24
PAIRS = ((0, 1), (2, 1), (2, 3), (4, 3))
READOUT, GRID = 800, 4
SYSTEMATIC = 0.01
"""Of the chip's gates: at most 20 of them with 1e-4 each, and they may add up as amplitudes."""
CHANCE = 1e-9
"""That a right program is found wrong."""


@pytest.fixture(scope="module")
def bench():
    return Executor(SimulatedLab.ideal5(seed=secrets.randbits(32)))


@pytest.fixture(scope="module")
def coupled(bench):
    """The same with every coupling at work."""
    chip = bench.connection.engine.designed
    chip = replace(chip, effects=replace(chip.effects, idle_zz=True))
    return Executor(SimulatedLab(bench.device, chip, bench.calibration, 1))


@dataclass
class Program:
    """A schedule and what it means: (time, kind, qubits, parameter) of each operation."""

    blocks: Blocks
    schedule: Schedule = field(default_factory=Schedule)
    operations: list[tuple[int, str, tuple[int, ...], float]] = field(default_factory=list)
    slots: int = 0
    listening: int = 0
    """When the digitizer is free."""
    free: list[int] = field(default_factory=lambda: [0] * QUBITS)

    def gate(self, time: int, name: str, *qubits: int, angle: float = 0.0) -> int:
        found = self.blocks.rz(*qubits, angle) if name == "rz" else self.blocks.gate(name, *qubits)
        self._add(time, name, qubits, angle, found)
        return time + found.duration

    def tone(self, time: int, qubit: int) -> int:
        """Play a readout tone that nobody listens to."""
        plays = [(t, i) for t, i in self.blocks.gate("measure", qubit).instructions if isinstance(i, Play)]
        self._add(time, "tone", (qubit,), 0.0, Schedule(*plays))
        return time + READOUT

    def measure(self, time: int, *qubits: int) -> int:
        for qubit in qubits:
            self._add(time, "measure", (qubit,), self.slots, self.blocks.measure(qubit, slot=self.slots))
            self.slots += 1
        self.listening = time + READOUT
        return time + READOUT

    def _add(self, time: int, name: str, qubits: tuple[int, ...], value: float, schedule: Schedule) -> None:
        self.schedule = self.schedule.insert(time, schedule)
        self.operations.append((time, name, qubits, value))
        for qubit in qubits:
            self.free[qubit] = time + schedule.duration


def drawn(blocks: Blocks, rng: np.random.Generator, steps: int) -> Program:
    """Return a random program. What is measured last is all qubits together."""
    program = Program(blocks)

    def gap() -> int:
        return int(rng.choice([0, 0, 1, 3, 4, 5, 17, 160, 400, 2500]))

    for _ in range(steps):
        kind = rng.choice(["x", "sx", "rz", "ecr", "measure", "tone"], p=[0.25, 0.2, 0.1, 0.15, 0.2, 0.1])
        q = int(rng.integers(QUBITS))
        start = program.free[q] + gap()
        if kind in ("x", "sx", "rz"):
            program.gate(start, kind, q, angle=float(rng.uniform(-3, 3)))
        elif kind == "ecr":
            pair = PAIRS[rng.integers(len(PAIRS))]
            program.gate(max(program.free[p] for p in pair) + gap(), "ecr", *pair)
        elif kind == "tone":
            program.tone(start, q)
        else:
            group = [p for p in range(QUBITS) if p == q or rng.random() < 0.2]
            # Windows begin on the digitizer's grid, and one is over before the next begins.
            start = max(program.listening, *(program.free[p] for p in group), start)
            program.measure(-(-start // GRID) * GRID, *group)
    program.measure(-(-max(*program.free, program.listening) // GRID) * GRID, *range(QUBITS))
    return program


def on(matrix: np.ndarray, *qubits: int) -> np.ndarray:
    """Return a matrix of some qubits, the first one the least significant, as one of all."""
    k, rest = len(qubits), [q for q in range(QUBITS) if q not in qubits]
    full = np.kron(np.eye(2 ** len(rest)), matrix).reshape((2,) * (2 * QUBITS))
    place = [*reversed([*qubits, *rest])]  # which qubit each axis is
    axes = [place.index(q) for q in reversed(range(QUBITS))]
    assert k == round(math.log2(len(matrix)))
    return full.transpose([*axes, *(QUBITS + a for a in axes)]).reshape(2**QUBITS, 2**QUBITS)


def expected(program: Program) -> dict[str, float]:
    """Return the probability of each word of bits, slot 0 first."""
    start = np.zeros((2**QUBITS,) * 2, complex)
    start[0, 0] = 1
    branches = {"": start}
    gates = {"x": XGate().to_matrix(), "sx": SXGate().to_matrix(), "ecr": ECRGate().to_matrix()}
    order: list[int] = []
    for _, name, qubits, value in sorted(program.operations, key=lambda o: o[0]):
        if name in ("measure", "tone"):
            projectors = [on(np.diag(p), *qubits) for p in ([1.0, 0.0], [0.0, 1.0])]
            parts = {w: [p @ rho @ p for p in projectors] for w, rho in branches.items()}
            if name == "tone":
                branches = {w: zero + one for w, (zero, one) in parts.items()}
            else:
                branches = {w + bit: rho for w, both in parts.items() for bit, rho in zip("01", both, strict=True)}
                branches = {w: rho for w, rho in branches.items() if np.trace(rho).real > 1e-12}
                order.append(int(value))
        else:
            u = on(RZGate(value).to_matrix() if name == "rz" else gates[name], *qubits)
            branches = {w: u @ rho @ u.conj().T for w, rho in branches.items()}
    place = np.argsort(order)
    return {"".join(w[i] for i in place): float(np.trace(rho).real) for w, rho in branches.items()}


def distance(bits: np.ndarray, wanted: dict[str, float]) -> tuple[float, float]:
    """Return the total variation between bits (shots, slots) and probabilities, and its bound.

    Its mean is at most half the sum of sqrt(p (1 - p) / N); one shot moves it by 1/N at most, so that it is above its
    mean by t with a chance of exp(-2 N t^2) (McDiarmid 1989).
    """
    shots = len(bits)
    counts = Counter("".join(map(str, row)) for row in bits.tolist())
    words = set(counts) | set(wanted)
    found = 0.5 * sum(abs(counts[w] / shots - wanted.get(w, 0.0)) for w in words)
    mean = 0.5 * sum(math.sqrt(max(0.0, p * (1 - p)) / shots) for p in wanted.values())
    return found, mean + math.sqrt(math.log(1 / CHANCE) / (2 * shots)) + SYSTEMATIC


def check(bench: Executor, program: Program, what: object) -> None:
    (bits,) = bench.play([program.schedule], SHOTS, level=2).bits
    found, bound = distance(bits, expected(program))
    assert found <= bound, f"{what}: {found:.3f} > {bound:.3f}, {program.operations}"


@pytest.mark.parametrize("number", range(PROGRAMS))
def test_random_programs(bench, number):
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    check(bench, drawn(bench.blocks, np.random.default_rng(seed), 14), seed)


@pytest.mark.parametrize("gap", [0, 4, 8, 40])
@pytest.mark.parametrize("at", [0, 1, 400, 768])
def test_a_pulse_during_the_readout_of_another_qubit(bench, gap, at):
    """x on Q2 at any time while Q0 is read, then Q2 read at once or later: always 1, whatever the gap."""
    program = Program(bench.blocks)
    program.measure(0, 0)
    program.gate(at, "x", 2)
    program.measure(READOUT + gap, 2)
    (bits,) = bench.play([program.schedule], 200, level=2).bits
    assert (bits == [0, 1]).all(), (gap, at)


@pytest.mark.parametrize("gap", [0, 1, 3, 4, 5])
def test_a_pair_is_driven_right_after_a_readout_of_one(bench, gap):
    """Read the control, then ECR at once, the target on its way around the equator: no sample of its wait is lost.

    One sample is 1.2 rad at 195 MHz from the LO. ECR of 0 and i sx 0 leaves the target where one more sx takes it to 1
    or to 0, by the sign.
    """
    program = Program(bench.blocks)
    program.gate(0, "sx", 3)
    program.gate(40, "rz", 3, angle=math.pi / 2)  # an eigenstate of X: ECR does not turn it, and rz brings it back
    program.measure(0, 2)
    program.gate(READOUT + gap, "ecr", 2, 3)
    end = program.free[3]
    program.gate(end, "rz", 3, angle=-math.pi / 2)
    program.gate(end, "sx", 3)
    program.measure(-(-(end + 40) // GRID) * GRID, 3)
    check(bench, program, gap)
    assert max(expected(program).values()) > 0.999, "a program that tells"


def test_a_qubit_is_read_again_between_readouts_of_others(bench):
    """One stretch of tones in which Q0 is read, flipped, and read again while others go on: 0, then 1."""
    program = Program(bench.blocks)
    program.measure(0, 0)
    program.gate(READOUT + 8, "x", 0)
    program.gate(400, "x", 3)
    program.measure(READOUT, 3)
    program.tone(READOUT + 100, 1)
    program.measure(2 * READOUT, 0, 3)
    (bits,) = bench.play([program.schedule], 200, level=2).bits
    assert (bits == [0, 1, 1, 1]).all()


@pytest.mark.parametrize("first", range(QUBITS))
def test_a_wait_of_which_only_some_have_coherence(coupled, first):
    """x on one qubit 4 us before x on two others, with every coupling at work: all are 1.

    The first pulse joins a qubit to its neighbours only; the others of the cluster wait beside them.
    """
    rest = [q for q in range(QUBITS) if q != first]
    for others in combinations(rest, 2):
        program = Program(coupled.blocks)
        program.gate(0, "x", first)
        for other in others:
            program.gate(4032, "x", other)
        program.measure(4064, first, *others)
        (bits,) = coupled.play([program.schedule], 100, level=2).bits
        assert (bits == 1).all(), others


def test_a_pulse_on_a_qubit_that_is_read_is_refused(bench):
    """Nobody knows what it does there; it once was played after the readout, or not at all."""
    program = Program(bench.blocks)
    program.measure(0, 1)
    program.gate(300, "x", 1)
    with pytest.raises(SimulationLimitError, match="during its own readout") as caught:
        bench.play([program.schedule], 10, level=2)
    assert caught.value.subject == "qubit 1"
    assert "300" in caught.value.value
    assert "align_sequential" in str(caught.value)
    assert "simulation" in str(caught.value)
    # An instrument's error queue holds 255 characters; each of the four times may have six digits more than here.
    assert len(f"Execution error; {caught.value}") <= 255 - 4 * 6


@pytest.mark.parametrize(
    ("module", "name", "what"),
    [(pulses, "segments", "drive pulses"), (readout_cache, "readout_spans", "readout pulses")],
)
def test_a_lost_pulse_is_noticed(bench, monkeypatch, module, name, what):
    """Whatever leaves one out between the instruments and the state: the run is refused, not answered."""
    whole = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args: whole(*args)[1:])
    program = Program(bench.blocks)
    program.gate(0, "ecr", 0, 1)
    program.measure((1000 + len(what)) * GRID, 0, 1)  # nowhere else, so that nothing that is kept answers
    with pytest.raises(SimulationLimitError, match="lost count") as caught:
        bench.play([program.schedule], 10, level=2)
    assert caught.value.subject == what


def test_the_ideal_gates_are_exact(bench):
    """Repeated gates: 100 x, 40 sx and 10 ecr on every pair leave what they should within 1e-2 (1e-4 each at most)."""
    engine, blocks = bench.connection.engine, bench.blocks
    assert isinstance(blocks.gate("measure", 0).instructions[0][1], Acquire | Play)
    assert {i.channel for _, i in blocks.gate("measure", 3).instructions if isinstance(i, Play)} == {MeasureChannel(3)}
    for qubit in range(QUBITS):
        program = Program(blocks)
        for k in range(101):
            program.gate(32 * k, "x", qubit)
        for k in range(101, 143):
            program.gate(32 * k, "sx", qubit)
        program.measure(32 * 143, qubit)
        (bits,) = bench.play([program.schedule], 2000, level=2).bits
        assert bits.mean() < 0.01 + 6 * math.sqrt(0.01 / 2000), (qubit, engine.chip.name)
    for pair in PAIRS:
        program, time = Program(blocks), 0
        for _ in range(10):
            time = program.gate(time, "ecr", *pair)
        program.measure(-(-time // GRID) * GRID, *pair)
        (bits,) = bench.play([program.schedule], 2000, level=2).bits
        assert bits.mean() < 0.01 + 6 * math.sqrt(0.01 / 2000), pair
