"""What a transpiled circuit does on a chip whose only fault is its always-on ZZ, as the rack times it.

Gates are exact and as long as they are: an x or sx turns evenly about x; an ecr is cross resonance of a quarter, a flip
of its control, and minus the same, its own pair's ZZ calibrated away. H/h = zz n n of each other pair acts throughout.
"""

from __future__ import annotations

import math

import numpy as np
from qiskit import QuantumCircuit
from qiskit.converters import circuit_to_dag
from qiskit.quantum_info import Statevector
from qiskit.transpiler import Target

from pulsed.provider.scheduling.timeline import Lengths, TimedStep, pieces, place
from pulsed.provider.target import zz_of

X, Z, N = np.array([[0, 1], [1, 0]], complex), np.diag([1, -1]).astype(complex), np.diag([0, 1]).astype(complex)
_FLIP = 32
"""dt that the control of an ecr is flipped in."""


class StaticZz:
    """Plays circuits of measured qubits.

    Args:
        target: of the backend; it knows lengths and ZZ.

    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._lengths = Lengths(target)
        self._zz = {frozenset((a, b)): rate for a, row in zz_of(target).items() for b, rate in row.items()}

    def distances(self, ready: QuantumCircuit, made: QuantumCircuit) -> float:
        """Return the total variation of what ``made`` gives from what ``ready`` means."""
        circuit, qubits = _unmeasured(ready)
        wanted = Statevector(circuit).probabilities(qubits)
        return float(0.5 * np.abs(self.probabilities(made) - wanted).sum())

    def probabilities(self, made: QuantumCircuit) -> np.ndarray:
        """Return (2^k,) probabilities of the measured bits, the first of which is the fast index."""
        circuit, qubits = _unmeasured(made)
        index = {bit: q for q, bit in enumerate(circuit.qubits)}
        ((steps, _),) = pieces(list(circuit_to_dag(circuit).topological_op_nodes()), self._lengths, index.__getitem__)
        end = place(steps, self._lengths)
        site = {q: len(qubits) - 1 - k for k, q in enumerate(qubits)}

        def on(**factors: np.ndarray) -> np.ndarray:
            out = np.eye(1)
            for k in range(len(qubits)):
                out = np.kron(out, factors.get(f"q{k}", np.eye(2)))
            return out

        def of(q: int, matrix: np.ndarray) -> dict[str, np.ndarray]:
            return {f"q{site[q]}": matrix}

        driven: list[tuple[int, int, np.ndarray]] = []
        for step in steps:
            if step.name in ("x", "sx"):
                turn = math.pi / (1 if step.name == "x" else 2)
                driven.append((step.start, step.end, turn / 2 / step.length * on(**of(step.qubits[0], X))))
            elif step.name == "ecr":
                driven += _ecr(step, lambda c, t: on(**of(c, Z), **of(t, X)), lambda c: on(**of(c, X)))
        pairs = {
            pair: 2 * math.pi * rate * self._target.dt * on(**{k: v for q in pair for k, v in of(q, N).items()})
            for pair, rate in self._zz.items()
            if pair <= set(qubits)
        }
        own = [(step.start, step.end, frozenset(step.qubits)) for step in steps if step.name == "ecr"]
        turns = [(step.start, step) for step in steps if step.name == "rz"]
        marks = sorted({0, end, *(t for one in driven for t in one[:2]), *(t for t, _ in turns)})
        state = np.eye(2 ** len(qubits))[0].astype(complex)
        for start, stop in zip(marks, [*marks[1:], end], strict=True):
            for _, step in (one for one in turns if one[0] == start):
                diagonal = np.diag(on(**of(step.qubits[0], Z)))
                state = np.exp(-0.5j * float(step.node.params[0]) * diagonal) * state
            h = sum((m for a, b, m in driven if a <= start and stop <= b), np.zeros((len(state),) * 2, complex))
            h = h + sum(m for pair, m in pairs.items() if not any(
                a <= start and stop <= b and pair == mine for a, b, mine in own))  # fmt: skip
            values, vectors = np.linalg.eigh(h)
            state = vectors @ (np.exp(-1j * values * (stop - start)) * (vectors.conj().T @ state))
        return np.abs(state) ** 2


def _ecr(step: TimedStep, crossed, flipped) -> list[tuple[int, int, np.ndarray]]:
    control, target = step.qubits
    half = (step.length - _FLIP) // 2
    one, two = step.start + half, step.end - half
    tone = math.pi / 8 / half * crossed(control, target)
    return [(step.start, one, tone), (one, two, math.pi / 2 / _FLIP * flipped(control)), (two, step.end, -tone)]


def _unmeasured(circuit: QuantumCircuit) -> tuple[QuantumCircuit, list[int]]:
    """Return a circuit without its measurements, and the qubits in the order of their bits."""
    out, bits = QuantumCircuit(circuit.num_qubits), {}
    for item in circuit.data:
        qubits = [circuit.find_bit(bit).index for bit in item.qubits]
        if item.operation.name == "measure":
            bits[circuit.find_bit(item.clbits[0]).index] = qubits[0]
        else:
            out.append(item.operation, qubits)
    return out, [bits[k] for k in sorted(bits)]
