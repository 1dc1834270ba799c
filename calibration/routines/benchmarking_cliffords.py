"""Clifford groups of one and two qubits in the gates that the rack plays: rz, sx, x and ECR.

An element of two qubits is an entangling word, one of 20 with 0 to 3 ECR (1.5 on average), followed by one of the 24
Cliffords of one qubit on either side: 20·24² = 11520 elements, each exactly once. So an element is drawn evenly by
drawing its parts, and the inverse of a product is found by trying the 20 words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, reduce
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from qiskit.circuit.library import ECRGate

Matrix: TypeAlias = npt.NDArray[np.complex128]

_PULSES: dict[str, Matrix] = {
    "": np.eye(2, dtype=np.complex128),
    "sx": np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]], np.complex128) / 2,
    "x": np.array([[0, 1], [1, 0]], np.complex128),
}
_PAULIS = (_PULSES["x"], np.array([[0, -1j], [1j, 0]]), np.diag([1.0 + 0j, -1.0]))


@dataclass(frozen=True)
class Turn:
    """A Clifford of one qubit: rz, at most one pulse, rz. Angles in quarter turns."""

    before: int
    pulse: Literal["", "sx", "x"]
    after: int

    @property
    def matrix(self) -> Matrix:
        """The unitary, shape (2, 2)."""
        return _rz(self.after) @ _PULSES[self.pulse] @ _rz(self.before)


Step: TypeAlias = tuple[Turn, ...] | Literal["ecr"]
"""What is played at once: one turn per qubit, or an ECR of the first on the second."""


def _rz(quarters: int) -> Matrix:
    return np.diag(np.exp(np.array([-0.25j, 0.25j]) * np.pi * quarters))


TURNS: tuple[Turn, ...] = (
    *(Turn(0, "", after) for after in range(4)),
    *(Turn(0, "x", after) for after in range(4)),
    *(Turn(before, "sx", after) for before in range(4) for after in range(4)),
)
"""The 24 Cliffords of one qubit. 20 of them have a pulse."""
PULSES_PER_CLIFFORD = sum(turn.pulse != "" for turn in TURNS) / len(TURNS)
"""Of one qubit."""


def matrix_of(steps: Sequence[Step], qubits: int) -> Matrix:
    """Return the unitary of steps played one after the other, qubit 0 the least significant as in Qiskit."""
    return reduce(lambda done, step: _step(step) @ done, steps, np.eye(2**qubits, dtype=complex))


@cache
def _step(step: Step) -> Matrix:
    if step == "ecr":
        return np.asarray(ECRGate().to_matrix(), complex)
    return reduce(lambda low, turn: np.kron(turn.matrix, low), step, np.eye(1, dtype=complex))


def _key(matrix: Matrix) -> bytes:
    """Return what is equal for Cliffords that are equal up to a global phase: their entries are far apart."""
    flat = matrix.ravel()
    first = flat[np.argmax(np.abs(flat) > 0.1)]
    scaled = np.round(100 * flat * np.conj(first) / abs(first))
    return np.stack([scaled.real, scaled.imag]).astype(np.int16).tobytes()


class Cliffords:
    """The group of ``qubits``, 1 or 2. Get one by :func:`cliffords`."""

    def __init__(self, qubits: int) -> None:
        self.qubits = qubits
        locals_ = [(turn,) for turn in TURNS] if qubits == 1 else [(a, b) for a in TURNS for b in TURNS]
        self._local: dict[bytes, tuple[Turn, ...]] = {_key(_step(local)): local for local in locals_}
        self.words: list[tuple[tuple[Step, ...], Matrix]] = [((), np.eye(2**qubits, dtype=complex))]
        """Steps and unitary; the products of each with all local Cliffords are disjoint and exhaust the group."""
        if qubits == 2:
            self._grow()

    def _grow(self) -> None:
        """Add the words with one ECR more until there are no new ones, shortest first."""
        axes = {np.round(np.abs(_rotation(turn.matrix))).tobytes(): turn for turn in reversed(TURNS)}
        between = [(a, b) for a in axes.values() for b in axes.values()]
        newest = list(self.words)
        while newest:
            longer = [(*steps, *_added(local)) for steps, _ in newest for local in between]
            newest = []
            for steps in longer:
                matrix = matrix_of(steps, 2)
                if self._split(matrix) is None:
                    self.words.append((steps, matrix))
                    newest.append((steps, matrix))

    @property
    def order(self) -> int:
        """How many elements there are."""
        return len(self._local) * len(self.words)

    def draw(self, rng: np.random.Generator) -> tuple[Step, ...]:
        """Return a random element, all with the same probability."""
        word, _ = self.words[rng.integers(len(self.words))]
        turns = tuple(TURNS[k] for k in rng.integers(len(TURNS), size=self.qubits))
        return (*word, turns)

    def steps_of(self, matrix: Matrix) -> tuple[Step, ...]:
        """Return the element that is ``matrix`` up to a phase, which must be a Clifford."""
        found = self._split(matrix)
        assert found is not None, "a product of Cliffords is a Clifford"
        return found

    def _split(self, matrix: Matrix) -> tuple[Step, ...] | None:
        for word, unitary in self.words:
            local = self._local.get(_key(matrix @ unitary.conj().T))
            if local is not None:
                return (*word, local)
        return None


def _rotation(matrix: Matrix) -> npt.NDArray[np.float64]:
    return np.array([[np.trace(a @ matrix @ b @ matrix.conj().T).real / 2 for b in _PAULIS] for a in _PAULIS])


def _added(local: tuple[Turn, ...]) -> tuple[Step, ...]:
    """Return an ECR behind turns; turns that do nothing are left out."""
    return ("ecr",) if all(turn == TURNS[0] for turn in local) else (local, "ecr")


@cache
def cliffords(qubits: int) -> Cliffords:
    """Return the Clifford group of 1 or 2 qubits."""
    return Cliffords(qubits)


def benchmark(
    rng: np.random.Generator, qubits: int, length: int, end: int = 0, interleaved: Sequence[Step] = ()
) -> list[Step]:
    """Return ``length`` random Cliffords and the one that brings 0 to the state ``end``, a number with a bit per qubit.

    ``interleaved`` is played after each of the random ones, and is a Clifford itself.
    """
    group = cliffords(qubits)
    steps: list[Step] = []
    total, extra = np.eye(2**qubits, dtype=complex), matrix_of(interleaved, qubits)
    for _ in range(length):
        element = group.draw(rng)
        steps += [*element, *interleaved]
        total = extra @ matrix_of(element, qubits) @ total
    flips = tuple(TURNS[4] if end >> qubit & 1 else TURNS[0] for qubit in range(qubits))
    return [*steps, *group.steps_of(_step(flips) @ total.conj().T)]
