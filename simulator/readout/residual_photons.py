"""Residual photons: what a readout leaves in a resonator shifts and dephases its qubit until it has decayed.

From the moment at which the readout ends the fields for the levels i and j start from the same alpha and turn apart, so
rho_ij changes at the rate -i (w_i - w_j) alpha_i alpha_j* (Gambetta et al. 2006), with
alpha_i alpha_j* = n exp(-(kappa + i (w_i - w_j)) t): a shift and a loss of coherence. A pulse makes a new
superposition, whose fields start together again in its middle; during it the photons act as a detuning. What
the next readout sees of them is in :mod:`pulsed.simulator.readout.acquisition`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.components import Qubit
from pulsed.simulator.dynamics.hamiltonian import TWO_PI_PER_NS

GONE = 1e-4
"""Photons below which nothing is left to see: a phase of 2 chi n/kappa rad."""


class ResonatorPhotons:
    """What is left in one qubit's resonator: ``photons`` at the time ``origin``.

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
        self.origin = time

    def lasts(self, time: float) -> bool:
        """Return whether there is something left at ``time``."""
        return bool(self.photons.max(initial=0.0) * math.exp(-self._kappa * (time - self.origin)) > GONE)

    def factors(self, start: float, stop: float) -> NDArray[np.complex128]:
        """Return (batch, 9): what the elements of a row-major rho are multiplied by from ``start`` to ``stop``."""
        rate = self._kappa + 1j * self._apart
        faded = np.exp(-rate * (start - self.origin)) - np.exp(-rate * (stop - self.origin))
        exponent = np.multiply.outer(self.photons, -1j * self._apart / rate * faded)
        out: NDArray[np.complex128] = np.exp(exponent)
        return out

    def detuning(self, start: float, stop: float) -> NDArray[np.float64]:
        """Return (batch,) mean shift of the qubit's frequency in Hz from ``start`` to ``stop``."""
        length = self._kappa * (stop - start)
        mean = math.exp(-self._kappa * (start - self.origin)) * -math.expm1(-length) / length
        return self.photons * float(mean * self._apart[3] / TWO_PI_PER_NS)

    def restart(self, time: float) -> None:
        """Let the fields of all levels start together at ``time``."""
        self.photons = self.photons * math.exp(-self._kappa * (time - self.origin))
        self.origin = time


class ClusterPhotons:
    """What readouts have left in the resonators of some qubits that share a state.

    Attributes:
        left: by qubit, of those that were read and not found empty since.

    """

    def __init__(self, chip: Chip, left: Mapping[int, ResonatorPhotons] | None = None) -> None:
        self._chip = chip
        self.left = dict(left or {})

    def leave(self, qubit: int, photons: NDArray[np.float64], time: float) -> None:
        """Take note that a readout of a qubit has left ``photons`` (batch,) at ``time``."""
        self.left[qubit] = ResonatorPhotons(self._chip.qubits[qubit], photons, time)

    def act(self, qubit: int, time: float) -> bool:
        """Return whether photons act on a qubit at ``time``; never when the chip has this effect switched off."""
        if qubit not in self.left or not self._chip.effects.residual_photons:
            return False
        if not self.left[qubit].lasts(time):
            del self.left[qubit]
            return False
        return True

    def factors(self, qubit: int, start: float, stop: float) -> NDArray[np.complex128]:
        """Return (batch, 9): what the elements of a qubit's row-major rho are multiplied by in an idle time."""
        return self.left[qubit].factors(start, stop)

    def during_pulse(self, qubit: int, start: float, stop: float) -> NDArray[np.float64]:
        """Return (batch,) the detuning in Hz that a pulse sees, in the middle of which all fields start together."""
        detuning = self.left[qubit].detuning(start, stop)
        self.left[qubit].restart(0.5 * (start + stop))
        return detuning

    def copy(self) -> ClusterPhotons:
        """Return an independent copy."""
        return ClusterPhotons(self._chip, {qubit: copy(photons) for qubit, photons in self.left.items()})

    def keep(self, members: NDArray[np.int64]) -> None:
        """Go on with some members of the batch."""
        for residual in self.left.values():
            residual.photons = residual.photons[members]

    def origins(self, clock: Mapping[int, float]) -> dict[int, float]:
        """Return, of each qubit that has photons left at its time, the time that they are counted from."""
        return {qubit: photons.origin for qubit, photons in self.left.items() if photons.lasts(clock[qubit])}

    def joined(self, others: Sequence[ClusterPhotons], clock: Mapping[int, float]) -> ClusterPhotons:
        """Return the photons of this batch, then those of others whose :meth:`origins` are the same."""
        whole = ClusterPhotons(self._chip)
        for qubit, origin in self.origins(clock).items():
            whole.leave(qubit, np.concatenate([each.left[qubit].photons for each in (self, *others)]), origin)
        return whole
