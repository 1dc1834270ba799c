"""Fits: pure functions of arrays that return a :class:`Fit`, with errors or with the reason why there is none."""

from pulsed.calibration.fits.clouds import between, clouds, nearest
from pulsed.calibration.fits.decays import exponential, rb_decay
from pulsed.calibration.fits.fit import Fit, bad
from pulsed.calibration.fits.oscillations import cosine, damped_cosine
from pulsed.calibration.fits.peaks import line, parabola, peak
from pulsed.calibration.fits.resonators import resonator
from pulsed.calibration.fits.rotations import chevron, error_amplification

__all__ = [
    "Fit",
    "bad",
    "between",
    "chevron",
    "clouds",
    "cosine",
    "damped_cosine",
    "error_amplification",
    "exponential",
    "line",
    "nearest",
    "parabola",
    "peak",
    "rb_decay",
    "resonator",
]
