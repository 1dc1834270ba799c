"""The state of a cluster too large for state vectors: a batch of matrix product states, one quantum trajectory each.

The transmons stand on a line, neighbours next to each other; a coupling graph that is not a line is put on one by
breadth (Cuthill-McKee), and transmons that interact at a distance are swapped next to each other and back. Jumps are
drawn as in :mod:`pulsed.simulator.dynamics.trajectories`, from the reduced state of the transmons that a map acts on.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip.truncation import Truncation
from pulsed.simulator.dynamics.hamiltonian import LEVELS
from pulsed.simulator.dynamics.mps_line import TensorLine
from pulsed.simulator.dynamics.trajectories import (
    LARGEST,
    SimulationLimitError,
    basis_levels,
    chances,
    check_branches,
    drawn,
    kraus_operators,
)

Complex = NDArray[np.complex128]


def line_order(count: int, links: Iterable[tuple[int, int]]) -> list[int]:
    """Return the sites in an order that keeps linked ones close (Cuthill and McKee 1969); a path keeps its order."""
    neighbours: list[set[int]] = [set() for _ in range(count)]
    for a, b in links:
        neighbours[a].add(b)
        neighbours[b].add(a)
    order: list[int] = []
    left = set(range(count))
    while left:
        queue = [min(left, key=lambda s: (len(neighbours[s]), s))]
        left.discard(queue[0])
        for site in queue:
            following = sorted(neighbours[site] & left, key=lambda s: (len(neighbours[s]), s))
            queue += following
            left -= set(following)
        order += queue
    return order


class MatrixProducts:
    """A batch of pure states of ``count`` transmons as matrix product states, normalised.

    Args:
        line: the tensors, in the order of the line.
        place: position of each site on the line.
        rng: source of the jumps.

    """

    def __init__(self, line: TensorLine, place: list[int], rng: np.random.Generator) -> None:
        self.line = line
        self.count = len(place)
        self.place = place
        self.rng = rng

    @classmethod
    def product(
        cls,
        populations: list[NDArray[np.float64]],
        batch: int,
        rng: np.random.Generator,
        links: Iterable[tuple[int, int]],
        truncation: Truncation,
    ) -> MatrixProducts:
        """Return basis states drawn from one (3,) vector of populations per transmon; ``links`` are coupled sites."""
        levels = basis_levels(populations, batch, rng)
        order = line_order(len(populations), links)
        tensors = []
        for site in order:
            tensor = np.zeros((batch, 1, LEVELS, 1), complex)
            tensor[np.arange(batch), 0, levels[site], 0] = 1
            tensors.append(tensor)
        return cls(TensorLine(tensors, truncation), [order.index(s) for s in range(len(order))], rng)

    @classmethod
    def merged(cls, states: list[MatrixProducts]) -> MatrixProducts:
        """Return the batches of some states on the same line, one after the other."""
        return cls(TensorLine.merged([state.line for state in states]), list(states[0].place), states[0].rng)

    @property
    def discarded(self) -> NDArray[np.float64]:
        """(batch,) the weight that truncation has left out of each state."""
        return self.line.discarded

    def apply(self, sites: tuple[int, ...], maps: Complex) -> None:
        """Apply superoperators (batch, m^2, m^2), or (1, m^2, m^2) for all alike: one Kraus operator per member."""
        self.jump(sites, kraus_operators(maps, LEVELS ** len(sites)))

    def jump(self, sites: tuple[int, ...], kraus: Complex) -> None:
        """Apply one of the Kraus operators (batch or 1, k, m, m) to each member, drawn with its probability."""
        undo = self._gather(sites)
        block = self._local(sites)
        batch, _, m, _ = block.shape
        rows = block.transpose(0, 2, 1, 3).reshape(batch, m, -1)
        chosen = drawn(chances(kraus, np.matmul(rows, rows.conj().transpose(0, 2, 1))), self.rng)
        self._act(sites, block, kraus[np.arange(batch) if len(kraus) > 1 else 0, chosen])
        self._scatter(undo)

    def apply_unitaries(self, sites: tuple[int, ...], unitaries: Complex) -> None:
        """Apply U to the given transmons, one U (batch, m, m) per member."""
        undo = self._gather(sites)
        self._act(sites, self._local(sites), unitaries)
        self._scatter(undo)

    def shift(self, first: int, second: int, energies: NDArray[np.float64], duration: float) -> None:
        """Let two transmons pick up pair energies (3, 3) in rad/ns for ``duration`` ns."""
        undo = self._gather((first, second))
        block = self._local((first, second))
        self._store((first, second), block * np.exp(-1j * duration * energies).reshape(1, 1, -1, 1))
        self._scatter(undo)

    def populations(self, sites: tuple[int, ...]) -> NDArray[np.float64]:
        """Return (batch, 3**k) joint populations of the given transmons, normalised, the first site slowest.

        Raises:
            SimulationLimitError: of too many transmons at once.

        """
        places = [self.place[s] for s in sites]
        span = range(min(places), max(places) + 1)
        tensors = self.line.settle(span[0])[span[0] : span[-1] + 1]
        self._check_joint(len(sites), max(t.shape[3] for t in tensors))
        batch = len(tensors[0])
        joint = np.array([_joint([t[b] for t in tensors], [p in places for p in span]) for b in range(batch)])
        joint = np.clip(joint, 0.0, None).reshape((batch,) + (LEVELS,) * len(sites))
        kept = sorted(places)
        joint = joint.transpose((0, *(1 + kept.index(p) for p in places))).reshape(batch, -1)
        result: NDArray[np.float64] = joint / joint.sum(axis=1, keepdims=True)
        return result

    def sample(self, sites: tuple[int, ...], owner: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return (shots,) joint levels of the given transmons, drawn from each shot's member (Ferris and Vidal 2012).

        Going along the line, each transmon is drawn given those before it.
        """
        places = [self.place[s] for s in sites]
        tensors = self.line.settle(0)[: max(places) + 1]
        draws = rng.random((len(tensors), len(owner)))
        levels = np.empty((len(tensors), len(owner)), dtype=np.int64)
        by_member = np.argsort(owner, kind="stable")
        edges = np.searchsorted(owner[by_member], np.arange(len(tensors[0]) + 1))
        for member, (start, stop) in enumerate(pairwise(edges.tolist())):
            mine = by_member[start:stop]
            vectors = np.ones((len(mine), 1), complex)
            for position, tensor in enumerate(tensors):
                _, _, columns = tensor[member].shape
                branches = (vectors @ tensor[member].reshape(len(tensor[member]), -1)).reshape(-1, LEVELS, columns)
                cumulative = np.cumsum((np.abs(branches) ** 2).sum(axis=2), axis=1)
                goal = draws[position, mine] * cumulative[:, -1]
                found = np.minimum((cumulative <= goal[:, None]).sum(axis=1), LEVELS - 1)
                vectors = branches[np.arange(len(found)), found]
                vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
                levels[position, mine] = found
        joint: NDArray[np.int64] = np.ravel_multi_index(tuple(levels[places]), (LEVELS,) * len(places))
        return joint

    def dephase(self, site: int) -> None:
        """Measure one transmon in each member and discard the result."""
        block = self._local((site,))
        found = drawn((np.abs(block) ** 2).sum(axis=(1, 3)), self.rng)
        self._store((site,), block * (np.arange(LEVELS) == found[:, None])[:, None, :, None])

    def collapsed(
        self,
        sites: tuple[int, ...],
        members: NDArray[np.int64],
        before: NDArray[np.int64],
        after: NDArray[np.int64],
    ) -> MatrixProducts:
        """Return a new batch: member ``members[g]`` projected on levels ``before[g]`` and set to ``after[g]``.

        Raises:
            SimulationLimitError: more branches than fit.

        """
        self.line.settle(0)
        check_branches(self.count, len(members), self.line.bytes_of(1), LARGEST)
        line = self.line.members(members)
        if not sites:
            return MatrixProducts(line, list(self.place), self.rng)
        branch = np.arange(len(members))
        shape = (LEVELS,) * len(sites)
        for site, found, left in zip(
            sites, np.unravel_index(before, shape), np.unravel_index(after, shape), strict=True
        ):
            old = line.tensors[self.place[site]]
            new = np.zeros_like(old)
            new[branch, :, left] = old[branch, :, found]
            line.tensors[self.place[site]] = new
        line.rebuild()
        return MatrixProducts(line, list(self.place), self.rng)

    def _gather(self, sites: tuple[int, ...]) -> list[int]:
        """Swap two or three transmons together, around the middle one; return the swaps."""
        if len(sites) == 1:
            return []
        low, *middle, high = sorted(self.place[s] for s in sites)
        fixed = middle[0] if middle else low
        swaps = [*range(high - 1, fixed, -1), *range(low, fixed - 1)]
        for position in swaps:
            self._swap(position)
        return swaps

    def _scatter(self, swaps: list[int]) -> None:
        for position in reversed(swaps):
            self._swap(position)

    def _swap(self, position: int) -> None:
        self.line.swap(position)
        a, b = self.place.index(position), self.place.index(position + 1)
        self.place[a], self.place[b] = position + 1, position

    def _local(self, sites: tuple[int, ...]) -> Complex:
        """Return the centre (batch, left, 3**k, right), the joint levels of neighbouring ``sites`` in their order."""
        places = [self.place[s] for s in sites]
        block = self.line.triple(min(places)) if len(places) > 2 else self.line.local(min(places), max(places))
        return _ordered(block, np.argsort(np.argsort(places)))

    def _store(self, sites: tuple[int, ...], block: Complex) -> None:
        block = _ordered(block, np.argsort([self.place[s] for s in sites]))
        if len(sites) > 2:
            self.line.put_triple(min(self.place[s] for s in sites), block)
        else:
            self.line.put(block)

    def _act(self, sites: tuple[int, ...], block: Complex, matrices: Complex) -> None:
        self._store(sites, np.matmul(matrices[:, None], block))

    def _check_joint(self, measured: int, bond: int) -> None:
        size = LEVELS**measured * bond**2 * 16
        if size > LARGEST:
            raise SimulationLimitError(
                "the joint populations of so many transmons do not fit",
                subject=f"{self.count} transmons in one state",
                value=f"{measured} at bond dimension {bond}",
                legal=f"at most {int(np.log(LARGEST / (16 * bond**2)) / np.log(LEVELS))}; measure fewer",
            )


def _ordered(block: Complex, order: NDArray[np.int64]) -> Complex:
    """Return (batch, left, 3**k, right) with the transmons in another order: ``order`` of those they have now."""
    if (np.diff(order) > 0).all():
        return block
    batch, rows, _, columns = block.shape
    apart = block.reshape((batch, rows) + (LEVELS,) * len(order) + (columns,))
    turned = apart.transpose((0, 1, *(2 + order), 2 + len(order)))
    return np.ascontiguousarray(turned).reshape(block.shape)


def _joint(tensors: list[Complex], measured: list[bool]) -> NDArray[np.float64]:
    """Return (3**k,) weights of the measured transmons of one state, the first of ``tensors`` being its centre."""
    rows = tensors[0].shape[0]
    environment = np.eye(rows, dtype=complex)[None]
    for tensor, looked in zip(tensors, measured, strict=True):
        half = np.tensordot(environment, tensor, axes=(1, 0))  # (levels, y, s, p)
        each = [np.matmul(half[:, :, s].transpose(0, 2, 1), tensor[:, s].conj()) for s in range(LEVELS)]
        environment = np.stack(each, axis=1).reshape(-1, *each[0].shape[1:]) if looked else sum(each[1:], each[0])
    out: NDArray[np.float64] = np.einsum("kpp->k", environment).real
    return out
