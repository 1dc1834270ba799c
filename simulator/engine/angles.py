"""Rotation angles by which a unitary differs from another, for tuning gates."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complex128]

ECR = np.zeros((4, 4), complex)
ECR[[0, 0, 1, 1, 2, 2, 3, 3], [2, 3, 2, 3, 0, 1, 0, 1]] = np.array([1, 1j, 1j, 1, 1, -1j, -1j, 1]) / math.sqrt(2)
# Qiskit's ECRGate with the control as the slow index: (X 1 - Y X)/sqrt(2) on (control, target).


def generators(m: Complex) -> NDArray[np.float64]:
    """Return the traceless Pauli components of -Im(M), M's mean phase taken out: 0 where M is the identity."""
    n = len(m)
    paulis = [np.eye(2), np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1.0, -1.0])]
    basis = paulis if n == 2 else [np.kron(a, b) for a in paulis for b in paulis]
    components = np.array([np.trace(p.conj().T @ m) / n for p in basis])
    return np.asarray((components[1:] * np.exp(-1j * np.angle(components[0]))).imag, dtype=np.float64)


def transverse(u: Complex) -> complex:
    """Return x + iy of the rotation vector (rad) of a 2x2 unitary up to its phase."""
    u = u / np.sqrt(np.linalg.det(u))
    if np.trace(u).real < 0:
        u = -u
    x, y, z = -u[1, 0].imag, u[1, 0].real, -u[0, 0].imag
    sine = math.sqrt(x * x + y * y + z * z)
    angle = 2 * math.atan2(sine, u[0, 0].real)
    return complex(x, y) / sine * angle if sine > 0 else 0j


def virtual(u: Complex) -> tuple[float, float]:
    """Return the rz angles (control, target) after ``u`` that bring it closest to ECR, from the phases of its rows."""
    overlap = np.array([np.vdot(ECR[i], u[i]) for i in range(4)])
    control = float(np.angle(overlap[2] * overlap[0].conjugate()) + np.angle(overlap[3] * overlap[1].conjugate())) / 2
    target = float(np.angle(overlap[1] * overlap[0].conjugate()) + np.angle(overlap[3] * overlap[2].conjugate())) / 2
    return -control, -target


def conditional(u: Complex) -> float:
    """Return the phase that 11 gathers beyond those of 01 and 10."""
    return float(np.angle(u[3, 3] * u[0, 0] / (u[1, 1] * u[2, 2])))
