"""What the decisions of a recipe look at, as plain data: single bits, functions of several, whole registers."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import reduce
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit.classical import expr

BITWISE = {"and": "logic_and", "or": "logic_or", "xor": "bit_xor"}
"""Functions of several bits, and their names in Qiskit's ``expr``."""
COMPARED = {"less": operator.lt, "greater_equal": operator.ge, "not_equal": operator.ne}
"""What a register may be compared with, by name in Qiskit's ``expr``."""


@dataclass(frozen=True)
class Condition:
    """What an if_test or a switch looks at: a bit by index, or the register ``register`` as a whole.

    ``value`` is the one that an if_test wants: of the bit, of the register, of ``how`` (of :data:`BITWISE`) of the bit
    and ``others``; or what ``how`` (of :data:`COMPARED`) compares the register with.
    """

    value: int = 0
    bit: int = -1
    register: int = -1
    how: str = ""
    others: tuple[int, ...] = ()

    @property
    def bits(self) -> tuple[int, ...]:
        """The bits that it names one by one."""
        return () if self.register >= 0 else (self.bit, *self.others)

    def text(self) -> str:
        """Return what Python hands to if_test, or to switch where there is no value."""
        if self.register >= 0:
            target = f"circuit.cregs[{self.register}]"
            return f"expr.{self.how}({target}, {self.value})" if self.how else f"({target}, {self.value})"
        first, *others = (f"circuit.clbits[{bit}]" for bit in self.bits)
        if not self.how:
            return f"({first}, {self.value})"
        for other in others:
            first = f"expr.{BITWISE[self.how]}({first}, {other})"
        return first if self.value else f"expr.logic_not({first})"

    def made(self, circuit: QuantumCircuit) -> Any:
        """Return what if_test takes."""
        if self.register >= 0:
            target = circuit.cregs[self.register]
            return getattr(expr, self.how)(target, self.value) if self.how else (target, self.value)
        first, *others = (circuit.clbits[bit] for bit in self.bits)
        if not self.how:
            return first, self.value
        node = reduce(getattr(expr, BITWISE[self.how]), others, first)
        return node if self.value else expr.logic_not(node)
