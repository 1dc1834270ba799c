"""Pulse maps: the effect of a segment of pulses on its transmons, and pulses placed in time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.dynamics.hamiltonian import LEVELS
from pulsed.simulator.dynamics.hermitian import SIZE, complex_map, real_map
from pulsed.simulator.dynamics.superoperators import exponential
from pulsed.simulator.dynamics.trajectories import kraus_operators

Complex = NDArray[np.complex128]

LEAST_WEIGHT = 1e-9
"""Chance of all jumps together that are left out of :attr:`PulseMap.kraus`."""


@dataclass(frozen=True)
class PulseMap:
    """The effect of one segment in the frame of its first burst's phase.

    Attributes:
        real: (m^2, m^2) on the coefficients of :mod:`pulsed.simulator.dynamics.hermitian`, dissipation included.
        unitary: (m, m), dissipation left out.
        moments: (sites, m, m) for the quasi-static detuning.
        excitations: (m,) number of excitations of each kept label.

    """

    real: NDArray[np.float64]
    unitary: Complex
    moments: Complex
    excitations: NDArray[np.float64]

    def turned(self, phase: float, maps: Complex) -> Complex:
        """Return superoperators (..., m^2, m^2) of this map with the segment's first burst at ``phase``."""
        turn = self._turn(phase)
        out: Complex = turn.ravel()[:, None] * maps * turn.conj().ravel()[None, :]
        return out

    def turned_operators(self, phase: float, operators: Complex) -> Complex:
        """Return operators (..., m, m) of this map with the segment's first burst at ``phase``."""
        turned: Complex = self._turn(phase) * operators
        return turned

    def _turn(self, phase: float) -> Complex:
        p = np.exp(1j * phase * self.excitations)
        turn: Complex = np.multiply.outer(p, p.conj())
        return turn

    @cached_property
    def superoperator(self) -> Complex:
        """(m^2, m^2), the same on a row-major vec(rho)."""
        return complex_map(self.real)

    @cached_property
    def kraus(self) -> Complex:
        """(1, k, m, m) Kraus operators of the same, without those that together weigh less than 1e-9."""
        size = len(self.unitary)
        every = kraus_operators(complex_map(self.real), size)[0]
        weights = np.einsum("kij,kij->k", every, every.conj()).real / size
        order = np.argsort(-weights)
        left = np.cumsum(weights[order][::-1])[::-1]
        kept: Complex = every[order[left > LEAST_WEIGHT]][None]
        return kept

    @cached_property
    def leakage(self) -> tuple[float, float]:
        """Bounds of the chance that it brings a transmon to level 2 that no other of its own has reached, and both.

        The sum over all basis states: no superposition leaks more.
        """
        transmons = len(self.moments)
        levels = np.indices((LEVELS,) * transmons).reshape(transmons, -1)
        leaked = (levels == LEVELS - 1).sum(axis=0)
        places = np.array([sum(4 * n * SIZE ** (transmons - 1 - k) for k, n in enumerate(state)) for state in levels.T])
        chances = np.clip(self.real[np.ix_(places, places)], 0.0, None)
        once = chances[np.ix_(leaked > 0, leaked == 0)].sum()
        again = chances[np.ix_(leaked > 1, leaked == 1)].sum()
        return float(max(once, again)), float(chances[np.ix_(leaked > 1, leaked == 0)].sum())

    @property
    def nbytes(self) -> int:
        """Memory in bytes, :attr:`superoperator` or :attr:`kraus`, at most half as large, included."""
        own = (self.real, self.unitary, self.moments, self.excitations)
        return sum(x.nbytes for x in own) + 2 * self.real.nbytes


class PlacedPulse(NamedTuple):
    """One segment placed in time: ``stop`` includes the ringing of the line."""

    qubits: tuple[int, ...]
    start: int
    stop: int
    phase: float
    map: PulseMap


def joint_map(unitary: Complex, generator: Complex) -> NDArray[np.float64]:
    """Return the map on coefficients: the dissipation in the interaction picture, then the unitary."""
    real: NDArray[np.float64] = real_map(np.asarray(np.kron(unitary, unitary.conj()), complex)) @ exponential(
        real_map(generator)
    )
    return real
