"""Dispersive readout: the fields of the resonators under the multiplexed readout samples.

Each resonator obeys d alpha/dt = -(kappa/2 + i D_s) alpha - i eps z(t) in the frame of the readout LO, D_s its distance
from the LO for qubit level s; the more photons, the nearer it comes to the bare resonator. All resonators see all
tones. The digitizer gets g sqrt(kappa) alpha of each, the background that passes them by, and white noise of
``noise_lsb`` per quadrature and sample; g is such that an optimal kernel separates two levels by
S = 2 sqrt(eta kappa int |d alpha|^2) standard deviations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.feedline import filtered
from pulsed.simulator.dynamics.hamiltonian import LEVELS
from pulsed.simulator.dynamics.sequence import Window

Complex = NDArray[np.complex128]

DRIVEN = 0.02
"""Photons from which a resonator counts as measuring its qubit."""

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


@dataclass(frozen=True)
class Response:
    """What the resonators do under one stretch of readout samples.

    Attributes:
        measured: qubits whose resonator is driven.
        alpha: (measured, 3, samples + 1) field at the sample edges, sqrt(photons).
        decay: (measured, 3) factor of a deviation over one sample.
        scale: (measured,) ADC full scales per sqrt(photon).
        background: (samples,) what passes by the resonators and what undriven ones add, ADC full scales.
        kept: windows, their first samples and the sums under them, by :mod:`pulsed.simulator.readout.acquisition`.
        fading: the same of a field that fades away, with the qubit by index into ``measured``.
        hazards: what :func:`pulsed.simulator.readout.jumps.hazards` returned.
        transfers: what :func:`pulsed.simulator.readout.jumps.transfer` returned.
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
    fading: list[tuple[Window, int, int, Complex]] = field(default_factory=list)
    hazards: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=dict)
    transfers: dict[tuple[int, int, int], NDArray[np.float64]] = field(default_factory=dict)

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
        return self.photons_at(-1)

    def photons_at(self, sample: int) -> NDArray[np.float64]:
        """Return (measured, 3) photons of each level before a sample."""
        photons: NDArray[np.float64] = np.abs(self.alpha[:, :, sample]) ** 2
        return photons

    def turned(self, turn: complex) -> Response:
        """Return the response to samples that have all been multiplied by a phase factor."""
        alpha, background = self.alpha * turn, self.background * turn
        return Response(
            self.measured, alpha, self.decay, self.scale, background, self, turn,
            hazards=self.hazards, transfers=self.transfers,
        )  # fmt: skip

    @property
    def nbytes(self) -> int:
        """Memory in bytes, with what is kept beside it."""
        rates = sum(x.nbytes for found in self.hazards.values() for x in found)
        sums = sum(one[2].nbytes for one in self.kept) + sum(one[3].nbytes for one in self.fading)
        return self.alpha.nbytes + self.background.nbytes + rates + sums


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


def respond(chip: Chip, z: Complex, lo_frequency: float, measured: tuple[int, ...] | None = None) -> Response:
    """Return the response of all resonators to readout samples ``z`` (N,) at 1 ns in the frame of the LO.

    ``measured``: the qubits whose resonators count as driven; found out if there are none.
    """
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
    if measured is not None:
        reached = np.isin(np.arange(len(chip.qubits)), measured)
    background = amplifier.background * z + scales[~reached] @ alpha[~reached, 0, 1:]
    return Response(
        tuple(np.flatnonzero(reached).tolist()), alpha[reached], np.exp(rate[reached]), scales[reached], background
    )
