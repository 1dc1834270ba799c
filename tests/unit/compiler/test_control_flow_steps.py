"""Conditions and bodies: what is played for every value of the bits is what the program says."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter
from qiskit.circuit.classical import expr, types

from pulsed.compiler.conditions import ConditionError, both, question
from pulsed.compiler.control_flow import split
from pulsed.compiler.control_flow_checks import check_control_flow
from pulsed.compiler.control_flow_steps import flow
from pulsed.compiler.program import Branch
from pulsed.model.errors import CircuitError
from pulsed.model.job import RunOptions
from pulsed.pulse.channels import AcquireChannel, MeasureChannel, MemorySlot
from pulsed.pulse.instructions import Acquire, Play
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule

DT = Fraction(1, 10**9)

BITS = 3


def _holds(literals, value):
    return all((value >> slot) & 1 == wanted for slot, wanted in literals)


def played(circuit, steps, value):
    """Return name and qubit of what is played of some steps when the bits have ``value``."""
    return [
        (step.instruction.name, circuit.find_bit(step.instruction.qubits[0]).index)
        for step in steps
        if _holds(step.literals, value) and step.instruction.name not in ("measure", "barrier")
    ]


@st.composite
def decisions(draw, circuit):
    """Return a condition of Qiskit, and the same as a function of the value of the register."""
    register = circuit.cregs[0]
    kind = draw(st.sampled_from(["bit", "register", "expression", "comparison"]))
    bit, value = draw(st.integers(0, BITS - 1)), draw(st.integers(0, 2**BITS - 1))
    if kind == "bit":
        return (register[bit], value % 2), lambda v: (v >> bit) & 1 == value % 2
    if kind == "register":
        return (register, value), lambda v: v == value
    if kind == "comparison":
        made, meant = draw(
            st.sampled_from(
                [
                    (expr.less, lambda v, w: v < w), (expr.greater_equal, lambda v, w: v >= w),
                    (expr.not_equal, lambda v, w: v != w), (lambda r, w: expr.cast(expr.bit_and(r, w), types.Bool()),
                                                            lambda v, w: v & w != 0),
                ]
            )
        )  # fmt: skip
        return made(register, value), lambda v: meant(v, value)
    other = draw(st.integers(0, BITS - 1))
    node = expr.logic_or(expr.logic_not(register[bit]), expr.bit_xor(register[bit], register[other]))
    return node, lambda v: not (v >> bit) & 1 or ((v >> bit) ^ (v >> other)) & 1


@st.composite
def programs(draw):
    """Return a circuit with nested control flow after a measurement of three bits, and a function: value → gates."""
    circuit = QuantumCircuit(BITS, BITS)
    circuit.measure(range(BITS), range(BITS))

    def gate():
        name, qubit = draw(st.sampled_from(["x", "sx"])), draw(st.integers(0, BITS - 1))
        getattr(circuit, name)(qubit)
        return lambda v: [(name, qubit)]

    def body(depth):
        parts = [block(depth - 1) for _ in range(draw(st.integers(1, 2)))]
        return lambda v: [item for part in parts for item in part(v)]

    def block(depth):
        kind = draw(st.sampled_from(["gate", "if", "else", "switch", "for"])) if depth else "gate"
        if kind == "gate":
            return gate()
        if kind == "for":
            count = draw(st.integers(0, 3))
            with circuit.for_loop(range(count)):
                inner = body(depth)
            return lambda v: inner(v) * count
        if kind == "switch":
            labels = draw(st.lists(st.integers(0, 2**BITS - 1), min_size=2, max_size=4, unique=True))
            with circuit.switch(circuit.cregs[0]) as case:
                with case(*labels[:-1]):
                    first = body(depth)
                with case(labels[-1]):
                    second = body(depth)
                with case(case.DEFAULT):
                    third = body(depth)
            return lambda v: first(v) if v in labels[:-1] else second(v) if v == labels[-1] else third(v)
        condition, meant = draw(decisions(circuit))
        with circuit.if_test(condition) as otherwise:
            yes = body(depth)
        if kind == "if":
            return lambda v: yes(v) if meant(v) else []
        with otherwise:
            no = body(depth)
        return lambda v: yes(v) if meant(v) else no(v)

    parts = [block(3) for _ in range(draw(st.integers(1, 3)))]
    return circuit, lambda v: [item for part in parts for item in part(v)]


@given(program=programs())
@settings(deadline=None, max_examples=100)
def test_what_is_played_for_every_value_of_the_bits_is_what_was_written(program):
    circuit, meant = program
    steps = flow(circuit, DT).steps
    for value in range(2**BITS):
        assert played(circuit, steps, value) == meant(value)


@given(yes=st.sets(st.integers(0, 15)), answer=st.booleans())
@settings(deadline=None)
def test_the_cases_of_a_question_exclude_each_other_and_leave_nothing_out(yes, answer):
    circuit = QuantumCircuit(0, 4)
    slots = {bit: i for i, bit in enumerate(circuit.clbits)}
    node = expr.lift(False)
    for value in yes:
        node = expr.logic_or(node, expr.equal(circuit.cregs[0], value))
    cases = question(node, slots).cases(answer)
    for value in range(16):
        assert sum(_holds(case, value) for case in cases) == ((value in yes) == answer)


def test_few_cases_for_few_values_and_none_for_what_cannot_be():
    circuit = QuantumCircuit(0, 40)
    slots = {bit: i for i, bit in enumerate(circuit.clbits)}
    asked = question((circuit.cregs[0], 5), slots)
    assert asked.cases() == [tuple((i, (5 >> i) & 1) for i in range(40))]
    assert len(asked.cases(False)) == 40
    assert question((circuit.cregs[0], 1 << 40), slots).cases() == []
    assert both(((0, 1),), ((0, 0),)) is None
    with pytest.raises(ConditionError) as caught:
        question(expr.equal(circuit.cregs[0], 5), slots)
    assert "10 bits" in caught.value.legal


def test_a_nested_if_waits_for_both_bits(compiler):
    circuit = QuantumCircuit(5, 2)
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test((circuit.clbits[0], 1)) as otherwise:
        circuit.x(2)
        with circuit.if_test((circuit.clbits[1], 0)):
            circuit.x(3)
    with otherwise, circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(4)
    (chunk,) = compiler.compile([circuit], RunOptions(shots=10))
    assert [block.branch for block in chunk.programs[0].blocks] == [None, Branch(0, 1), Branch(0, 1, ((1, 0),))]
    assert len(chunk.encode()) > 1
    assert type(chunk).decode(chunk.encode()).programs == chunk.programs


def test_a_register_of_which_one_bit_comes_later_is_waited_for(compiler):
    circuit = QuantumCircuit(5, 2)
    circuit.measure(0, 0)
    circuit.barrier()
    circuit.delay(3000, 1, "dt")
    circuit.measure(1, 1)
    with circuit.if_test((circuit.cregs[0], 3)):
        circuit.x(2)
    (chunk,) = compiler.compile([circuit], RunOptions(shots=10))
    first, second = chunk.programs[0].blocks
    assert second.branch == Branch(0, 1, ((1, 1),))
    assert first.duration == 800 + 3000 + 800 + 60 + 400


def test_a_loop_is_written_down_pass_by_pass(compiler):
    angle = Parameter("a")
    circuit = QuantumCircuit(5, 1)
    with circuit.for_loop((1, 2, 3), angle):
        circuit.rz(angle, 0)
        circuit.x(0)
        circuit.measure(0, 0)
    plain = QuantumCircuit(5, 1)
    for turn in (1, 2, 3):
        plain.rz(turn, 0)
        plain.x(0)
        plain.measure(0, 0)
    found, expected = (compiler.compile([c], RunOptions(shots=10))[0] for c in (circuit, plain))
    for name in ("events", "acquisitions"):
        one, other = (c.array(getattr(c.programs[0], name)) for c in (found, expected))
        for field in one.dtype.names:
            np.testing.assert_allclose(one[field], other[field], atol=1e-9)
    assert compiler.schedule(circuit) == compiler.schedule(plain)


def while_it_is_one(circuit):
    with circuit.for_loop(range(3)), circuit.while_loop((circuit.clbits[0], 1)):
        circuit.x(0)


def endless(circuit):
    with circuit.for_loop(range(10**9)):
        circuit.x(0)


def wide(circuit):
    with circuit.if_test(expr.less(circuit.cregs[0], 5)):
        circuit.x(0)


@pytest.mark.parametrize(
    ("change", "value", "legal"),
    [(while_it_is_one, "while_loop", "for_loop"), (endless, "for_loop", "65536"), (wide, "12 bits", "10 bits")],
)
def test_what_is_refused_is_refused_before_it_is_queued(compiler, device, change, value, legal):
    circuit = QuantumCircuit(5, 12, name="refused")
    circuit.measure([0] * 12, range(12))
    change(circuit)
    for refuse in (lambda: check_control_flow(circuit, device), lambda: compiler.compile([circuit], RunOptions())):
        with pytest.raises(CircuitError) as caught:
            refuse()
        assert caught.value.subject == "circuit refused, instruction 12"
        assert (caught.value.value, legal in caught.value.legal) == (value, True)


def wires(circuit, found):
    """Return per qubit and bit what touches it, in order: reads of a bit between two writes have no order."""
    touched = {wire: [] for wire in (*circuit.qubits, *circuit.clbits)}
    for literals, instruction, *_ in found:
        item = (literals, instruction.name, instruction.qubits, instruction.clbits)
        for wire in (*instruction.qubits, *instruction.clbits):
            touched[wire].append(("writes", item))
        for slot, _ in literals:
            reads = touched[circuit.clbits[slot]]
            if not reads or isinstance(reads[-1], tuple):
                reads.append([])
            reads[-1].append(item)
    return {
        wire: [sorted(map(repr, x)) if isinstance(x, list) else x for x in items] for wire, items in touched.items()
    }


@st.composite
def measured_again(draw):
    """Return a circuit that measures and decides in turn, some bits several times."""
    circuit = QuantumCircuit(4, 3)
    circuit.measure([0, 1, 2], [0, 1, 2])
    for _ in range(draw(st.integers(1, 12))):
        kind, qubit, bit = (
            draw(st.sampled_from(["x", "measure", "if", "two"])),
            draw(st.integers(0, 3)),
            draw(st.integers(0, 2)),
        )
        if kind == "x":
            circuit.x(qubit)
        elif kind == "measure":
            circuit.measure(qubit, bit)
        else:
            condition = (circuit.clbits[bit], 1) if kind == "if" else (circuit.cregs[0], draw(st.integers(0, 7)))
            with circuit.if_test(condition):
                circuit.x(qubit)
    return circuit


@given(circuit=measured_again())
@settings(deadline=None, max_examples=60)
def test_parts_keep_the_order_on_every_qubit_and_every_bit(circuit):
    parts = split(flow(circuit, DT))
    found = [(() if p.branch is None else p.branch.literals, item) for p in parts for item in p.circuit.data]
    assert wires(circuit, found) == wires(circuit, flow(circuit, DT).steps)


def _reading(qubit, slot):
    """Return a pulse gate that reads a qubit into a memory slot that only the pulse gate names."""
    return Schedule(
        (0, Play(Constant(800, 0.1), MeasureChannel(qubit))), (0, Acquire(800, AcquireChannel(qubit), MemorySlot(slot)))
    )


def acquired(chunk):
    """Return (block, qubit) of what is acquired into bit 0, in the order of time."""
    (program,) = chunk.programs
    rows = chunk.array(program.acquisitions)
    found = [
        (number, int(row["qubit"]))
        for number, block in enumerate(program.blocks)
        for row in np.sort(rows[slice(*block.acquisitions)], order="time")
        if row["memory_slot"] == 0
    ]
    return found, [block.branch for block in program.blocks]


def test_a_decision_after_a_pulse_gate_that_reads_waits_for_what_it_read(compiler):
    circuit = QuantumCircuit(3, 1)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    circuit.append(Gate("look", 1, []), [0])
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    (chunk,) = compiler.compile([circuit], RunOptions(shots=10), {("look", (0,), ()): _reading(0, 0)})
    assert acquired(chunk) == ([(0, 0), (2, 0)], [None, Branch(0, 1), None, Branch(0, 1)])


def test_a_measurement_after_a_pulse_gate_that_reads_into_its_bit_is_the_later_one(compiler):
    circuit = QuantumCircuit(3, 2)
    circuit.measure(2, 1)
    with circuit.if_test((circuit.clbits[1], 1)):
        circuit.x(0)
    circuit.append(Gate("look", 1, []), [0])
    circuit.measure(1, 0)
    (chunk,) = compiler.compile([circuit], RunOptions(shots=10), {("look", (0,), ()): _reading(0, 0)})
    assert acquired(chunk)[0] == [(2, 0), (2, 1)]


def test_a_delay_of_a_loop_is_a_whole_number_of_dt_in_each_pass(compiler, device):
    length, late = Parameter("k"), Parameter("t")
    circuit = QuantumCircuit(5, 1, name="waits")
    with circuit.for_loop((1, 2, 3), length):
        circuit.delay(length * late, 0, "us")
    circuit.measure(0, 0)
    # 3 * 0.57 * 1000 is 1709.9999999999998: a rounding error away from a whole number
    (chunk,) = compiler.sweep(circuit, {late: [0.57, 1.0]}, RunOptions(shots=10))
    assert [program.duration - 800 for program in chunk.programs] == [3420, 6000]
    odd = circuit.assign_parameters({late: 0.0005})
    for refuse in (lambda: check_control_flow(odd, device), lambda: compiler.compile([odd], RunOptions())):
        with pytest.raises(CircuitError, match=r"circuit waits.*, instruction 0 \(for_loop\).*delay.*got 0.5 dt"):
            refuse()
