"""Random circuits of what the default rack plays, as plain data that can be printed, run and made smaller.

A :class:`Recipe` is a circuit before Qiskit: steps on numbered qubits and bits. The same seed and number give the same
recipe; :meth:`Recipe.source` is Python that makes the circuit again.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import ClassicalRegister, Parameter, QuantumRegister

from pulsed import old_names
from pulsed.testing.conditions import BITWISE, COMPARED, Condition

__getattr__ = old_names(__name__)

PAIRS = ((0, 1), (2, 1), (2, 3), (4, 3))
"""Control and target of each ECR."""
UNITS = {"dt": 1, "ps": 1000, "ns": 1, "us": 1e-3, "ms": 1e-6, "s": 1e-9}
"""What one dt of 1 ns is in each unit of a delay."""
_ROUND_LENGTHS = (4, 8, 16, 20, 40, 100, 160, 400, 500, 1000, 2000, 3000, 5000, 8000, 20_000, 200_000)
RELAXING = 1
"""The qubit that is reset at any time, others before anything is done to them: a reset is a wait in which the others
keep their states only if they last longer."""
PASSES = "passes"
"""In place of a unit."""
OTHERWISE = -1
"""In place of a value: the case of a switch for all that no other names."""
_NESTED = 2
"""How deep an if_test may lie in others."""


@dataclass(frozen=True)
class RecipeStep:
    """One instruction: ``value`` is an angle (rz, rad) or a length (delay, in ``unit``), ``bit`` that of a measurement.

    The name ``if`` has a condition and one or two bodies, ``switch`` a condition and a body for each of ``cases``, and
    ``for`` one body that is played ``value`` times. The angle of an rz in :data:`PASSES` grows by ``value`` with each
    pass of the innermost loop, from 0.
    """

    name: str
    qubits: tuple[int, ...] = ()
    value: float = 0
    unit: str = ""
    bit: int = -1
    condition: Condition | None = None
    bodies: tuple[tuple[RecipeStep, ...], ...] = ()
    cases: tuple[int, ...] = ()
    """Values of a switch; the last is :data:`OTHERWISE` when it has a case for all others."""


@dataclass(frozen=True)
class Recipe:
    """A circuit: sizes of its registers of qubits and of bits, in order, and its steps."""

    name: str
    qregs: tuple[int, ...]
    cregs: tuple[int, ...]
    steps: tuple[RecipeStep, ...]

    @property
    def num_qubits(self) -> int:
        """Number of qubits."""
        return sum(self.qregs)

    @property
    def num_bits(self) -> int:
        """Number of classical bits."""
        return sum(self.cregs)

    def bits_of(self, register: int) -> range:
        """Return the bits of a classical register, its lowest first."""
        first = sum(self.cregs[:register])
        return range(first, first + self.cregs[register])

    def outcome(self, bits: int) -> str:
        """Return the value of all bits as Qiskit writes it in counts: registers apart, the last one first."""
        text = format(bits, f"0{self.num_bits}b")
        parts, end = [], len(text)
        for size in self.cregs:
            parts.append(text[end - size : end])
            end -= size
        return " ".join(reversed(parts))

    def late(self) -> tuple[QuantumCircuit, dict[str, float]]:
        """Return the circuit with a parameter for every angle and length, and their values by name."""
        values: dict[str, float] = {}

        def named(steps: Sequence[RecipeStep]) -> tuple[RecipeStep, ...]:
            found = []
            for step in steps:
                value: Any = step.value
                if step.name in ("rz", "delay"):
                    value = Parameter(f"p{len(values)}")
                    values[value.name] = step.value
                found.append(replace(step, value=value, bodies=tuple(named(body) for body in step.bodies)))
            return tuple(found)

        return replace(self, steps=named(self.steps)).circuit(), values

    def circuit(self) -> QuantumCircuit:
        """Return the circuit."""
        qregs = [QuantumRegister(size, f"q{i}") for i, size in enumerate(self.qregs)]
        cregs = [ClassicalRegister(size, f"c{i}") for i, size in enumerate(self.cregs)]
        circuit = QuantumCircuit(*qregs, *cregs, name=self.name)
        _append(circuit, self.steps)
        return circuit

    def source(self) -> str:
        """Return Python that makes the circuit."""
        qregs = [f'QuantumRegister({size}, "q{i}")' for i, size in enumerate(self.qregs)]
        cregs = [f'ClassicalRegister({size}, "c{i}")' for i, size in enumerate(self.cregs)]
        head = [
            "from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister",
            "from qiskit.circuit import Parameter",
            "from qiskit.circuit.classical import expr",
            f'circuit = QuantumCircuit({", ".join((*qregs, *cregs))}, name="{self.name}")',
        ]
        return "\n".join((*head, *_lines(self.steps, "")))


def _target(circuit: QuantumCircuit, condition: Condition) -> Any:
    return circuit.cregs[condition.register] if condition.register >= 0 else circuit.clbits[condition.bit]


def _append(circuit: QuantumCircuit, steps: Sequence[RecipeStep], turn: Any = 1) -> None:
    """Append steps; ``turn``: the pass of the innermost loop."""
    for step in steps:
        if step.name == "rz":
            circuit.rz(step.value * turn if step.unit == PASSES else step.value, step.qubits[0])
        elif step.name == "delay":
            circuit.delay(step.value, step.qubits[0], step.unit)
        elif step.name == "measure":
            circuit.measure(step.qubits[0], step.bit)
        elif step.bodies:
            _decide(circuit, step, turn)
        else:
            getattr(circuit, step.name)(*step.qubits)


def _decide(circuit: QuantumCircuit, step: RecipeStep, turn: Any) -> None:
    if step.name == "for":
        turn = Parameter("turn") if _counts(step.bodies[0]) else None
        with circuit.for_loop(range(int(step.value)), turn):
            _append(circuit, step.bodies[0], turn)
        return
    assert step.condition is not None
    if step.name == "switch":
        with circuit.switch(_target(circuit, step.condition)) as case:
            for value, body in zip(step.cases, step.bodies, strict=True):
                with case(case.DEFAULT if value == OTHERWISE else value):
                    _append(circuit, body, turn)
        return
    with circuit.if_test(step.condition.made(circuit)) as otherwise:
        _append(circuit, step.bodies[0], turn)
    if len(step.bodies) > 1:
        with otherwise:
            _append(circuit, step.bodies[1], turn)


def _counts(steps: Sequence[RecipeStep]) -> bool:
    """Return whether the pass of the loop that these are in tells an angle."""
    return any(
        step.unit == PASSES or (step.name != "for" and any(map(_counts, step.bodies)))
        for step in steps
    )  # fmt: skip


def _lines(steps: Sequence[RecipeStep], indent: str) -> Iterator[str]:
    for step in steps:
        if step.bodies:
            yield from _lines_of_bodies(step, indent)
            continue
        if step.name == "delay":
            arguments = f'{step.value!r}, {step.qubits[0]}, "{step.unit}"'
        elif step.name == "measure":
            arguments = f"{step.qubits[0]}, {step.bit}"
        elif step.unit == PASSES:
            arguments = f"{step.value!r} * turn, {step.qubits[0]}"
        else:
            angle = (step.value,) if step.name == "rz" else ()
            arguments = ", ".join(map(repr, (*angle, *step.qubits)))
        yield f"{indent}circuit.{step.name}({arguments})"


def _lines_of_bodies(step: RecipeStep, indent: str) -> Iterator[str]:
    name, inner = f"as_{len(indent) // 4}", indent + "    "

    def body(steps: Sequence[RecipeStep], indent: str) -> Iterator[str]:
        yield from _lines(steps, indent) if steps else (f"{indent}pass",)

    if step.name == "for":
        turn = ""
        if _counts(step.bodies[0]):
            turn = ", turn"
            yield f'{indent}turn = Parameter("turn")'
        yield f"{indent}with circuit.for_loop(range({int(step.value)}){turn}):"
        yield from body(step.bodies[0], inner)
        return
    assert step.condition is not None
    register = step.condition.register
    target = f"circuit.cregs[{register}]" if register >= 0 else f"circuit.clbits[{step.condition.bit}]"
    if step.name == "switch":
        yield f"{indent}with circuit.switch({target}) as {name}:"
        for value, steps in zip(step.cases, step.bodies, strict=True):
            yield f"{inner}with {name}({f'{name}.DEFAULT' if value == OTHERWISE else value}):"
            yield from body(steps, inner + "    ")
        return
    yield f"{indent}with circuit.if_test({step.condition.text()}) as {name}:"
    yield from body(step.bodies[0], inner)
    if len(step.bodies) > 1:
        yield f"{indent}with {name}:"
        yield from body(step.bodies[1], inner)


class _Maker:
    """Draws one recipe."""

    def __init__(self, random_: random.Random, name: str) -> None:
        self._draw = random_
        self.name = name
        count = random_.choice((2, 3, 3, 4, 5, 5))
        cut = random_.randrange(count)
        self.qregs = tuple(size for size in (cut, count - cut) if size)
        bits = random_.randint(2, 5)
        cut = random_.randrange(bits)
        self.cregs = tuple(size for size in (cut, bits - cut) if size)
        self.bits = bits
        # States of four and five qubits that share one take most of the time: few circuits have them.
        width = min(count, random_.choice((1, 2, 2, 3, 3, 3, 4, 5)))
        first = random_.randrange(count - width + 1)
        self.qubits = range(first, first + width)
        self.pairs = [pair for pair in PAIRS if set(pair) <= set(self.qubits)]
        while len(self.pairs) > 2 and random_.random() < 0.7:
            self.pairs.remove(random_.choice(self.pairs))
        self.general = random_.random() < 0.2
        self.sharp = random_.random() < 0.6
        self.dynamic = random_.random() < 0.4
        self.measured: set[int] = set()
        self._decided = self._loop = False
        self.touched: set[int] = set()

    def recipe(self) -> Recipe:
        """Return the recipe: some steps, then measurements of most qubits in any order."""
        draw = self._draw
        steps: list[RecipeStep] = []
        for _ in range(draw.randint(3, 12)):
            steps += self.some(0)
        order = [q for q in self.qubits if draw.random() < 0.9] or list(self.qubits)
        draw.shuffle(order)
        for qubit in order:
            if draw.random() < 0.15:
                steps.append(self.delay())
            steps.append(self.measure(qubit))
        return Recipe(self.name, self.qregs, self.cregs, tuple(steps))

    def some(self, depth: int) -> list[RecipeStep]:
        """Return one step, or a few that belong together, at this depth of conditions."""
        steps = self._some(depth)
        for step in walk(steps):
            if step.name not in ("delay", "barrier", "reset"):
                self.touched.update(step.qubits)
        return steps

    def _some(self, depth: int) -> list[RecipeStep]:
        draw = self._draw
        qubit = draw.choice(self.qubits)
        # A reset that no bit decides about is a wait: the one that relaxes must not be in motion during another one's.
        still = depth == 0 and RELAXING not in self.touched
        resettable = [q for q in self.qubits if self._decided or q == RELAXING or (still and q not in self.touched)]
        inner = depth == 0 or self.dynamic
        leaving = 2 * (self._decided and self._loop)
        kinds: dict[str, tuple[float, Callable[[], list[RecipeStep]]]] = {
            "x": (4, lambda: [RecipeStep("x", (qubit,))]),
            "rz": (2, lambda: [RecipeStep("rz", (qubit,), self.angle())]),
            "sx": (1 if self.sharp else 3, lambda: [RecipeStep("sx", (qubit,))]),
            "flip": (2, lambda: [RecipeStep("sx", (qubit,)), *self.idle(qubit), RecipeStep("sx", (qubit,))]),
            "cx": (4 * bool(self.pairs), lambda: self.cx(*draw.choice(self.pairs))),
            "ecr": ((1 if self.sharp else 3) * bool(self.pairs), lambda: [RecipeStep("ecr", draw.choice(self.pairs))]),
            "delay": (3, lambda: [self.delay()]),
            "barrier": (
                1,
                lambda: [RecipeStep("barrier", tuple(q for q in self.qubits if draw.random() < 0.6) or (qubit,))],
            ),
            "reset": (inner * bool(resettable), lambda: [RecipeStep("reset", (draw.choice(resettable),))]),
            "measure": (3 * inner, lambda: [self.measure(qubit)]),
            "if": ((3 + 3 * self.dynamic) * bool(self.measured and depth < _NESTED), lambda: [self.choice(depth)]),
            "for": (bool(depth < _NESTED) / (1 if self.dynamic else 2), lambda: [self.repeat(depth)]),
            "turn": (2 * self._loop, lambda: [RecipeStep("rz", (qubit,), self.angle(), PASSES)]),
            "break_loop": (leaving, lambda: [RecipeStep("break_loop")]),
            "continue_loop": (leaving, lambda: [RecipeStep("continue_loop")]),
        }
        (kind,) = draw.choices(list(kinds), [weight for weight, _ in kinds.values()])
        return kinds[kind][1]()

    def idle(self, qubit: int) -> list[RecipeStep]:
        """Return now and then a wait of one qubit."""
        return [self.delay(qubit)] if self._draw.random() < 0.2 else []

    def angle(self) -> float:
        """Return an angle of an rz: any, or a multiple of a quarter turn."""
        if self.general:
            return self._draw.uniform(-math.pi, math.pi)
        return self._draw.choice((-2, -1, 1, 2)) * math.pi / 2

    def cx(self, control: int, target: int) -> list[RecipeStep]:
        """Return a CX and an x on the target, in basis gates: what was 0 or 1 is so afterwards."""
        draw = self._draw
        ecr, turn = RecipeStep("ecr", (control, target)), RecipeStep("sx", (target,))
        first = [turn, ecr] if draw.random() < 0.5 else [ecr, turn]
        return [*first, RecipeStep("x", (control,)), RecipeStep("rz", (control,), -math.pi / 2)]

    def delay(self, qubit: int | None = None) -> RecipeStep:
        """Return a delay, in any unit that has it."""
        draw = self._draw
        unit = draw.choice(tuple(UNITS))
        length = draw.choice(_ROUND_LENGTHS) if draw.random() < 0.6 else draw.randint(0, 4000)
        value: float = length * UNITS[unit] if unit in ("dt", "ps", "ns") else float(f"{length * UNITS[unit]:.12g}")
        return RecipeStep("delay", (draw.choice(self.qubits) if qubit is None else qubit,), value, unit)

    def measure(self, qubit: int) -> RecipeStep:
        """Return a measurement into a bit, one that was measured into before as often as not."""
        draw = self._draw
        fresh = [bit for bit in range(self.bits) if bit not in self.measured]
        bit = draw.choice(fresh) if fresh and draw.random() < 0.6 else draw.randrange(self.bits)
        self.measured.add(bit)
        return RecipeStep("measure", (qubit,), bit=bit)

    def repeat(self, depth: int) -> RecipeStep:
        """Return a loop."""
        outside, self._loop = self._loop, True
        step = RecipeStep("for", value=self._draw.randint(1, 3), bodies=(self.body(depth),))
        self._loop = outside
        return step

    def choice(self, depth: int) -> RecipeStep:
        """Return an if_test or a switch on measured bits, or on a register all of whose bits were measured."""
        outside, self._decided = self._decided, True
        step = self._choice(depth)
        self._decided = outside
        return step

    def _choice(self, depth: int) -> RecipeStep:
        draw = self._draw
        whole = []
        for number, size in enumerate(self.cregs):
            first = sum(self.cregs[:number])
            if set(range(first, first + size)) <= self.measured:
                whole.append((number, size))
        if whole and draw.random() < 0.3:
            register, size = draw.choice(whole)
            condition = Condition(draw.randrange(2**size), register=register)
        else:
            size = 1
            condition = Condition(draw.randrange(2), bit=draw.choice(sorted(self.measured)))
        if draw.random() < 0.2:
            cases = draw.sample(range(2**size), draw.randint(1, min(2, 2**size)))
            cases += [OTHERWISE] if draw.random() < 0.5 else []
            bodies = tuple(self.body(depth) for _ in cases)
            return RecipeStep("switch", condition=replace(condition, value=0), bodies=bodies, cases=tuple(cases))
        if condition.register >= 0 and draw.random() < 0.4:
            condition = replace(condition, how=draw.choice(tuple(COMPARED)))
        elif condition.register < 0 and draw.random() < 0.3:
            others = draw.choices(sorted(self.measured), k=draw.randint(1, 2))
            condition = replace(condition, how=draw.choice(tuple(BITWISE)), others=tuple(others))
        return RecipeStep(
            "if", condition=condition, bodies=tuple(self.body(depth) for _ in range(draw.choice((1, 1, 2))))
        )

    def body(self, depth: int) -> tuple[RecipeStep, ...]:
        """Return a body of what lies at this depth."""
        return tuple(step for _ in range(self._draw.randint(1, 2)) for step in self.some(depth + 1))


def random_recipe(seed: int, number: int) -> Recipe:
    """Return the recipe of a seed and a number."""
    return _Maker(random.Random(f"{seed}/{number}"), f"fuzz {seed}/{number}").recipe()


def walk(steps: Sequence[RecipeStep]) -> Iterator[RecipeStep]:
    """Yield all steps, those of bodies after the step that they belong to."""
    for step in steps:
        yield step
        for body in step.bodies:
            yield from walk(body)
