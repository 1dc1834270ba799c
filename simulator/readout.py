"""Dispersive readout: resonators driven by the multiplexed samples, jumps of the qubits, records and integrals.

Each resonator obeys d alpha/dt = -(kappa/2 + i D_s) alpha - i eps z(t) in the frame of the readout LO, D_s its distance
from the LO for qubit level s; the more photons, the nearer it comes to the bare resonator. All resonators see all
tones. The digitizer gets g sqrt(kappa) alpha of each, the background that passes them by, and white noise of
``noise_lsb`` per quadrature and sample; g is such that an optimal kernel separates two levels by
S = 2 sqrt(eta kappa int |d alpha|^2) standard deviations. A qubit that jumps at sample n leaves its mean trajectory by
d exp(lambda (m - n)) for m > n (lambda as of few photons), so integrals come from sums up to the jump and from it on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pulsed.simulator.chip import Amplifier, Chip
from pulsed.simulator.feedline import filtered
from pulsed.simulator.hamiltonian import LEVELS
from pulsed.simulator.sequence import Window
from pulsed.simulator.superoperators import rates

Complex = NDArray[np.complex128]

DRIVEN = 0.02
"""Photons from which a resonator counts as measuring its qubit."""

RELAXATION_GAIN = 20.0
"""Relaxation grows by this factor times n/n_crit: the readout-induced T1 of real chips, in size."""

EXCITATION_RATE = 5e-4
"""Upward rate per ns at n = n_crit, quadratic in n/n_crit: more power is not always better."""

_MAX_JUMPS = 12

STRIDE = 16
"""Samples between the sums of a readout that are kept; what lies between is added up for each jump."""


@njit(cache=True)
def _respond(z, rate, pull, saturation, drive, out):  # type: ignore[no-untyped-def]
    """Write alpha at the sample edges, (N + 1, k), for d alpha/dt = rate(n) alpha - i drive z, z held over each sample.

    rate(n) = rate + i pull (1 - 1/sqrt(1 + n/saturation)), n the photons at the sample's start; all but ``z`` are (k,).
    """
    decay = np.exp(rate)
    out[0] = 0j
    for n in range(z.shape[0]):
        for k in range(rate.shape[0]):
            re, im = out[n, k].real, out[n, k].imag
            photons = (re * re + im * im) / saturation[k]
            back = pull[k] * photons / (1 + photons + math.sqrt(1 + photons))
            # A pull is below 0.1 rad in a sample: Taylor is exact to 1e-12, and compiles to vectors.
            square = back * back
            cosine = 1 - square * (0.5 - square * (1 / 24 - square / 720))
            sine = back * (1 - square * (1 / 6 - square * (1 / 120 - square / 5040)))
            now = decay[k] * complex(cosine, sine)
            a, b = rate[k].real, rate[k].imag + back
            size = drive[k] / (a * a + b * b)
            inverse = complex(-b * size, -a * size)  # -i drive / (rate + i back)
            out[n + 1, k] = now * complex(re, im) + inverse * (now - 1) * z[n]


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


@dataclass(frozen=True)
class Response:
    """What the resonators do under one stretch of readout samples.

    Attributes:
        measured: qubits whose resonator is driven.
        alpha: (measured, 3, samples + 1) field at the sample edges, sqrt(photons).
        decay: (measured, 3) factor of a deviation over one sample.
        scale: (measured,) ADC full scales per sqrt(photon).
        background: (samples,) what passes by the resonators and what undriven ones add, ADC full scales.
        kept: windows, their first samples and the sums under them, by :mod:`pulsed.simulator.acquisition`.
        hazards: what :func:`hazards` returned.
        base: the same at the shot's start, if this was made from it.
        turn: the phase factor of all fields in units of those of ``base``.

    """

    measured: tuple[int, ...]
    alpha: Complex
    decay: Complex
    scale: NDArray[np.float64]
    background: Complex
    base: Response | None = None
    turn: complex = 1.0
    kept: list[tuple[Window, int, Integrals]] = field(default_factory=list)
    hazards: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=dict)

    @cached_property
    def largest(self) -> float:
        """The largest mean of a record, whatever the qubits do, ADC full scales."""
        largest = np.abs(self.background)
        for scale, alpha in zip(self.scale, self.alpha, strict=True):
            largest = largest + scale * np.abs(alpha).max(axis=0)[1:]
        return float(largest.max(initial=0.0))

    @cached_property
    def photons(self) -> NDArray[np.float64]:
        """(measured, 3) photons that each level leaves at the end."""
        photons: NDArray[np.float64] = np.abs(self.alpha[:, :, -1]) ** 2
        return photons

    def turned(self, turn: complex) -> Response:
        """Return the response to samples that have all been multiplied by a phase factor."""
        alpha, background = self.alpha * turn, self.background * turn
        return Response(self.measured, alpha, self.decay, self.scale, background, self, turn, hazards=self.hazards)

    @property
    def nbytes(self) -> int:
        """Memory in bytes, with what is kept beside it."""
        rates = sum(x.nbytes for found in self.hazards.values() for x in found)
        return self.alpha.nbytes + self.background.nbytes + rates + sum(sums.nbytes for _, _, sums in self.kept)


@dataclass(frozen=True)
class Integrals:
    """A response under K kernels.

    Attributes:
        weights: (N, K) of the kernels.
        total: (measured, 3, M + 1, K) sums of weight times field before every STRIDE-th sample and the end.
        rest: the same shape, sums of weight times a deviation that is 1 there.
        background: (K,) ADC full scales.
        factor: (K, K) of the noise's covariance, ADC full scales.

    """

    weights: Complex
    total: Complex
    rest: Complex
    background: Complex
    factor: Complex

    def turned(self, turn: complex, phases: Complex) -> Integrals:
        """Return the same of a field with another phase factor, each kernel multiplied by one of ``phases`` (K,)."""
        return Integrals(
            self.weights * phases,
            self.total * (turn * phases),
            self.rest * phases,
            self.background * (turn * phases),
            phases[:, None] * self.factor,
        )

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return sum(x.nbytes for x in (self.weights, self.total, self.rest, self.background, self.factor))


@dataclass
class Jumps:
    """Jumps of one qubit during a measurement, in order of time for each shot."""

    shots: NDArray[np.int64]
    times: NDArray[np.int64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]


def respond(chip: Chip, z: Complex, lo_frequency: float) -> Response:
    """Return the response of all resonators to readout samples ``z`` (N,) at 1 ns in the frame of the LO."""
    amplifier = chip.amplifier
    gain = 2 * amplifier.noise_lsb / amplifier.full_scale * math.sqrt(amplifier.efficiency * 1e-9)
    resonances = np.array([q.resonances() for q in chip.qubits])
    bare, kappa, saturation, drive = (
        np.array([getattr(q, name) for q in chip.qubits])
        for name in ("bare_resonance", "kappa", "saturation", "readout_drive")
    )
    rate = -1e-9 * math.pi * kappa[:, None] - 2e-9j * math.pi * (resonances - lo_frequency)
    pull = 2e-9 * math.pi * (resonances - bare[:, None])
    fields = np.empty((len(z) + 1, rate.size), complex)
    each = [np.repeat(x, LEVELS) for x in (saturation, 2e-9 * math.pi * drive)]
    if not chip.feedline.purcell_linewidth:
        _respond(np.ascontiguousarray(z), rate.ravel(), pull.ravel(), *each, fields)
    else:
        for q, qubit in enumerate(chip.qubits):
            own = slice(LEVELS * q, LEVELS * (q + 1))
            behind = filtered(chip.feedline.purcell_linewidth, qubit, z, lo_frequency)
            alone = np.empty((len(z) + 1, LEVELS), complex)
            _respond(behind, rate[q], pull[q], each[0][own], each[1][own], alone)
            fields[:, own] = alone
    alpha = np.ascontiguousarray(fields.T).reshape(len(chip.qubits), LEVELS, -1)
    scales = gain * np.sqrt(2 * math.pi * kappa)
    reached = (alpha.real**2 + alpha.imag**2).max(axis=(1, 2)) > DRIVEN
    background = amplifier.background * z + scales[~reached] @ alpha[~reached, 0, 1:]
    measured = tuple(np.flatnonzero(reached).tolist())
    return Response(measured, alpha[reached], np.exp(rate[reached]), scales[reached], background)


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


def hazards(chip: Chip, response: Response, i: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return cumulative rates (3, N + 1) of leaving each level down and up, photons included; kept."""
    if i in response.hazards:
        return response.hazards[i]
    qubit = chip.qubits[response.measured[i]]
    base = rates(qubit)
    photons = np.abs(response.alpha[i]) ** 2 / qubit.n_crit
    n = np.arange(LEVELS)[:, None]
    down = n * base.down * (1 + RELAXATION_GAIN * photons)
    up = ((n + 1) * base.up + EXCITATION_RATE * photons**2) * (n < LEVELS - 1)
    zero = np.zeros((LEVELS, 1))
    response.hazards[i] = (
        np.concatenate([zero, np.cumsum(down[:, 1:], axis=1)], axis=1),
        np.concatenate([zero, np.cumsum(up[:, 1:], axis=1)], axis=1),
    )
    return response.hazards[i]


def sample_jumps(
    chip: Chip, response: Response, i: int, levels: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], Jumps]:
    """Draw the jumps of measured qubit ``i`` in each shot; return the final levels and the jumps.

    Args:
        chip: the chip.
        response: what the resonators do meanwhile.
        i: index into ``response.measured``.
        levels: (shots,) levels at the start.
        rng: source of the draws.

    """
    down, up = hazards(chip, response, i)
    both = down + up
    current = levels.copy()
    active = np.arange(len(levels))
    since = np.zeros(len(levels), dtype=np.int64)
    found: list[tuple[NDArray[np.int64], ...]] = []
    for _ in range(_MAX_JUMPS):
        goal = both[current[active], since[active]] + rng.standard_exponential(len(active))
        hit = goal < both[current[active], -1]
        active, goal = active[hit], goal[hit]
        if len(active) == 0:
            break
        time = np.empty(len(active), dtype=np.int64)
        for s in range(LEVELS):
            at = current[active] == s
            time[at] = np.searchsorted(both[s], goal[at])
        before = current[active]
        falling = down[before, time] - down[before, time - 1]
        rising = up[before, time] - up[before, time - 1]
        after = before + np.where(rng.random(len(active)) * (falling + rising) < falling, -1, 1)
        found.append((active, time, before, after))
        current[active], since[active] = after, time
    empty = np.zeros(0, dtype=np.int64)
    joined = [np.concatenate(c) for c in zip(*found, strict=True)] if found else [empty] * 4
    return current, Jumps(*joined)


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
