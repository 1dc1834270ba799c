"""Placement: laws that hold for every circuit, and cases done by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Measure, Parameter

from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.circuits import walk
from pulsed.compiler.compile import Compiler
from pulsed.compiler.operations import BARRIER, DELAY, GATE, MEASURE, RESET, VIRTUAL
from pulsed.compiler.scheduling import schedule_operations
from pulsed.model.errors import CircuitError
from pulsed.pulse import Acquire, AcquireChannel, Constant, MeasureChannel, MemorySlot, Play, Schedule

ECR = [(0, 1), (2, 1), (2, 3), (4, 3)]


@st.composite
def circuits(draw, measures=True):
    circuit = QuantumCircuit(5, 5)
    kinds = ["x", "sx", "rz", "ecr", "delay", "barrier", "reset"] + (["measure"] if measures else [])
    for _ in range(draw(st.integers(1, 25))):
        kind = draw(st.sampled_from(kinds))
        q = draw(st.integers(0, 4))
        if kind == "rz":
            circuit.rz(draw(st.floats(-7, 7)), q)
        elif kind == "ecr":
            circuit.ecr(*draw(st.sampled_from(ECR)))
        elif kind == "delay":
            circuit.delay(draw(st.integers(0, 3000)), q, "dt")
        elif kind == "barrier":
            circuit.barrier(draw(st.lists(st.integers(0, 4), min_size=1, max_size=5, unique=True)))
        elif kind == "measure":
            circuit.measure(q, draw(st.integers(0, 4)))
        else:
            getattr(circuit, kind)(q)
    return circuit


def timed(compiler, circuit, method="alap", gates=None):
    setup, table = compiler._for(_options())
    templates = setup.templates.with_gates(gates or {}, table).for_circuit(circuit, table)
    operations = walk(circuit, templates, compiler.device, templates.own)
    return schedule_operations(operations, templates, compiler.device, method)


def _options():
    from pulsed.model.job import RunOptions

    return RunOptions()


def spans(result):
    operations = result.operations
    for i, code in enumerate(operations.code.tolist()):
        start = int(result.starts[i])
        yield operations.kind[code], list(operations.qubits[code]), start, start + int(result.lengths[i])


def kinds(result):
    return [kind for kind, *_ in spans(result)]


@given(circuit=circuits(), method=st.sampled_from(["alap", "asap"]), grids=st.sampled_from([(1, 4), (8, 16), (8, 4)]))
@settings(deadline=None, max_examples=150)
def test_order_grid_and_windows_hold_for_every_circuit(compilers, circuit, method, grids):
    """On each qubit and each classical bit what is placed has the order of the program."""
    compiler = compilers[grids]
    result = timed(compiler, circuit, method)
    timing = compiler.device.timing
    last, written = [0] * 5, [0] * 5
    windows = []
    slots = result.operations.value
    for (kind, qubits, start, stop), slot in zip(spans(result), slots.tolist(), strict=True):
        assert 0 <= start <= stop <= result.duration
        for q in qubits:
            assert start >= last[q], "the order on a qubit is kept"
        for q in qubits:
            last[q] = stop
        if kind == GATE and stop > start:
            assert start % timing.pulse_alignment == 0
        if kind == MEASURE:
            assert start % timing.acquire_alignment == start % timing.pulse_alignment == 0
            assert start >= written[int(slot)], "the order on a bit is kept"
            written[int(slot)] = stop
            windows.append((start, stop))
    for a in windows:
        for b in windows:
            assert a == b or a[1] <= b[0] or b[1] <= a[0], "windows coincide or are apart"


@given(circuit=circuits(), method=st.sampled_from(["alap", "asap"]))
@settings(deadline=None, max_examples=40)
def test_what_is_shown_has_no_overlap_and_lowers_to_what_is_played(session_compiler, circuit, method):
    """The Schedule of every circuit can be made, on memory slots too, and played it brings the same bits back."""
    circuit.measure(0, 0)
    schedule = session_compiler.schedule(circuit, method=method)
    (chunk,) = session_compiler.compile([schedule], _options())
    acquired = chunk.array(chunk.programs[0].acquisitions)
    measured = [(item.qubits[0]._index, item.clbits[0]._index) for item in circuit.data if item.name == "measure"]
    for slot in range(5):
        of_program = [q for q, c in measured if c == slot]
        assert acquired["qubit"][acquired["memory_slot"] == slot].tolist() == of_program


def test_two_measurements_into_one_bit_are_made_in_the_order_of_the_program(compiler):
    """The first one is not left for later, though nothing else holds it back."""
    circuit = QuantumCircuit(2, 1)
    circuit.measure(1, 0)
    circuit.x(0)
    circuit.measure(0, 0)
    circuit.delay(5000, 0, "dt")
    for method in ("alap", "asap"):
        result = timed(compiler, circuit, method)
        first, second = ([start, stop] for kind, _, start, stop in spans(result) if kind == MEASURE)
        assert first[1] <= second[0]
        assert MemorySlot(0) in compiler.schedule(circuit, method=method).channels


def own_measurement(*acquisitions, stimulus=480):
    """Return a schedule that reads qubit 0: acquisitions as (start, length, slot)."""
    acquired = [(start, Acquire(length, AcquireChannel(0), MemorySlot(slot))) for start, length, slot in acquisitions]
    return Schedule((0, Play(Constant(stimulus, 0.1), MeasureChannel(0))), *acquired)


def test_a_measurement_with_pulses_of_its_own_is_into_the_bit_of_the_circuit(compiler):
    gates = {("measure", (0,), ()): own_measurement((80, 400, 0))}
    circuit = QuantumCircuit(2, 3)
    circuit.measure(0, 2)
    circuit.x(0)
    circuit.measure(0, 1)
    circuit.measure(1, 1)
    (chunk,) = compiler.compile([circuit], _options(), gates)
    acquired = chunk.array(chunk.programs[0].acquisitions)
    assert acquired[["qubit", "memory_slot", "length"]].tolist() == [(0, 2, 400), (0, 1, 400), (1, 1, 800)]
    assert np.diff(acquired["time"]).tolist() == [480 + 32, 400]
    acquires = [i for _, i in compiler.schedule(circuit, gates).instructions if isinstance(i, Acquire)]
    assert [(a.channel.index, a.mem_slot.index) for a in acquires] == [(0, 2), (0, 1), (1, 1)]


@pytest.mark.parametrize(
    ("name", "acquisitions", "match"),
    [
        ("measure", [], "acquires once"),
        ("measure", [(0, 400, 0), (400, 80, 1)], "acquires once"),
        ("look", [(0, 400, 0), (400, 80, 3)], r"MemorySlot\(3\); legal: MemorySlot\(0\) to MemorySlot\(2\)"),
    ],
)
def test_a_pulse_gate_that_brings_nothing_back_is_refused(compiler, name, acquisitions, match):
    circuit = QuantumCircuit(2, 3, name="own")
    circuit.measure(1, 1)
    circuit.append(Measure() if name == "measure" else Gate(name, 1, []), [0], [0] if name == "measure" else [])
    with pytest.raises(CircuitError, match=match) as caught:
        compiler.compile([circuit], _options(), {(name, (0,), ()): own_measurement(*acquisitions)})
    assert caught.value.subject == f"circuit own, {name} on 0"


@pytest.mark.parametrize("method", ["alap", "asap"])
def test_a_gate_that_acquires_keeps_to_windows_and_to_its_bits(compiler, method):
    """Its acquisition of 400 dt cannot share the window of 800 of the other qubit, and writes bit 0 in its turn."""
    gates = {("look", (0,), ()): own_measurement((40, 400, 0))}
    circuit = QuantumCircuit(2, 1)
    circuit.append(Gate("look", 1, []), [0])
    circuit.measure(1, 0)
    circuit.append(Gate("look", 1, []), [0])
    result = timed(compiler, circuit, method, gates)
    times = [(start, stop) for _, _, start, stop in spans(result)]
    assert [a[1] <= b[0] for a, b in pairwise(times)] == [True, True]


@pytest.mark.parametrize("method", ["alap", "asap"])
@pytest.mark.parametrize(
    ("opens", "length", "stimulus"), [(80, 800, 880), (80, 800, 920), (0, 400, 480), (0, 400, 400)]
)
def test_windows_are_told_by_when_they_open_and_by_their_length(compiler, method, opens, length, stimulus):
    """One of them opens within its operation, or is half as long as the other qubit's."""
    gates = {("measure", (0,), ()): own_measurement((opens, length, 0), stimulus=stimulus)}
    circuit = QuantumCircuit(2, 2)
    circuit.measure([1, 0], [1, 0])
    found = [
        (start, start + instruction.duration)
        for start, instruction in compiler.schedule(circuit, gates, method=method).instructions
        if isinstance(instruction, Acquire)
    ]
    assert len(found) == 2
    first, second = found
    assert first == second or first[1] <= second[0], "windows coincide or are apart"


@given(circuit=circuits(measures=False))
@settings(deadline=None, max_examples=60)
def test_alap_of_the_reversed_circuit_is_asap_mirrored(session_compiler, circuit):
    circuit.data = [item for item in circuit.data if item.operation.name != "reset"]
    backward = timed(session_compiler, circuit, "alap")
    mirrored = circuit.copy_empty_like()
    mirrored.data = list(reversed(circuit.data))
    forward = timed(session_compiler, mirrored, "asap")
    there = [(kind, qubits, backward.duration - stop) for kind, qubits, _, stop in spans(backward)]
    here = [(kind, qubits, start) for kind, qubits, start, _ in spans(forward)]
    assert there == list(reversed(here))


@pytest.fixture(scope="module")
def compilers(device, calibration):
    """By alignment of pulses and acquisitions, dt."""

    def on_grid(pulse, acquire):
        timing = device.timing.model_copy(update={"pulse_alignment": pulse, "acquire_alignment": acquire})
        return Compiler(device.model_copy(update={"timing": timing}), calibration)

    return {grids: on_grid(*grids) for grids in [(1, 4), (8, 16), (8, 4)]}


def test_a_bell_circuit_by_hand(compiler):
    circuit = QuantumCircuit(2, 2)
    circuit.sx(0)
    circuit.ecr(0, 1)
    circuit.x(1)
    circuit.measure([0, 1], [0, 1])
    result = timed(compiler, circuit)
    # sx 32, ecr 400 + 32 + 400, x 32, measure 800: the sum, 1696, is a multiple of four already.
    assert [(kind, start) for kind, _, start, _ in spans(result)] == [
        (GATE, 0), (GATE, 32), (GATE, 864), (MEASURE, 896), (MEASURE, 896),
    ]  # fmt: skip
    assert result.duration == 1696


def test_asap_starts_what_alap_leaves_for_last(compiler):
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.delay(1000, 1, "dt")
    circuit.measure([0, 1], [0, 1])
    late, soon = (compiler.schedule(circuit, method=method) for method in ("alap", "asap"))
    assert [s.ch_start_time(*[c for c in s.channels if c.name == "d0"]) for s in (late, soon)] == [968, 0]
    assert late.duration == soon.duration == 1800


def test_a_delay_before_the_measurement_is_exact_whatever_the_digitizers_grid(compiler):
    for delay in range(40, 48):
        circuit = QuantumCircuit(1, 1)
        circuit.x(0)
        circuit.delay(delay, 0, "dt")
        circuit.measure(0, 0)
        (_, _, x_start, x_stop), _, (_, _, m_start, _) = spans(timed(compiler, circuit))
        assert m_start - x_stop == delay
        assert m_start % 4 == 0
        assert 0 <= x_start < 4


def test_a_reset_of_a_fresh_qubit_is_no_time_and_of_a_used_one_is_the_repetition_delay(compiler):
    circuit = QuantumCircuit(1, 1)
    circuit.reset(0)
    circuit.x(0)
    circuit.reset(0)
    circuit.measure(0, 0)
    result = timed(compiler, circuit)
    assert kinds(result) == [GATE, RESET, MEASURE]
    assert result.duration == 32 + 800_000 + 800


@pytest.mark.parametrize(("length", "unit"), [(1.5e-6, "s"), (1.5, "us"), (1500, "ns"), (1500, "dt"), (1.5e6, "ps")])
def test_delays_in_every_unit(compiler, length, unit):
    circuit = QuantumCircuit(1)
    circuit.delay(length, 0, unit)
    result = timed(compiler, circuit)
    assert kinds(result) == [DELAY]
    assert result.lengths.tolist() == [1500]


def refuse(compiler, circuit, *words):
    with pytest.raises(CircuitError) as caught:
        timed(compiler, circuit)
    for word in words:
        assert word in str(caught.value)


def test_what_the_device_cannot_do_is_named(compiler):
    big = QuantumCircuit(6, name="big")
    refuse(compiler, big, "big", "6", "at most 5")
    swap = QuantumCircuit(2)
    swap.swap(0, 1)
    refuse(compiler, swap, "swap", "ecr", "measure")
    off = QuantumCircuit(5)
    off.ecr(1, 0)
    refuse(compiler, off, "ecr", "(1, 0)", "(0, 1)")
    late = QuantumCircuit(1)
    late.rz(Parameter("late_angle"), 0)
    with pytest.raises(CircuitError, match="late_angle"):
        compiler.schedule(late)
    between = QuantumCircuit(1)
    between.delay(100.4, 0, "ns")
    refuse(compiler, between, "100.4 dt", "1e-09")


def test_virtual_gates_and_barriers_take_no_time(compiler):
    circuit = QuantumCircuit(2)
    circuit.rz(0.3, 0)
    circuit.barrier()
    circuit.x(1)
    result = timed(compiler, circuit)
    assert kinds(result) == [VIRTUAL, BARRIER, GATE]
    assert result.duration == 32


def test_rz_turns_the_drive_and_every_control_channel_at_its_frequency(device, calibration):
    channel_map = ChannelMap(device, calibration)
    names = [[channel_map.lines[row].slot.channel for row in rows] for rows in channel_map.frames_of_qubit]
    assert names == [["d0"], ["d1", "u0", "u1"], ["d2"], ["d3", "u2", "u3"], ["d4"]]
    assert np.allclose(channel_map.table["intermediate"][:5], [-130e6, -219.9e6, -79.8e6, -194.7e6, -104.6e6])
