"""Dispersive readout: resonators driven by the multiplexed samples, jumps of the qubits, records and integrals.

Each resonator obeys d alpha/dt = -(kappa/2 + i D_s) alpha - i eps z(t) in the frame of the readout LO, D_s its distance
from the LO for qubit level s; the more photons, the nearer it comes to the bare resonator. All resonators see all
tones. The digitizer gets g sqrt(kappa) alpha of each, the background that passes them by, and white noise of
``noise_lsb`` per quadrature and sample; g is such that an optimal kernel separates two levels by
S = 2 sqrt(eta kappa int |d alpha|^2) standard deviations. A qubit that jumps at sample n leaves its mean trajectory by
d exp(lambda (m - n)) for m > n (lambda as of few photons), so integrals come from prefix sums.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pulsed.simulator.chip import Amplifier, Chip
from pulsed.simulator.hamiltonian import LEVELS
from pulsed.simulator.superoperators import rates

Complex = NDArray[np.complex128]

DRIVEN = 0.02
"""Photons from which a resonator counts as measuring its qubit."""

RELAXATION_GAIN = 20.0
"""Relaxation grows by this factor times n/n_crit: the readout-induced T1 of real chips, in size."""

EXCITATION_RATE = 5e-4
"""Upward rate per ns at n = n_crit, quadratic in n/n_crit: more power is not always better."""

_MAX_JUMPS = 12


@njit(cache=True)
def _respond(z, rate, pull, saturation, drive, out):  # type: ignore[no-untyped-def]
    """Write alpha at the sample edges, (N + 1,), for d alpha/dt = rate(n) alpha - i drive z, z held over each sample.

    rate(n) = rate + i pull (1 - 1/sqrt(1 + n/saturation)), n the photons at the sample's start.
    """
    decay = np.exp(rate)
    out[0] = 0j
    for n in range(z.shape[0]):
        photons = (out[n].real ** 2 + out[n].imag ** 2) / saturation
        back = pull * photons / (1 + photons + math.sqrt(1 + photons))
        now = decay * complex(math.cos(back), math.sin(back))
        out[n + 1] = now * out[n] - 1j * drive * (now - 1) / (rate + 1j * back) * z[n]


@njit(cache=True)
def _prefix(alpha, decay, weights, total, rest):  # type: ignore[no-untyped-def]
    """Write prefix sums of weight times alpha, and the integral of a unit deviation that starts at edge n.

    The digitizer samples at the end of each sample: at 200 MHz from the LO a mean over it would be another signal.
    """
    kernels, samples = weights.shape
    for k in range(kernels):
        total[k, 0] = 0j
        for n in range(samples):
            total[k, n + 1] = total[k, n] + weights[k, n] * alpha[n + 1]
        rest[k, samples] = 0j
        for n in range(samples - 1, -1, -1):
            rest[k, n] = decay * (weights[k, n] + rest[k, n + 1])


@dataclass(frozen=True)
class Response:
    """What the resonators do under one stretch of readout samples.

    Attributes:
        measured: qubits whose resonator is driven.
        alpha: (measured, 3, samples + 1) field at the sample edges, sqrt(photons).
        decay: (measured, 3) factor of a deviation over one sample.
        scale: (measured,) ADC full scales per sqrt(photon).
        background: (samples,) what passes by the resonators and what undriven ones add, ADC full scales.

    """

    measured: tuple[int, ...]
    alpha: Complex
    decay: Complex
    scale: NDArray[np.float64]
    background: Complex


@dataclass(frozen=True)
class Integrals:
    """Prefix sums of a response under kernels, in ADC full scales: ``total`` and ``rest`` (measured, 3, K, N + 1)."""

    total: Complex
    rest: Complex
    background: Complex
    factor: Complex


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
    background = amplifier.background * z
    measured, fields, decays, scales = [], [], [], []
    for q, qubit in enumerate(chip.qubits):
        alpha = np.empty((LEVELS, len(z) + 1), complex)
        kappa = 2e-9 * math.pi * qubit.kappa
        resonances = qubit.resonances()
        rate = [-kappa / 2 - 2e-9j * math.pi * (f - lo_frequency) for f in resonances]
        for s in range(LEVELS):
            pull = 2e-9 * math.pi * (resonances[s] - qubit.bare_resonance)
            _respond(z, rate[s], pull, qubit.saturation, 2e-9 * math.pi * qubit.readout_drive, alpha[s])
        scale = gain * math.sqrt(2 * math.pi * qubit.kappa)
        if float((alpha.real**2 + alpha.imag**2).max()) > DRIVEN:
            measured.append(q)
            fields.append(alpha)
            decays.append(np.exp(rate))
            scales.append(scale)
        else:
            background = background + scale * alpha[0, 1:]
    shape = (len(measured), LEVELS)
    return Response(
        tuple(measured),
        np.array(fields).reshape(*shape, len(z) + 1),
        np.array(decays, complex).reshape(shape),
        np.array(scales),
        background,
    )


def integrals(response: Response, weights: Complex, amplifier: Amplifier) -> Integrals:
    """Return the prefix sums of ``response`` under ``weights`` (K, N) and a factor F of the noise's covariance.

    The noise of the K integrals is jointly Gaussian and circular, C = F F^+, from the same samples; the quantisation of
    the ADC adds LSB^2/12 per quadrature.
    """
    count, kernels, samples = len(response.measured), *weights.shape
    total = np.empty((count, LEVELS, kernels, samples + 1), complex)
    rest = np.empty_like(total)
    for i in range(count):
        for s in range(LEVELS):
            _prefix(response.alpha[i, s], response.decay[i, s], weights, total[i, s], rest[i, s])
        total[i] *= response.scale[i]
        rest[i] *= response.scale[i]
    variance = 2 * (amplifier.noise_lsb**2 + 1 / 12) / amplifier.full_scale**2
    values, vectors = np.linalg.eigh(variance * (weights @ weights.conj().T))
    factor = vectors * np.sqrt(np.clip(values, 0, None))
    return Integrals(total, rest, weights @ response.background, factor)


def hazards(chip: Chip, response: Response, i: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return cumulative rates (3, N + 1) of leaving each level down and up, photons included."""
    qubit = chip.qubits[response.measured[i]]
    base = rates(qubit)
    photons = np.abs(response.alpha[i]) ** 2 / qubit.n_crit
    n = np.arange(LEVELS)[:, None]
    down = n * base.down * (1 + RELAXATION_GAIN * photons)
    up = ((n + 1) * base.up + EXCITATION_RATE * photons**2) * (n < LEVELS - 1)
    zero = np.zeros((LEVELS, 1))
    return (
        np.concatenate([zero, np.cumsum(down[:, 1:], axis=1)], axis=1),
        np.concatenate([zero, np.cumsum(up[:, 1:], axis=1)], axis=1),
    )


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
        sums: their prefix sums.
        levels: (shots, measured) levels at the start.
        jumps: of each measured qubit.
        rng: source of the noise.

    """
    shots, kernels = len(levels), sums.factor.shape[0]
    noise = rng.standard_normal((shots, kernels, 2)).view(complex)[..., 0] * math.sqrt(0.5)
    out: Complex = noise @ sums.factor.T + sums.background
    for i, jump in enumerate(jumps):
        out += sums.total[i, :, :, -1][levels[:, i]]
        if len(jump.shots) == 0:
            continue
        total, rest, alpha = sums.total[i], sums.rest[i], response.alpha[i]
        deviation, since = np.zeros(shots, complex), np.zeros(shots, dtype=np.int64)
        for stage in _stages(jump):
            shot, n, a, b = jump.shots[stage], jump.times[stage], jump.before[stage], jump.after[stage]
            carried = deviation[shot] * response.decay[i, a] ** (n - since[shot])
            fresh = carried + alpha[a, n] - alpha[b, n]
            change = total[b, :, -1] - total[b, :, n] - total[a, :, -1] + total[a, :, n]
            out[shot] += change + fresh[:, None] * rest[b, :, n] - carried[:, None] * rest[a, :, n]
            deviation[shot], since[shot] = fresh, n
    return out


def _stages(jump: Jumps) -> list[NDArray[np.int64]]:
    """Split jumps into first, second, ... of their shot, so that each stage has a shot at most once."""
    seen: dict[int, int] = {}
    stages: list[list[int]] = []
    for index, shot in enumerate(jump.shots.tolist()):
        order = seen.get(shot, 0)
        seen[shot] = order + 1
        if order == len(stages):
            stages.append([])
        stages[order].append(index)
    return [np.array(s, dtype=np.int64) for s in stages]


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
