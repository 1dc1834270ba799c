"""From DAC samples to the field at the chip: zero-order hold, low-pass of the line, mixer."""

from __future__ import annotations

import cmath
import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pulsed.simulator.chip.components import Wire

TAIL = 4
"""Samples that a burst is followed while it rings: 2e-3 of its last sample is left on a 350 MHz line."""


@njit(cache=True)
def _low_pass(samples, decay, out):  # type: ignore[no-untyped-def]
    state = 0j
    for n in range(out.shape[0]):
        z = samples[n] if n < samples.shape[0] else 0j
        state = (1 - decay) * z + decay * state
        out[n] = state


def pole(bandwidth: float) -> float:
    """Return d of y_n = (1 - d) z_n + d y_(n-1), 3 dB down at ``bandwidth`` (Hz); 0 for no filter.

    d solves (1 - d)^2 = (1 - 2 d cos w + d^2)/2 at w = 2 pi bandwidth.
    """
    if bandwidth <= 0:
        return 0.0
    half = 2 - math.cos(2e-9 * math.pi * bandwidth)
    return half - math.sqrt(half * half - 1)


def low_pass(samples: NDArray[np.complex128], bandwidth: float, frequency: float, tail: int) -> NDArray[np.complex128]:
    """Return the samples of a burst behind a one-pole low-pass, which are then held; ``tail`` more than went in.

    What still rings after them (all of it when the next burst follows at once) is added to the last sample with the
    carrier's phase, so that the pulse area at the carrier is kept: 1e-3 of a shaped pulse, moved by half a nanosecond.

    Args:
        samples: (n,) baseband samples in the LO frame, the carrier's phase included.
        bandwidth: 3 dB point of the line in Hz, of the response without the hold; 0 for none.
        frequency: carrier of the burst in the LO frame (Hz).
        tail: samples of ringing to keep.

    """
    samples = np.ascontiguousarray(samples, dtype=np.complex128)
    decay = pole(bandwidth)
    out = np.empty(len(samples) + tail, complex)
    _low_pass(samples, decay, out)
    turned = decay * np.exp(2e-9j * np.pi * frequency)
    out[-1] += out[-1] * turned / (1 - turned)
    return out


def settling(distortion: tuple[tuple[float, float], ...]) -> int:
    """Return for how many samples a flux line rings on: until 2 % of its slowest exponential is left."""
    return max((math.ceil(4e9 * tau) for _, tau in distortion), default=0)


def distort(samples: NDArray[np.float64], distortion: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """Return samples (n,) behind a line whose step response is 1 + sum a exp(-t/tau), t at each sample's start."""
    steps = np.diff(samples, prepend=0.0)
    out = samples.copy()
    for amplitude, tau in distortion:
        decay, left = math.exp(-1e-9 / tau), 0.0
        for n, step in enumerate(steps.tolist()):
            left = left * decay + step
            out[n] += amplitude * left
    return out


def gain(bandwidth: float, offset: float) -> complex:
    """Return what low-pass and hold make of a tone exp(-2 pi i offset t), the hold's half sample of delay included."""
    turn = np.exp(2e-9j * np.pi * offset)
    decay = pole(bandwidth)
    hold = np.sinc(offset * 1e-9) * np.exp(1e-9j * np.pi * offset)
    return complex((1 - decay) / (1 - decay * turn) * hold)


def mixed(
    wire: Wire, correction: tuple[float, float, float, float], offset: tuple[float, float]
) -> tuple[complex, complex, complex]:
    """Return (direct, image, leakage) of AWG correction, mixer and line together: z -> direct z + image z* + leakage.

    A qubit is given the direct part alone: image and leakage lie 80 MHz and more from every transition, where a
    -30 dBc tone turns a qubit by less than 1e-7 in population. The readout line is given all three.
    """
    mixer = wire.mixer()
    (a, b), (c, d) = mixer @ np.array(correction).reshape(2, 2)
    shift = mixer @ np.array(offset)
    direct = complex(a + d, c - b) / 2
    image = complex(a - d, c + b) / 2
    leakage = complex(shift[0] + wire.lo_leakage[0], shift[1] + wire.lo_leakage[1])
    line = cmath.rect(wire.gain, wire.phase)
    return direct * line, image * line, leakage * line


def ideal_correction(wire: Wire) -> tuple[tuple[float, float, float, float], tuple[float, float]]:
    """Return the AWG correction and offset that make ``wire``'s mixer ideal."""
    inverse = np.linalg.inv(wire.mixer())
    offset = -inverse @ np.array(wire.lo_leakage)
    a, b, c, d = (float(x) for x in inverse.ravel())
    return (a, b, c, d), (float(offset[0]), float(offset[1]))
