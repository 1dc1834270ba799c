"""A batch of matrix product states of three-level transmons on a line, as tensors: where the centre is, and truncation.

Each state is in mixed canonical form (Schollwoeck 2011): the tensors left of the centre are isometries to the right,
those right of it to the left, so that the centre alone is the state in an orthonormal basis. The centre is one tensor,
or a pair of neighbours that is not split until something else is needed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip.truncation import Truncation
from pulsed.simulator.dynamics.hamiltonian import LEVELS
from pulsed.simulator.dynamics.trajectories import SimulationLimitError

Complex = NDArray[np.complex128]

AT_ONCE = 16
"""Members that are decomposed together; at a bond dimension of 64 each takes 1.8 MB meanwhile."""

CUTOFF = 1e-10
"""Largest weight that one split leaves out by choice. A dropped amplitude of 1e-5 is a ZZ phase of 0.06 ns."""


class TensorLine:
    """Tensors (batch, left, 3, right) along a line, the centre moving to where it is needed.

    Attributes:
        discarded: (batch,) sum of the weights that truncation has left out of each state.
        widest: largest bond dimension so far.

    """

    def __init__(self, tensors: list[Complex], truncation: Truncation) -> None:
        """Take product states, each tensor of norm 1, or others that :meth:`rebuild` is to follow."""
        self.tensors = tensors
        self.truncation = truncation
        self.discarded: NDArray[np.float64] = np.zeros(len(tensors[0]))
        self.widest = 1
        self._centre = 0
        self._pair: Complex | None = None

    @classmethod
    def merged(cls, lines: list[TensorLine]) -> TensorLine:
        """Return the batches of some lines, one after the other; narrower bonds are filled with zeros."""
        tensors = []
        for same in zip(*(line.settle(0) for line in lines), strict=True):
            rows, columns = (max(t.shape[axis] for t in same) for axis in (1, 3))
            fill = [((0, 0), (0, rows - t.shape[1]), (0, 0), (0, columns - t.shape[3])) for t in same]
            tensors.append(np.concatenate([np.pad(t, pad) for t, pad in zip(same, fill, strict=True)]))
        out = cls(tensors, lines[0].truncation)
        out.discarded = np.concatenate([line.discarded for line in lines])
        out.widest = max(line.widest for line in lines)
        out.rebuild()
        return out

    def focus(self, first: int, last: int) -> Complex:
        """Make the centre cover positions ``first`` to ``last``, one or two neighbours; return it.

        Returns:
            (batch, left, 3, right) or (batch, left, 3, 3, right); it may cover a neighbour more, see :meth:`local`.

        """
        if self._pair is not None and self._centre <= first and last <= self._centre + 1:
            return self._pair
        self._split(last > self._centre)
        while self._centre < first:
            self._step_right()
        while self._centre > last:
            self._step_left()
        if first == last:
            return self.tensors[first]
        left, right = self.tensors[first], self.tensors[last]
        batch, rows, _, bond = left.shape
        merged = np.matmul(left.reshape(batch, rows * LEVELS, bond), right.reshape(batch, bond, -1))
        self._centre, self._pair = first, merged.reshape(batch, rows, LEVELS, LEVELS, right.shape[3])
        return self._pair

    def settle(self, position: int) -> list[Complex]:
        """Make the centre the one tensor at ``position``; return all tensors."""
        self._split(position > self._centre)
        self.focus(position, position)
        return self.tensors

    def local(self, first: int, last: int) -> Complex:
        """Return the centre as (batch, left, 3 or 9, right) with the levels of ``first`` to ``last`` in the middle."""
        block = self.focus(first, last)
        if block.ndim == 4:
            return block
        batch, rows, _, _, columns = block.shape
        if first != last:
            return block.reshape(batch, rows, LEVELS**2, columns)
        if first == self._centre:
            return block.reshape(batch, rows, LEVELS, LEVELS * columns)
        return block.reshape(batch, rows * LEVELS, LEVELS, columns)

    def put(self, block: Complex) -> None:
        """Replace what :meth:`local` returned by a block of the same size, and normalise."""
        flat = block.reshape(len(block), -1)
        flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
        if self._pair is not None:
            self._pair = flat.reshape(self._pair.shape)
        else:
            self.tensors[self._centre] = flat.reshape(self.tensors[self._centre].shape)

    def triple(self, first: int) -> Complex:
        """Return (batch, left, 27, right): the levels of three neighbours, the centre being at the first."""
        self.settle(first)
        left, middle, right = self.tensors[first : first + 3]
        batch, rows = left.shape[:2]
        merged = np.matmul(left.reshape(batch, rows * LEVELS, -1), middle.reshape(batch, middle.shape[1], -1))
        merged = np.matmul(merged.reshape(batch, -1, right.shape[1]), right.reshape(batch, right.shape[1], -1))
        return np.asarray(merged.reshape(batch, rows, LEVELS**3, right.shape[3]))

    def put_triple(self, first: int, block: Complex) -> None:
        """Replace what :meth:`triple` returned, and normalise; the last two stay together."""
        batch, rows, _, columns = block.shape
        flat = block.reshape(batch, -1)
        flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
        u, s, v = self._cut(flat.reshape(batch, rows * LEVELS, -1))
        kept = s.shape[1]
        self.tensors[first] = np.ascontiguousarray(u).reshape(batch, rows, LEVELS, kept)
        self._centre = first + 1
        self._pair = (s[:, :, None] * v).reshape(batch, kept, LEVELS, LEVELS, columns)

    def swap(self, first: int) -> None:
        """Exchange the transmons at ``first`` and the position after it."""
        block = self.focus(first, first + 1)
        self._pair = np.ascontiguousarray(block.transpose(0, 1, 3, 2, 4))

    def members(self, chosen: NDArray[np.int64]) -> TensorLine:
        """Return a new batch of copies of the chosen members; :meth:`rebuild` makes it canonical once it is changed."""
        line = TensorLine([t[chosen] for t in self.settle(0)], self.truncation)
        line.discarded, line.widest = self.discarded[chosen], self.widest
        return line

    def rebuild(self) -> None:
        """Bring tensors that were changed one by one back to canonical form, norm 1, bonds no wider than needed."""
        self._centre, self._pair = 0, None
        for _ in self.tensors[1:]:
            self._step_right()
        self.put(self.tensors[-1])
        while self._centre:
            self.focus(self._centre - 1, self._centre)
            self._split(False)

    def bytes_of(self, batch: int) -> int:
        """Return the memory that a batch of as many states like these takes."""
        return sum(int(t[0].nbytes) for t in self.tensors) * batch

    def _step_right(self) -> None:
        here, after = self.tensors[self._centre], self.tensors[self._centre + 1]
        batch, rows, _, bond = here.shape
        q, r = np.linalg.qr(here.reshape(batch, rows * LEVELS, bond))
        self.tensors[self._centre] = q.reshape(batch, rows, LEVELS, -1)
        moved = np.matmul(r, after.reshape(batch, bond, -1))
        self.tensors[self._centre + 1] = moved.reshape(batch, -1, *after.shape[2:])
        self._centre += 1

    def _step_left(self) -> None:
        here, before = self.tensors[self._centre], self.tensors[self._centre - 1]
        batch, bond, _, columns = here.shape
        q, r = np.linalg.qr(here.reshape(batch, bond, LEVELS * columns).conj().transpose(0, 2, 1))
        self.tensors[self._centre] = np.ascontiguousarray(q.conj().transpose(0, 2, 1)).reshape(
            batch, -1, LEVELS, columns
        )
        moved = np.matmul(before.reshape(batch, -1, bond), r.conj().transpose(0, 2, 1))
        self.tensors[self._centre - 1] = moved.reshape(batch, *before.shape[1:3], -1)
        self._centre -= 1

    def _split(self, rightwards: bool) -> None:
        """Split the open pair, if there is one, and leave the centre at one of its sides."""
        if self._pair is None:
            return
        batch, rows, _, _, columns = self._pair.shape
        matrix = self._pair.reshape(batch, rows * LEVELS, LEVELS * columns)
        u, s, v = self._cut(matrix)
        kept = s.shape[1]
        if rightwards:
            v = s[:, :, None] * v
        else:
            u = u * s[:, None, :]
        first = self._centre
        self.tensors[first] = np.ascontiguousarray(u).reshape(batch, rows, LEVELS, kept)
        self.tensors[first + 1] = np.ascontiguousarray(v).reshape(batch, kept, LEVELS, columns)
        self._centre, self._pair = first + int(rightwards), None

    def _cut(self, matrix: Complex) -> tuple[Complex, NDArray[np.float64], Complex]:
        """Return left vectors, singular values (batch, kept), norm 1, and right vectors of (batch, m, n), truncated."""
        u, s, v = _decomposed(matrix, self.truncation.bond_dimension)
        kept = self._truncate(s**2)
        return u[:, :, :kept], s[:, :kept] / np.linalg.norm(s[:, :kept], axis=1, keepdims=True), v[:, :kept]

    def _truncate(self, weights: NDArray[np.float64]) -> int:
        """Return how many Schmidt vectors are kept, of (batch, k) falling weights, and add up what is left out."""
        weights = weights / weights.sum(axis=1, keepdims=True)
        tails = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
        needed = int((tails > CUTOFF).sum(axis=1).max())
        kept = max(1, min(needed, self.truncation.bond_dimension))
        if kept < weights.shape[1]:
            self.discarded += tails[:, kept]
        self.widest = max(self.widest, kept)
        worst, bound = float(self.discarded.max()), self.truncation.discarded_weight
        if worst > bound:
            raise SimulationLimitError(
                "too entangled for matrix product states",
                subject=f"{len(self.tensors)} transmons in one state",
                value=f"discarded weight {worst:.3g}",
                legal=f"at most {bound:g}; use a shallower circuit, or raise truncation.bond_dimension "
                f"(now {self.truncation.bond_dimension}) or .discarded_weight in the chip file",
            )
        return kept


def _decomposed(matrices: Complex, most: int) -> tuple[Complex, NDArray[np.float64], Complex]:
    """Return left vectors (batch, m, k), all singular values, right vectors (batch, k, n); k at most ``most``."""
    parts = []
    for first in range(0, len(matrices), AT_ONCE):
        u, s, v = np.linalg.svd(matrices[first : first + AT_ONCE], full_matrices=False)
        parts.append((u[:, :, :most].copy(), s, v[:, :most].copy()))
    left, values, right = (np.concatenate(part) for part in zip(*parts, strict=True))
    return left, values, right
