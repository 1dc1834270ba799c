"""Random streams and slow noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip.chip import Chip


def generator(seed: int, *stream: int) -> np.random.Generator:
    """Return a counter-based generator; the same seed and stream give the same numbers, whatever ran before."""
    words = [int(x) & 0xFFFFFFFFFFFFFFFF for x in (seed, *stream)]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))


# Acklam's rational approximation would do for the normal quantile; a table is shorter and exact enough.
_GRID = np.linspace(-5.0, 5.0, 20001)
_DENSITY = np.exp(-(_GRID**2) / 2)
_CDF = np.concatenate([[0.0], np.cumsum(0.5 * (_DENSITY[1:] + _DENSITY[:-1]))])
_CDF /= _CDF[-1]


def detunings(chip: Chip, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (count, qubits) quasi-static detunings in Hz, one row per block of shots.

    Stratified per qubit (one draw from each of ``count`` equal slices of the normal distribution, in random order), so
    that a few blocks already average to the distribution's T2*.
    """
    n = len(chip.qubits)
    slices = np.argsort(rng.random((count, n)), axis=0)
    normal = np.interp((slices + rng.random((count, n))) / count, _CDF, _GRID)
    out: NDArray[np.float64] = normal * np.array([q.detuning_sigma for q in chip.qubits])
    return out
