"""Exact propagators of pairs under pulses that are constant over each sample, with the dissipation that acts meanwhile.

H_n is that of :mod:`pulsed.simulator.dynamics.propagators`. Because the static part keeps the number of excitations,
H(d e^{i p}) = R(p) H(d) R(p)^+ with R(p) = exp(i p N): a plateau whose carrier only turns the phase needs one
exponential, and since s samples of it are R(p)^s (R(p)^+ exp(-i H))^s, one product for each step of the integrals.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pulsed.simulator.dynamics.propagators import hamiltonian

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


@njit(cache=True, fastmath={"contract"})
def _multiply(a, b, swapped, out):  # type: ignore[no-untyped-def]
    """Write a b to ``out``; ``swapped`` is room for i b. Rows are real parts, then imaginary ones, of even number."""
    n, width = a.shape
    half = width // 2
    for p in range(n):
        row, turned = b[p], swapped[p]
        for k in range(half):
            turned[k], turned[half + k] = -row[half + k], row[k]
    for i in range(n):
        row = out[i]
        for k in range(width):
            row[k] = 0.0
        for p in range(0, n - 2, 3):
            x0, x1, x2 = a[i, p], a[i, p + 1], a[i, p + 2]
            y0, y1, y2 = a[i, half + p], a[i, half + p + 1], a[i, half + p + 2]
            b0, b1, b2, s0, s1, s2 = b[p], b[p + 1], b[p + 2], swapped[p], swapped[p + 1], swapped[p + 2]
            for k in range(width):
                row[k] += x0 * b0[k] + y0 * s0[k] + x1 * b1[k] + y1 * s1[k] + x2 * b2[k] + y2 * s2[k]
        for p in range(n - n % 3, n):
            x0, y0, b0, s0 = a[i, p], a[i, half + p], b[p], swapped[p]
            for k in range(width):
                row[k] += x0 * b0[k] + y0 * s0[k]


@njit(cache=True, fastmath={"contract"})
def _exponential(h, out, room):  # type: ignore[no-untyped-def]  # noqa: PLR0912
    """Write exp(-i h) of one sample to ``out``, rows as of :func:`_multiply`: Taylor to order 12, then squaring.

    Powers are shared as Paterson and Stockmeyer (1973) have it; below norm 1/2 the error is below 1e-14. ``room`` is
    (6, n, width), of which unused columns are 0.
    """
    n, half = h.shape[0], out.shape[1] // 2
    shift = 0.0
    for i in range(n):
        shift += h[i, i].real / n
    norm = 0.0
    for i in range(n):
        row = 0.0
        for j in range(n):
            row += abs(h[i, j] - shift) if i == j else abs(h[i, j])
        norm = max(norm, row)
    squarings, scale = 0, 1.0
    while norm > 0.5:
        norm *= 0.5
        scale *= 0.5
        squarings += 1
    first, second, third, fourth, swapped = room[0], room[1], room[2], room[3], room[4]
    for i in range(n):
        for j in range(n):
            x = h[i, j] - shift if i == j else h[i, j]
            first[i, j], first[i, half + j] = scale * x.imag, -scale * x.real
    _multiply(first, first, swapped, second)
    _multiply(second, first, swapped, third)
    _multiply(second, second, swapped, fourth)
    c = np.ones(13)
    for k in range(1, 13):
        c[k] = c[k - 1] / k
    for i in range(n):
        for k in range(out.shape[1]):
            out[i, k] = c[12] * fourth[i, k]
    for k in (8, 4, 0):
        for i in range(n):
            for j in range(out.shape[1]):
                out[i, j] += c[k + 3] * third[i, j] + c[k + 2] * second[i, j] + c[k + 1] * first[i, j]
            out[i, i] += c[k]
        if k:
            _multiply(fourth, out, swapped, room[5])
            out[:] = room[5]
    for _ in range(squarings):
        _multiply(out, out, swapped, room[5])
        out[:] = room[5]
    re, im = np.cos(shift), -np.sin(shift)
    for i in range(n):
        for j in range(half):
            x, y = out[i, j], out[i, half + j]
            out[i, j], out[i, half + j] = re * x - im * y, re * y + im * x


@njit(cache=True)
def _turn(step, factor, excitations):  # type: ignore[no-untyped-def]
    """Turn a propagator in place by ``factor`` per excitation: R(p) U R(-p)."""
    n, half = step.shape[0], step.shape[1] // 2
    for i in range(n):
        for j in range(n):
            difference = excitations[i] - excitations[j]
            x = complex(step[i, j], step[i, half + j])
            turn = factor if difference > 0 else np.conj(factor)
            for _ in range(abs(difference)):
                x *= turn
            step[i, j], step[i, half + j] = x.real, x.imag


@njit(cache=True)
def _stretch(drives, first, last, energies, lowering, excitations, h, one, out, room):  # type: ignore[no-untyped-def]
    """Write the propagator of some samples to ``out``; ``one`` is that of a sample."""
    for n in range(first, last):
        factor = _turned(drives, n) if n > first else 0j
        if factor != 0j:
            _turn(one, factor, excitations)
        else:
            hamiltonian(energies, lowering, drives[n], h)
            _exponential(h, one, room)
        if n == first:
            out[:] = one
        else:
            _multiply(one, out, room[4], room[5])
            out[:] = room[5]


@njit(cache=True)
def _scale(step, factor, times, excitations):  # type: ignore[no-untyped-def]
    """Multiply a propagator in place by R^times from the left, R = factor^N."""
    n, half = step.shape[0], step.shape[1] // 2
    for i in range(n):
        turn = 1 + 0j
        for _ in range(excitations[i] * times):
            turn *= factor
        for j in range(n):
            x = complex(step[i, j], step[i, half + j]) * turn
            step[i, j], step[i, half + j] = x.real, x.imag


@njit(cache=True)
def _plateau(drives, first, last, factor, energies, lowering, excitations, h, one, out, room):  # type: ignore[no-untyped-def]
    """Write the propagator of samples that each turn by ``factor`` to ``out``: R^s (R^+ S)^s of the first one's S."""
    hamiltonian(energies, lowering, drives[first], h)
    _exponential(h, one, room)
    _scale(one, np.conj(factor), 1, excitations)
    out[:] = 0.0
    for i in range(one.shape[0]):
        out[i, i] = 1.0
    left = last - first
    while left:
        if left & 1:
            _multiply(one, out, room[4], room[5])
            out[:] = room[5]
        left >>= 1
        if left:
            _multiply(one, one, room[4], room[5])
            one[:] = room[5]
    _scale(out, factor, last - first, excitations)


@njit(cache=True)
def _nodes(energies, lowering, numbers, drives, keep, stride):  # type: ignore[no-untyped-def]  # noqa: PLR0912
    """Return U (dim, dim), and its kept columns (nodes, dim, m) at the start and after every ``stride`` samples."""
    dim, m, samples = energies.shape[0], keep.shape[0], drives.shape[0]
    half = 16 * ((dim + 15) // 16)  # whole vectors
    u, step = np.zeros((dim, 2 * half)), np.zeros((dim, 2 * half))
    one, room = np.zeros((dim, 2 * half)), np.zeros((6, dim, 2 * half))
    h = np.empty((dim, dim), np.complex128)
    excitations = np.zeros(dim, np.int64)
    for i in range(dim):
        u[i, i] = 1.0
        for s in range(numbers.shape[0]):
            excitations[i] += int(numbers[s, i])
    count = (samples + stride - 1) // stride
    nodes = np.empty((count + 1, dim, m), np.complex128)
    before = 0j
    for k in range(count + 1):
        for i in range(dim):
            for j in range(m):
                nodes[k, i, j] = complex(u[i, keep[j]], u[i, half + keep[j]])
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
            _turn(step, turn, excitations)
        elif factor != 0j:
            _plateau(drives, first, last, factor, energies, lowering, excitations, h, one, step, room)
        else:
            _stretch(drives, first, last, energies, lowering, excitations, h, one, step, room)
        before = factor if whole else 0j
        _multiply(step, u, room[4], room[5])
        u[:] = room[5]
    whole_u = np.empty((dim, dim), np.complex128)
    for i in range(dim):
        for j in range(dim):
            whole_u[i, j] = complex(u[i, j], u[i, half + j])
    return whole_u, nodes


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
