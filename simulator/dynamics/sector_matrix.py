"""Density matrices that are nowhere whole: coefficients of some sectors alone, for seven and eight transmons."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.dynamics.hamiltonian import LEVELS
from pulsed.simulator.dynamics.hermitian import POPULATIONS, SIZE
from pulsed.simulator.dynamics.sectors import LOCAL, PLACES, SHIFT, Layout, layout, run
from pulsed.simulator.dynamics.state import DensityMatrix

Real = NDArray[np.float64]


class SectorMatrix(DensityMatrix):
    """A batch of density matrices, of which only some transmons at once are in level 2.

    Attributes:
        places: where coefficients stand.
        x: (batch, size) them.

    """

    def __init__(self, places: Layout, x: Real, coherent: list[bool]) -> None:
        super().__init__([], coherent)
        self.places = places
        self.x = x

    @classmethod
    def begun(cls, populations: list[Real], batch: int, order: int) -> SectorMatrix:
        """Return a diagonal product state: one (3,) vector of populations per transmon."""
        places = layout(len(populations), order)
        x = np.ones(len(places.index))
        for site, p in enumerate(populations):
            own = np.zeros(SIZE)
            own[POPULATIONS] = p
            x *= own[places.part_index((site,))]
        return cls(places, np.tile(x, (batch, 1)), [False] * len(populations))

    def populations(self, sites: tuple[int, ...]) -> Real:
        """Return (batch, 3**k) joint populations of the given transmons, normalised, the first site slowest."""
        digits = np.stack(np.unravel_index(self.places.index, (SIZE,) * self.places.count))
        diagonal = np.flatnonzero(np.isin(digits, POPULATIONS).all(axis=0))
        levels = digits[:, diagonal][list(sites)] // (LEVELS + 1)
        joint = np.ravel_multi_index(tuple(levels), (LEVELS,) * len(sites))
        out = np.array([np.bincount(joint, weights=x, minlength=LEVELS ** len(sites)) for x in self.x[:, diagonal]])
        out = np.clip(out, 0.0, None)
        return np.asarray(out / out.sum(axis=1, keepdims=True))

    def shift(self, first: int, second: int, energies: Real, duration: float) -> None:
        """Let two transmons pick up pair energies (3, 3) in rad/ns for ``duration`` ns."""
        if self.coherent[first] or self.coherent[second]:
            pair = (first, second) if first < second else (second, first)
            table = energies if first < second else energies.T
            self._step(SHIFT, 0, duration, np.ones((1, 1, SIZE, SIZE)), table[None], pair)

    def dephase(self, site: int) -> None:
        """Drop all coherence between levels of one transmon: an unread measurement."""
        kept = np.zeros((1, SIZE, SIZE))
        kept[:, POPULATIONS, POPULATIONS] = 1
        self._act((site,), kept)
        self.coherent[site] = False

    def _act(self, sites: tuple[int, ...], maps: Real) -> None:
        (site,) = sites
        own = np.ascontiguousarray(maps[None][..., PLACES[:, None], PLACES])
        self._step(LOCAL, site, 0.0, own, np.zeros((1, LEVELS, LEVELS)), (0, 1))

    def _step(self, kind: int, place: int, value: float, maps: Real, energies: Real, pair: tuple[int, int]) -> None:
        places = self.places
        run(
            self.x,
            np.array([[kind, place, 0]], dtype=np.int64),
            np.array([value]),
            maps,
            np.zeros((0, 1, SIZE, SIZE)),
            np.ascontiguousarray(energies),
            places.site_blocks,
            places.pair_blocks(*pair)[None],
            places.outermost,
            np.zeros(1),
            np.empty((2, SIZE**2, places.width)),
            np.zeros(len(self.x)),
        )
