"""A sweep is the same as its bindings one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter

from pulsed.compiler import memory
from pulsed.compiler.compile import Compiler
from pulsed.compiler.expressions import evaluate
from pulsed.compiler.program import Chunk
from pulsed.model.errors import CircuitError, InvalidValueError, LoweringError
from pulsed.model.job import RunOptions
from pulsed.pulse import Schedule, builder
from pulsed.pulse.channels import AcquireChannel, DriveChannel, MemorySlot
from pulsed.pulse.instructions import (
    Acquire,
    EnterFrame,
    LeaveFrame,
    Play,
    SetFrequency,
    SetPhase,
    ShiftFrequency,
    ShiftPhase,
)
from pulsed.pulse.library import Constant, Drag, Gaussian

THETA, PHI = Parameter("θ"), Parameter("the other one")
D0 = DriveChannel(0)
ACQUIRE = Acquire(800, AcquireChannel(0), MemorySlot(0))


def assert_same_as_one_by_one(compiler, program, values, assign, gates=None):
    chunks = compiler.sweep(program, values, RunOptions(shots=10), gates)
    played = [(chunk, p) for chunk in (c.unrolled() for c in chunks) for p in chunk.programs]
    count = len(next(iter(values.values())))
    assert len(played) == count
    for i, (chunk, swept) in enumerate(played):
        one = assign(program, {p: v[i] for p, v in values.items()})
        (single,) = compiler.compile([one], RunOptions(shots=10), gates)
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


AMP, FREQUENCY, LENGTH = Parameter("amp"), Parameter("f"), Parameter("t")


def late_gate(pulse):
    """Return a pulse gate on qubit 0, a shift of frequency around a pulse, and the circuit that plays it twice."""
    schedule = Schedule(ShiftFrequency(FREQUENCY, D0), Play(pulse, D0), ShiftFrequency(-FREQUENCY, D0), name="late")
    gates = {("late", (0,), ()): schedule}
    circuit = QuantumCircuit(2, 2)
    circuit.append(Gate("late", 1, [THETA / 8, 2**20 * PHI]), [0])
    circuit.ecr(0, 1)
    circuit.rz(THETA, 0)
    circuit.append(Gate("late", 1, [0.25, PHI]), [0])
    circuit.measure([0, 1], [0, 1])
    return circuit, gates


def test_late_values_of_a_pulse_gate(session_compiler):
    """Amplitude and frequency of a pulse gate, in order of their names, are lowered once for all bindings."""
    circuit, gates = late_gate(Drag(64, AMP, 16, 2.0))
    values = {THETA: np.linspace(-5, 5, 6), PHI: np.array([0.0, 1.0, -2.0, 3.0, 0.5, 2.5])}
    assert_same_as_one_by_one(session_compiler, circuit, values, assign_circuit, gates)
    (chunk,) = session_compiler.sweep(circuit, values, RunOptions(), gates)
    assert [program.count for program in chunk.programs] == [6]


def test_a_late_pulse_gate_plays_what_the_gate_with_the_numbers_plays(session_compiler):
    circuit, gates = late_gate(Drag(64, AMP, 16, 2.0))
    bound = circuit.assign_parameters({THETA: 1.75, PHI: -0.25})
    numbers = QuantumCircuit(2, 2)
    for item in bound.data:
        numbers.append(item)
    (late,) = gates.values()
    by_value = {
        ("late", (0,), (amp, f)): late.assign_parameters({AMP: amp, FREQUENCY: f}, inplace=False)
        for amp, f in ((1.75 / 8, -(2.0**18)), (0.25, -0.25))
    }
    (one,), (other,) = (session_compiler.compile([numbers], RunOptions(), used) for used in (gates, by_value))
    assert [bytes(part) for part in one.encode()] == [bytes(part) for part in other.encode()]
    assert session_compiler.schedule(bound, gates) == session_compiler.schedule(bound, by_value)


def test_a_late_shape_of_a_pulse_gate_is_lowered_for_each_binding(session_compiler):
    circuit, gates = late_gate(Gaussian(64, 0.2, 16 + AMP))
    values = {THETA: np.array([0.0, 20.0, 40.0]), PHI: np.array([0.0, 1.0, 2.0])}
    assert_same_as_one_by_one(session_compiler, circuit, values, assign_circuit, gates)


def test_a_late_length_of_a_pulse_gate(session_compiler):
    with builder.build() as block:
        builder.play(Constant(LENGTH, 0.2), D0)
    circuit = QuantumCircuit(1, 1)
    circuit.append(Gate("late", 1, [THETA]), [0])
    circuit.measure(0, 0)
    gates = {("late", (0,), ()): block}
    values = {THETA: np.array([32.0, 64.0, 96.0])}
    assert_same_as_one_by_one(session_compiler, circuit, values, assign_circuit, gates)


def test_late_values_beside_pulse_gates_with_numbers(session_compiler):
    """Only what may be one of these gates is lowered for each binding."""
    circuit = QuantumCircuit(2, 2)
    circuit.rz(THETA, 1)
    circuit.rx(THETA, 1)
    circuit.rz(0.5, 0)
    circuit.sx([0, 1])
    circuit.measure([0, 1], [0, 1])
    values = {THETA: np.array([0.5, 0.25, -0.5])}
    own = {("rz", (0,), (0.5,)): Schedule(Play(Constant(32, 0.1), D0))}
    assert_same_as_one_by_one(session_compiler, circuit, values, assign_circuit, own)
    (chunk,) = session_compiler.sweep(circuit, values, RunOptions(), own)
    assert [program.count for program in chunk.programs] == [3]
    turned = circuit.copy_empty_like()
    turned.rz(THETA, 0)
    circuit = turned.compose(circuit)
    assert_same_as_one_by_one(session_compiler, circuit, values, assign_circuit, own)
    with pytest.raises(LoweringError, match=r"rz: this parameter has no value yet, and may tell.*got θ"):
        session_compiler.compile([circuit], RunOptions(), own)


def test_late_pulse_gates_that_do_not_fit(session_compiler):
    circuit, gates = late_gate(Drag(64, AMP, 16, 2.0))
    with pytest.raises(CircuitError, match=r"no value yet.*the other one, θ"):
        session_compiler.compile([circuit], RunOptions(), gates)
    circuit = QuantumCircuit(1, 1)
    circuit.append(Gate("late", 1, [0.5]), [0])
    circuit.measure(0, 0)
    with pytest.raises(CircuitError, match=r"number of values.*got 1.*amp, f"):
        session_compiler.compile([circuit], RunOptions(), gates)


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


@pytest.mark.parametrize("fixed", ["shift", "frame"])
def test_a_binding_is_refused_where_its_program_is(session_compiler, device, fixed):
    """The band counts from where the channel is, not from its own frequency: swept and assigned agree."""
    lo = device.lo_frequency("d0")
    first = [ShiftFrequency(2.5e8, D0)] if fixed == "shift" else [EnterFrame(lo + 2.5e8, 0, D0)]
    last = [] if fixed == "shift" else [(64, LeaveFrame(lo + 2.5e8, 0, D0))]
    program = Schedule(*first, ShiftFrequency(THETA, D0), Play(Constant(64, 0.1), D0), *last, (64, ACQUIRE))
    refused = 0
    for hertz in np.linspace(-7e8, 3e8, 21):
        try:
            session_compiler.compile([assign_schedule(program, {THETA: hertz})], RunOptions())
        except LoweringError:
            refused += 1
            with pytest.raises(LoweringError, match="frequency beyond its limit"):
                session_compiler.sweep(program, {THETA: [hertz]}, RunOptions())
        else:
            assert_same_as_one_by_one(session_compiler, program, {THETA: np.array([hertz])}, assign_schedule)
    assert 2 < refused < 18


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
