"""Control flow, taken apart: loops unrolled, and of each decision the cases in which its instructions are played."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

from qiskit import QuantumCircuit
from qiskit.circuit import CASE_DEFAULT, Barrier, CircuitInstruction, Clbit, Measure, Qubit
from qiskit.circuit.library import XGate

from pulsed.compiler.bit_values import MOST_CASES, BitValues, check_measured, renamed, too_many, without
from pulsed.compiler.canonical import CONTROL_FLOW, Key, assigned
from pulsed.compiler.conditions import ConditionError, Literals, Question, chosen, question
from pulsed.compiler.program import MadeBit
from pulsed.model.errors import CircuitError

MOST_PASSES = 1 << 16
"""Of all loops of a circuit: each is written down."""


class ControlFlowError(CircuitError):
    """A circuit with control flow, where a list of gates is asked for."""

    code = "control_flow"


class FlowStep(NamedTuple):
    """An instruction of the whole circuit, played in the shots where ``literals`` hold.

    Attributes:
        literals: values of memory slots.
        instruction: on the qubits of the whole circuit, and on the bits of :attr:`Flow.circuit`.
        place: of the instruction in the outermost circuit that it comes from.

    """

    literals: Literals
    instruction: CircuitInstruction
    place: int


class Flow(NamedTuple):
    """A circuit without control flow: steps, each with the case in which it is played.

    Attributes:
        steps: in the order of the program.
        circuit: without instructions; its bits are the memory slots, the circuit's own and those that only decide.
        made: the circuit's own bits that not every shot has measured last in their memory slot.

    """

    steps: list[FlowStep]
    circuit: QuantumCircuit
    made: tuple[MadeBit, ...]


def is_decided(circuit: QuantumCircuit) -> bool:
    """Return whether ``circuit`` has control flow, or instructions with a condition (``c_if`` of Qiskit 1.4)."""
    if any(item.name in CONTROL_FLOW for item in circuit.data):
        return True
    return has_c_if(circuit)


def has_c_if(circuit: QuantumCircuit) -> bool:
    """Return whether an instruction has a condition of its own, as ``c_if`` of Qiskit 1.4 gives it."""
    return _HAS_C_IF and any(item.condition is not None for item in circuit.data)


def flow(circuit: QuantumCircuit, dt: Fraction, acquired: Mapping[Key, Collection[int]] | None = None) -> Flow:
    """Return ``circuit`` without control flow: decisions made cases, loops and boxes written out.

    Args:
        circuit: with its qubits those of the rack.
        dt: seconds; a delay that takes the parameter of a loop is a whole number of them in each pass.
        acquired: the memory slots that pulse gates acquire into by themselves.

    Raises:
        CircuitError: names the circuit, the instruction and what is legal, for what cannot be played.

    """
    return _Walker(circuit, dt, acquired or {}).flow()


def unrolled(circuit: QuantumCircuit, dt: Fraction) -> QuantumCircuit | None:
    """Return ``circuit`` with its loops and boxes written out (as in :func:`flow`); None when it decides anything."""
    found = flow(circuit, dt)
    if any(step.literals for step in found.steps):
        return None
    plain = found.circuit
    for step in found.steps:
        plain.append(step.instruction)
    return plain


def _measures_on_bits(circuit: QuantumCircuit, decided: bool = False) -> bool:
    """Return whether a measurement or a reset is made in some shots only: in the body of a decision, or beside one.

    What follows a ``break_loop`` in its loop is such a body.
    """
    for item in circuit.data:
        if item.name in ("measure", "reset") and (decided or (_HAS_C_IF and item.condition is not None)):
            return True
        blocks = getattr(item.operation, "blocks", ()) if item.name in CONTROL_FLOW else ()
        inside = decided or item.name in ("if_else", "switch_case") or any(map(_leaves, blocks))
        if any(_measures_on_bits(block, inside) for block in blocks):
            return True
    return False


def _leaves(circuit: QuantumCircuit) -> bool:
    """Return whether a loop with this body may end before its last instruction."""
    return any(
        item.name in ("break_loop", "continue_loop")
        or (item.name in CONTROL_FLOW and any(map(_leaves, getattr(item.operation, "blocks", ()))))
        for item in circuit.data
    )


_HAS_C_IF = hasattr(CircuitInstruction, "condition")
"""Of Qiskit 1.4; Qiskit 2 has none."""


@dataclass(frozen=True)
class _Scope:
    """Which qubits and bits of the whole circuit those of a body are."""

    qubits: Mapping[Qubit, Qubit]
    clbits: Mapping[Clbit, Clbit]
    slots: Mapping[Clbit, int]
    """Number of each in the circuit."""

    def body(self, block: QuantumCircuit, instruction: CircuitInstruction) -> _Scope:
        """Return the scope of a body of ``instruction``, which is in this one."""
        qubits = dict(zip(block.qubits, (self.qubits[q] for q in instruction.qubits), strict=True))
        clbits = dict(zip(block.clbits, (self.clbits[c] for c in instruction.clbits), strict=True))
        slots = dict(zip(block.clbits, (self.slots[c] for c in instruction.clbits), strict=True))
        return _Scope(qubits, clbits, slots)

    def outer(self, instruction: CircuitInstruction) -> CircuitInstruction:
        """Return an instruction of this scope on the qubits and bits of the whole circuit."""
        return instruction.replace(
            qubits=[self.qubits[q] for q in instruction.qubits], clbits=[self.clbits[c] for c in instruction.clbits]
        )


class _Step(NamedTuple):
    """A :class:`FlowStep` before memory slots have their final numbers; ``slot`` is the one measured into, or -1."""

    literals: Literals
    instruction: CircuitInstruction
    place: int
    slot: int = -1


class _Walker:
    """Goes through the instructions of one circuit, into the bodies of its control flow."""

    def __init__(self, circuit: QuantumCircuit, dt: Fraction, acquired: Mapping[Key, Collection[int]]) -> None:
        self._circuit = circuit
        self._dt = dt
        self._acquired = acquired
        self._slots = {bit: i for i, bit in enumerate(circuit.clbits)}
        self._bits = BitValues(circuit.num_clbits, apart=_measures_on_bits(circuit))
        self._place = self._passes = 0
        self._decisions = 0
        """In the bodies of how many decisions it is, whatever comes of them."""
        # Of the loop that is being gone through: where it has been left, and where its present pass is over.
        self._broken: list[Literals] = []
        self._over: list[Literals] = []

    @property
    def _subject(self) -> str:
        """The circuit and the outermost instruction that is being looked at, for errors."""
        return f"circuit {self._circuit.name}, instruction {self._place}"

    def flow(self) -> Flow:
        """Return every instruction with the case in which it is played."""
        circuit = self._circuit
        scope = _Scope({q: q for q in circuit.qubits}, {c: c for c in circuit.clbits}, self._slots)
        found: list[_Step] = []
        for self._place, instruction in enumerate(circuit.data):
            found += self._of(instruction, scope, (), top=True)
        shell = circuit.copy_empty_like()
        if not self._bits.apart:
            return Flow([FlowStep(*step[:3]) for step in found], shell, ())
        numbers = self._bits.numbers()
        shell.add_bits([Clbit() for number in numbers.values() if number >= circuit.num_clbits])
        steps = [
            FlowStep(
                renamed(literals, numbers),
                instruction if slot < 0 else instruction.replace(clbits=[shell.clbits[numbers[slot]]]),
                place,
            )
            for literals, instruction, place, slot in found
        ]
        return Flow(steps, shell, self._bits.made())

    def _of(
        self, instruction: CircuitInstruction, scope: _Scope, literals: Literals, top: bool = False
    ) -> Iterator[_Step]:
        name = instruction.name
        if name in CONTROL_FLOW:
            if name not in self._CONTROL:
                raise self._refused("this control flow cannot be played", name, ", ".join(self._CONTROL))
            yield from self._CONTROL[name](self, instruction, scope, literals)
            return
        condition = instruction.condition if _HAS_C_IF else None
        if condition is not None:
            plain = instruction.replace(operation=_unconditioned(instruction.operation))
            self._decisions += 1
            for case in self._within(self._asked(condition, scope).cases(), literals):
                yield from self._of(plain, scope, case, top)
            self._decisions -= 1
        elif name == "measure":
            slot = self._bits.measure(scope.slots[instruction.clbits[0]], literals)
            yield _Step(literals, instruction if top else scope.outer(instruction), self._place, slot)
        elif name == "reset" and (literals or self._decisions):
            yield from self._reset(scope.outer(instruction), literals)
        else:
            outer = instruction if top else scope.outer(instruction)
            self._check_acquires(outer, literals)
            yield _Step(literals, outer, self._place)

    def _reset(self, instruction: CircuitInstruction, literals: Literals) -> Iterator[_Step]:
        """Yield a reset of the shots with some bits: a wait is one of all shots, so these are read and turned."""
        slot = self._bits.record()
        bits = self._circuit.clbits[:1]
        yield _Step(literals, CircuitInstruction(Measure(), instruction.qubits, bits), self._place, slot)
        one = tuple(sorted((*literals, (slot, 1))))
        yield _Step(one, CircuitInstruction(XGate(), instruction.qubits), self._place)

    def _check_acquires(self, instruction: CircuitInstruction, literals: Literals) -> None:
        """Refuse a pulse gate that measures by itself where it has to be known which bit has which measurement."""
        if not self._acquired or not (literals or self._bits.apart):
            return
        key = instruction.name, tuple(self._circuit.find_bit(qubit).index for qubit in instruction.qubits)
        if self._acquired.get(key):
            what, legal = "a pulse gate on a measured bit cannot do this", "Play, Delay and ShiftPhase"
            if not literals:
                what = "a pulse gate cannot do this in a circuit that measures on measured bits"
            raise self._refused(what, f"Acquire in {instruction.name}", legal)

    def _body(
        self, block: QuantumCircuit, instruction: CircuitInstruction, scope: _Scope, literals: Literals
    ) -> Iterator[_Step]:
        inside = scope.body(block, instruction)
        cases, seen = [literals], len(self._over)
        for inner in block.data:
            for case in cases:
                yield from self._of(inner, inside, case)
            if len(self._over) > seen:
                cases = self._without(cases, self._over[seen:])
                seen = len(self._over)

    def _bodies(
        self, blocks: Iterable[QuantumCircuit], decided: Iterable[list[Literals]], instruction: CircuitInstruction,
        scope: _Scope,
    ) -> Iterator[_Step]:  # fmt: skip
        """Yield the bodies of a decision, each in the cases in which it is played."""
        for block, cases in zip(blocks, decided, strict=True):
            self._decisions += 1
            for case in cases:
                yield from self._body(block, instruction, scope, case)
            self._decisions -= 1
            self._pass_over(block, scope.body(block, instruction))

    def _pass_over(self, block: QuantumCircuit, scope: _Scope) -> None:
        """Look at what is measured in a body, for what no shot plays of it."""
        for item in block.data if self._bits.apart else ():
            if item.name == "measure":
                self._bits.never(scope.slots[item.clbits[0]])
            for inner in getattr(item.operation, "blocks", ()) if item.name in CONTROL_FLOW else ():
                self._pass_over(inner, scope.body(inner, item))

    def _if(self, instruction: CircuitInstruction, scope: _Scope, literals: Literals) -> Iterator[_Step]:
        operation = instruction.operation
        asked = self._asked(operation.condition, scope)
        # What a body measures is not asked for: all is decided when it is come to.
        decided = [self._within(asked.cases(answer), literals) for answer in (True, False)[: len(operation.blocks)]]
        yield from self._bodies(operation.blocks, decided, instruction, scope)

    def _switch(self, instruction: CircuitInstruction, scope: _Scope, literals: Literals) -> Iterator[_Step]:
        operation = instruction.operation
        blocks = [(labels, block) for labels, block in operation.cases_specifier()]
        named = [{int(label) for label in labels if label is not CASE_DEFAULT} for labels, _ in blocks]
        try:
            questions = chosen(operation.target, named, scope.slots)
            none = chosen(operation.target, [set().union(*named)], scope.slots)[0]
        except ConditionError as error:
            raise self._condition(error) from None
        decided = []
        for (labels, _), asked in zip(blocks, questions, strict=True):
            cases = asked.cases() + (none.cases(False) if CASE_DEFAULT in labels else [])
            decided.append(self._within(cases, literals))
        yield from self._bodies((block for _, block in blocks), decided, instruction, scope)

    def _for(self, instruction: CircuitInstruction, scope: _Scope, literals: Literals) -> Iterator[_Step]:
        indices, parameter, block = instruction.operation.params
        self._passes += len(indices)
        if self._passes > MOST_PASSES:
            raise self._refused("too many passes of loops", "for_loop", f"at most {MOST_PASSES} in a circuit")
        outside, self._broken = (self._broken, self._over), []
        cases = [literals]
        for value in indices:
            self._over, seen = [], len(self._broken)
            known = parameter is not None and parameter in block.parameters
            bound = assigned(block, {parameter: value}, self._dt, f"{self._subject} (for_loop)") if known else block
            for case in cases:
                yield from self._body(bound, instruction, scope, case)
            cases = self._without(cases, self._broken[seen:])
        self._broken, self._over = outside
        self._pass_over(block, scope.body(block, instruction))

    def _break(self, instruction: CircuitInstruction, scope: _Scope, literals: Literals) -> Iterator[_Step]:
        self._broken.append(literals)
        return self._continue(instruction, scope, literals)

    def _continue(self, instruction: CircuitInstruction, scope: _Scope, literals: Literals) -> Iterator[_Step]:
        self._over.append(literals)
        return iter(())

    def _box(self, instruction: CircuitInstruction, scope: _Scope, literals: Literals) -> Iterator[_Step]:
        operation = instruction.operation
        if operation.duration is not None:
            raise self._refused("a box with a duration cannot be played", "box", "a box without a duration")
        # What is in a box is scheduled as one: nothing outside may move in between.
        wall = CircuitInstruction(Barrier(len(instruction.qubits)), instruction.qubits)
        yield _Step(literals, scope.outer(wall), self._place)
        yield from self._body(operation.blocks[0], instruction, scope, literals)
        yield _Step(literals, scope.outer(wall), self._place)

    _CONTROL: ClassVar[dict[str, Callable[..., Iterator[_Step]]]] = {
        "if_else": _if, "switch_case": _switch, "for_loop": _for, "break_loop": _break, "continue_loop": _continue,
        "box": _box,
    }  # fmt: skip

    def _asked(self, condition: Any, scope: _Scope) -> Question:
        try:
            return question(condition, scope.slots)
        except ConditionError as error:
            raise self._condition(error) from None

    def _within(self, cases: list[Literals], literals: Literals) -> list[Literals]:
        """Return those of some cases of the circuit's bits that can come where ``literals`` hold, by memory slots."""
        if self._bits.apart:
            for case in cases:
                check_measured(case, self._bits.measured, self._subject)
        return self._few(lambda: [part for case in cases for part in self._bits.cases(case, literals)])

    def _without(self, cases: list[Literals], others: list[Literals]) -> list[Literals]:
        """Return the part of some cases in which none of ``others`` holds."""
        return self._few(lambda: [part for case in cases for part in without(case, others)])

    def _few(self, cases: Callable[[], list[Literals]]) -> list[Literals]:
        """Return cases, or refuse them when they are too many."""
        try:
            found = cases()
            if len(found) > MOST_CASES:
                raise too_many(len(found))
        except ConditionError as error:
            raise self._refused("a condition with too many cases", str(error), error.legal) from None
        return found

    def _condition(self, error: ConditionError) -> CircuitError:
        return self._refused("this condition cannot be evaluated", str(error)[:120], error.legal)

    def _refused(self, what: str, value: str, legal: str) -> CircuitError:
        return CircuitError(what, subject=self._subject, value=value, legal=legal)


def _unconditioned(operation: Any) -> Any:
    plain = operation.to_mutable()
    plain.condition = None
    return plain
