"""Superoperators on a row-major vec(rho): idle evolution in closed form, pulses from their propagators."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip.components import Qubit
from pulsed.simulator.dynamics.hamiltonian import LEVELS, TWO_PI_PER_NS

Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Rates:
    """Rates of a qubit in 1/ns: 1->0, 0->1, and white dephasing (coherence 01 decays at ``dephasing``)."""

    down: float
    up: float
    dephasing: float


def rates(qubit: Qubit) -> Rates:
    """Return a qubit's rates: T1 = 1/(down + up), p_thermal = up/(down + up), 1/T2e = 1/2T1 + dephasing."""
    total = 1e-9 / qubit.t1
    return Rates(total * (1 - qubit.thermal), total * qubit.thermal, 1e-9 / qubit.t2_echo - total / 2)


def jump_operators(qubit: Qubit, levels: int) -> NDArray[np.float64]:
    """Return the (k, levels, levels) collapse operators in 1/sqrt(ns).

    Each step of the ladder decays by itself (n times faster from level n): the anharmonicity keeps them apart.
    """
    r = rates(qubit)
    out = []
    for n in range(1, levels):
        down, up = np.zeros((levels, levels)), np.zeros((levels, levels))
        down[n - 1, n], up[n, n - 1] = math.sqrt(r.down * n), math.sqrt(r.up * n)
        out += [down, up]
    out.append(math.sqrt(2 * max(r.dephasing, 0.0)) * np.diag(np.arange(float(levels))))
    return np.array(out)


def dissipator(jumps: NDArray[np.float64]) -> Complex:
    """Return the (m^2, m^2) generator sum_k L rho L^+ - (L^+ L rho + rho L^+ L)/2 of real jumps (k, m, m)."""
    eye = np.eye(jumps.shape[1])
    out = np.zeros((eye.size, eye.size), complex)
    for jump in jumps:
        square = jump.T @ jump
        out += np.kron(jump, jump) - 0.5 * (np.kron(square, eye) + np.kron(eye, square))
    return out


class Idle:
    """Free evolution of one qubit: phases and decays in closed form, populations by the eigenvalues of the rates."""

    def __init__(self, qubit: Qubit, reference: float) -> None:
        r, n = rates(qubit), np.arange(LEVELS)
        matrix = np.zeros((LEVELS, LEVELS))
        for k in range(1, LEVELS):
            matrix[k - 1, k] += r.down * k
            matrix[k, k] -= r.down * k
            matrix[k, k - 1] += r.up * k
            matrix[k - 1, k - 1] -= r.up * k
        self.rates: NDArray[np.float64] = matrix
        values, vectors = np.linalg.eig(matrix)
        self._values, self._vectors = values.real, vectors.real
        self._inverse = np.linalg.inv(self._vectors)
        leaving = -np.diag(matrix)
        decay = 0.5 * (leaving[:, None] + leaving[None, :]) + r.dephasing * (n[:, None] - n[None, :]) ** 2
        energy = ((qubit.frequency - reference) * n + 0.5 * qubit.anharmonicity * n * (n - 1)) * TWO_PI_PER_NS
        self._exponent = (-1j * (energy[:, None] - energy[None, :]) - decay).ravel()
        self._difference = (n[:, None] - n[None, :]).ravel()
        self._diagonal = np.arange(LEVELS) * (LEVELS + 1)
        above = np.triu_indices(LEVELS, 1)
        self._coherences = np.ravel_multi_index(above, (LEVELS, LEVELS))
        thermal = self._vectors[:, np.argmax(self._values)]
        self.thermal: NDArray[np.float64] = thermal / thermal.sum()

    def populations(self, duration: float) -> NDArray[np.float64]:
        """Return the (3, 3) matrix that takes populations ``duration`` ns on."""
        out: NDArray[np.float64] = (self._vectors * np.exp(self._values * duration)) @ self._inverse
        return out

    def factors(self, duration: float, detunings: NDArray[np.float64]) -> Complex:
        """Return (batch, 3): what the coherences 01, 02, 12 are multiplied by in ``duration`` ns; detunings in Hz."""
        turn = np.multiply.outer(-1j * TWO_PI_PER_NS * detunings, self._difference[self._coherences])
        out: Complex = np.exp((self._exponent[self._coherences] + turn) * duration)
        return out

    def superoperator(self, duration: float, detunings: NDArray[np.float64]) -> Complex:
        """Return (batch, 9, 9) for ``duration`` ns with a quasi-static detuning (Hz) per member of the batch."""
        phases = np.exp(-1j * TWO_PI_PER_NS * duration * np.multiply.outer(detunings, self._difference))
        diagonal = np.exp(self._exponent * duration) * phases
        out = np.zeros((len(detunings), LEVELS**2, LEVELS**2), complex)
        index = np.arange(LEVELS**2)
        out[:, index, index] = diagonal
        out[:, self._diagonal[:, None], self._diagonal[None, :]] = self.populations(duration)
        return out


def exponential(generator: NDArray[Any]) -> NDArray[Any]:
    """Return exp of generators (..., n, n), duration over T1 in size and real or complex, by Taylor and squaring."""
    norm = float(np.abs(generator).sum(axis=-1).max())
    squarings = max(0, math.ceil(math.log2(norm / 0.1))) if norm > 0.1 else 0
    generator = generator / 2**squarings
    out = np.eye(generator.shape[-1], dtype=generator.dtype)
    term = out
    for order in range(1, 11):
        term = term @ generator / order
        out = out + term
        if float(np.abs(term).max()) < 1e-14:
            break
    for _ in range(squarings):
        out = out @ out
    return out


def small_unitaries(moments: Complex, detunings: NDArray[np.float64]) -> Complex:
    """Return exp(-2 pi i sum_s delta_s G_s), shape (batch, m, m).

    Args:
        moments: (sites, m, m) integrals of U^+ n U in ns.
        detunings: (batch, sites) Hz.

    """
    h = np.tensordot(detunings * TWO_PI_PER_NS, moments, axes=(1, 0))
    h = 0.5 * (h + h.conj().transpose(0, 2, 1))
    norm = float(np.abs(h).max(initial=0.0)) * h.shape[1]
    if norm > 0.3:
        values, vectors = np.linalg.eigh(h)
        out: Complex = (vectors * np.exp(-1j * values)[:, None, :]) @ vectors.conj().transpose(0, 2, 1)
        return out
    term = np.broadcast_to(np.eye(h.shape[1], dtype=complex), h.shape)
    out = term.copy()
    left = 1.0
    for order in range(1, 11):
        term = term @ h * (-1j / order)
        out += term
        left *= norm / order
        if left < 1e-16:
            break
    return out
