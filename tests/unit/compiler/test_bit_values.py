"""What bits are worth in circuits that measure in some shots only: as a reader of the circuit would say."""

from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import CASE_DEFAULT, Clbit

from pulsed.compiler.bit_values import BitValues, without
from pulsed.compiler.conditions import ConditionError
from pulsed.compiler.control_flow_steps import flow
from pulsed.model.errors import CircuitError

DT = Fraction(1, 10**9)
BITS = QUBITS = 3
GARBAGE = 0b1011001110101
"""What a record holds in the shots without its readout, slot by slot."""


class _LeftError(Exception):
    """A loop is left, or its pass is over."""


class Reader:
    """Reads a circuit as Qiskit describes it, for measurements that come out as told, one after the other."""

    def __init__(self, circuit, outcomes):
        self.bits, self.done, self._circuit, self._outcomes = [0] * BITS, [], circuit, iter(outcomes)
        self._read(circuit, circuit.qubits, circuit.clbits)

    def _read(self, block, qubits, clbits):
        for item in block.data:
            mine = [qubits[block.find_bit(q).index] for q in item.qubits]
            bits = [clbits[block.find_bit(c).index] for c in item.clbits]
            self._one(item.operation, mine, bits)

    def _one(self, operation, qubits, clbits):
        if operation.name in ("break_loop", "continue_loop"):
            raise _LeftError(operation.name)
        if operation.name == "for_loop":
            for _ in operation.params[0]:
                try:
                    self._read(operation.blocks[0], qubits, clbits)
                except _LeftError as left:
                    if left.args == ("break_loop",):
                        break
        elif operation.name == "if_else":
            target, wanted = operation.condition
            held = self._value(target) == int(wanted)
            for block in operation.blocks[:1] if held else operation.blocks[1:]:
                self._read(block, qubits, clbits)
        elif operation.name == "switch_case":
            value = self._value(operation.target)
            cases = operation.cases_specifier()
            block = next((body for labels, body in cases if value in labels or CASE_DEFAULT in labels), None)
            if block is not None:
                self._read(block, qubits, clbits)
        else:
            self._play(operation.name, self._circuit.find_bit(qubits[0]).index, clbits)

    def _play(self, name, qubit, clbits):
        if name in ("measure", "reset"):
            found = next(self._outcomes)
            self.done.append(("measure", qubit))
            if name == "measure":
                self.bits[self._circuit.find_bit(clbits[0]).index] = found
            elif found:
                self.done.append(("x", qubit))
        else:
            self.done.append((name, qubit))

    def _value(self, target):
        own = [target] if isinstance(target, Clbit) else list(target)
        return sum(self.bits[self._circuit.find_bit(bit).index] << place for place, bit in enumerate(own))


def played(circuit, outcomes):
    """Return what the steps of a circuit do, and its bits, for the same outcomes."""
    found = flow(circuit, DT)
    outcomes, done = iter(outcomes), []
    slots = [(GARBAGE >> k % 13) & 1 for k in range(found.circuit.num_clbits)]
    slots[:BITS] = [0] * BITS
    for literals, instruction, _ in found.steps:
        if instruction.clbits:
            (slot,) = (found.circuit.find_bit(bit).index for bit in instruction.clbits)
            slots[slot] = (GARBAGE >> slot % 13) & 1
        if not all(slots[slot] == value for slot, value in literals):
            continue
        done.append((instruction.name, circuit.find_bit(instruction.qubits[0]).index))
        if instruction.clbits:
            slots[slot] = next(outcomes)
    bits = slots[:BITS]
    for one in found.made:
        held = [slot for slot, where in one.writes if all(slots[s] == v for s, v in where)]
        bits[one.memory_slot] = slots[held[-1]] if held else 0
    return done, bits


@st.composite
def programs(draw):
    """Return a circuit that measures and resets in the bodies of decisions, and leaves loops."""
    circuit = QuantumCircuit(QUBITS, BITS)
    circuit.measure(range(BITS), range(BITS))

    def block(depth, loop, decided):
        kinds = ["x", "measure"] + ["reset"] * decided + ["break_loop", "continue_loop"] * (loop and decided)
        kinds += ["if", "if", "switch", "for"] if depth else []
        kind, qubit, bit = draw(st.sampled_from(kinds)), draw(st.integers(0, 2)), draw(st.integers(0, BITS - 1))
        if kind == "measure":
            circuit.measure(qubit, bit)
        elif kind in ("break_loop", "continue_loop"):
            getattr(circuit, kind)()
        elif kind in ("x", "reset"):
            getattr(circuit, kind)(qubit)
        elif kind == "for":
            with circuit.for_loop(range(draw(st.integers(0, 3)))):
                body(depth - 1, True, decided)
        elif kind == "switch":
            with circuit.switch(circuit.cregs[0] if draw(st.booleans()) else circuit.clbits[bit]) as case:
                with case(1):
                    body(depth - 1, loop, True)
                with case(case.DEFAULT if draw(st.booleans()) else 0):
                    body(depth - 1, loop, True)
        else:
            whole = draw(st.integers(0, 3)) == 0
            target, value = (circuit.cregs[0], draw(st.integers(0, 7))) if whole else (circuit.clbits[bit], qubit % 2)
            with circuit.if_test((target, value)) as otherwise:
                body(depth - 1, loop, True)
            if draw(st.booleans()):
                with otherwise:
                    body(depth - 1, loop, True)

    def body(depth, loop, decided):
        for _ in range(draw(st.integers(1, 2))):
            block(depth, loop, decided)

    for _ in range(draw(st.integers(1, 4))):
        block(2, False, False)
    return circuit


@given(circuit=programs(), data=st.data())
@settings(deadline=None, max_examples=100)
def test_a_circuit_does_what_is_written_whatever_it_measures(circuit, data):
    try:
        steps = flow(circuit, DT).steps
    except CircuitError as error:
        assume("too many cases" not in str(error))
        raise
    count = sum(bool(step.instruction.clbits) for step in steps)
    outcomes = data.draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
    read = Reader(circuit, outcomes)
    assert played(circuit, outcomes) == (read.done, read.bits)


def test_without_measurements_in_bodies_slots_are_bits():
    """As a rack has it: the last measurement of a bit counts, and no slot is added."""
    circuit = QuantumCircuit(3, 2)
    circuit.measure([0, 1], [0, 0])
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(2)
    circuit.measure(2, 0)
    found = flow(circuit, DT)
    assert (found.circuit.num_clbits, found.made) == (2, ())
    assert [step.instruction for step in found.steps if step.instruction.clbits] == [
        item for item in circuit.data if item.name == "measure"
    ]


def test_a_reset_in_a_body_is_a_measurement_even_where_the_condition_always_holds():
    """Bit 1 is measured in a body that is never played, so it is 0."""
    circuit = QuantumCircuit(2, 2)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 0)), circuit.if_test((circuit.clbits[0], 1)):
        circuit.measure(1, 1)
    with circuit.if_test((circuit.clbits[1], 0)):
        circuit.reset(0)
    found = flow(circuit, DT)
    assert [(step.literals, step.instruction.name) for step in found.steps[1:]] == [((), "measure"), (((2, 1),), "x")]


def test_repeat_until_success_has_few_cases():
    """A pass is played where all before it have failed: one case of as many bits."""
    circuit = QuantumCircuit(1, 1)
    with circuit.for_loop(range(100)):
        circuit.sx(0)
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 0)):
            circuit.break_loop()
    found = flow(circuit, DT)
    assert [len(step.literals) for step in found.steps] == [k for k in range(100) for _ in range(2)]
    (made,) = found.made
    assert made.memory_slot == 0
    assert [len(where) for _, where in made.writes] == list(range(100))


def test_cases_of_a_case_without_others():
    assert without((), [()]) == []
    assert without(((0, 1),), [((0, 0),)]) == [((0, 1),)]
    assert without(((0, 1),), [((0, 1), (2, 0)), ((1, 1),)]) == [((0, 1), (1, 0), (2, 1))]


def test_too_many_cases_are_refused():
    """A bit that was measured again ten times, each time on two others: only who asks for it has to know all cases."""
    bits = BitValues(2, apart=True)
    for _ in range(10):
        bits.measure(0, ((bits.record(), 1), (bits.record(), 1)))
    assert len(bits.made()[0].writes) == 10
    with pytest.raises(ConditionError) as caught:
        bits.cases(((0, 1),))
    assert (str(caught.value), "64" in caught.value.legal) == ("1023 cases", True)


@pytest.mark.parametrize("leaves", [False, True])
def test_cases_that_double_are_refused_before_they_are_many(leaves):
    """Of a bit that is measured again on two others, over and over; of a loop that is left on two bits in each pass."""
    circuit = QuantumCircuit(3, 4, name="doubles")
    circuit.measure([0, 1, 2], [0, 1, 2])
    with circuit.for_loop(range(60)):
        circuit.measure([0, 1], [0, 1])
        with circuit.if_test((circuit.clbits[0], 1)), circuit.if_test((circuit.clbits[1], 1)):
            circuit.break_loop() if leaves else circuit.measure(2, 2)
    with circuit.if_test((circuit.clbits[2], 1)):
        circuit.x(0)
    with pytest.raises(CircuitError, match=r"circuit doubles, instruction [34].*too many cases.*at most 64"):
        flow(circuit, DT)
