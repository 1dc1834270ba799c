"""The exact distribution of a circuit's bits: a density matrix for every value that the bits can have by then.

Independent of compiler and rack: gates are Qiskit's matrices, a delay and a barrier do nothing. Qiskit's own
BasicSimulator knows no conditions and samples; where it knows a circuit, the tests hold this one against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from qiskit.circuit.library import ECRGate, RZGate, SXGate, XGate
from qiskit.quantum_info import Operator

from pulsed.testing.conditions import COMPARED, Condition
from pulsed.testing.random_circuits import OTHERWISE, PASSES, Recipe, RecipeStep

Complex = npt.NDArray[np.complex128]
_GATES = {"x": XGate, "sx": SXGate, "ecr": ECRGate}
_NEVER = 1e-12
"""What is likelier than this is followed."""


@lru_cache(maxsize=4096)
def _matrix(name: str, value: float, qubits: tuple[int, ...], count: int) -> Complex:
    gate = RZGate(value) if name == "rz" else _GATES[name]()
    whole = Operator(np.eye(2**count)).compose(Operator(gate.to_matrix()), qargs=list(qubits))
    return np.asarray(whole.data, dtype=complex)


@lru_cache(maxsize=64)
def _projectors(qubit: int, count: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which basis states have the qubit in 0, and which in 1."""
    one = (np.arange(2**count) >> qubit & 1).astype(bool)
    return ~one, one


class _Branches:
    """Unnormalised density matrices by the value of all bits."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        ground = np.zeros((2**recipe.num_qubits,) * 2, dtype=complex)
        ground[0, 0] = 1
        self.states: dict[int, Complex] = {0: ground}
        # Of the innermost loop: its pass, and the states of shots that have left it, or its present pass.
        self._turn = 0
        self._left: dict[int, Complex] = {}
        self._over: dict[int, Complex] = {}

    def play(self, steps: Sequence[RecipeStep], states: dict[int, Complex]) -> dict[int, Complex]:
        """Return the states after steps; those of shots that have left a pass of a loop wait in :attr:`_over`."""
        for step in steps:
            states = self._step(step, states)
        return states

    def _step(self, step: RecipeStep, states: dict[int, Complex]) -> dict[int, Complex]:
        count = self.recipe.num_qubits
        if step.name == "measure":
            return self._measure(step, states)
        if step.name == "reset":
            return {bits: self._reset(step.qubits[0], rho) for bits, rho in states.items()}
        if step.name in ("break_loop", "continue_loop"):
            _add(self._left if step.name == "break_loop" else self._over, states)
            return {}
        if step.bodies:
            return self._repeat(step, states) if step.condition is None else self._decide(step, step.condition, states)
        if step.name in ("delay", "barrier"):
            return states
        u = _matrix(step.name, step.value * (self._turn if step.unit == PASSES else 1), step.qubits, count)
        return {bits: u @ rho @ u.conj().T for bits, rho in states.items()}

    def _repeat(self, step: RecipeStep, states: dict[int, Complex]) -> dict[int, Complex]:
        outside = self._turn, self._left, self._over
        self._left = {}
        for self._turn in range(int(step.value)):
            self._over = {}
            states = dict(self.play(step.bodies[0], states))
            _add(states, self._over)
        _add(states, self._left)
        self._turn, self._left, self._over = outside
        return states

    def _decide(self, step: RecipeStep, condition: Condition, states: dict[int, Complex]) -> dict[int, Complex]:
        cases = step.cases or (1 if condition.how else condition.value, OTHERWISE)
        bodies = dict(zip(cases, step.bodies, strict=False))
        found: dict[int, Complex] = {}
        for before, state in states.items():
            value = self._value(condition, before)
            body = bodies.get(value, bodies.get(OTHERWISE, ()))
            _add(found, self.play(body, {before: state}))
        return found

    def _value(self, condition: Condition, bits: int) -> int:
        """Return the value of what a condition looks at: with a function of it, whether it holds."""
        if condition.register < 0:
            each = [(bits >> bit) & 1 for bit in condition.bits]
            made = {"": each[0], "and": min(each), "or": max(each), "xor": sum(each) % 2}[condition.how]
            return int(made == condition.value) if condition.how else made
        own = self.recipe.bits_of(condition.register)
        mask: int = 2 ** len(own) - 1
        value = (bits >> own.start) & mask
        return int(COMPARED[condition.how](value, condition.value)) if condition.how else value

    def _measure(self, step: RecipeStep, states: dict[int, Complex]) -> dict[int, Complex]:
        found: dict[int, Complex] = {}
        for bits, rho in states.items():
            for value, mask in enumerate(_projectors(step.qubits[0], self.recipe.num_qubits)):
                left = np.where(np.outer(mask, mask), rho, 0)
                if left.trace().real > _NEVER:
                    now = bits & ~(1 << step.bit) | value << step.bit
                    found[now] = found[now] + left if now in found else left
        return found

    def _reset(self, qubit: int, rho: Complex) -> Complex:
        zero, one = _projectors(qubit, self.recipe.num_qubits)
        x = _matrix("x", 0.0, (qubit,), self.recipe.num_qubits)
        excited = np.where(np.outer(one, one), rho, 0)
        return np.asarray(np.where(np.outer(zero, zero), rho, 0) + x @ excited @ x)


def _add(found: dict[int, Complex], more: dict[int, Complex]) -> None:
    for bits, rho in more.items():
        found[bits] = found[bits] + rho if bits in found else rho


def exact_counts(recipe: Recipe) -> dict[str, float]:
    """Return the probability of each outcome, written as Qiskit writes counts."""
    branches = _Branches(recipe)
    states = branches.play(recipe.steps, branches.states)
    return {recipe.outcome(bits): float(rho.trace().real) for bits, rho in states.items()}
