"""When the operations of a straight piece of a circuit are played: as late as possible, as the rack does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile, pairwise
from math import lcm
from typing import TYPE_CHECKING, Any

from qiskit.circuit import CircuitInstruction, ParameterExpression

if TYPE_CHECKING:
    from qiskit.transpiler import Target

VIRTUAL = frozenset({"rz", "barrier"})
"""Take no time."""
_UNKNOWN = frozenset({"reset", "box"})
"""A reset is a wait that the rack may leave out or move; a box may hold anything, unless it is played as a schedule."""


@dataclass
class TimedStep:
    """An operation with its start and length; ``node`` is what it came from."""

    name: str
    qubits: tuple[int, ...]
    length: int
    node: Any
    start: int = 0

    @property
    def end(self) -> int:
        """When it is over."""
        return self.start + self.length


@dataclass
class IdleTime:
    """A time in which a qubit waits after ``step``; ``pulses`` are the starts of x pulses in it, of ``width`` each."""

    qubit: int
    start: int
    end: int
    step: TimedStep
    width: int = 0
    pulses: list[int] = field(default_factory=list)

    @property
    def middles(self) -> list[float]:
        """When the pulses flip the qubit."""
        return [start + self.width / 2 for start in self.pulses]


class Lengths:
    """How long operations of a target take, dt; None where that is not known before they are played."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._known: dict[tuple[str, tuple[int, ...]], int | None] = {}
        self.grid = target.pulse_alignment or 1
        self.common = lcm(self.grid, target.acquire_alignment or 1)

    def of(self, name: str, qubits: tuple[int, ...], params: Sequence[Any], unit: str | None = None) -> int | None:
        """Return the length of one operation; ``unit`` is that of a delay."""
        if name in VIRTUAL:
            return 0
        if name == "delay":
            plain = unit == "dt" and isinstance(params[0], int | float) and float(params[0]).is_integer()
            return int(params[0]) if plain else None
        key = name, qubits
        if key not in self._known:
            self._known[key] = None if name in _UNKNOWN else self._look_up(name, qubits)
        return self._known[key]

    def _look_up(self, name: str, qubits: tuple[int, ...]) -> int | None:
        target = self._target
        if name not in target.operation_names or qubits not in (target[name] or {}):
            return None
        duration = getattr(target[name][qubits], "duration", None)
        return None if duration is None else round(duration / target.dt)


def pieces(
    nodes: Sequence[Any], lengths: Lengths, index: Callable[[Any], int]
) -> list[tuple[list[TimedStep], tuple[Any, tuple[int, ...]] | None]]:
    """Return the straight pieces of a circuit, each with the operation of unknown length that ends it and its qubits.

    Args:
        nodes: instructions in their order.
        lengths: of operations.
        index: the number of a qubit.

    """
    found: list[tuple[list[TimedStep], tuple[Any, tuple[int, ...]] | None]] = []
    steps: list[TimedStep] = []
    for node in nodes:
        qubits = tuple([index(bit) for bit in node.qargs])
        conditional = getattr(node, "condition", None) is not None
        unit = getattr(node.op, "unit", None) if node.name == "delay" else None
        length = None if conditional else lengths.of(node.name, qubits, node.params, unit)
        if node.name == "box" and not node.cargs:
            length = _box_length(node, qubits)
        if length is None:
            found.append((steps, (node, qubits)))
            steps = []
        else:
            steps.append(TimedStep(node.name, qubits, length, node))
    found.append((steps, None))
    return found


def _box_length(node: Any, qubits: tuple[int, ...]) -> int | None:
    from pulsed.compiler.boxes import box_length  # the compiler is not needed for circuits of gates alone

    return box_length(CircuitInstruction(node.op, node.qargs), dict(zip(node.qargs, qubits, strict=True)))


def place(steps: Sequence[TimedStep], lengths: Lengths) -> int:
    """Give every step its start, as late as possible and on the rack's grid; return the duration of all."""
    front: dict[int, int] = {}
    for step in reversed(steps):
        at = max((front.get(q, 0) for q in step.qubits), default=0)
        grid = lengths.common if step.name == "measure" else lengths.grid
        if step.length and step.name != "delay":
            at += -(at + step.length) % grid
        step.start = at + step.length
        for q in step.qubits:
            front[q] = step.start
    end = max(front.values(), default=0)
    end += -end % lengths.common
    for step in steps:
        step.start = end - step.start
    return end


def windows(steps: Sequence[TimedStep]) -> list[IdleTime]:
    """Return the times in which qubits wait between two operations, barriers among them."""
    by_qubit: dict[int, list[TimedStep]] = {}
    for step in steps:
        if step.name != "rz":
            for q in step.qubits:
                by_qubit.setdefault(q, []).append(step)
    found = []
    for q, mine in by_qubit.items():
        begun = dropwhile(lambda step: step.name == "barrier", mine)
        found += [IdleTime(q, one.end, two.start, one) for one, two in pairwise(begun) if two.start > one.end]
    return found


def is_late(value: Any) -> bool:
    """Return whether a parameter has no number yet."""
    return isinstance(value, ParameterExpression) and bool(value.parameters)
