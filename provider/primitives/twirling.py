"""Pauli twirling: the same circuit in random forms that differ in Paulis around two-qubit gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qiskit.circuit import pauli_twirl_2q_gates

if TYPE_CHECKING:
    import numpy as np
    from qiskit.circuit import QuantumCircuit
    from qiskit.transpiler import Target

GATES = ("ecr", "cz")
"""Two-qubit gates that turn Paulis into Paulis."""


def twirl_gates(circuit: QuantumCircuit, target: Target, number: int, rng: np.random.Generator) -> list[QuantumCircuit]:
    """Return ``number`` random forms of ``circuit``, in gates of ``target``.

    Paulis before and after each gate of :data:`GATES` cancel; they are merged with the neighbouring one-qubit gates.
    Gates in the bodies of control flow stay as they are.
    """
    seed = int(rng.integers(2**63))
    found: list[QuantumCircuit] = pauli_twirl_2q_gates(circuit, list(GATES), seed, number, target)
    for form in found:
        form.name = circuit.name
        form._layout = circuit._layout  # where the qubits of boxes went; Qiskit forgets it
    return found


def shares(shots: int, forms: int) -> list[int]:
    """Return how many of ``shots`` each form has: as even as can be, and all of them."""
    each, more = divmod(shots, forms)
    return [each + 1] * more + [each] * (forms - more)
