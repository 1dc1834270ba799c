"""Propagators of pulses that couple three transmons: those of two are :mod:`pulsed.simulator.dynamics.propagators`.

Of 27 to 64 levels a product is worth its call, so exponentials are taken for some samples at once and the dissipation
of all moments is one product of matrices for each jump. A pulse of 500 samples takes 0.4 s of a core, a pair's 16 ms.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.dynamics.hamiltonian import Static

Complex = NDArray[np.complex128]

_ORDER = 12
_NORM = 0.5
"""Norm below which the Taylor series to order 12 errs by less than 1e-14."""


def exponentials(h: Complex) -> Complex:
    """Return exp(-i h) of Hermitian matrices (n, dim, dim): Taylor (Paterson and Stockmeyer 1973), then squaring."""
    eye = np.eye(h.shape[1])
    shift = np.trace(h, axis1=1, axis2=2).real / h.shape[1]
    a = -1j * (h - shift[:, None, None] * eye)
    norm = float(np.abs(a).sum(axis=2).max())
    squarings = max(0, math.ceil(math.log2(norm / _NORM))) if norm > _NORM else 0
    a /= 2**squarings
    c = [1 / math.factorial(k) for k in range(_ORDER + 1)]
    second = a @ a
    third, fourth = second @ a, second @ second
    out = c[12] * fourth
    for k in (8, 4, 0):
        out += c[k + 3] * third
        out += c[k + 2] * second
        out += c[k + 1] * a
        out += c[k] * eye
        if k:
            out = fourth @ out
    for _ in range(squarings):
        out = out @ out
    return np.asarray(out * np.exp(-1j * shift)[:, None, None])


def propagate_many(
    system: Static, drives: Complex, jumps: NDArray[np.float64], stride: int
) -> tuple[Complex, Complex, Complex]:
    """Return U (m, m), moments (sites, m, m) and generator (m^2, m^2) of a driven stretch, on the ``m`` kept labels.

    The integrals follow the trapezoidal rule on steps of ``stride`` samples; see
    :func:`pulsed.simulator.dynamics.propagators.propagate`.

    Args:
        system: the transmons.
        drives: (samples, sites) rad/ns.
        jumps: (k, dim, dim) collapse operators in 1/sqrt(ns).
        stride: samples per step.

    """
    lowering, samples = system.lowering, len(drives)
    u = np.eye(len(system.energies), dtype=complex)
    nodes, edges = [u[:, system.keep]], [0]
    for first in range(0, samples, stride):
        part = drives[first : first + stride]
        half = 0.5 * np.tensordot(part.conj(), lowering, axes=(1, 0))
        steps = exponentials(half + half.conj().transpose(0, 2, 1) + np.diag(system.energies))
        for step in steps:
            u = step @ u
        nodes.append(u[:, system.keep])
        edges.append(first + len(part))
    at, gaps = np.array(nodes), np.diff(edges)
    weights = 0.5 * (np.append(gaps, 0) + np.append(0, gaps))
    back = at.conj().transpose(0, 2, 1)
    moments = np.array([np.tensordot(weights, back @ (n[:, None] * at), axes=(0, 0)) for n in system.numbers])
    return u[np.ix_(system.keep, system.keep)], moments, _generator(at, weights, jumps)


def _generator(at: Complex, weights: NDArray[np.float64], jumps: NDArray[np.float64]) -> Complex:
    """Return the (m^2, m^2) integral of the dissipator in the interaction picture of (nodes, dim, m) columns of U."""
    m = at.shape[2]
    back = at.conj().transpose(0, 2, 1)
    inside: Complex = np.zeros((m * m, m * m), complex)
    squares: Complex = np.zeros((m, m), complex)
    for jump in jumps:
        after = jump @ at
        both = (back @ after).reshape(len(at), -1)  # <i|U+ L U|j> of each node
        inside += (both * weights[:, None]).T @ both.conj()
        squares += np.tensordot(weights, after.conj().transpose(0, 2, 1) @ after, axes=(0, 0))
    # Products stand at (row, column of L) x (row, column of L*); vec(rho) wants the rows, then the columns.
    inside = inside.reshape(m, m, m, m).transpose(0, 2, 1, 3).reshape(m * m, m * m)
    eye = np.eye(m)
    return np.asarray(inside - 0.5 * (np.kron(squares, eye) + np.kron(eye, squares.conj())))
