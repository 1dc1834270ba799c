"""Pulses with a flat top made longer or shorter, so that what they turn by is another angle."""

from __future__ import annotations

import math

from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.library.symbolic_pulses import GaussianSquare


def stretched(pulse: GaussianSquare, fraction: float, granularity: int = 1, min_length: int = 1) -> GaussianSquare:
    """Return a pulse with the same flanks and ``fraction`` times the area of ``pulse``.

    The flat top takes the difference, rounded up to the grid, and the height comes down by what the rounding adds: it
    never goes above the calibrated one. A pulse of less area than the flanks has is lower still. With a negative
    ``fraction`` the pulse is turned by π. This is what Qiskit 1.4's ``RZXCalibrationBuilder`` does to the tones of a
    cross-resonance gate, but for the rounding, of which it takes no account in the height.

    Args:
        pulse: with numbers for all its parameters.
        fraction: finite and not 0.
        granularity: dt of which the new duration is a multiple.
        min_length: dt, of the new duration at least.

    Raises:
        PulseError: no such fraction, or a pulse with parameters that have no value.

    """
    if not math.isfinite(fraction) or fraction == 0:
        legal = "a finite number that is not 0"
        raise PulseError("a pulse cannot be stretched by this", subject=repr(pulse.name), value=fraction, legal=legal)
    if pulse.is_parameterized():
        names = sorted(parameter.name for parameter in pulse.free_parameters)
        raise PulseError("parameters without a value", subject=repr(pulse.name), value=", ".join(names))
    flanks = pulse.duration - pulse.width
    unit = GaussianSquare(pulse.duration, 1.0, sigma=pulse.sigma, width=pulse.width)
    edges = float(unit.envelope().real.sum()) - pulse.width
    area = abs(fraction) * (edges + pulse.width)
    shortest = max(flanks + max(0.0, area - edges), min_length)
    duration = math.ceil(shortest / granularity - 1e-9) * granularity
    width = duration - flanks
    height = pulse.amp * area / (edges + width)
    return GaussianSquare(
        duration, math.copysign(1.0, fraction) * height, sigma=pulse.sigma, width=width, angle=pulse.angle,
        name=pulse.name,
    )  # fmt: skip
