"""Placement: laws that hold for every circuit, and cases done by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from pulsed.compiler.circuits import walk
from pulsed.compiler.operations import BARRIER, DELAY, GATE, MEASURE, RESET, VIRTUAL
from pulsed.compiler.placement import place
from pulsed.compiler.wiring import Wiring
from pulsed.model.errors import CircuitError

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


def timed(compiler, circuit, method="alap"):
    setup, _ = compiler._for(_options())
    operations = walk(circuit, setup.templates, compiler.device, {})
    return place(operations, setup.templates, compiler.device, method)


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


@given(circuit=circuits(), method=st.sampled_from(["alap", "asap"]))
@settings(deadline=None, max_examples=150)
def test_order_grid_and_windows_hold_for_every_circuit(session_compiler, circuit, method):
    result = timed(session_compiler, circuit, method)
    timing = session_compiler.device.timing
    last = [0] * 5
    windows = []
    for kind, qubits, start, stop in spans(result):
        assert 0 <= start <= stop <= result.duration
        for q in qubits:
            assert start >= last[q], "the order on a qubit is kept"
        for q in qubits:
            last[q] = stop
        if kind == GATE and stop > start:
            assert start % timing.pulse_alignment == 0
        if kind == MEASURE:
            assert start % timing.acquire_alignment == 0
            windows.append((start, stop))
    for a in windows:
        for b in windows:
            assert a == b or a[1] <= b[0] or b[1] <= a[0], "windows coincide or are apart"


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
def session_compiler(device, calibration):
    from pulsed.compiler.compile import Compiler

    return Compiler(device, calibration)


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
    assert result.duration == 32 + 500_000 + 800


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
    wiring = Wiring(device, calibration)
    names = [[wiring.lines[row].slot.channel for row in rows] for rows in wiring.frames_of_qubit]
    assert names == [["d0"], ["d1", "u0", "u1"], ["d2"], ["d3", "u2", "u3"], ["d4"]]
    assert np.allclose(wiring.table["intermediate"][:5], [-130e6, -219.9e6, -79.8e6, -194.7e6, -104.6e6])
