"""Exact propagators of pairs under pulses that are constant over each sample, with the dissipation that acts meanwhile.

H_n is that of :mod:`pulsed.simulator.dynamics.propagators`. Because the static part keeps the number of excitations,
H(d e^{i p}) = R(p) H(d) R(p)^+ with R(p) = exp(i p N): a plateau whose carrier only turns the phase needs one
exponential, and since s samples of it are R(p)^s (R(p)^+ exp(-i H))^s, one product for each step of the integrals.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pulsed.simulator.dynamics.propagators import expm_hermitian, hamiltonian, matmul

Complex = NDArray[np.complex128]


@njit(cache=True)
def _turned(drives, n):  # type: ignore[no-untyped-def]
    """Return the unit factor by which all drives turn from sample n-1 to n, or 0 if they do anything else."""
    factor = 0j
    for s in range(drives.shape[1]):
        if abs(drives[n - 1, s]) > abs(drives[n - 1, 0]) * 1e-3 and abs(drives[n - 1, s]) > 0:
            factor = drives[n, s] / drives[n - 1, s]
            break
    if factor == 0j or abs(abs(factor) - 1) > 1e-13:
        return 0j
    for s in range(drives.shape[1]):
        if abs(drives[n, s] - factor * drives[n - 1, s]) > 1e-13 * (abs(drives[n, s]) + 1e-3):
            return 0j
    return factor


@njit(cache=True)
def _turn(step, factor, numbers):  # type: ignore[no-untyped-def]
    """Turn a propagator in place by ``factor`` per excitation: R(p) U R(-p)."""
    dim = step.shape[0]
    for i in range(dim):
        for j in range(dim):
            if step[i, j] != 0j:
                difference = 0.0
                for s in range(numbers.shape[0]):
                    difference += numbers[s, i] - numbers[s, j]
                x = factor if difference > 0 else np.conj(factor)
                for _ in range(int(abs(difference))):
                    step[i, j] *= x


@njit(cache=True)
def _step(drives, first, last, energies, lowering, numbers, one, out, term, work):  # type: ignore[no-untyped-def]
    """Write the propagator of some samples to ``out``, and that of the last one to ``one``."""
    for n in range(first, last):
        factor = _turned(drives, n) if n > first else 0j
        if factor != 0j:
            _turn(one, factor, numbers)
        else:
            hamiltonian(energies, lowering, drives[n], work)
            h = work.copy()
            expm_hermitian(h, 1.0, one, term, work)
        if n == first:
            out[:] = one
        else:
            matmul(one, out, term)
            out[:] = term


@njit(cache=True)
def _power(drives, first, last, factor, numbers, energies, lowering, one, out, term, work):  # type: ignore[no-untyped-def]
    """Write the propagator of samples that each turn by ``factor`` to ``out``: R^s (R^+ S)^s of the first one's S."""
    hamiltonian(energies, lowering, drives[first], work)
    h = work.copy()
    expm_hermitian(h, 1.0, one, term, work)
    dim = one.shape[0]
    total = np.ones(dim, np.complex128)
    for i in range(dim):
        excitations = 0.0
        for s in range(numbers.shape[0]):
            excitations += numbers[s, i]
        turn = 1 + 0j
        for _ in range(int(excitations)):
            turn *= factor
        for j in range(dim):
            one[i, j] *= np.conj(turn)
        for _ in range(last - first):
            total[i] *= turn
    left = last - first
    for i in range(dim):
        for j in range(dim):
            out[i, j] = 1.0 if i == j else 0.0
    while left:
        if left & 1:
            matmul(one, out, term)
            out[:] = term
        left >>= 1
        if left:
            matmul(one, one, term)
            one[:] = term
    for i in range(dim):
        for j in range(dim):
            out[i, j] *= total[i]


@njit(cache=True)
def _nodes(energies, lowering, numbers, drives, keep, stride):  # type: ignore[no-untyped-def]
    """Return U (dim, dim), and its kept columns (nodes, dim, m) at the start and after every ``stride`` samples."""
    dim, m, samples = energies.shape[0], keep.shape[0], drives.shape[0]
    u = np.zeros((dim, dim), np.complex128)
    for i in range(dim):
        u[i, i] = 1.0
    one, step = np.empty((dim, dim), np.complex128), np.empty((dim, dim), np.complex128)
    term, work = np.empty((dim, dim), np.complex128), np.empty((dim, dim), np.complex128)
    count = (samples + stride - 1) // stride
    nodes = np.empty((count + 1, dim, m), np.complex128)
    before = 0j
    for k in range(count + 1):
        for i in range(dim):
            for j in range(m):
                nodes[k, i, j] = u[i, keep[j]]
        if k == count:
            break
        first, last = k * stride, min(samples, (k + 1) * stride)
        factor = _turned(drives, first + 1) if last > first + 1 else 0j
        for n in range(first + 2, last):
            if factor == 0j or abs(_turned(drives, n) - factor) > 1e-12:
                factor = 0j
                break
        whole = last - first == stride
        if factor != 0j and before != 0j and whole and abs(_turned(drives, first) - before) < 1e-12:
            turn = 1 + 0j
            for _ in range(stride):
                turn *= before
            _turn(step, turn, numbers)
        elif factor != 0j:
            _power(drives, first, last, factor, numbers, energies, lowering, one, step, term, work)
        else:
            _step(drives, first, last, energies, lowering, numbers, one, step, term, work)
        before = factor if whole else 0j
        matmul(step, u, term)
        u[:] = term
    return u, nodes


@njit(cache=True)
def _pictures(nodes, weights, diagonals, jumps, rows, columns, values):  # type: ignore[no-untyped-def]
    """Return the integrals (k, m, m) of U^+ diag U, and U^+ L U (nodes, jumps, m, m) times the root of its weight.

    ``jumps`` (n,), ``rows``, ``columns`` and ``values`` are the elements of all jumps that are not 0.
    """
    count, dim, m = nodes.shape
    most = 0
    for k in jumps:
        most = max(most, k + 1)
    integrals = np.zeros((diagonals.shape[0], m, m), np.complex128)
    out = np.zeros((count, most, m, m), np.complex64)
    for n in range(count):
        u, root = nodes[n], np.sqrt(weights[n])
        for s in range(diagonals.shape[0]):
            for p in range(dim):
                x = weights[n] * diagonals[s, p]
                if x != 0.0:
                    for i in range(m):
                        y = x * np.conj(u[p, i])
                        for j in range(m):
                            integrals[s, i, j] += y * u[p, j]
        for e in range(jumps.shape[0]):
            a = out[n, jumps[e]]
            for i in range(m):
                y = root * values[e] * np.conj(u[rows[e], i])
                for j in range(m):
                    a[i, j] += y * u[columns[e], j]
    return integrals, out


def propagate(
    energies: NDArray[np.float64],
    lowering: Complex,
    numbers: NDArray[np.float64],
    drives: Complex,
    jumps: NDArray[np.float64],
    keep: NDArray[np.int64],
    stride: int,
) -> tuple[Complex, Complex, Complex]:
    """Return U (dim, dim), moments (sites, m, m) and generator (m^2, m^2) of a driven stretch.

    moments[s] is the integral of U^+ n_s U, the generator that of the dissipator in the interaction picture, both on
    the ``m`` kept labels by the trapezoidal rule; vec is row-major. The part of the generator that jumps make is summed
    in single precision: 1e-7 of what is itself below 1e-2.

    Args:
        energies: (dim,) rad/ns.
        lowering: (sites, dim, dim).
        numbers: (sites, dim) levels.
        drives: (samples, sites) rad/ns.
        jumps: (k, dim, dim) collapse operators in 1/sqrt(ns), each of which takes a label to one label at most.
        keep: (m,) labels.
        stride: samples per step of the integrals.

    """
    u, nodes = _nodes(energies, lowering, numbers, drives, keep, stride)
    edges = np.minimum(np.arange(len(nodes)) * stride, len(drives))
    gaps = np.diff(edges).astype(float)
    weights = 0.5 * (np.append(gaps, 0.0) + np.append(0.0, gaps))
    leaving = np.square(jumps).sum(axis=(0, 1))
    which, rows, columns = np.nonzero(jumps)
    diagonals = np.vstack([numbers, leaving])
    integrals, pictures = _pictures(nodes, weights, diagonals, which, rows, columns, jumps[which, rows, columns])
    m = len(keep)
    flat = pictures.reshape(-1, m * m)
    # Products stand at (row, column of L) x (row, column of L*); vec(rho) wants the rows, then the columns.
    inside = (flat.T @ flat.conj()).reshape(m, m, m, m).transpose(0, 2, 1, 3).reshape(m * m, m * m)
    eye, squares = np.eye(m), integrals[-1]
    generator = inside - 0.5 * (np.kron(squares, eye) + np.kron(eye, squares.conj()))
    return u, integrals[:-1], np.asarray(generator, np.complex128)
