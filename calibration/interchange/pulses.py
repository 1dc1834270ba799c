"""Pulses of other stacks as ours: the same length, sigma and DRAG, and the amplitude of the same area.

Our DRAG pulse is a Gaussian that is lifted to zero at its ends; most others are not, so that the same numbers are
another pulse, by 4 to 10 % of its area. What turns a qubit, to first order, is the area. How a file's numbers become
sigma and beta in dt is said where the file is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pulsed.pulse.library import Drag

Real = npt.NDArray[np.float64]


class DragNumbers(NamedTuple):
    """The calibrated values of one of our DRAG pulses; lengths in dt."""

    amplitude: float
    angle: float
    beta: float
    duration: float
    sigma: float


def unlifted(duration: int, sigma: float) -> Real:
    """Return the samples of a Gaussian about the middle with a peak of one, its foot where it is."""
    t = np.arange(duration) + 0.5 - duration / 2
    return np.asarray(np.exp(-0.5 * (t / sigma) ** 2))


def offset_removed(duration: int, sigma: float) -> Real:
    """Return the samples of a Gaussian whose first sample is subtracted, so that it peaks below one."""
    shape = unlifted(duration, sigma)
    return np.asarray(shape - shape[0])


def cosine(duration: int) -> Real:
    """Return the samples of a raised cosine that is zero at its first and last sample, with a peak of one."""
    return np.asarray(0.5 * (1 - np.cos(2 * np.pi * np.arange(duration) / max(duration - 1, 1))))


def same_area(
    amplitude: float, foreign: Real, duration: int, sigma: float, beta: float = 0.0, angle: float = 0.0
) -> DragNumbers:
    """Return our DRAG pulse that has the area of ``amplitude`` times the real part of a ``foreign`` pulse.

    A negative amplitude is a positive one half a turn away.
    """
    ours = np.real(Drag(duration, 1.0, sigma=sigma, beta=0.0).envelope()).sum()
    scaled = float(amplitude * foreign.sum() / ours)
    if scaled < 0:
        scaled, angle = -scaled, angle + np.pi
    angle = float((angle + np.pi) % (2 * np.pi) - np.pi)
    return DragNumbers(scaled, angle, beta, float(duration), float(sigma))


def off_by(ours: DragNumbers, foreign: Callable[[int], npt.NDArray[np.complex128]]) -> float:
    """Return the rms distance of our pulse from the ``foreign`` one (samples of a length), by the rms of that."""
    pulse = Drag(
        int(ours.duration), ours.amplitude, sigma=ours.sigma, beta=ours.beta, angle=ours.angle, limit_amplitude=False
    )
    theirs = foreign(int(ours.duration))
    return float(np.linalg.norm(pulse.envelope() - theirs) / np.linalg.norm(theirs))
