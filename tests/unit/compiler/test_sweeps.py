"""A sweep is the same as its bindings one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from pulsed.compiler import memory
from pulsed.compiler.compile import Compiler
from pulsed.compiler.expressions import evaluate
from pulsed.compiler.program import Chunk
from pulsed.model.errors import CircuitError, InvalidValueError, LoweringError
from pulsed.model.job import RunOptions
from pulsed.pulse import Schedule, builder
from pulsed.pulse.channels import AcquireChannel, DriveChannel, MemorySlot
from pulsed.pulse.instructions import Acquire, Play, SetFrequency, SetPhase, ShiftFrequency, ShiftPhase
from pulsed.pulse.library import Constant, Drag, Gaussian

THETA, PHI = Parameter("θ"), Parameter("the other one")
D0 = DriveChannel(0)


@pytest.fixture(scope="module")
def session_compiler(device, calibration):
    return Compiler(device, calibration)


def assert_same_as_one_by_one(compiler, program, values, assign):
    chunks = compiler.sweep(program, values, RunOptions(shots=10))
    played = [(chunk, p) for chunk in (c.unrolled() for c in chunks) for p in chunk.programs]
    count = len(next(iter(values.values())))
    assert len(played) == count
    for i, (chunk, swept) in enumerate(played):
        (single,) = compiler.compile([assign(program, {p: v[i] for p, v in values.items()})], RunOptions(shots=10))
        a, b = chunk.array(swept.events), single.array(single.programs[0].events)
        assert np.array_equal(a["slot"], b["slot"])
        assert np.array_equal(a["time"], b["time"])
        loud = b["amplitude"] > 1e-12
        for name in ("amplitude", "frequency"):
            assert np.allclose(a[name], b[name], rtol=1e-12, atol=1e-9)
        assert np.allclose(np.exp(1j * a["phase"])[loud], np.exp(1j * b["phase"])[loud], atol=1e-9)
        keys = [[c.head.keys[k] for k in rows["envelope"]] for c, rows in ((chunk, a), (single, b))]
        assert keys[0] == keys[1]


def assign_circuit(circuit, values):
    return circuit.assign_parameters({p: float(v) for p, v in values.items() if p in circuit.parameters})


def assign_schedule(schedule, values):
    return schedule.assign_parameters({p: float(v) for p, v in values.items()}, inplace=False)


def test_late_angles_of_a_circuit(session_compiler):
    circuit = QuantumCircuit(2, 2)
    circuit.sx(0)
    circuit.rz(THETA, 0)
    circuit.sx(0)
    circuit.rz(2 * THETA - PHI, 1)
    circuit.ecr(0, 1)
    circuit.rz(PHI**2 / 3, 1)
    circuit.sx(1)
    circuit.rz(THETA, 0)
    circuit.sx(0)
    circuit.measure([0, 1], [0, 1])
    rng = np.random.default_rng(5)
    values = {THETA: rng.uniform(-4, 4, 7), PHI: rng.uniform(-4, 4, 7)}
    assert_same_as_one_by_one(session_compiler, circuit, values, assign_circuit)
    (chunk,) = session_compiler.sweep(circuit, values, RunOptions())
    assert len(chunk.programs) == 1
    assert chunk.programs[0].count == 7
    again = Chunk.decode([bytes(part) for part in chunk.encode()])
    assert len(again.unrolled().programs) == 7


def test_late_lengths_of_a_circuit(session_compiler):
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.delay(THETA, 0, "ns")
    circuit.measure(0, 0)

    def assign(program, values):
        return program.assign_parameters({p: int(v) for p, v in values.items()})

    assert_same_as_one_by_one(session_compiler, circuit, {THETA: np.array([0, 40, 1003])}, assign)
    with pytest.raises(CircuitError, match=r"10\.5 dt"):
        session_compiler.sweep(circuit, {THETA: [10.5]}, RunOptions())


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=25)
def test_late_values_of_a_schedule(session_compiler, seed):
    """Every kind of frame change and pulse, in random order, with expressions of two parameters."""
    rng = np.random.default_rng(seed)
    schedule = Schedule()
    for step in range(8):
        time, kind = 40 * step, rng.integers(6)
        expression = [THETA, PHI * 0.5, THETA * PHI, THETA.sin(), THETA - 2 * PHI][rng.integers(5)]
        frame = [
            ShiftPhase(expression, D0), SetPhase(expression, D0), ShiftFrequency(1e6 * expression, D0),
            SetFrequency(4.97e9 + 1e6 * expression, D0),
        ]  # fmt: skip
        if kind < 4:
            schedule = schedule.insert(time, frame[kind])
        pulse = [
            Constant(32, expression * 0.05), Gaussian(32, 0.3, 8, angle=expression),
            Drag(32, THETA * 0.02, 8, 0.5, angle=PHI), Gaussian(32, -0.2, 8, angle=expression),
        ]  # fmt: skip
        schedule = schedule.insert(time, Play(pulse[rng.integers(4)], D0))
    schedule = schedule.insert(400, Acquire(400, AcquireChannel(0), MemorySlot(0)))
    values = {THETA: rng.uniform(-2, 2, 4), PHI: rng.uniform(-2, 2, 4)}
    if schedule.parameters:
        values = {p: v for p, v in values.items() if p in schedule.parameters}
        assert_same_as_one_by_one(session_compiler, schedule, values, assign_schedule)


def test_late_lengths_of_a_block(session_compiler):
    with builder.build() as block:
        builder.play(Gaussian(THETA, 0.3, THETA / 4), D0)
        builder.barrier(D0, AcquireChannel(0))
        builder.acquire(400, AcquireChannel(0), MemorySlot(0))

    def assign(program, values):
        return program.assign_parameters({p: int(v) for p, v in values.items()}, inplace=False)

    assert_same_as_one_by_one(session_compiler, block, {THETA: np.array([32, 64, 160])}, assign)


def test_a_binding_beyond_a_limit_is_named(session_compiler):
    acquire = (400, Acquire(400, AcquireChannel(0), MemorySlot(0)))
    loud = Schedule((0, Play(Constant(32, THETA), D0)), acquire)
    with pytest.raises(LoweringError, match=r"binding 2 .* amplitude .* d0 at 0 dt|d0 at 0 dt: binding 2 .* amplitude"):
        session_compiler.sweep(loud, {THETA: [0.1, -0.9, 1.2]}, RunOptions())
    far = Schedule((0, ShiftFrequency(THETA, D0)), (0, Play(Constant(32, 0.1), D0)), acquire)
    with pytest.raises(LoweringError, match=r"binding 1 .* frequency"):
        session_compiler.sweep(far, {THETA: [0, -400e6]}, RunOptions())


def test_values_that_do_not_fit_the_program_are_refused(session_compiler):
    circuit = QuantumCircuit(1, 1)
    circuit.rz(THETA + PHI, 0)
    circuit.x(0)
    circuit.measure(0, 0)
    for values in ({THETA: [1.0]}, {THETA: [1.0], PHI: [1.0, 2.0]}, {}, {THETA: [1.0], PHI: [float("nan")]}):
        with pytest.raises(InvalidValueError):
            session_compiler.sweep(circuit, values, RunOptions())


def test_bindings_are_split_like_programs(device, calibration):
    circuit = QuantumCircuit(1, 1)
    circuit.rz(THETA, 0)
    circuit.x(0)
    circuit.measure(0, 0)
    small = device.instruments["awg1"].model_copy(update={"event_memory": 10})
    compiler = Compiler(device.model_copy(update={"instruments": {**device.instruments, "awg1": small}}), calibration)
    chunks = compiler.sweep(circuit, {THETA: np.arange(50.0)}, RunOptions(shots=10))
    assert [c.head.first_program for c in chunks] == [0, 10, 20, 30, 40]
    values = np.concatenate([c.array(c.programs[0].bindings)[:, 0] for c in chunks])
    assert np.array_equal(values, np.arange(50.0))


def test_shots_of_a_binding_are_split_without_loss(session_compiler, monkeypatch):
    circuit = QuantumCircuit(1, 1)
    circuit.rz(THETA, 0)
    circuit.x(0)
    circuit.measure(0, 0)
    monkeypatch.setattr(memory, "MAX_SECONDS", 0.2)
    chunks = session_compiler.sweep(circuit, {THETA: [1.0, 2.0, 3.0]}, RunOptions(shots=1000))
    played = {}
    for chunk in chunks:
        (value,) = chunk.array(chunk.programs[0].bindings)[:, 0]
        assert chunk.head.first_program == value - 1
        assert chunk.head.first_shot == played.get(value, 0)
        assert chunk.settings.shots * 500e-6 <= 0.2, "no chunk is longer than it may be"
        played[value] = played.get(value, 0) + chunk.settings.shots
    assert played == {1.0: 1000, 2.0: 1000, 3.0: 1000}


@given(st.floats(-2, 2), st.floats(0.1, 2))
def test_expressions_over_arrays_equal_qiskits_one_by_one(a, b):
    expressions = [
        THETA.sin() + PHI * 3, (THETA * PHI).cos() / PHI, PHI.log() - THETA.exp(), abs(THETA) ** 2, -THETA / (PHI + 4),
        THETA.arctan() * 2.123456789012345, 1e-9 * THETA + PHI**0.5,
    ]  # fmt: skip
    values = {THETA: np.array([a, b]), PHI: np.array([b, b])}
    for expression in expressions:
        got = evaluate(expression, {p: values[p] for p in expression.parameters})
        for i in range(2):
            want = float(expression.bind({p: values[p][i] for p in expression.parameters}))
            assert got[i] == pytest.approx(want, rel=1e-12, abs=1e-14)
