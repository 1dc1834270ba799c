"""What a spectrum analyser sees of a port: carriers, their images, and the LO that leaks through the mixer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip.components import Wire
from pulsed.simulator.dynamics.lines import TAIL, low_pass, mixed
from pulsed.simulator.instruments.parts import RATE, Carrier
from pulsed.simulator.instruments.run import OutputCable, Run

LONGEST = 1 << 16
"""Samples of a shot that are looked at."""
_NOISE_DENSITY = -155.0
"""dBm/Hz, displayed average noise without input attenuation."""
_WINDOW = 6
"""Standard deviations in time of the resolution filter that a piece of the shot has."""


@dataclass(frozen=True)
class Tap:
    """A directional coupler behind the mixer of one port. ``full_scale``: dBm there for full scale 1."""

    output: OutputCable
    lo: Carrier
    wire: Wire
    full_scale: float

    def amplitudes(self, run: Run | None, offsets: NDArray[np.float64], rbw: float) -> NDArray[np.float64]:
        """Return what the detector shows at ``offsets`` (Hz from the LO, ascending), in full scales of the port.

        The peak over a shot of the first entry of ``run``, or of silence, behind a Gaussian filter with a 3 dB
        bandwidth ``rbw`` (Hz), for the settings that the instruments have now. Leakage of the LO adds in power.
        """
        line = self.output.setting()
        if not self.lo.on:
            return np.zeros(len(offsets))
        on = self.output.output.on
        offset = line.offset if on else (0.0, 0.0)
        direct, image, leakage = mixed(self.wire, line.correction, offset)
        sigma = rbw / (2 * math.sqrt(math.log(2)))
        seen = abs(leakage) * np.exp(-0.5 * _nearest(offsets, 0.0) ** 2 / sigma**2)
        shot = _shot(run, self.wire, self.output) if run and on else np.empty(0, complex)
        if not len(shot):
            return seen
        return np.hypot(seen, _peaks(direct * shot + image * shot.conj(), offsets, sigma))


def _nearest(offsets: NDArray[np.float64], frequency: float) -> NDArray[np.float64]:
    """Return the distance (Hz) from ``frequency`` to the bucket of each point of the trace."""
    half = (offsets[1] - offsets[0]) / 2 if len(offsets) > 1 else 0.0
    distance: NDArray[np.float64] = np.maximum(0.0, np.abs(offsets - frequency) - half)
    return distance


def _shot(run: Run, wire: Wire, output: OutputCable) -> NDArray[np.complex128]:
    """Return the samples of a line in one shot, from its first burst on, as they leave the DAC."""
    sequence = run.sequence(0)
    numbers = [k for k, line in enumerate(sequence.lines) if line.name == output.line]
    bursts = sequence.bursts[np.isin(sequence.bursts["line"], numbers)]
    if not len(bursts):
        return np.empty(0, complex)
    begin = int(bursts["start"].min())
    end = max(int(b["start"]) + len(sequence.envelopes[b["envelope"]]) + TAIL for b in bursts)
    shot = np.zeros(min(end - begin, LONGEST), complex)
    for burst in bursts:
        envelope = sequence.envelopes[burst["envelope"]]
        first = int(burst["start"]) - begin
        t = (burst["start"] + np.arange(len(envelope))) / RATE
        turned = burst["amplitude"] * envelope * np.exp(1j * (burst["phase"] - 2 * np.pi * burst["frequency"] * t))
        played = low_pass(turned, wire.bandwidth, float(burst["frequency"]), TAIL)[: max(0, len(shot) - first)]
        shot[first : first + len(played)] += played
    return shot


def _peaks(shot: NDArray[np.complex128], offsets: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return the largest magnitude over the shot behind a Gaussian filter about each point of the trace.

    A filter exp(-f^2 / 2 sigma^2) has the impulse response exp(-t^2 (2 pi sigma)^2 / 2), so that all points are
    Fourier transforms of the shot times that window, at steps of its standard deviation. A tone that is longer than
    the window shows its amplitude, a shorter one less.
    """
    spread = RATE / (2 * math.pi * sigma)
    step = max(1, int(spread))
    half = min(math.ceil(_WINDOW / 2 * spread), len(shot))
    window = np.exp(-0.5 * (np.arange(-half, half + 1) / spread) ** 2)
    window /= math.sqrt(2 * math.pi) * spread
    size = 1 << max(12, 2 + (2 * half).bit_length())
    padded = np.concatenate([np.zeros(half), shot, np.zeros(half)])
    peak = np.zeros(size)
    for start in range(0, len(shot), step):
        piece = padded[start : start + 2 * half + 1]
        # A tone at +f is exp(-2 pi i f t) here, which the inverse transform finds at +f.
        np.maximum(peak, size * np.abs(np.fft.ifft(piece * window[: len(piece)], size)), out=peak)
    bins = np.fft.fftshift(np.fft.fftfreq(size, 1 / RATE))
    peak = np.fft.fftshift(peak) * np.abs(np.sinc(bins / RATE))
    return _buckets(bins, peak, offsets)


def _buckets(bins: NDArray[np.float64], peak: NDArray[np.float64], offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what each point of the trace shows of the finer ``bins``: the largest value of its bucket."""
    half = (offsets[1] - offsets[0]) / 2 if len(offsets) > 1 else 0.0
    shown: NDArray[np.float64] = np.interp(offsets, bins, peak, left=0.0, right=0.0)
    if half > bins[1] - bins[0]:
        first = np.searchsorted(bins, offsets - half)
        last = np.searchsorted(bins, offsets + half)
        for k in np.flatnonzero(last > first):
            shown[k] = max(shown[k], peak[first[k] : last[k]].max())
    return shown


def levels(
    amplitudes: NDArray[np.float64], full_scale: float, rbw: float, attenuation: float, noise: Callable[..., object]
) -> NDArray[np.float64]:
    """Return dBm as displayed: the signal and Gaussian noise of the input, rectified.

    Args:
        amplitudes: in full scales.
        full_scale: dBm of amplitude 1.
        rbw: resolution bandwidth, Hz.
        attenuation: of the input, dB; it raises the noise.
        noise: draws standard normal numbers of a shape.

    """
    floor = _NOISE_DENSITY + 10 * math.log10(rbw) + attenuation
    spread = 10 ** ((floor - full_scale) / 20) / math.sqrt(2)
    i, q = np.asarray(noise((2, len(amplitudes))))
    shown: NDArray[np.float64] = full_scale + 20 * np.log10(np.hypot(amplitudes + spread * i, spread * q) + 1e-30)
    return shown
