"""The state of a cluster too large for a density matrix: a batch of pure states, one quantum trajectory each.

A map is split into Kraus operators (the eigenvectors of its Choi matrix), of which each member takes one, drawn with
its probability (Dalibard et al. 1992). The mean over members is the density matrix, to within 1/sqrt(members).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pulsed.model.errors import PulsedError
from pulsed.simulator.dynamics.hamiltonian import LEVELS
from pulsed.simulator.dynamics.state import levels_of, marginal, sampled, table

Complex = NDArray[np.complex128]

LARGEST = 128 << 20
"""Bytes of one batch; a state of ten transmons takes 945 kB."""


class SimulationLimitError(PulsedError):
    """A sequence beyond what the simulated chip can follow."""

    code = "simulation_limit"


def check_branches(transmons: int, branches: int, size: int, most: int) -> None:
    """Refuse (SimulationLimitError) more branches of a state of ``size`` bytes each than fit into ``most``."""
    if branches * size > most:
        raise SimulationLimitError(
            "measurements in mid-circuit leave too many branches of a large state",
            subject=f"{transmons} transmons in one state",
            value=f"{branches} branches",
            legal=f"at most {most // size}; use fewer shots",
        )


def basis_levels(
    populations: list[NDArray[np.float64]], batch: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Return (batch,) levels drawn from one (3,) vector of populations per transmon."""
    return [rng.choice(LEVELS, size=batch, p=p / p.sum()) for p in populations]


def kraus_operators(maps: Complex, m: int) -> Complex:
    """Return (batch, m^2, m, m) Kraus operators of superoperators (batch, m^2, m^2), those of no weight included."""
    choi = maps.reshape(-1, m, m, m, m).transpose(0, 1, 3, 2, 4).reshape(-1, m * m, m * m)
    values, vectors = np.linalg.eigh(0.5 * (choi + choi.conj().transpose(0, 2, 1)))
    scaled = vectors * np.sqrt(np.clip(values, 0, None))[:, None, :]
    out: Complex = scaled.transpose(0, 2, 1).reshape(-1, m * m, m, m)
    return out


def chances(kraus: Complex, reduced: Complex) -> NDArray[np.float64]:
    """Return (batch, k) weights of Kraus operators (batch or 1, k, m, m) in reduced states (batch, m, m)."""
    products = np.matmul(kraus.conj().transpose(0, 1, 3, 2), kraus).reshape(*kraus.shape[:2], -1)
    weights = np.matmul(products, reduced.transpose(0, 2, 1).reshape(len(reduced), -1, 1))[:, :, 0].real
    out: NDArray[np.float64] = np.clip(weights, 0, None)
    return out


def drawn(weights: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return one index per row of ``weights`` (batch, k), drawn with them as chances."""
    cumulative = np.cumsum(weights, axis=1)
    goal = rng.random(len(weights)) * cumulative[:, -1]
    found: NDArray[np.int64] = np.minimum((cumulative <= goal[:, None]).sum(axis=1), weights.shape[1] - 1)
    return found


@njit(cache=True)
def _reduce(psi, index, out):  # type: ignore[no-untyped-def]
    """Add to out (B, m, m) the reduced density matrices of psi (B, D); index (rest, m) as of :func:`table`."""
    rest, m = index.shape
    for b in range(psi.shape[0]):
        for r in range(rest):
            for i in range(m):
                x = psi[b, index[r, i]]
                for j in range(i + 1):
                    out[b, i, j] += x * np.conj(psi[b, index[r, j]])
        for i in range(m):
            for j in range(i):
                out[b, j, i] = np.conj(out[b, i, j])


@njit(cache=True)
def _act(psi, index, matrices):  # type: ignore[no-untyped-def]
    """Apply matrices (B, m, m) to psi (B, D) in place."""
    rest, m = index.shape
    work = np.empty(m, np.complex128)
    for b in range(psi.shape[0]):
        for r in range(rest):
            for i in range(m):
                work[i] = psi[b, index[r, i]]
            for i in range(m):
                x = 0j
                for j in range(m):
                    x += matrices[b, i, j] * work[j]
                psi[b, index[r, i]] = x


class Trajectories:
    """A batch of pure states ``psi`` (batch, 3**n) of ``n`` transmons, normalised."""

    def __init__(self, psi: Complex, count: int, rng: np.random.Generator) -> None:
        self.psi = psi
        self.count = count
        self.rng = rng

    @classmethod
    def product(cls, populations: list[NDArray[np.float64]], batch: int, rng: np.random.Generator) -> Trajectories:
        """Return basis states drawn from one (3,) vector of populations per transmon."""
        levels = basis_levels(populations, batch, rng)
        index = np.ravel_multi_index(tuple(levels), (LEVELS,) * len(populations))
        psi = np.zeros((batch, LEVELS ** len(populations)), complex)
        psi[np.arange(batch), index] = 1
        return cls(psi, len(populations), rng)

    @classmethod
    def merged(cls, states: list[Trajectories]) -> Trajectories:
        """Return the batches of some states, one after the other."""
        return cls(np.concatenate([state.psi for state in states]), states[0].count, states[0].rng)

    def apply(self, sites: tuple[int, ...], maps: Complex) -> None:
        """Apply superoperators (batch, m^2, m^2), or (1, m^2, m^2) for all alike: one Kraus operator per member."""
        self.jump(sites, kraus_operators(maps, LEVELS ** len(sites)))

    def jump(self, sites: tuple[int, ...], kraus: Complex) -> None:
        """Apply one of the Kraus operators (batch or 1, k, m, m) to each member, drawn with its probability."""
        m = LEVELS ** len(sites)
        reduced = np.zeros((len(self.psi), m, m), complex)
        _reduce(self.psi, table(self.count, sites), reduced)
        weights = chances(kraus, reduced)
        chosen = drawn(weights, self.rng)
        members = np.arange(len(self.psi))
        left = kraus[members if len(kraus) > 1 else 0, chosen]
        self.apply_unitaries(sites, left / np.sqrt(weights[members, chosen])[:, None, None])

    def apply_unitaries(self, sites: tuple[int, ...], unitaries: Complex) -> None:
        """Apply U to the given transmons, one U (batch, m, m) per member."""
        _act(self.psi, table(self.count, sites), np.ascontiguousarray(unitaries))

    def shift(self, first: int, second: int, energies: NDArray[np.float64], duration: float) -> None:
        """Let two transmons pick up pair energies (3, 3) in rad/ns for ``duration`` ns."""
        shifts = energies[levels_of(self.count, first), levels_of(self.count, second)]
        self.psi *= np.exp(-1j * duration * shifts)

    def populations(self, sites: tuple[int, ...]) -> NDArray[np.float64]:
        """Return (batch, 3**k) joint populations of the given transmons, normalised, the first site slowest."""
        return marginal(np.abs(self.psi) ** 2, self.count, sites)

    def sample(self, sites: tuple[int, ...], owner: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return (shots,) joint levels of the given transmons, drawn from each shot's member of the batch."""
        return sampled(self.populations(sites), owner, rng)

    def dephase(self, site: int) -> None:
        """Measure one transmon in each member and discard the result."""
        found = drawn(self.populations((site,)), self.rng)
        self.psi *= levels_of(self.count, site)[None, :] == found[:, None]
        _normalise(self.psi)

    def collapsed(
        self,
        sites: tuple[int, ...],
        members: NDArray[np.int64],
        before: NDArray[np.int64],
        after: NDArray[np.int64],
    ) -> Trajectories:
        """Return a new batch: member ``members[g]`` projected on levels ``before[g]`` and set to ``after[g]``.

        Raises:
            SimulationLimitError: more branches than fit.

        """
        check_branches(self.count, len(members), self.psi[:1].nbytes, LARGEST)
        index = table(self.count, sites)
        psi = np.zeros((len(members), self.psi.shape[1]), complex)
        group = np.arange(len(members))[:, None]
        psi[group, index[:, after].T] = self.psi[members[:, None], index[:, before].T]
        _normalise(psi)
        return Trajectories(psi, self.count, self.rng)


def _normalise(psi: Complex) -> None:
    psi /= np.linalg.norm(psi, axis=1, keepdims=True)
