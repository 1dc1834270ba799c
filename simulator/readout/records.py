"""Records of a readout: integrals under kernels, and samples with noise as the digitizer returns them.

A qubit that jumps at sample n leaves its mean trajectory by d exp(lambda (m - n)) for m > n (lambda as of few photons),
so integrals come from sums up to the jump and from it on.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pulsed.simulator.chip.components import Amplifier
from pulsed.simulator.dynamics.hamiltonian import LEVELS
from pulsed.simulator.readout.jumps import Jumps
from pulsed.simulator.readout.response import STRIDE, Integrals, Response

Complex = NDArray[np.complex128]


@njit(cache=True)
def _sums(alpha, decay, weights, total, rest):  # type: ignore[no-untyped-def]
    """Write sums at every STRIDE samples (M + 1, K): of weight times alpha before, of a unit deviation that begins.

    The digitizer samples at the end of each sample: at 200 MHz from the LO a mean over it would be another signal.
    """
    samples, kernels = weights.shape
    last = total.shape[0] - 1
    now = np.zeros(kernels, np.complex128)
    total[0] = now
    for n in range(samples):
        for k in range(kernels):
            now[k] += weights[n, k] * alpha[n + 1]
        if (n + 1) % STRIDE == 0 or n + 1 == samples:
            total[(n + STRIDE) // STRIDE] = now
    now[:] = 0
    rest[last] = now
    for n in range(samples - 1, -1, -1):
        for k in range(kernels):
            now[k] = decay * (weights[n, k] + now[k])
        if n % STRIDE == 0:
            rest[n // STRIDE] = now


@njit(cache=True)
def _follow_jumps(jumps, alpha, decay, scale, weights, total, rest, out):  # type: ignore[no-untyped-def]
    """Add to the integrals ``out`` (shots, K) what jumps (4, n) of shot, time, level before and after change."""
    samples, kernels = weights.shape
    deviation = np.zeros(out.shape[0], np.complex128)
    since = np.zeros(out.shape[0], np.int64)
    end = total.shape[1] - 1
    for j in range(jumps.shape[1]):
        shot, n = jumps[0, j], jumps[1, j]
        carried, fresh = deviation[shot], 0j
        for side in range(2):
            level, sign = jumps[2 + side, j], 2 * side - 1
            if side == 0:
                carried *= decay[level] ** (n - since[shot])
                fresh += carried + alpha[level, n]
                own = carried
            else:
                fresh -= alpha[level, n]
                own = fresh
            for k in range(kernels):
                left = total[level, end, k] - total[level, n // STRIDE, k]
                for m in range(n // STRIDE * STRIDE, n):
                    left -= weights[m, k] * alpha[level, m + 1]
                block = (n + STRIDE - 1) // STRIDE
                unit = rest[level, block, k]
                for m in range(min(block * STRIDE, samples) - 1, n - 1, -1):
                    unit = decay[level] * (weights[m, k] + unit)
                out[shot, k] += sign * scale * (left + own * unit)
        deviation[shot], since[shot] = fresh, n


def integrals(response: Response, weights: Complex, amplifier: Amplifier) -> Integrals:
    """Return sums of ``response`` under ``weights`` (K, N) and a factor F of the noise's covariance.

    The noise of the K integrals is jointly Gaussian and circular, C = F F^+, from the same samples; the quantisation of
    the ADC adds LSB^2/12 per quadrature.
    """
    count, kernels, samples = len(response.measured), *weights.shape
    total = np.empty((count, LEVELS, -(-samples // STRIDE) + 1, kernels), complex)
    rest = np.empty_like(total)
    by_sample = np.ascontiguousarray(weights.T)
    for i in range(count):
        for s in range(LEVELS):
            _sums(response.alpha[i, s], response.decay[i, s], by_sample, total[i, s], rest[i, s])
    variance = 2 * (amplifier.noise_lsb**2 + 1 / 12) / amplifier.full_scale**2
    values, vectors = np.linalg.eigh(variance * (weights @ weights.conj().T))
    factor = vectors * np.sqrt(np.clip(values, 0, None))
    return Integrals(by_sample, total, rest, weights @ response.background, factor)


def integrate(
    response: Response,
    sums: Integrals,
    levels: NDArray[np.int64],
    jumps: list[Jumps],
    rng: np.random.Generator,
) -> Complex:
    """Return the integrals of each shot, (shots, K), in ADC full scales.

    Args:
        response: the resonators.
        sums: of them under the kernels.
        levels: (shots, measured) levels at the start.
        jumps: of each measured qubit.
        rng: source of the noise.

    """
    shots, kernels = len(levels), sums.factor.shape[0]
    noise = rng.standard_normal((shots, kernels, 2)).view(complex)[..., 0] * math.sqrt(0.5)
    out: Complex = noise @ sums.factor.T + sums.background
    for i, jump in enumerate(jumps):
        scale = float(response.scale[i])
        out += (scale * sums.total[i, :, -1])[levels[:, i]]
        rows = np.stack([jump.shots, jump.times, jump.before, jump.after])
        alpha, decay = response.alpha[i], response.decay[i]
        _follow_jumps(rows, alpha, decay, scale, sums.weights, sums.total[i], sums.rest[i], out)
    return out


def trajectories(response: Response, levels: NDArray[np.int64], jumps: list[Jumps]) -> Complex:
    """Return the noiseless record of each shot, (shots, N), in ADC full scales."""
    out = np.repeat(response.background[None], len(levels), axis=0)
    for i, jump in enumerate(jumps):
        edges = response.alpha[i]
        mean = response.scale[i] * edges[:, 1:]
        out += mean[levels[:, i]]
        deviation, since = np.zeros(len(levels), complex), np.zeros(len(levels), dtype=np.int64)
        for shot, n, a, b in zip(jump.shots, jump.times, jump.before, jump.after, strict=True):
            steps = np.arange(1, edges.shape[1] - n)
            old, new = response.decay[i, a], response.decay[i, b]
            carried = deviation[shot] * old ** (n - since[shot])
            fresh = carried + edges[a, n] - edges[b, n]
            out[shot, n:] += mean[b, n:] - mean[a, n:]
            out[shot, n:] += response.scale[i] * (fresh * new**steps - carried * old**steps)
            deviation[shot], since[shot] = fresh, n
    return out


def digitize(means: Complex, amplifier: Amplifier, rng: np.random.Generator) -> tuple[NDArray[np.int16], bool]:
    """Add noise, quantise and clip records (shots, N); return codes (shots, N, 2) and the over-range flag."""
    full = amplifier.full_scale
    values = rng.standard_normal((*means.shape, 2), dtype=np.float32)
    values *= np.float32(amplifier.noise_lsb)
    values[..., 0] += means.real * full
    values[..., 1] += means.imag * full
    np.rint(values, out=values)
    over = bool(values.max(initial=0) > full - 1 or values.min(initial=0) < -full)
    np.clip(values, -full, full - 1, out=values)
    return values.astype(np.int16), over
