"""Steady state: the populations that a repetition leaves unchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.dynamics.hamiltonian import LEVELS
from pulsed.simulator.dynamics.trajectories import SimulationLimitError

Real = NDArray[np.float64]

TOLERANCE = 3e-4
"""Error allowed in a population at a shot's start."""

MOST = 200
"""Most repetitions that are simulated; one is enough where the chip rests for several T1 in between."""

CORRELATED = 0.05
"""Part of a difference that must remain after one repetition for correlations between qubits to be carried over."""

_SINGULAR = 1e-10


@dataclass(frozen=True)
class InitialPopulations:
    """Populations at a shot's start.

    Attributes:
        populations: (chip qubits, 3) of each qubit.
        joint: (3**k,) of the qubits of a cluster together, where they are not each by itself.

    """

    populations: Real
    joint: dict[tuple[int, ...], Real] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self.populations.nbytes + sum(x.nbytes for x in self.joint.values())

    def entered(self, qubits: tuple[int, ...], found: Real) -> InitialPopulations:
        """Return this with populations of some qubits: (k, 3), or (1, 3**k) of all together."""
        populations, joint = self.populations.copy(), dict(self.joint)
        if len(found) != len(qubits):
            joint[qubits] = found[0]
            every = found.reshape((LEVELS,) * len(qubits))
            axes = range(len(qubits))
            found = np.array([every.sum(axis=tuple(a for a in axes if a != k)) for k in axes])
        populations[list(qubits)] = found
        return InitialPopulations(populations, joint)


def settled(step: Callable[[Real], Real], start: Real, left: float, exact: bool = True) -> Real:
    """Return populations that ``step``, one repetition, leaves as they are; each row sums up to 1.

    ``step`` is affine and brings states closer by ``left`` or more, so that what it changes by c is less than
    c left/(1 - left) from where it will come to rest. Steps are combined as Anderson did (Walker, Ni, SIAM J. Numer.
    Anal. 49, 1715 (2011)): of an affine map, as many as there are slow modes will do.

    Args:
        step: one repetition.
        start: where to begin.
        left: what is left of a difference after one repetition, below 1.
        exact: False if ``step`` is affine in each row only, or a mean over a few random histories: then as many steps
            are taken as there are slow modes, and the last one is returned.

    Raises:
        SimulationLimitError: it does not come to rest.

    """
    x = start
    points: list[Real] = []
    images: list[Real] = []
    change = np.inf
    for _ in range(MOST if exact else 2 * len(start) + 2):
        image = step(x)
        change = float(np.abs(image - x).max())
        if change * left / (1 - left) < TOLERANCE:
            return image
        points, images = [*points, x.ravel()], [*images, image.ravel()]
        x = _combined(np.array(points), np.array(images)).reshape(start.shape)
        x = np.clip(x, 0.0, 1.0)
        x /= x.sum(axis=1, keepdims=True)
    if not exact:
        return image
    raise SimulationLimitError(
        "what a shot leaves to the next does not come to rest",
        subject="rep_delay",
        value=f"populations that still change by {change:.1e}",
        legal="a longer delay",
    )


def _combined(points: Real, images: Real) -> Real:
    """Return the combination of images whose points moved least, all together."""
    if len(points) == 1:
        return np.asarray(images[0])
    moved = images - points
    weights = np.linalg.lstsq(np.diff(moved, axis=0).T, moved[-1], rcond=_SINGULAR)[0]
    return np.asarray(images[-1] - weights @ np.diff(images, axis=0))
