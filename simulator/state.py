"""The state of a cluster: a batch of density matrices of up to six three-level transmons."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pulsed.simulator.hamiltonian import LEVELS

Complex = NDArray[np.complex128]


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
    found = np.empty(len(owner), dtype=np.int64)
    cumulative = np.cumsum(joint, axis=1)
    draws = rng.random(len(owner))
    for member in range(len(joint)):
        mine = owner == member
        levels = np.searchsorted(cumulative[member], draws[mine], side="right")
        found[mine] = np.minimum(levels, joint.shape[1] - 1)
    return found


@njit(cache=True)
def _gather(rho, index, out):  # type: ignore[no-untyped-def]
    """Copy rho (B, D, D) to out (B, m^2, rest^2): row p m + q holds the elements between local states p and q."""
    rest, m = index.shape
    for b in range(rho.shape[0]):
        for p in range(m):
            for q in range(m):
                column = 0
                for i in range(rest):
                    for j in range(rest):
                        out[b, p * m + q, column] = rho[b, index[i, p], index[j, q]]
                        column += 1


@njit(cache=True)
def _scatter(blocks, index, rho):  # type: ignore[no-untyped-def]
    """Undo :func:`_gather`."""
    rest, m = index.shape
    for b in range(rho.shape[0]):
        for p in range(m):
            for q in range(m):
                column = 0
                for i in range(rest):
                    for j in range(rest):
                        rho[b, index[i, p], index[j, q]] = blocks[b, p * m + q, column]
                        column += 1


@njit(cache=True)
def _apply_phases(rho, phases):  # type: ignore[no-untyped-def]
    for b in range(rho.shape[0]):
        for i in range(rho.shape[1]):
            for j in range(rho.shape[2]):
                rho[b, i, j] *= phases[i] * np.conj(phases[j])


@njit(cache=True)
def _follow(rho, idles, which_idle, steps, which_step, phases):  # type: ignore[no-untyped-def]
    """Take rho (B, 9) through pulses: idle map, then step turned by the phase; maps (kinds, B, 9, 9)."""
    size = rho.shape[1]
    levels = int(np.sqrt(size))
    work = np.empty(size, np.complex128)
    for k in range(which_step.shape[0]):
        turn = np.exp(1j * phases[k])
        idle, step = idles[which_idle[k]], steps[which_step[k]]
        for b in range(rho.shape[0]):
            for i in range(size):
                x = 0j
                for j in range(size):
                    x += idle[b, i, j] * rho[b, j]
                for _ in range(abs(i // levels - i % levels)):
                    x *= np.conj(turn) if i // levels > i % levels else turn
                work[i] = x
            for i in range(size):
                x = 0j
                for j in range(size):
                    x += step[b, i, j] * work[j]
                for _ in range(abs(i // levels - i % levels)):
                    x *= turn if i // levels > i % levels else np.conj(turn)
                rho[b, i] = x


class DensityMatrix:
    """A batch of density matrices ``rho`` (batch, 3**n, 3**n) of ``n`` transmons."""

    def __init__(self, rho: Complex, count: int) -> None:
        self.rho = rho
        self.count = count

    @classmethod
    def product(cls, populations: list[NDArray[np.float64]], batch: int) -> DensityMatrix:
        """Return a diagonal product state: one (3,) vector of populations per transmon."""
        diagonal: NDArray[np.float64] = np.ones(1)
        for p in populations:
            diagonal = np.kron(diagonal, p).astype(np.float64)
        rho = np.zeros((batch, len(diagonal), len(diagonal)), complex)
        rho[:] = np.diag(diagonal)
        return cls(rho, len(populations))

    def apply(self, sites: tuple[int, ...], maps: Complex) -> None:
        """Apply superoperators to the given transmons: (batch, m^2, m^2), or (1, m^2, m^2) for all members alike."""
        index = table(self.count, sites)
        rest, m = index.shape
        blocks = np.empty((len(self.rho), m * m, rest * rest), complex)
        _gather(self.rho, index, blocks)
        _scatter(np.matmul(maps, blocks), index, self.rho)

    def apply_unitaries(self, sites: tuple[int, ...], unitaries: Complex) -> None:
        """Apply U rho U^+ to the given transmons, one U (batch, m, m) per member."""
        index = table(self.count, sites)
        rest, m = index.shape
        dim = self.rho.shape[1]
        flat = index.ravel()
        for _ in range(2):
            rows = np.matmul(unitaries[:, None], self.rho[:, flat].reshape(-1, rest, m, dim))
            self.rho[:, flat] = rows.reshape(-1, dim, dim)
            self.rho = np.ascontiguousarray(self.rho.conj().transpose(0, 2, 1))

    def follow(
        self,
        idles: Complex,
        which_idle: NDArray[np.int64],
        steps: Complex,
        which_step: NDArray[np.int64],
        phases: NDArray[np.float64],
    ) -> None:
        """Take a single transmon through many pulses at once.

        Args:
            idles: (kinds, batch, 9, 9) maps of the waits.
            which_idle: (pulses,) the wait before each pulse.
            steps: (kinds, batch, 9, 9) maps of the pulses at phase 0.
            which_step: (pulses,) index into them.
            phases: (pulses,) rad.

        """
        flat = self.rho.reshape(len(self.rho), -1)
        _follow(flat, idles, which_idle, steps, which_step, phases)
        self.rho = flat.reshape(self.rho.shape)

    def shift(self, first: int, second: int, energies: NDArray[np.float64], duration: float) -> None:
        """Let two transmons pick up pair energies (3, 3) in rad/ns for ``duration`` ns."""
        shifts = energies[levels_of(self.count, first), levels_of(self.count, second)]
        _apply_phases(self.rho, np.exp(-1j * duration * shifts))

    def populations(self, sites: tuple[int, ...]) -> NDArray[np.float64]:
        """Return (batch, 3**k) joint populations of the given transmons, normalised, the first site slowest."""
        return marginal(np.einsum("bii->bi", self.rho).real, self.count, sites)

    def sample(self, sites: tuple[int, ...], owner: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return (shots,) joint levels of the given transmons, drawn from each shot's member of the batch."""
        return sampled(self.populations(sites), owner, rng)

    def dephase(self, site: int) -> None:
        """Drop all coherence between levels of one transmon: an unread measurement."""
        level = levels_of(self.count, site)
        self.rho *= level[:, None] == level[None, :]

    def collapsed(
        self,
        sites: tuple[int, ...],
        members: NDArray[np.int64],
        before: NDArray[np.int64],
        after: NDArray[np.int64],
    ) -> DensityMatrix:
        """Return a new batch: member ``members[g]`` projected on levels ``before[g]`` and set to ``after[g]``.

        Args:
            sites: the measured transmons.
            members: (groups,) index into this batch.
            before: (groups,) joint level of the sites that was found.
            after: (groups,) joint level they are left in.

        """
        index = table(self.count, sites)
        rho = np.zeros((len(members), *self.rho.shape[1:]), complex)
        for g, (member, found, left) in enumerate(zip(members, before, after, strict=True)):
            block = self.rho[member][np.ix_(index[:, found], index[:, found])]
            rho[g][np.ix_(index[:, left], index[:, left])] = block / np.trace(block).real
        return DensityMatrix(rho, self.count)
