"""Exact propagators of one transmon under pulses that are constant over each sample, with its dissipation.

H_n = diag(E) + 1/2 sum_s (d_sn a_s^+ + d_sn* a_s), d in rad/ns. U is the product of exp(-i H_n). Those of pairs are
:mod:`pulsed.simulator.dynamics.pair_propagators`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_ORDER = 12


@njit(cache=True)
def matmul(a, b, out):  # type: ignore[no-untyped-def]
    """Write the product of two small matrices to ``out``."""
    n, k, m = a.shape[0], a.shape[1], b.shape[1]
    for i in range(n):
        for j in range(m):
            out[i, j] = 0j
        for p in range(k):
            x = a[i, p]
            if x != 0j:
                for j in range(m):
                    out[i, j] += x * b[p, j]


@njit(cache=True)
def expm_hermitian(h, duration, out, term, work):  # type: ignore[no-untyped-def]  # noqa: PLR0912
    """Write exp(-i duration h) to ``out``: Taylor to order 12 below norm 1/2, then squaring (error below 1e-15)."""
    n = h.shape[0]
    shift = 0.0
    for i in range(n):
        shift += h[i, i].real
    shift /= n
    norm = 0.0
    for i in range(n):
        row = 0.0
        for j in range(n):
            row += abs(h[i, j] - shift) if i == j else abs(h[i, j])
        norm = max(norm, row * duration)
    squarings = 0
    scale = duration
    while norm > 0.5:
        norm *= 0.5
        scale *= 0.5
        squarings += 1
    for i in range(n):
        for j in range(n):
            out[i, j] = 1.0 if i == j else 0.0
            term[i, j] = out[i, j]
    for order in range(1, _ORDER + 1):
        for i in range(n):
            for j in range(n):
                work[i, j] = 0j
            for p in range(n):
                x = h[i, p] - shift if i == p else h[i, p]
                if x != 0j:
                    x *= -1j * scale / order
                    for j in range(n):
                        work[i, j] += x * term[p, j]
        largest = 0.0
        for i in range(n):
            for j in range(n):
                term[i, j] = work[i, j]
                out[i, j] += work[i, j]
                largest = max(largest, abs(work[i, j].real), abs(work[i, j].imag))
        if largest < 1e-18:
            break
    for _ in range(squarings):
        matmul(out, out, work)
        for i in range(n):
            for j in range(n):
                out[i, j] = work[i, j]
    phase = np.exp(-1j * shift * duration)
    for i in range(n):
        for j in range(n):
            out[i, j] *= phase


@njit(cache=True)
def hamiltonian(energies, lowering, drive, h):  # type: ignore[no-untyped-def]
    """Write the Hamiltonian (dim, dim) of one sample's ``drive`` (sites,) to ``h``."""
    n = energies.shape[0]
    for i in range(n):
        for j in range(n):
            h[i, j] = 0j
        h[i, i] = energies[i]
    for s in range(lowering.shape[0]):
        d = 0.5 * drive[s]
        if d != 0j:
            for i in range(n):
                for j in range(n):
                    a = lowering[s, i, j]
                    if a != 0j:
                        h[i, j] += np.conj(d) * a
                        h[j, i] += d * np.conj(a)


@njit(cache=True)
def on_coefficients(u, out):  # type: ignore[no-untyped-def]
    """Write the map rho -> u rho u^+ of one transmon on its coefficients, (9, 9); see the module hermitian."""
    pairs = ((0, 1, 1, 3), (0, 2, 2, 6), (1, 2, 5, 7))
    root = np.sqrt(2.0)
    for i in range(3):
        for k in range(3):
            out[4 * i, 4 * k] = u[i, k].real ** 2 + u[i, k].imag ** 2
        for k, m, re, im in pairs:
            x = u[i, k] * np.conj(u[i, m])
            out[4 * i, re], out[4 * i, im] = root * x.real, -root * x.imag
    for i, j, row, below in pairs:
        for k in range(3):
            x = u[i, k] * np.conj(u[j, k])
            out[row, 4 * k], out[below, 4 * k] = root * x.real, root * x.imag
        for k, m, re, im in pairs:
            x, y = u[i, k] * np.conj(u[j, m]), u[i, m] * np.conj(u[j, k])
            out[row, re], out[below, re] = x.real + y.real, x.imag + y.imag
            out[row, im], out[below, im] = y.imag - x.imag, x.real - y.real


@njit(cache=True)
def _product(a, b, out):  # type: ignore[no-untyped-def]
    for i in range(9):
        for j in range(9):
            out[i, j] = 0.0
        for k in range(9):
            for j in range(9):
                out[i, j] += a[i, k] * b[k, j]


@njit(cache=True)
def propagate_one(energies, lowering, drive, dissipator):  # type: ignore[no-untyped-def]
    """Return U (3, 3), moments (1, 3, 3) and the map (9, 9) on the coefficients of one driven transmon.

    Integrals follow Simpson's rule on each sample; the interaction picture of the dissipator D is R^T D R, R the real
    orthogonal map of U.

    Args:
        energies: (3,) rad/ns.
        lowering: (1, 3, 3).
        drive: (samples, 1) rad/ns.
        dissipator: (9, 9) on coefficients, 1/ns.

    """
    u = np.eye(3, dtype=np.complex128)
    half, h = np.empty((3, 3), np.complex128), np.empty((3, 3), np.complex128)
    work, term = np.empty((3, 3), np.complex128), np.empty((3, 3), np.complex128)
    moments = np.zeros((1, 3, 3), np.complex128)
    turned, right, generator = np.empty((9, 9)), np.empty((9, 9)), np.zeros((9, 9))
    samples = drive.shape[0]
    for n in range(2 * samples + 1):
        if n % 2 == 1:
            hamiltonian(energies, lowering, drive[n // 2], h)
            expm_hermitian(h, 0.5, half, term, work)
        if n > 0:
            matmul(half, u, work)
            u[:] = work
        weight = (1.0 if n in (0, 2 * samples) else 4.0 if n % 2 else 2.0) / 6  # Simpson's rule
        on_coefficients(u, turned)
        _product(dissipator, turned, right)
        for k in range(9):
            for i in range(9):
                x = weight * turned[k, i]
                for j in range(9):
                    generator[i, j] += x * right[k, j]
        for i in range(3):
            for j in range(3):
                x = np.conj(u[1, i]) * u[1, j] + 2 * np.conj(u[2, i]) * u[2, j]
                moments[0, i, j] += weight * x
    out = turned.copy()
    series = turned.copy()
    for order in range(1, 12):
        _product(series, generator, right)
        series[:] = right / order
        out += series
    return u, moments, out


@njit(cache=True)
def wait_and_pulse(pulse_map, moments, angles, populations, factors, out):  # type: ignore[no-untyped-def]
    """Write the maps (batch, 9, 9) of a wait, then a detuned pulse on one transmon on its coefficients to ``out``.

    Args:
        pulse_map: (9, 9) without detuning.
        moments: (3, 3) integral of U^+ n U in ns.
        angles: (batch,) detunings in rad/ns.
        populations: (3, 3) of the wait.
        factors: (batch, 3) of the coherences 01, 02, 12 in the wait.
        out: transposed: the column of a coefficient is a row.

    """
    pairs = ((1, 3, 0), (2, 6, 1), (5, 7, 2))
    h, u = np.empty((3, 3), np.complex128), np.empty((3, 3), np.complex128)
    work, term = np.empty((3, 3), np.complex128), np.empty((3, 3), np.complex128)
    turned, both = np.empty((9, 9)), np.empty((9, 9))
    for b in range(angles.shape[0]):
        for i in range(3):
            for j in range(3):
                h[i, j] = 0.5 * angles[b] * (moments[i, j] + np.conj(moments[j, i]))
        expm_hermitian(h, 1.0, u, term, work)
        on_coefficients(u, turned)
        _product(pulse_map, turned, both)
        for i in range(9):
            for re, im, k in pairs:
                x, y = factors[b, k].real, factors[b, k].imag
                out[b, re, i] = both[i, re] * x + both[i, im] * y
                out[b, im, i] = both[i, im] * x - both[i, re] * y
            for k in range(3):
                total = 0.0
                for j in range(3):
                    total += both[i, 4 * j] * populations[j, k]
                out[b, 4 * k, i] = total
