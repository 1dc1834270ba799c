"""How other stacks tell two states apart, as our discriminator: rotations, thresholds, conjugates.

Others demodulate with e^{-iωt}, pulsed with e^{+i2πft}: of the same record their point is the conjugate of ours. They
rotate the plane and compare the real part with a threshold; we ask which of two centroids is nearer. A threshold that
is not midway between the centroids becomes a shift of both along the axis, so that the same points are ones.
"""

from __future__ import annotations

import cmath
from statistics import NormalDist
from typing import NamedTuple

from pulsed.model.errors import InvalidValueError


class Clouds(NamedTuple):
    """The two centroids and the variance of a quadrature, as :data:`readout.discriminator` has them."""

    ground: complex
    excited: complex
    variance: float
    shift: float
    """How far the centroids were moved along the axis, of the distance between them."""

    def numbers(self) -> tuple[float, ...]:
        """Return I and Q of both, and the variance."""
        return (self.ground.real, self.ground.imag, self.excited.real, self.excited.imag, self.variance)


def ours(
    ground: complex, excited: complex, *, axis: float | None = None, threshold: float | None = None,
    error: float | None = None,
) -> Clouds:  # fmt: skip
    """Return the clouds in our plane of centroids in that of a stack that demodulates with e^{-iωt}.

    Args:
        ground: centroid of state 0 in their plane.
        excited: that of state 1.
        axis: angle (rad) in their plane of the direction in which a point becomes a 1; None: from 0 to 1.
        threshold: how far along it; None: midway.
        error: mean of both assignment errors, from which the width of the clouds follows; None: a quarter of the
            distance.

    Raises:
        InvalidValueError: the axis points from 1 to 0, or the centroids are one point.

    """
    if ground == excited:
        raise InvalidValueError("both centroids are one point", subject="discriminator", value=str(ground))
    turn = cmath.exp(-1j * (cmath.phase(excited - ground) if axis is None else axis))
    zero, one = ground * turn, excited * turn
    distance = one.real - zero.real
    if distance <= 0.5 * abs(one - zero):  # more than 60 degrees: they are not of the same measurement
        raise InvalidValueError(
            "the rotation does not lead from the centroid of 0 to that of 1", subject="discriminator",
            value=f"{cmath.phase(excited - ground):.3f} rad between them", legal=f"about {axis:.3f} rad",
        )  # fmt: skip
    shift = 0.0 if threshold is None else threshold - (zero.real + one.real) / 2
    level = (zero.imag + one.imag) / 2
    zero, one = complex(zero.real + shift, level) / turn, complex(one.real + shift, level) / turn
    wide = NormalDist().inv_cdf(1 - min(max(error, 1e-6), 0.45)) if error is not None else 2.0
    return Clouds(zero.conjugate(), one.conjugate(), (distance / 2 / wide) ** 2, shift / distance)
