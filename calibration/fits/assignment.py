"""What a readout of one qubit does, apart from what it is given to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pulsed.calibration.fits.fit import Real


@dataclass(frozen=True)
class Assignment:
    """How often one qubit is read wrongly after preparing 0 and 1, and how often it was in 1 to begin with.

    ``p10`` (1 read after preparing 0) and ``p01`` are those of a calibration set: a shot starts in 1 with the
    probability ``thermal``, and preparing 1 is an x. So they contain both, as does what a user sees who prepares and
    reads. A correction that shall show the state as it is, its thermal part included, takes the errors of the reading
    alone: :attr:`wrong_zero` and :attr:`wrong_one`.
    """

    p10: float
    p01: float
    thermal: float = 0.0
    stderr: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Of ``p10``, ``p01`` and ``thermal``."""

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Assignment:
        """Return what :meth:`numbers` gave; a file of old has only the first two."""
        given = [float(number) for number in numbers]
        p10, p01, thermal, *stderr = given + [0.0] * (6 - len(given))
        return cls(p10, p01, thermal, (stderr[0], stderr[1], stderr[2]))

    def numbers(self) -> list[float]:
        """Return all six, for a file."""
        return [self.p10, self.p01, self.thermal, *self.stderr]

    @property
    def contrast(self) -> float:
        """How far apart the mean readings of 0 and of 1 are.

        With a and b the errors of the reading, p10 = a (1 - t) + (1 - b) t and p01 = b (1 - t) + (1 - a) t, thus
        1 - p10 - p01 = (1 - a - b) (1 - 2 t).
        """
        return (1 - self.p10 - self.p01) / (1 - 2 * self.thermal)

    @property
    def wrong_zero(self) -> float:
        """How often a qubit in 0 is read as 1; below 0 by chance when it is rarer than the noise of the others."""
        return self.p10 - self.thermal * self.contrast

    @property
    def wrong_one(self) -> float:
        """How often a qubit in 1 is read as 0."""
        return self.p01 - self.thermal * self.contrast

    @property
    def errors(self) -> tuple[float, float]:
        """Standard errors of :attr:`wrong_zero` and :attr:`wrong_one`.

        ``thermal`` and ``p10`` come from the same shots: what varies in their difference is its own share of them.
        """
        p10, p01, thermal = self.stderr
        share = min(max(self.wrong_zero, 0.0) / self.p10, 1.0) if self.p10 > 0 else 1.0
        return float(p10 * np.sqrt(share)), float(np.hypot(p01, thermal))

    def matrix(self, zero: float = 0.0, one: float = 0.0) -> Real:
        """Return (measured, true) probabilities of the reading, with its errors changed by ``zero`` and ``one``."""
        return confusion(self.wrong_zero + zero, self.wrong_one + one)


def confusion(wrong_zero: float, wrong_one: float) -> Real:
    """Return (measured, true) probabilities of one qubit."""
    return np.array([[1 - wrong_zero, wrong_one], [wrong_zero, 1 - wrong_one]])
