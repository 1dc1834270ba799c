"""Circuits and bits that the tests of the primitives share."""

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import Statevector

LETTERS = "IXYZ01+-rl"


def entangled(n: int = 5) -> QuantumCircuit:
    """Two angles, in gates of sim5: θ turns Q0 about Y, and φ is a phase of Q1; an ecr between them."""
    theta, phi = Parameter("θ"), Parameter("φ")
    circuit = QuantumCircuit(n, name="entangled")
    circuit.sx(0)
    circuit.rz(np.pi + theta, 0)
    circuit.sx(0)
    circuit.sx(1)
    circuit.rz(phi, 1)
    circuit.ecr(0, 1)
    return circuit


def phases(count: int) -> QuantumCircuit:
    """One angle per qubit, whose cosine its bit shows."""
    vector = ParameterVector("v", count)
    circuit = QuantumCircuit(5, count, name="phases")
    for q in range(count):
        circuit.sx(q)
        circuit.rz(vector[q] + np.pi, q)
        circuit.sx(q)
        circuit.measure(q, q)
    return circuit


def probabilities(circuit: QuantumCircuit) -> np.ndarray:
    return np.abs(Statevector(circuit.remove_final_measurements(inplace=False)).data) ** 2


def packed(outcomes: np.ndarray, width: int, first: int = 0) -> np.ndarray:
    """The bits of ``outcomes``, integers (bindings, shots), from memory slot ``first`` on, as a daemon sends them."""
    bits = outcomes[..., None] >> np.arange(width) & 1
    before = np.ones((*outcomes.shape, first), dtype=int)
    return np.packbits(np.concatenate([before, bits], axis=-1).astype(np.uint8), axis=-1, bitorder="little")


def exact(circuit: QuantumCircuit, labels: dict[str, float]) -> float:
    """The mean by matrices, without Qiskit's reading of labels."""
    one = {
        "I": np.eye(2), "X": np.array([[0, 1], [1, 0]]), "Y": np.array([[0, -1j], [1j, 0]]), "Z": np.diag([1, -1]),
        "0": np.diag([1, 0]), "1": np.diag([0, 1]), "+": np.full((2, 2), 0.5),
        "-": np.array([[0.5, -0.5], [-0.5, 0.5]]),
        "r": np.array([[0.5, -0.5j], [0.5j, 0.5]]), "l": np.array([[0.5, 0.5j], [-0.5j, 0.5]]),
    }  # fmt: skip
    state = Statevector(circuit).data
    total = 0.0
    for label, coefficient in labels.items():
        matrix = np.eye(1)
        for letter in label:
            matrix = np.kron(matrix, one[letter])
        total += coefficient * float(np.real(state.conj() @ matrix @ state))
    return total
