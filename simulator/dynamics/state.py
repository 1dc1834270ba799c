"""The state of a cluster: a batch of density matrices of up to six three-level transmons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.dynamics.clusters import union
from pulsed.simulator.dynamics.hamiltonian import LEVELS
from pulsed.simulator.dynamics.hermitian import (
    COHERENCES,
    COHERENT,
    POPULATIONS,
    SIZE,
    coefficients,
    conjugated,
    elements,
    follow,
    mix_populations,
    scale_elements,
    shift,
    waits,
)
from pulsed.simulator.dynamics.superoperators import exponential

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]


@lru_cache(maxsize=512)
def table(count: int, sites: tuple[int, ...]) -> NDArray[np.int64]:
    """Return (rest, local) indices into a basis of ``count`` transmons: local states of ``sites`` along axis 1."""
    index = np.arange(LEVELS**count).reshape((LEVELS,) * count)
    index = np.moveaxis(index, sites, tuple(range(count - len(sites), count)))
    return np.ascontiguousarray(index.reshape(-1, LEVELS ** len(sites)))


@lru_cache(maxsize=512)
def levels_of(count: int, site: int) -> NDArray[np.int64]:
    """Return (3**count,): the level of ``site`` in each basis state."""
    levels: NDArray[np.int64] = np.indices((LEVELS,) * count)[site].ravel()
    return levels


def marginal(diagonal: NDArray[np.float64], count: int, sites: tuple[int, ...]) -> NDArray[np.float64]:
    """Return (batch, 3**k) joint populations of ``sites``, the first slowest, from those of all (batch, 3**count)."""
    others = tuple(1 + s for s in range(count) if s not in sites)
    kept = [s for s in range(count) if s in sites]
    out = diagonal.reshape((-1,) + (LEVELS,) * count).sum(axis=others)
    out = out.transpose((0, *(1 + kept.index(s) for s in sites))).reshape(len(diagonal), -1)
    out = np.clip(out, 0.0, None)
    result: NDArray[np.float64] = out / out.sum(axis=1, keepdims=True)
    return result


def sampled(joint: NDArray[np.float64], owner: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return (shots,) joint levels drawn from the row of populations (batch, k) that each shot's ``owner`` names."""
    rows = np.arange(len(joint))[:, None] + np.cumsum(joint, axis=1)  # all members in one rising row
    levels = np.searchsorted(rows.ravel(), owner + rng.random(len(owner)), side="right") - owner * joint.shape[1]
    found: NDArray[np.int64] = np.clip(levels, 0, joint.shape[1] - 1)
    return found


@dataclass
class TensorFactor:
    """Transmons that share coefficients ``x`` (batch, 9**k), in rising order, the first of ``sites`` slowest."""

    sites: tuple[int, ...]
    x: Real

    def elements(self) -> Complex:
        """Return (batch, 9**k) matrix elements, row by row of each transmon."""
        x = self.x.astype(np.complex128)
        for place in range(len(self.sites)):
            elements(x.reshape(-1, SIZE, SIZE ** (len(self.sites) - 1 - place)))
        return x

    def set_elements(self, x: Complex) -> None:
        """Set the coefficients from matrix elements, which are overwritten."""
        for place in range(len(self.sites)):
            coefficients(x.reshape(-1, SIZE, SIZE ** (len(self.sites) - 1 - place)))
        self.x = np.ascontiguousarray(x.real)

    def populations(self) -> Real:
        """Return (batch, 3**k)."""
        x = self.x.reshape((len(self.x),) + (SIZE,) * len(self.sites))
        for axis in range(1, x.ndim):
            x = x[(slice(None),) * axis + (slice(None, None, LEVELS + 1),)]
        return x.reshape(len(x), -1)


@dataclass(frozen=True)
class Rest:
    """What one transmon does while nothing drives it.

    Attributes:
        rates: (3, 3) of its populations, 1/ns.
        factors: (batch, 3) that its coherences 01, 02, 12 are multiplied by.

    """

    rates: Real
    factors: Complex


class DensityMatrix:
    """A batch of density matrices of some transmons, as coefficients; see :mod:`pulsed.simulator.dynamics.hermitian`.

    Transmons stay in parts of their own until something joins them: a map of two, or a pair energy once one of them has
    coherence (before that it does nothing).

    Attributes:
        parts: transmons that share coefficients.
        coherent: of each transmon, whether it may have coherence.

    """

    def __init__(self, parts: list[TensorFactor], coherent: list[bool]) -> None:
        self.parts = parts
        self.coherent = coherent

    @classmethod
    def product(cls, populations: list[Real], batch: int) -> DensityMatrix:
        """Return a diagonal product state: one (3,) vector of populations per transmon."""
        parts = []
        for site, p in enumerate(populations):
            x = np.zeros((batch, SIZE))
            x[:, POPULATIONS] = p
            parts.append(TensorFactor((site,), x))
        return cls(parts, [False] * len(parts))

    @classmethod
    def diagonal(cls, joint: Real, count: int, batch: int) -> DensityMatrix:
        """Return joint populations (3**count,), the first transmon slowest, without coherence."""
        x = np.zeros((batch,) + (SIZE,) * count)
        x[np.ix_(np.arange(batch), *[POPULATIONS] * count)] = joint.reshape((LEVELS,) * count)
        return cls([TensorFactor(tuple(range(count)), x.reshape(batch, -1))], [False] * count)

    @classmethod
    def of(cls, rho: Complex) -> DensityMatrix:
        """Return the state of Hermitian matrices ``rho`` (batch, 3**n, 3**n), the first transmon slowest."""
        count = round(math.log(rho.shape[1], LEVELS))
        axes = [0, *(a for s in range(count) for a in (1 + s, 1 + count + s))]
        x = rho.reshape((len(rho),) + (LEVELS,) * (2 * count)).transpose(axes).reshape(len(rho), -1)
        part = TensorFactor(tuple(range(count)), np.zeros((0, 0)))
        part.set_elements(np.array(x, dtype=np.complex128))
        return cls([part], [True] * count)

    @classmethod
    def merged(cls, states: list[DensityMatrix]) -> DensityMatrix:
        """Return the batches of some states, one after the other; transmons joined in one of them are so in all."""
        links = [(part.sites[0], s) for state in states for part in state.parts for s in part.sites]
        groups = [tuple(int(str(s)) for s in group) for group in union(range(len(states[0].coherent)), links)]
        parts = [TensorFactor(sites, np.concatenate([state.joined(sites).x for state in states])) for sites in groups]
        return cls(parts, [any(c) for c in zip(*(state.coherent for state in states), strict=True)])

    def marks(self) -> Real:
        """Return (batch, 2 parts) fingerprints: the same for equal members, and hardly ever for others."""
        rng = np.random.default_rng(0)
        return np.concatenate([part.x @ rng.normal(size=(part.x.shape[1], 2)) for part in self.parts], axis=1)

    @property
    def rho(self) -> Complex:
        """(batch, 3**n, 3**n) the matrices, the first transmon slowest."""
        count = len(self.coherent)
        x = self.joined(tuple(range(count))).elements()
        axes = [0, *(1 + 2 * s for s in range(count)), *(2 + 2 * s for s in range(count))]
        dim: int = LEVELS**count
        return x.reshape((len(x),) + (LEVELS,) * (2 * count)).transpose(axes).reshape(len(x), dim, dim)

    def bytes_of(self, batch: int) -> int:
        """Return the memory that a batch of as many states takes whose transmons are joined like these."""
        return batch * sum(int(part.x[0].nbytes) for part in self.parts)

    def columns(self, sites: tuple[int, ...]) -> int:
        """Return by how many columns a map of ``sites`` is multiplied for one member of the batch."""
        parts = {id(part): len(part.sites) for part in map(self.part, sites)}
        return int(SIZE ** (sum(parts.values()) - len(sites)))

    def apply(self, sites: tuple[int, ...], maps: Real) -> None:
        """Apply maps of the coefficients of one to three transmons, in rising order.

        Args:
            sites: the transmons.
            maps: (batch, 9**k, 9**k), or (1, 9**k, 9**k) for all members alike.

        """
        for site in sites:
            self.coherent[site] = True
        self._act(sites, maps)

    def idle(self, site: int, maps: Real) -> None:
        """Apply maps (batch, 9, 9) that make no coherence to one transmon."""
        self._act((site,), maps)

    def _act(self, sites: tuple[int, ...], maps: Real) -> None:
        part = self.joined(sites)
        places = [part.sites.index(s) for s in sites]
        if places[-1] - places[0] + 1 == len(sites):
            part.x = _multiplied(maps, part.x, SIZE ** places[0])
            return
        shape = (len(part.x),) + (SIZE,) * len(part.sites)
        axes, front = [1 + p for p in places], list(range(1, 1 + len(places)))
        x = np.moveaxis(part.x.reshape(shape), axes, front).reshape(len(part.x), -1)
        part.x = np.moveaxis(_multiplied(maps, x, 1).reshape(shape), front, axes).reshape(len(x), -1)

    def conjugate(self, sites: tuple[int, ...], unitaries: Complex) -> None:
        """Apply U rho U^+ to transmons, in rising order, U (batch, m, m)."""
        part = self.joined(sites)
        axes = [1 + part.sites.index(s) for s in sites]
        back = list(range(1 + len(part.sites) - len(sites), 1 + len(part.sites)))
        x = np.moveaxis(part.x.reshape((-1,) + (SIZE,) * len(part.sites)), axes, back)
        turned = conjugated(x.reshape(len(x), -1, SIZE ** len(sites)), unitaries)
        part.x = np.moveaxis(turned.reshape(x.shape), back, axes).reshape(len(x), -1)

    def follow(self, maps: Real, which: NDArray[np.int64], angles: Real) -> None:
        """Take a single transmon through maps (kinds, batch, 9, 9), transposed, each after a turn by exp(i angle n)."""
        self.coherent[0] = True
        follow(self.parts[0].x, maps, which, angles)

    def shift(self, first: int, second: int, energies: Real, duration: float) -> None:
        """Let two transmons pick up pair energies (3, 3) in rad/ns for ``duration`` ns."""
        if not (self.coherent[first] or self.coherent[second]):
            return
        if first > second:
            first, second, energies = second, first, energies.T
        part = self.joined((first, second))
        i, j = part.sites.index(first), part.sites.index(second)
        shape = (len(part.x) * SIZE**i, SIZE, SIZE ** (j - i - 1), SIZE, SIZE ** (len(part.sites) - 1 - j))
        shift(part.x.reshape(shape), np.ascontiguousarray(energies), duration)

    def rest(self, rests: list[Rest], energies: Mapping[tuple[int, int], Real], duration: float) -> None:
        """Let all transmons rest for ``duration`` ns: decay and pair energies together, exactly.

        Coherences keep their place meanwhile. So the energies (3, 3) in rad/ns of a coherence and its neighbour's
        populations are a detuning of the first for each level of the second, beside the rates among these; two
        coherences turn each other.
        """
        for pair in energies:
            if self.coherent[pair[0]] or self.coherent[pair[1]]:
                self.joined(pair)
        for part in self.parts:
            if len(part.sites) == 1:
                rest = rests[part.sites[0]]
                part.x = _multiplied(waits(exponential(rest.rates * duration).real, rest.factors), part.x, 1)
            else:
                _rest(part, [rests[s] for s in part.sites], energies, duration)

    def populations(self, sites: tuple[int, ...]) -> Real:
        """Return (batch, 3**k) joint populations of the given transmons, normalised, the first site slowest."""
        joint: Real = np.ones((1, 1))
        order: list[int] = []
        for part in self.parts:
            kept = tuple(s for s in part.sites if s in sites)
            if kept:
                p = marginal(part.populations(), len(part.sites), tuple(part.sites.index(s) for s in kept))
                joint = (joint[:, :, None] * p[:, None, :]).reshape(len(p), -1)
                order += kept
        axes = (0, *(1 + order.index(s) for s in sites))
        return joint.reshape((-1,) + (LEVELS,) * len(order)).transpose(axes).reshape(len(joint), -1)

    def sample(self, sites: tuple[int, ...], owner: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return (shots,) joint levels of the given transmons, drawn from each shot's member of the batch."""
        return sampled(self.populations(sites), owner, rng)

    def dephase(self, site: int) -> None:
        """Drop all coherence between levels of one transmon: an unread measurement."""
        part = self.part(site)
        x = part.x.reshape(-1, SIZE, SIZE ** (len(part.sites) - 1 - part.sites.index(site)))
        x[:, COHERENT] = 0
        self.coherent[site] = False

    def collapsed(
        self,
        sites: tuple[int, ...],
        members: NDArray[np.int64],
        before: NDArray[np.int64],
        after: NDArray[np.int64],
    ) -> DensityMatrix:
        """Return a new batch: member ``members[g]`` projected on levels ``before[g]`` and set to ``after[g]``.

        A measured transmon is in a part of its own again.

        Args:
            sites: the measured transmons.
            members: (groups,) index into this batch.
            before: (groups,) joint level of the sites that was found.
            after: (groups,) joint level they are left in.

        """
        shape, group = (LEVELS,) * len(sites), np.arange(len(members))
        new = DensityMatrix([TensorFactor(p.sites, p.x[members]) for p in self.parts], list(self.coherent))
        found_left = (np.unravel_index(before, shape), np.unravel_index(after, shape)) if sites else ((), ())
        for site, found, left in zip(sites, *found_left, strict=True):
            part = new.part(site)
            new.parts.remove(part)
            rows = SIZE ** part.sites.index(site)
            rest = part.x.reshape(len(members), rows, SIZE, -1)[group, :, POPULATIONS[found]]
            others = tuple(s for s in part.sites if s != site)
            if others:
                new.parts.append(TensorFactor(others, np.ascontiguousarray(rest.reshape(len(members), -1))))
            alone = np.zeros((len(members), SIZE))
            alone[group, POPULATIONS[left]] = 1
            new.parts.append(TensorFactor((site,), alone))
            new.coherent[site] = False
        for part in new.parts:
            part.x /= part.populations().sum(axis=1, keepdims=True)
        return new

    def part(self, site: int) -> TensorFactor:
        """Return the part that a transmon is in."""
        return next(part for part in self.parts if site in part.sites)

    def joined(self, sites: tuple[int, ...]) -> TensorFactor:
        """Return the part of ``sites``, which is made of theirs if they have several."""
        first = self.part(sites[0])
        if all(s in first.sites for s in sites):
            return first
        mine = [part for part in self.parts if set(part.sites) & set(sites)]
        order = [s for part in mine for s in part.sites]
        x: Real = np.ones((1, 1))
        for part in mine:
            x = (x[:, :, None] * part.x[:, None, :]).reshape(len(part.x), -1)
            self.parts.remove(part)
        axes = (0, *(1 + i for i in np.argsort(order).tolist()))
        x = x.reshape((-1,) + (SIZE,) * len(order)).transpose(axes).reshape(len(x), -1)
        joined = TensorFactor(tuple(sorted(order)), np.ascontiguousarray(x))
        self.parts.append(joined)
        return joined


def _multiplied(maps: Real, x: Real, rows: int) -> Real:
    """Return maps (batch or 1, m, m) times x (batch, rows m columns), shaped as ``x``."""
    size = maps.shape[-1]
    blocks = x.reshape(len(x), rows, size, -1)
    if size > SIZE and rows > 1 and 1 < blocks.shape[3] < size:  # many small products take longer than two copies
        wide = np.matmul(maps, blocks.transpose(0, 2, 1, 3).reshape(len(x), size, -1))
        out = np.ascontiguousarray(wide.reshape(len(x), size, rows, -1).transpose(0, 2, 1, 3))
    elif blocks.shape[3] == 1:
        out = np.matmul(blocks[..., 0], maps.transpose(0, 2, 1))
    else:
        out = np.matmul(maps[:, None], blocks)
    return np.asarray(out.reshape(x.shape))


def _rest(part: TensorFactor, rests: list[Rest], energies: Mapping[tuple[int, int], Real], duration: float) -> None:
    count, batch = len(part.sites), len(part.x)
    table = np.zeros((count, count, LEVELS, LEVELS))
    for (a, b), pair in energies.items():
        if a in part.sites and b in part.sites:  # else neither has coherence, and the energy does nothing
            i, j = part.sites.index(a), part.sites.index(b)
            table[i, j], table[j, i] = pair, pair.T
    factors = np.ones((batch, count, LEVELS, LEVELS), complex)
    for place, rest in enumerate(rests):
        for (i, j), factor in zip(COHERENCES, rest.factors.T, strict=True):
            factors[:, place, i, j], factors[:, place, j, i] = factor, factor.conj()
    x = part.elements()
    scale_elements(x, factors.reshape(batch, count, SIZE), table, duration)
    strides = SIZE ** np.arange(count - 1, -1, -1)
    for place, rest in enumerate(rests):
        near = np.flatnonzero(table[place].any(axis=(1, 2)))
        detuning = np.zeros((1, LEVELS))
        for other in near:
            levels = table[place, other]
            apart = (levels[:, :, None] - levels[:, None, :]).reshape(LEVELS, SIZE).T
            detuning = (detuning[:, None, :] + apart[None, :, :]).reshape(-1, LEVELS)
        generators = rest.rates - 1j * detuning[:, :, None] * np.eye(LEVELS)
        mix_populations(x, strides[place], strides[near], exponential(generators * duration))
    part.set_elements(x)
