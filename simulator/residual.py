"""Photons that a readout leaves in a resonator, and what they do to the qubit until they are gone.

From the moment at which the readout ends the fields for the levels i and j start from the same alpha and turn apart, so
rho_ij changes at the rate -i (w_i - w_j) alpha_i alpha_j* (Gambetta et al. 2006), with
alpha_i alpha_j* = n exp(-(kappa + i (w_i - w_j)) t): a shift and a loss of coherence. A pulse makes a new
superposition, whose fields start together again in its middle; during it the photons act as a detuning. What
the next readout sees of them is in :mod:`pulsed.simulator.acquisition`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip import Qubit
from pulsed.simulator.hamiltonian import TWO_PI_PER_NS

GONE = 1e-4
"""Photons below which nothing is left to see: a phase of 2 chi n/kappa rad."""


class Residual:
    """What is left in one qubit's resonator.

    Args:
        qubit: the qubit.
        photons: (batch,) photons at ``time``, one number per member of the state's batch.
        time: samples from the shot's start.

    """

    def __init__(self, qubit: Qubit, photons: NDArray[np.float64], time: float) -> None:
        resonances = np.array(qubit.resonances()) * TWO_PI_PER_NS
        self._apart = (resonances[:, None] - resonances[None, :]).ravel()
        self._kappa = qubit.kappa * TWO_PI_PER_NS
        self.photons = photons
        self._origin = time

    @property
    def origin(self) -> float:
        """Time (samples) that :attr:`photons` are counted at."""
        return self._origin

    def lasts(self, time: float) -> bool:
        """Return whether there is something left at ``time``."""
        return bool(self.photons.max(initial=0.0) * math.exp(-self._kappa * (time - self._origin)) > GONE)

    def factors(self, start: float, stop: float) -> NDArray[np.complex128]:
        """Return (batch, 9): what the elements of a row-major rho are multiplied by from ``start`` to ``stop``."""
        rate = self._kappa + 1j * self._apart
        faded = np.exp(-rate * (start - self._origin)) - np.exp(-rate * (stop - self._origin))
        exponent = np.multiply.outer(self.photons, -1j * self._apart / rate * faded)
        out: NDArray[np.complex128] = np.exp(exponent)
        return out

    def detuning(self, start: float, stop: float) -> NDArray[np.float64]:
        """Return (batch,) mean shift of the qubit's frequency in Hz from ``start`` to ``stop``."""
        length = self._kappa * (stop - start)
        mean = math.exp(-self._kappa * (start - self._origin)) * -math.expm1(-length) / length
        return self.photons * float(mean * self._apart[3] / TWO_PI_PER_NS)

    def restart(self, time: float) -> None:
        """Let the fields of all levels start together at ``time``."""
        self.photons = self.photons * math.exp(-self._kappa * (time - self._origin))
        self._origin = time
