"""What Qiskit's conditions ask of measured bits: in which cases, each of them values of some memory slots."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from qiskit.circuit import ClassicalRegister, Clbit
from qiskit.circuit.classical import expr, types

Literals: TypeAlias = tuple[tuple[int, int], ...]
"""Memory slots, ascending, each with the value that it must have. Empty: always."""

MOST_BITS = 10
"""Of an expression: all values of its bits are tried."""

_BINARY: dict[str, Callable[[int, int], int]] = {
    "BIT_AND": operator.and_, "BIT_OR": operator.or_, "BIT_XOR": operator.xor,
    "LOGIC_AND": lambda a, b: a and b, "LOGIC_OR": lambda a, b: a or b,
    "EQUAL": operator.eq, "NOT_EQUAL": operator.ne, "LESS": operator.lt, "LESS_EQUAL": operator.le,
    "GREATER": operator.gt, "GREATER_EQUAL": operator.ge,
    "SHIFT_LEFT": operator.lshift, "SHIFT_RIGHT": operator.rshift,
    "ADD": operator.add, "SUB": operator.sub, "MUL": operator.mul,
}  # fmt: skip
_UNARY: dict[str, Callable[[int], int]] = {
    "LOGIC_NOT": operator.not_, "BIT_NOT": operator.invert, "NEGATE": operator.neg,
}  # fmt: skip
"""Qiskit's operators by name. Their results are cut to the width of their type."""


class ConditionError(ValueError):
    """A condition that cannot be worked out; ``legal`` says what can."""

    def __init__(self, value: object, legal: str) -> None:
        super().__init__(str(value))
        self.legal = legal


@dataclass(frozen=True)
class Question:
    """A number made of memory slots, bit i that of ``slots[i]``, and those of its values to which the answer is yes."""

    slots: tuple[int, ...]
    yes: frozenset[int]

    def cases(self, answer: bool = True) -> list[Literals]:
        """Return the cases in which the answer is ``answer``; they exclude each other."""
        found = _cases(self.yes, len(self.slots), answer)
        return [tuple(sorted((self.slots[i], value) for i, value in case)) for case in found]


def both(one: Literals, other: Literals) -> Literals | None:
    """Return the case in which both hold; None when they exclude each other."""
    joined = dict(one)
    if any(joined.setdefault(slot, value) != value for slot, value in other):
        return None
    return tuple(sorted(joined.items()))


def _cases(yes: Collection[int], bits: int, answer: bool) -> list[Literals]:
    """Split by the highest bit until the answer no longer depends on the rest: few cases for few values."""
    if not yes or len(yes) == 1 << bits:
        return [()] if bool(yes) == answer else []
    top = bits - 1
    high = {value ^ (1 << top) for value in yes if value >> top}
    low = {value for value in yes if not value >> top}
    if high == low:
        return _cases(low, top, answer)
    return [((top, bit), *case) for bit, rest in ((1, high), (0, low)) for case in _cases(rest, top, answer)]


def question(condition: Any, slot_of: Mapping[Clbit, int]) -> Question:
    """Return what an if_test asks; ``slot_of`` has the memory slot of each bit.

    Raises :class:`ConditionError` for variables that are no bits, and expressions of too many.
    """
    if isinstance(condition, tuple):
        target, value = condition
        slots = _slots(target, slot_of)
        return _among(slots, (int(value),))
    return asked(condition, slot_of, bool)


def chosen(target: Any, labels: Sequence[Collection[int]], slot_of: Mapping[Clbit, int]) -> list[Question]:
    """Return, for each set of ``labels`` of a switch, whether ``target`` is among them and in none before."""
    seen: set[int] = set()
    questions = []
    for wanted in labels:
        own = frozenset(wanted) - seen
        seen |= own
        if isinstance(target, Clbit | ClassicalRegister):
            questions.append(_among(_slots(target, slot_of), own))
        else:
            questions.append(asked(target, slot_of, own.__contains__))
    return questions


def asked(node: expr.Expr, slot_of: Mapping[Clbit, int], answer: Callable[[int], bool]) -> Question:
    """Return the question whether ``answer`` is true for the value of an expression."""
    bits: list[Clbit] = []
    for var in expr.iter_vars(node):
        if not isinstance(var.var, Clbit | ClassicalRegister):
            raise ConditionError(var, "classical bits and registers")
        bits += [var.var] if isinstance(var.var, Clbit) else list(var.var)
    bits = sorted(set(bits), key=slot_of.__getitem__)
    if len(bits) > MOST_BITS:
        raise ConditionError(f"{len(bits)} bits", f"expressions of at most {MOST_BITS} bits")
    yes = []
    for number in range(1 << len(bits)):
        values = {bit: (number >> i) & 1 for i, bit in enumerate(bits)}
        if answer(_value(node, values)):
            yes.append(number)
    return Question(tuple(slot_of[bit] for bit in bits), frozenset(yes))


def _among(slots: tuple[int, ...], values: Collection[int]) -> Question:
    return Question(slots, frozenset(value for value in values if 0 <= value < 1 << len(slots)))


def _slots(target: Any, slot_of: Mapping[Clbit, int]) -> tuple[int, ...]:
    return tuple(slot_of[bit] for bit in ((target,) if isinstance(target, Clbit) else target))


def _value(node: expr.Expr, values: Mapping[Clbit, int]) -> int:
    """Return the value of an expression, a number; a truth value is 0 or 1."""
    if not isinstance(node.type, types.Bool | types.Uint):
        raise ConditionError(node, "truth values and unsigned integers")
    if isinstance(node, expr.Var):
        if isinstance(node.var, Clbit):
            return values[node.var]
        return sum(values[bit] << i for i, bit in enumerate(node.var))
    if isinstance(node, expr.Value):
        return int(node.value)
    width = getattr(node.type, "width", 1)
    if isinstance(node, expr.Cast):
        operand = _value(node.operand, values)
        return operand & ((1 << width) - 1) if hasattr(node.type, "width") else int(bool(operand))
    if isinstance(node, expr.Index):
        return (_value(node.target, values) >> _value(node.index, values)) & 1
    return _worked_out(node, values) & ((1 << width) - 1)


def _worked_out(node: expr.Expr, values: Mapping[Clbit, int]) -> int:
    """Return what an operator makes of its operands."""
    if isinstance(node, expr.Unary):
        return int(_UNARY[node.op.name](_value(node.operand, values)))
    if isinstance(node, expr.Binary) and node.op.name in _BINARY:
        return int(_BINARY[node.op.name](_value(node.left, values), _value(node.right, values)))
    raise ConditionError(node, "not, and, or, xor, comparisons, shifts, sums, products, single bits")
