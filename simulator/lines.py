"""From DAC samples to the field at the chip: zero-order hold, low-pass of the line, mixer."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pulsed.simulator.chip import Wire

TAIL = 4
"""Samples that a burst rings on: nine time constants of a 350 MHz line."""


@njit(cache=True)
def _low_pass(samples, decay, mean, out):  # type: ignore[no-untyped-def]
    state = 0j
    for n in range(out.shape[0]):
        z = samples[n] if n < samples.shape[0] else 0j
        out[n] = z + (state - z) * mean
        state = z + (state - z) * decay
    return state


def low_pass(samples: NDArray[np.complex128], bandwidth: float, frequency: float, tail: int) -> NDArray[np.complex128]:
    """Return what a held burst looks like behind a one-pole low-pass, averaged over each 1 ns sample.

    The output has ``tail`` more samples. What still rings after them (all of it when the next burst follows at once)
    is added to the last sample with the carrier's phase, so that the pulse area at the carrier is kept.

    Args:
        samples: (n,) baseband samples in the LO frame, the carrier's phase included.
        bandwidth: 3 dB point of the line in Hz; 0 switches the filter off.
        frequency: carrier of the burst in the LO frame (Hz).
        tail: samples of ringing to keep.

    """
    samples = np.ascontiguousarray(samples, dtype=np.complex128)
    if bandwidth <= 0:
        return np.concatenate([samples, np.zeros(tail, complex)])
    rate = 2e-9 * math.pi * bandwidth
    decay = math.exp(-rate)
    mean = (1 - decay) / rate
    out = np.empty(len(samples) + tail, complex)
    rest = _low_pass(samples, decay, mean, out)
    carrier = np.exp(2e-9j * np.pi * frequency)
    out[-1] += rest * mean * carrier / (1 - decay * carrier)
    return out


def mixed(
    wire: Wire, correction: tuple[float, float, float, float], offset: tuple[float, float]
) -> tuple[complex, complex, complex]:
    """Return (direct, image, leakage) of AWG correction and mixer together: z -> direct z + image z* + leakage.

    A qubit is given the direct part alone: image and leakage lie 80 MHz and more from every transition, where a
    -30 dBc tone turns a qubit by less than 1e-7 in population. The readout line is given all three.
    """
    mixer = wire.mixer()
    (a, b), (c, d) = mixer @ np.array(correction).reshape(2, 2)
    shift = mixer @ np.array(offset)
    direct = complex(a + d, c - b) / 2
    image = complex(a - d, c + b) / 2
    return direct, image, complex(shift[0] + wire.lo_leakage[0], shift[1] + wire.lo_leakage[1])


def ideal_correction(wire: Wire) -> tuple[tuple[float, float, float, float], tuple[float, float]]:
    """Return the AWG correction and offset that make ``wire``'s mixer ideal."""
    inverse = np.linalg.inv(wire.mixer())
    offset = -inverse @ np.array(wire.lo_leakage)
    a, b, c, d = (float(x) for x in inverse.ravel())
    return (a, b, c, d), (float(offset[0]), float(offset[1]))
