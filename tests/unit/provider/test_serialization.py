"""What the client's circuit says is what the daemon's compile worker makes of the bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, QuantumRegister, qpy
from qiskit.circuit import ClassicalRegister, Clbit, Delay, Gate, IfElseOp, Parameter, Qubit

from pulsed.compiler.program import Chunk
from pulsed.model.errors import PulsedError
from pulsed.model.job import RunOptions
from pulsed.provider import PulsedBackend
from pulsed.provider.errors import UnsupportedCircuitError
from pulsed.pulse.channels import AcquireChannel, DriveChannel, MeasureChannel, MemorySlot, RegisterSlot
from pulsed.pulse.instructions import Acquire, Play, SetFrequency, ShiftPhase
from pulsed.pulse.instructions import Delay as Wait
from pulsed.pulse.library import Constant, Drag, Gaussian, SymbolicPulse
from pulsed.pulse.schedule import Schedule, ScheduleBlock
from pulsed.pulse.transforms import AlignEquispaced, AlignSequential, block_to_schedule

PAIRS = ((0, 1), (2, 1), (2, 3), (4, 3))
UNITS = {"dt": 1.0, "ns": 1.0, "us": 1e-3, "ms": 1e-6, "s": 1e-9, "ps": 1e3}
"""How many of a unit one dt is on sim5, where dt is 1 ns."""


# What the Target supports, in a random circuit


def lengths(unit: str) -> st.SearchStrategy[Any]:
    """Delays of whole dt as a user writes them: a float of the unit, or a whole number of any type."""
    if unit == "dt":
        return st.integers(0, 5000)
    whole_dt = st.integers(0, 300_000)
    return whole_dt.map(lambda n: n * UNITS[unit]).flatmap(
        lambda x: st.sampled_from([float(x), np.float64(x), *([int(x)] if x == int(x) else [])])
    )


delays = st.sampled_from(sorted(UNITS)).flatmap(lambda unit: st.tuples(lengths(unit), st.just(unit)))
angles = st.floats(-7, 7) | st.sampled_from([np.float32(0.3), np.int64(2), np.float64(-1.1), 1])
qubits = st.integers(0, 4)
plain = st.one_of(
    st.tuples(st.sampled_from(["x", "sx", "flip"]), qubits),
    st.tuples(st.just("rz"), qubits, angles),
    st.tuples(st.just("ecr"), st.sampled_from(PAIRS)),
    st.tuples(st.just("delay"), qubits, delays),
    st.tuples(st.just("barrier"), st.sets(qubits, min_size=1)),
)
steps = st.one_of(
    plain,
    plain,
    st.tuples(st.just("measure"), qubits, st.integers(0, 5)),
    st.tuples(st.just("reset"), qubits),
)
bodies = st.tuples(st.just("if"), st.integers(0, 5), st.integers(0, 1), st.lists(plain, min_size=1, max_size=4))
metadata = st.dictionaries(
    st.text(max_size=3)
    | st.tuples(st.integers(), st.text(max_size=2))
    | st.integers(-9, 9).map(np.int64)
    | st.integers(),
    st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda one: st.lists(one, max_size=2), max_leaves=3),
    max_size=3,
)


def registers() -> QuantumCircuit:
    """Five qubits and six bits, some in registers of several sizes and some in none."""
    return QuantumCircuit(
        QuantumRegister(2, "a"), [Qubit()], QuantumRegister(2, "b"), [Clbit()], ClassicalRegister(2, "zz"),
        ClassicalRegister(1, "c"), [Clbit(), Clbit()],
    )  # fmt: skip


def put(circuit: QuantumCircuit, step: Any) -> None:
    """Append one step."""
    name, *what = step
    if name in ("x", "sx", "reset"):
        getattr(circuit, name)(what[0])
    elif name == "flip":
        circuit.append(Gate("flip", 1, []), [what[0]])
    elif name == "rz":
        circuit.rz(what[1], what[0])
    elif name == "ecr":
        circuit.ecr(*what[0])
    elif name == "delay":
        circuit.delay(what[1][0], what[0], unit=what[1][1])
    elif name == "barrier":
        circuit.barrier(*what[0])
    elif name == "measure":
        circuit.measure(*what)
    else:
        bit, value, body = what
        with circuit.if_test((circuit.clbits[bit], value)):
            for inner in body:
                put(circuit, inner)


def build(steps: Sequence[Any], phase: float, about: dict[Any, Any]) -> QuantumCircuit:
    """Return the circuit of ``steps``; a bit that an if_test looks at is measured before it."""
    circuit = registers()
    circuit.global_phase = phase
    circuit.metadata = about
    measured: set[int] = set()
    for step in steps:
        if step[0] == "if" and step[1] not in measured:
            put(circuit, ("measure", step[1] % 5, step[1]))
            measured.add(step[1])
        measured |= {step[2]} if step[0] == "measure" else set()
        put(circuit, step)
    circuit.measure(range(5), range(5))
    return circuit


def own_pulse(qubit: int) -> Schedule:
    """A pulse gate of two pulses with a change of frame between them."""
    line = DriveChannel(qubit)
    first, second = Play(Drag(48, 0.2, 12, 0.1), line), Play(Constant(40, 0.1 + 0.01 * qubit), line)
    return Schedule((0, first), (48, ShiftPhase(0.3, line)), (48, second), name="flip")


FLIPS = {("flip", (q,)): own_pulse(q) for q in range(5)}


def bare(chunk: Chunk) -> Any:
    """Return all of a chunk but the metadata, which travels as JSON, and the arrays of it."""
    head = chunk.head
    programs = tuple(msgspec.structs.replace(one, metadata=b"") for one in head.programs)
    return msgspec.structs.replace(head, programs=programs), [bytes(part) for part in chunk.parts]


def sent(backend: PulsedBackend, daemon: Any, programs: Any, **options: Any) -> Any:
    daemon.hold = True
    daemon.received.clear()
    job = backend.run(programs, shots=10, **options)
    (submission,) = daemon.received
    return job, *submission


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(steps | bodies, max_size=12), min_size=1, max_size=2), st.floats(-4, 4), metadata)
def test_the_worker_makes_of_the_bytes_what_the_client_has(fixed, worker, lists, phase, about):
    backend, daemon, compiler = fixed
    circuits = [build(steps, phase, about) for steps in lists]
    before = [circuit.copy() for circuit in circuits]
    _, request, parts = sent(backend, daemon, circuits, calibrations=FLIPS)
    gates = {(*key, ()): schedule for key, schedule in FLIPS.items()}
    here = compiler.compile(circuits, request.options, gates)
    there = worker.compile(request, parts)
    assert [bare(chunk) for chunk in there] == [bare(chunk) for chunk in here]
    assert circuits == before


def played(chunk: Chunk) -> Any:
    """Return events and acquisitions of the only program of ``chunk``, sorted, envelopes by their samples."""
    (program,) = chunk.programs
    names = [chunk.envelope(row).tobytes() for row in range(len(chunk.head.envelopes))]
    events = [
        (e["slot"], e["time"], names[e["envelope"]], e["amplitude"], e["phase"] % (2 * np.pi), e["frequency"])
        for e in chunk.array(program.events)
    ]
    return sorted(events), sorted(map(tuple, chunk.array(program.acquisitions).tolist())), program.duration


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, max_size=12), st.floats(-4, 4))
def test_the_schedule_shown_is_the_program_made_of_the_bytes(fixed, worker, steps, phase):
    backend, daemon, compiler = fixed
    circuit = build(steps, phase, {})
    job, request, parts = sent(backend, daemon, circuit, calibrations=FLIPS)
    (shown,) = job.schedules()
    assert shown == backend.schedule(circuit, calibrations=FLIPS)
    (mine,) = compiler.compile([shown], request.options)
    (theirs,) = worker.compile(request, parts)
    for ours, other in zip(played(mine)[0], played(theirs)[0], strict=True):
        assert ours[:3] == other[:3]
        np.testing.assert_allclose(ours[3:], other[3:], atol=1e-9)
    assert played(mine)[1:] == played(theirs)[1:]


# Delays, one by one


def waiting(length: Any, unit: str, inside: bool = False) -> QuantumCircuit:
    """A delay on qubit 0, in the body of an if_test or outside."""
    circuit = QuantumCircuit(1, 1, name="waiting")
    if inside:
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.delay(length, 0, unit=unit)
    else:
        circuit.x(0)
        circuit.delay(length, 0, unit=unit)
    circuit.measure(0, 0)
    return circuit


def waits(chunk: Chunk) -> list[int]:
    """Return, for each program, the samples from the start of its x to that of its readout pulse."""
    return [int(np.ptp(chunk.array(program.events)["time"])) for program in chunk.programs]


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(
    ("length", "unit", "dt"),
    [(200, "us", 200_000), (5000.0, "ps", 5), (1e-6, "s", 1000), (0.1, "ms", 100_000), (200.0, "us", 200_000),
     (17.0, "ns", 17), (7, "dt", 7)],
)  # fmt: skip
def test_a_delay_is_as_long_for_the_daemon_as_it_was_written(fixed, worker, length, unit, dt, inside):
    backend, daemon, _ = fixed
    circuit = waiting(length, unit, inside)
    job, request, parts = sent(backend, daemon, circuit)
    (travelled,) = qpy.load(io.BytesIO(parts[0]))
    (item,) = [one for one in travelled.data if one.name in ("delay", "if_else")]
    delay = item.operation.blocks[0].data[0].operation if inside else item.operation
    assert (delay.duration, delay.unit) == (dt, "dt")
    (chunk,) = worker.compile(request, parts)
    if not inside:
        (none,) = waits(worker.compile(*sent(backend, daemon, waiting(0, "dt"))[1:])[0])
        assert waits(chunk) == [none + dt]
        for shown in (job.schedules()[0], backend.schedule(circuit)):
            assert shown.ch_start_time(MeasureChannel(0)) - shown.ch_stop_time(DriveChannel(0)) == dt
    (mine,) = [one for one in circuit.data if one.name in ("delay", "if_else")]
    kept = mine.operation.blocks[0].data[0].operation if inside else mine.operation
    assert (kept.duration, kept.unit) == (length, unit), "the user's own circuit is as it was"


@pytest.mark.parametrize("unit", ["us", "ns", "dt"])
def test_a_delay_bound_late_keeps_its_unit(fixed, worker, unit):
    backend, daemon, _ = fixed
    length = Parameter("t")
    table = np.array([0.0, 7.0, 0.57 * 1600]) * UNITS[unit]  # 0.57 * 1600 is 911.9999999999999
    _, request, parts = sent(backend, daemon, waiting(2 * length, unit), parameter_binds={length: table})
    (chunk,) = worker.compile(request, parts)
    none, *others = waits(chunk)
    assert [one - none for one in others] == [14, 1824]
    _, request, parts = sent(backend, daemon, waiting(length, unit, inside=True), parameter_binds={length: table})
    (chunk,) = worker.compile(request, parts)
    for program, dt in zip(chunk.programs, (0, 7, 912), strict=True):
        assert program.blocks[1].branch is not None
        assert 0 <= program.blocks[1].duration - dt < 32, "a block ends on the grid of all ports"
    with pytest.raises(UnsupportedCircuitError, match=r"no clock counts; got 1e.23 dt"):
        backend.run(waiting(length, unit), parameter_binds={length: [1e23 * UNITS[unit]]})


@pytest.mark.parametrize("late", [False, True])
def test_a_delay_with_the_parameter_of_a_loop_travels(fixed, worker, late):
    backend, daemon, _ = fixed
    turn, one = Parameter("k"), Parameter("t")
    circuit = QuantumCircuit(1, 1, name="loops")
    with circuit.for_loop((1, 2), None), circuit.for_loop((1, 2, 3), turn):
        circuit.delay(turn * one if late else turn, 0, unit="us")
    circuit.measure(0, 0)
    job, request, parts = sent(backend, daemon, circuit, parameter_binds={one: [1.0, 2.0]} if late else None)
    found = [program.duration for chunk in worker.compile(request, parts) for program in chunk.programs]
    assert found == [12_000 + 1200, 24_000 + 1200][: 1 + late]
    assert [schedule.duration for schedule in job.schedules()] == found
    if late:
        with pytest.raises(UnsupportedCircuitError, match=r"circuit 0 'loops', instruction 0.*delay.*got 0.5 dt"):
            backend.run(circuit, parameter_binds={one: [1.0, 0.0005]})


def test_a_reset_at_the_start_is_played_unless_the_wait_between_shots_resets(fixed, worker):
    backend, daemon, _ = fixed
    circuit = QuantumCircuit(1, 1)
    circuit.reset(0)
    circuit.measure(0, 0)
    wait = round(backend.device.limits.rep_delay * 1e9)
    for options, dt in (
        ({}, 0), ({"rep_delay": 1e-5}, wait), ({"rep_delay": 1e-5, "init_qubits": True}, 0), ({"rep_delay": 2e-3}, 0),
    ):  # fmt: skip
        job, request, parts = sent(backend, daemon, circuit, **options)
        (chunk,) = worker.compile(request, parts)
        assert chunk.programs[0].duration == dt + 1200, options
        assert job.schedules()[0].duration == dt + 1200, options


def look(qubit: int, slot: int) -> Schedule:
    """A pulse gate that reads a qubit into a memory slot."""
    read = Acquire(1200, AcquireChannel(qubit), MemorySlot(slot))
    return Schedule((0, Play(Constant(1200, 0.1), MeasureChannel(qubit))), (0, read), name="look")


def test_a_pulse_gate_that_acquires_measures(fixed, worker):
    backend, daemon, _ = fixed
    circuit = QuantumCircuit(2, 2, name="looks")
    circuit.append(Gate("look", 1, []), [0])
    for decided in (False, True):
        if decided:
            with circuit.if_test((circuit.clbits[1], 1)):
                circuit.x(1)
        _, request, parts = sent(backend, daemon, circuit, calibrations={("look", (0,)): look(0, 1)})
        (chunk,) = worker.compile(request, parts)
        blocks = chunk.programs[0].blocks
        assert [block.branch and block.branch.literals for block in blocks] == [None, ((1, 1),)][: 1 + decided]
        assert [block.acquisitions for block in blocks] == [(0, 1), (1, 1)][: 1 + decided]
    with pytest.raises(UnsupportedCircuitError, match="circuit 0 'looks', instruction 1: an if_test on a bit that"):
        backend.run(circuit, calibrations={("look", (0,)): look(0, 0)})


@pytest.mark.parametrize(
    ("pulses", "value"),
    [(look(1, 1), "Acquire"), (Schedule((0, SetFrequency(5e9, DriveChannel(1)))), "SetFrequency")],
)
def test_a_pulse_gate_that_does_too_much_on_a_measured_bit_is_refused_by_run(fixed, pulses, value):
    backend, daemon, _ = fixed
    circuit = QuantumCircuit(2, 2, name="acts")
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.append(Gate("act", 1, []), [1])
    daemon.received.clear()
    with pytest.raises(UnsupportedCircuitError, match=rf"circuit 0 'acts', instruction 1: a pulse gate.*got {value}"):
        backend.run(circuit, calibrations={("act", (1,)): pulses})
    assert daemon.received == []


def test_registers_that_the_rack_has_not_are_refused(fixed):
    backend, _, compiler = fixed
    for slots in ((None, RegisterSlot(1)), (MemorySlot(0), RegisterSlot(1))):
        read = Acquire(1200, AcquireChannel(0), *slots)
        schedule = Schedule((0, Play(Constant(1200, 0.1), MeasureChannel(0))), (0, read), name="registers")
        with pytest.raises(UnsupportedCircuitError, match=r"schedule 0 'registers'.*no registers.*RegisterSlot\(1\)"):
            backend.run(schedule)
        with pytest.raises(PulsedError, match=r"no registers.*RegisterSlot\(1\); legal: a MemorySlot"):
            compiler.compile([schedule], RunOptions(shots=10))


def test_which_of_several_pulse_gates_a_late_angle_asks_for(fixed, worker):
    backend, daemon, compiler = fixed
    angle = Parameter("a")
    circuit = QuantumCircuit(1, 1, name="turns")
    circuit.rz(angle, 0)
    circuit.sx(0)
    circuit.measure(0, 0)
    pulses = {("rz", (0,), (0.5,)): own_pulse(0)}
    _, request, parts = sent(backend, daemon, circuit, parameter_binds={angle: [0.4, 0.5]}, calibrations=pulses)
    found = [one for chunk in worker.compile(request, parts) for one in parted(chunk)]
    plain = [circuit.assign_parameters([value]) for value in (0.4, 0.5)]
    wanted = [compiler.compile([item], request.options, pulses) for item in plain]
    assert [len(one[0]) for one in found] == [2, 4]
    assert found == [one for (chunk,) in wanted for one in parted(chunk)]


@pytest.mark.parametrize(
    ("length", "unit", "says"),
    [
        (0.1, "ns", "got 0.1 ns = 0.1 dt; legal: 0 or a multiple of dt = 1e-09 s"),
        (float("nan"), "us", "not a finite number.*nan us"),
        (1e14, "s", "no clock counts; got 1.* s = 1e.23 dt; legal: at most 9007199254740992 dt"),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_a_delay_that_does_not_convert_is_refused_by_name(fixed, length, unit, says, inside):
    backend, daemon, _ = fixed
    bad, good = QuantumCircuit(1, 1, name="bad"), waiting(1.0, "us")
    delay = Delay(1, unit)
    delay.duration = length
    if inside:
        bad.measure(0, 0)
        body = QuantumCircuit(1, 1)
        body.append(delay, [0])
        bad.append(IfElseOp((bad.clbits[0], 1), body), [0], [0])
    else:
        bad.x(0)
        bad.append(delay, [0])
    bad.measure(0, 0)
    daemon.received.clear()
    with pytest.raises(UnsupportedCircuitError, match=says) as caught:
        backend.run([good, bad, good])
    assert caught.value.subject.startswith("circuit 1 'bad', instruction 1")
    assert "delay" in caught.value.subject
    assert daemon.received == []


def test_every_circuit_that_is_refused_is_named(fixed):
    backend, _, _ = fixed
    h = QuantumCircuit(1, 1, name="with h")
    h.h(0)
    h.measure(0, 0)
    none = QuantumCircuit(1, name="no bits")
    with pytest.raises(UnsupportedCircuitError, match="refused are also circuit 3 'no bits'") as caught:
        backend.run([waiting(1.0, "us"), h, waiting(1.0, "us"), none])
    assert caught.value.subject == "circuit 1 'with h', instruction 0"


def test_stretches_and_variables_are_refused_by_name(fixed):
    backend, _, _ = fixed
    circuit = QuantumCircuit(1, 1, name="counting")
    circuit.add_var("n", False)
    circuit.measure(0, 0)
    with pytest.raises(UnsupportedCircuitError, match=r"'counting', instruction 0: the rack has no .*got n"):
        backend.run(circuit)
    circuit = QuantumCircuit(1, 2, name="storing")
    circuit.measure(0, 0)
    circuit.store(circuit.clbits[1], circuit.clbits[0])
    with pytest.raises(UnsupportedCircuitError, match=r"'storing', instruction 1: the rack has no .*got store"):
        backend.run(circuit)
    if hasattr(circuit, "add_stretch"):  # not in Qiskit 1.4
        circuit = QuantumCircuit(1, 1, name="elastic")
        circuit.delay(circuit.add_stretch("gap"), 0)
        circuit.measure(0, 0)
        named = r"circuit 0 'elastic', instruction 0: a stretch has no length.*got gap"
        with pytest.raises(UnsupportedCircuitError, match=named):
            backend.run(circuit)
        circuit = QuantumCircuit(1, 1, name="inside")
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.delay(circuit.add_stretch("gap"), 0)
        with pytest.raises(UnsupportedCircuitError, match=r"'inside', instruction 1 \(if_else.*such as a stretch"):
            backend.run(circuit)


@pytest.mark.parametrize("key", [(1, "a"), np.int64(3), np.float32(0.5), frozenset({1}), b"raw", None, 4, True])
def test_metadata_of_any_keys_goes_and_comes_back(fixed, worker, key):
    backend, daemon, _ = fixed
    circuit = waiting(1.0, "us")
    circuit.metadata = {key: [{key: np.arange(2)}, (1, 2)], "z": 1j}
    daemon.hold = False
    job = backend.run(circuit)
    kept = circuit.metadata
    circuit.metadata = {}
    assert repr(job.result().results[0].header["metadata"]) == repr(kept)
    request, parts = daemon.received[-1]
    (chunk,) = worker.compile(request, parts)
    assert b'"z": "1j"' in chunk.programs[0].metadata
    assert backend.preview(circuit)


# Unbound parameters of pulse programs


def late_programs() -> dict[str, Any]:
    """Programs with two parameters, ``a`` near 0.1 and ``n`` a whole number, by what is late in them."""
    a, n = Parameter("a"), Parameter("n")
    line, read = DriveChannel(0), Acquire(1200, AcquireChannel(0), MemorySlot(0))
    stimulus = Play(Constant(1200, 0.1), MeasureChannel(0))
    linear = Schedule(
        (0, ShiftPhase(2 * a + n, line)), (0, SetFrequency(4.9e9 + 1e6 * a, line)),
        (0, Play(Gaussian(40, a / 2, 10, angle=n * 0.1), line)), (40, stimulus), (40, read), name="linear",
    )  # fmt: skip
    shape = Schedule((0, Play(Drag(40, 0.2, 8 + a, beta=n), line)), (40, stimulus), (40, read), name="shape")
    block = ScheduleBlock(name="block", alignment_context=AlignSequential())
    block.append(Play(Gaussian(4 * n, a, 2 * n), line))
    block.append(Wait(16 * n, line))
    inner = ScheduleBlock(alignment_context=AlignEquispaced(100 * n))
    inner.append(Play(Constant(16, a), line))
    inner.append(ShiftPhase((a * n).sin() - abs(-a) ** 2, line))
    block.append(inner)
    both = ScheduleBlock()
    both.append(stimulus)
    both.append(read)
    block.append(both)
    return {"linear": linear, "shape": shape, "block": block}


@pytest.mark.parametrize("name", ["linear", "shape", "block"])
def test_late_values_of_pulse_programs_are_those_of_assigned_ones(fixed, worker, name):
    backend, daemon, compiler = fixed
    program = late_programs()[name]
    table = {"a": np.array([0.1, 0.25, 0.15]), "n": np.array([4, 8, 16])}
    job, request, parts = sent(backend, daemon, [waiting(1.0, "us"), program], parameter_binds=[{}, table])
    assert request.num_programs == 4
    found = [bound for chunk in worker.compile(request, parts) for bound in parted(chunk)]
    rows = [
        dict(zip(table, row, strict=True)) for row in zip(*(column.tolist() for column in table.values()), strict=True)
    ]
    assigned = [program.assign_parameters(row, inplace=False) for row in rows]
    wanted = [
        bound for one in assigned for chunk in compiler.compile([one], request.options) for bound in parted(chunk)
    ]
    for mine, theirs in zip(found[1:], wanted, strict=True):
        assert [event[:3] for event in mine[0]] == [event[:3] for event in theirs[0]]
        np.testing.assert_allclose([e[3:] for e in mine[0]], [e[3:] for e in theirs[0]], atol=1e-9)
        assert mine[1:] == theirs[1:]
    shown = job.schedules()
    assert shown[1:] == [block_to_schedule(one) if isinstance(one, ScheduleBlock) else one for one in assigned]


def parted(chunk: Chunk) -> list[Any]:
    """Return what :func:`played` does, for each result of a chunk."""
    whole = chunk.unrolled()
    return [played(Chunk(msgspec.structs.replace(whole.head, programs=(one,)), whole.parts)) for one in whole.programs]


def test_late_values_that_a_schedule_does_not_take_are_refused(fixed):
    backend, daemon, _ = fixed
    daemon.received.clear()
    programs = late_programs()
    with pytest.raises(UnsupportedCircuitError, match=r"schedule 0 'linear': parameters without a value.*got a, n"):
        backend.run(programs["linear"])
    with pytest.raises(
        UnsupportedCircuitError, match=r"schedule 0 'linear': values of unbound parameters.*a = 7, n = 4"
    ) as refused:
        backend.run(programs["linear"], parameter_binds={"a": [0.1, 7.0, 0.2], "n": [4, 4, 4]})
    assert str(refused.value).count("; got ") == str(refused.value).count("; legal: ") == 1, "it is one message"
    with pytest.raises(UnsupportedCircuitError, match=r"schedule 0 'block': values of unbound parameters.*n = 4.6"):
        backend.run(programs["block"], parameter_binds={"a": [0.1], "n": [4.6]})
    own = SymbolicPulse("Own", 40, {"amp": Parameter("a")}, envelope=lambda t, duration, amp: amp + 0 * t)
    odd = Schedule((0, Play(own, DriveChannel(0))), (0, Acquire(1200, AcquireChannel(0), MemorySlot(0))), name="odd")
    with pytest.raises(PulsedError, match="no value"):
        backend.run(odd, parameter_binds={"a": [0.1]})
    assert daemon.received == []
