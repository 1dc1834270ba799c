"""Exact propagators of pulses that are constant over each sample, with the dissipation that acts meanwhile.

H_n = diag(E) + 1/2 sum_s (d_sn a_s^+ + d_sn* a_s), d in rad/ns. U is the product of exp(-i H_n). Because the static
part keeps the number of excitations, H(d e^{i p}) = R(p) H(d) R(p)^+ with R(p) = exp(i p N): a plateau whose carrier
only turns the phase needs one exponential.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_ORDER = 12


@njit(cache=True)
def _matmul(a, b, out):  # type: ignore[no-untyped-def]
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
        _matmul(out, out, work)
        for i in range(n):
            for j in range(n):
                out[i, j] = work[i, j]
    phase = np.exp(-1j * shift * duration)
    for i in range(n):
        for j in range(n):
            out[i, j] *= phase


@njit(cache=True)
def _hamiltonian(energies, lowering, drive, h):  # type: ignore[no-untyped-def]
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
def _collect(u, weight, numbers, jumps, keep, moments, generator, work):  # type: ignore[no-untyped-def]  # noqa: PLR0912
    """Add ``weight`` times the interaction-picture moments U^+ n U and dissipator of this moment."""
    dim, m = u.shape[0], keep.shape[0]
    for s in range(numbers.shape[0]):
        for i in range(m):
            for j in range(m):
                x = 0j
                for p in range(dim):
                    x += np.conj(u[p, keep[i]]) * numbers[s, p] * u[p, keep[j]]
                moments[s, i, j] += weight * x
    total = np.zeros((m, m), np.complex128)
    a = np.empty((m, m), np.complex128)
    for k in range(jumps.shape[0]):
        _matmul(jumps[k], u, work)
        for i in range(m):
            for j in range(m):
                x = 0j
                y = 0j
                for p in range(dim):
                    x += np.conj(u[p, keep[i]]) * work[p, keep[j]]
                    y += np.conj(work[p, keep[i]]) * work[p, keep[j]]
                a[i, j] = x
                total[i, j] += y
        for i in range(m):
            for ip in range(m):
                x = weight * a[i, ip]
                if abs(x) > 1e-14:
                    for j in range(m):
                        for jp in range(m):
                            generator[i * m + j, ip * m + jp] += x * np.conj(a[j, jp])
    for i in range(m):
        for ip in range(m):
            x = 0.5 * weight * total[i, ip]
            for j in range(m):
                generator[i * m + j, ip * m + j] -= x
                generator[j * m + i, j * m + ip] -= np.conj(x)


@njit(cache=True)
def propagate(energies, lowering, numbers, drives, jumps, keep, stride):  # type: ignore[no-untyped-def]
    """Return U (dim, dim), moments (sites, m, m) and generator (m^2, m^2) of a driven stretch.

    moments[s] is the integral of U^+ n_s U, the generator that of the dissipator in the interaction picture, both on
    the ``m`` kept labels; vec is row-major. With ``stride`` 1 the integrals follow Simpson's rule on each sample, else
    the trapezoidal rule on steps of ``stride`` samples.

    Args:
        energies: (dim,) rad/ns.
        lowering: (sites, dim, dim).
        numbers: (sites, dim) levels.
        drives: (samples, sites) rad/ns.
        jumps: (k, dim, dim) collapse operators in 1/sqrt(ns).
        keep: (m,) labels.
        stride: samples per step of the integrals.

    """
    dim, m, samples = energies.shape[0], keep.shape[0], drives.shape[0]
    u = np.zeros((dim, dim), np.complex128)
    half = np.zeros((dim, dim), np.complex128)
    for i in range(dim):
        u[i, i] = 1.0
    h = np.empty((dim, dim), np.complex128)
    work = np.empty((dim, dim), np.complex128)
    term = np.empty((dim, dim), np.complex128)
    moments = np.zeros((numbers.shape[0], m, m), np.complex128)
    generator = np.zeros((m * m, m * m), np.complex128)
    edge = 1 / 6 if stride == 1 else 0.5
    last = 0
    _collect(u, edge * min(stride, samples), numbers, jumps, keep, moments, generator, work)
    for n in range(samples):
        factor = _turned(drives, n) if n > 0 else 0j
        if factor != 0j:
            _turn(half, factor, numbers)
        else:
            _hamiltonian(energies, lowering, drives[n], h)
            expm_hermitian(h, 0.5, half, term, work)
        _matmul(half, u, work)
        if stride == 1:
            _collect(work, 4 * edge, numbers, jumps, keep, moments, generator, term)
        _matmul(half, work, u)
        done = n + 1
        if done % stride == 0 or done == samples:
            following = min(stride, samples - done)
            _collect(u, edge * (done - last + following), numbers, jumps, keep, moments, generator, work)
            last = done
    return u, moments, generator


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

    What :func:`propagate` does with stride 1, where the interaction picture of the dissipator D is R^T D R, R the real
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
            _hamiltonian(energies, lowering, drive[n // 2], h)
            expm_hermitian(h, 0.5, half, term, work)
        if n > 0:
            _matmul(half, u, work)
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
