"""Density matrices as real vectors: their coefficients in an orthonormal Hermitian basis of each transmon.

A transmon's nine coefficients stand where its nine matrix elements stand row by row: the populations on the diagonal,
for i < j sqrt(2) Re rho_ij at (i, j) and sqrt(2) Im rho_ij at (j, i). Maps that keep a state Hermitian are real: a
product takes a quarter of the multiplications. A phase turns the two coefficients of a coherence into each other.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pulsed.simulator.dynamics.hamiltonian import LEVELS

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]

SIZE = LEVELS**2
"""Coefficients of one transmon."""

POPULATIONS = np.arange(LEVELS) * (LEVELS + 1)
"""Where they stand."""

COHERENCES = np.array([(i, j) for i in range(LEVELS) for j in range(i + 1, LEVELS)])
"""(3, 2) levels i < j."""

_PARTS = np.array([(LEVELS * i + j, LEVELS * j + i) for i, j in COHERENCES])
"""(3, 2) where real and imaginary part of each coherence stand."""

_PLACES = tuple((int(re), int(im)) for re, im in _PARTS)

COHERENT = _PARTS.ravel()
"""Where coherences stand."""

_HALF = np.sqrt(0.5)


def _basis() -> Complex:
    """Return the unitary (9, 9) from the elements of a transmon's matrix, row by row, to its coefficients."""
    out = np.zeros((SIZE, SIZE), complex)
    out[POPULATIONS, POPULATIONS] = 1
    for re, im in _PARTS:
        out[re, [re, im]] = _HALF
        out[im, [re, im]] = -1j * _HALF, 1j * _HALF
    return out


def _bases() -> dict[int, Complex]:
    one = _basis()
    index = np.arange(SIZE**2).reshape((LEVELS,) * 4).transpose(0, 2, 1, 3).ravel()
    two: Complex = np.kron(one, one)[:, np.argsort(index)].astype(np.complex128)
    return {LEVELS: one, SIZE: two}


_BASES = _bases()


def _of_elements(x: Complex, count: int) -> Complex:
    """Return the coefficients (rows, 9**count) of row-major vec(rho) (rows, m^2) of ``count`` transmons."""
    axes = [0, *(a for s in range(count) for a in (1 + s, 1 + count + s))]
    x = x.reshape((len(x),) + (LEVELS,) * (2 * count)).transpose(axes)
    return _on_each(x, _BASES[LEVELS], count)


def _to_elements(x: Complex, count: int) -> Complex:
    """Undo :func:`_of_elements`."""
    axes = [0, *(1 + 2 * s for s in range(count)), *(2 + 2 * s for s in range(count))]
    x = _on_each(x, _BASES[LEVELS].conj().T, count).reshape((len(x),) + (LEVELS,) * (2 * count))
    return x.transpose(axes).reshape(len(x), -1)


def _on_each(x: Complex, matrix: Complex, count: int) -> Complex:
    for _ in range(count):  # each pass turns the last transmon's axis to the front of the others
        x = np.matmul(matrix, x.reshape(len(x), -1, SIZE).transpose(0, 2, 1))
    return x.reshape(len(x), -1)


def _count(size: int) -> int:
    """Return of how many transmons the matrices (m, m) have ``size`` = m^2 elements."""
    return round(math.log(size, SIZE))


def real_map(superoperator: Complex) -> Real:
    """Return a map (m^2, m^2) on a row-major vec(rho) of some transmons as one on their coefficients.

    Those of several transmons are the products of theirs, the first one's slowest.
    """
    count = _count(len(superoperator))
    columns = _of_elements(superoperator.T, count).T
    return np.ascontiguousarray(_of_elements(columns.conj(), count).real)


def complex_map(real: Real) -> Complex:
    """Undo :func:`real_map`."""
    count = _count(len(real))
    columns = _to_elements(real.T.astype(np.complex128), count).T
    return _to_elements(columns.conj(), count).conj()


def conjugated(x: Real, unitaries: Complex) -> Real:
    """Return the coefficients of U rho U^+ of some transmons, (batch, ..., m^2), one U (batch, m, m) per member."""
    batch, m, _ = unitaries.shape
    rho = _to_elements(x.reshape(-1, m * m).astype(np.complex128), _count(m * m)).reshape(batch, -1, m, m)
    turned = unitaries[:, None] @ rho @ unitaries.conj().transpose(0, 2, 1)[:, None]
    return np.ascontiguousarray(_of_elements(turned.reshape(-1, m * m), _count(m * m)).real).reshape(x.shape)


def after_unitaries(pulse_map: Real, unitaries: Complex) -> Real:
    """Return (batch, n, m^2): a map (n, m^2) on coefficients of one or two transmons after U rho U^+ of each member."""
    basis, (batch, m, _), count = _BASES[unitaries.shape[-1]], unitaries.shape, len(pulse_map)
    rows = (pulse_map @ basis).reshape(1, count * m, m)
    rows = rows @ unitaries.conj()
    rows = rows.reshape(batch, count, m, m).transpose(0, 1, 3, 2).reshape(batch, count * m, m) @ unitaries
    rows = rows.reshape(batch, count, m, m).transpose(0, 1, 3, 2).reshape(batch, count, m * m)
    out: Real = rows.real @ basis.real.T + rows.imag @ basis.imag.T
    return out


def turn(angle: float) -> Real:
    """Return (9, 9): the map of exp(i angle n) on one transmon."""
    out = np.eye(SIZE)
    c, s = math.cos(angle), -math.sin(angle)
    double_c, double_s = c * c - s * s, 2 * c * s
    for (re, im), x, y in zip(_PLACES, (c, double_c, c), (s, double_s, s), strict=True):
        out[re, re], out[re, im], out[im, re], out[im, im] = x, -y, y, x
    return out


def waits(populations: Real, factors: Complex) -> Real:
    """Return (batch, 9, 9): a map of populations (3, 3), and factors (batch, 3) of the coherences."""
    out = np.zeros((len(factors), SIZE, SIZE))
    out[:, POPULATIONS[:, None], POPULATIONS[None, :]] = populations
    for (re, im), factor in zip(_PARTS, factors.T, strict=True):
        out[:, re, re] = out[:, im, im] = factor.real
        out[:, re, im], out[:, im, re] = -factor.imag, factor.imag
    return out


@njit(cache=True)
def elements(x):  # type: ignore[no-untyped-def]
    """Turn coefficients into matrix elements in place: complex x (rows, 9, columns), one transmon along axis 1."""
    for a in range(x.shape[0]):
        for re, im in ((1, 3), (2, 6), (5, 7)):
            for c in range(x.shape[2]):
                u, v = x[a, re, c], 1j * x[a, im, c]
                x[a, re, c] = (u + v) * _HALF
                x[a, im, c] = (u - v) * _HALF


@njit(cache=True)
def coefficients(x):  # type: ignore[no-untyped-def]
    """Undo :func:`elements`."""
    for a in range(x.shape[0]):
        for re, im in ((1, 3), (2, 6), (5, 7)):
            for c in range(x.shape[2]):
                u, v = x[a, re, c], x[a, im, c]
                x[a, re, c] = (u + v) * _HALF
                x[a, im, c] = -1j * (u - v) * _HALF


@njit(cache=True)
def shift(x, energies, duration):  # type: ignore[no-untyped-def]  # noqa: PLR0912
    """Let two transmons pick up pair energies (3, 3) in rad/ns for ``duration`` ns, in place.

    ``x`` (rows, 9, between, 9, columns) holds coefficients, the two along the axes 1 and 3.
    """
    pops = (0, 4, 8)
    pairs = ((1, 3, 0, 1), (2, 6, 0, 2), (5, 7, 1, 2))
    rows, middle, columns = x.shape[0], x.shape[2], x.shape[4]
    for k in range(3):
        for re, im, i, j in pairs:
            left = -duration * (energies[k, i] - energies[k, j])
            right = -duration * (energies[i, k] - energies[j, k])
            p, cl, sl, cr, sr = pops[k], np.cos(left), np.sin(left), np.cos(right), np.sin(right)
            for a in range(rows):
                for n in range(middle):
                    if left != 0.0:
                        for c in range(columns):
                            y, z = x[a, p, n, re, c], x[a, p, n, im, c]
                            x[a, p, n, re, c], x[a, p, n, im, c] = cl * y - sl * z, sl * y + cl * z
                    if right != 0.0:
                        for c in range(columns):
                            y, z = x[a, re, n, p, c], x[a, im, n, p, c]
                            x[a, re, n, p, c], x[a, im, n, p, c] = cr * y - sr * z, sr * y + cr * z
    for ra, ia, i, j in pairs:
        for rb, ib, k, m in pairs:
            same = -duration * (energies[i, k] - energies[j, m])
            cross = -duration * (energies[i, m] - energies[j, k])
            cs, ss = 0.5 * np.cos(same), 0.5 * np.sin(same)
            cc, sc = 0.5 * np.cos(cross), 0.5 * np.sin(cross)
            for a in range(rows):
                for n in range(middle):
                    for c in range(columns):
                        rr, ri, ir, ii = x[a, ra, n, rb, c], x[a, ra, n, ib, c], x[a, ia, n, rb, c], x[a, ia, n, ib, c]
                        u, w = cs * (rr - ii) - ss * (ri + ir), ss * (rr - ii) + cs * (ri + ir)
                        v, y = cc * (rr + ii) - sc * (ir - ri), sc * (rr + ii) + cc * (ir - ri)
                        x[a, ra, n, rb, c], x[a, ia, n, ib, c] = u + v, v - u
                        x[a, ra, n, ib, c], x[a, ia, n, rb, c] = w - y, w + y


@njit(cache=True)
def local(x, maps, out):  # type: ignore[no-untyped-def]
    """Write maps (batch or 1, 9, 9) on axis 2 of x (batch, rows, 9, columns) to ``out``."""
    for b in range(x.shape[0]):
        chosen = maps[b if maps.shape[0] > 1 else 0]
        for a in range(x.shape[1]):
            for i in range(9):
                for c in range(x.shape[3]):
                    out[b, a, i, c] = chosen[i, 0] * x[b, a, 0, c]
                for j in range(1, 9):
                    y = chosen[i, j]
                    for c in range(x.shape[3]):
                        out[b, a, i, c] += y * x[b, a, j, c]


@njit(cache=True)
def follow(x, maps, which, angles):  # type: ignore[no-untyped-def]
    """Take x (batch, 9) of a transmon through transposed maps (kinds, batch, 9, 9), before each turned by an angle."""
    work = np.empty(9)
    for k in range(which.shape[0]):
        c1, s1 = np.cos(angles[k]), -np.sin(angles[k])
        c2, s2 = c1 * c1 - s1 * s1, 2 * c1 * s1
        for b in range(x.shape[0]):
            chosen, y = maps[which[k], b], x[b]
            y[1], y[3] = c1 * y[1] - s1 * y[3], s1 * y[1] + c1 * y[3]
            y[5], y[7] = c1 * y[5] - s1 * y[7], s1 * y[5] + c1 * y[7]
            y[2], y[6] = c2 * y[2] - s2 * y[6], s2 * y[2] + c2 * y[6]
            for i in range(9):
                work[i] = 0.0
            for j in range(9):
                z = y[j]
                for i in range(9):
                    work[i] += chosen[j, i] * z
            for i in range(9):
                y[i] = work[i]


@njit(cache=True)
def scale_elements(x, factors, energies, duration):  # type: ignore[no-untyped-def]
    """Multiply matrix elements x (batch, 9**k) in place by a factor of each transmon and a phase of each pair.

    Args:
        x: complex, the first transmon slowest.
        factors: (batch, k, 9) by the element of each transmon.
        energies: (k, k, 3, 3) rad/ns, 0 where there is no coupling; acts where both transmons have coherence.
        duration: ns.

    """
    count = factors.shape[1]
    phases = np.ones((count, count, 9, 9), np.complex128)
    for r in range(count):
        for s in range(r + 1, count):
            for p in range(9):
                for q in range(9):
                    if p % 4 and q % 4:
                        apart = energies[r, s, p // 3, q // 3] - energies[r, s, p % 3, q % 3]
                        phases[r, s, p, q] = np.exp(-1j * duration * apart)
    digits = np.zeros(count, np.int64)
    product = np.ones(count + 1, np.complex128)
    for b in range(x.shape[0]):
        digits[:] = 0
        changed = 0
        for n in range(x.shape[1]):
            for s in range(changed, count):
                y = product[s] * factors[b, s, digits[s]]
                for r in range(s):
                    y *= phases[r, s, digits[r], digits[s]]
                product[s + 1] = y
            x[b, n] *= product[count]
            changed = count - 1
            while changed > 0 and digits[changed] == 8:
                digits[changed] = 0
                changed -= 1
            digits[changed] = (digits[changed] + 1) % 9


@njit(cache=True)
def mix_populations(x, stride, neighbours, blocks):  # type: ignore[no-untyped-def]
    """Apply blocks (9**n, 3, 3) to the populations of one transmon in matrix elements x (batch, 9**k), in place.

    ``stride`` is the transmon's in the index, ``neighbours`` (n,) are those of the transmons whose elements choose the
    block, the first slowest.
    """
    for b in range(x.shape[0]):
        for block in range(x.shape[1] // (9 * stride)):
            for n in range(9 * stride * block, 9 * stride * block + stride):
                chosen = 0
                for k in range(neighbours.shape[0]):
                    chosen = 9 * chosen + (n // neighbours[k]) % 9
                m = blocks[chosen]
                p, q, r = x[b, n], x[b, n + 4 * stride], x[b, n + 8 * stride]
                x[b, n] = m[0, 0] * p + m[0, 1] * q + m[0, 2] * r
                x[b, n + 4 * stride] = m[1, 0] * p + m[1, 1] * q + m[1, 2] * r
                x[b, n + 8 * stride] = m[2, 0] * p + m[2, 1] * q + m[2, 2] * r
