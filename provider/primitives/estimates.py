"""From outcomes to means of observables, with their variances and what uncertain readout errors add to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pulsed.provider.primitives.observables import FACTORS, Basis, Term
from pulsed.provider.primitives.readout import AssignmentMatrix
from pulsed.provider.primitives.tallies import tallies

Terms = Sequence[Sequence[tuple[Term, float]]]
"""Of each observable the terms that one basis shows."""
Table = npt.NDArray[np.float64]


class Estimates(NamedTuple):
    """Means of observables over the shots of each binding.

    ``means`` and ``variances`` (of the means): float64 (bindings, observables), a variance of one shot is NaN.
    ``slopes``: the derivatives of the means by each uncertain number of an assignment matrix, by
    (qubit, 0 for p01 and 1 for p10).
    """

    means: Table
    variances: Table
    slopes: dict[tuple[int, int], Table]


def estimate(
    packed: npt.NDArray[np.uint8],
    first: int,
    basis: Basis,
    terms: Terms,
    assignments: Mapping[int, AssignmentMatrix],
    flipped: Sequence[bool],
) -> Estimates:
    """Return the estimates of what one measurement of many bindings shows.

    The observables of a shot are numbers that vary together, and so are their sums: the variance is that of the sum.

    Args:
        packed: uint8 (bindings, shots, bytes), the bits as they were read.
        first: the memory slot of the first qubit of ``basis``; the others follow.
        basis: what was measured.
        terms: of each observable.
        assignments: the readout errors to undo; empty to leave them.
        flipped: of each qubit of the basis whether the state was turned over right before its readout.

    """
    bindings, shots, _ = packed.shape
    factors = _Factors(basis, assignments, flipped)
    shape = (bindings, len(terms))
    found = Estimates(np.empty(shape), np.empty(shape), {key: np.empty(shape) for key in factors.uncertain()})
    unknown = np.where([shots == 1 and bool(several) for several in terms], np.nan, 0.0)
    for rows, outcomes, counts in tallies(packed, first, len(basis)):
        values = _values(outcomes, terms, factors)
        means = counts @ values / shots
        found.means[rows] = means
        squares = counts @ values**2 / shots
        found.variances[rows] = np.maximum(squares - means**2, 0.0) / max(shots - 1, 1) + unknown
        for key, slopes in found.slopes.items():
            slopes[rows] = counts @ _values(outcomes, terms, factors, key) / shots
    return found


class _Factors:
    """What each letter on each qubit of a basis counts for the outcomes 0 and 1: float64 (2,)."""

    def __init__(self, basis: Basis, assignments: Mapping[int, AssignmentMatrix], flipped: Sequence[bool]) -> None:
        self.column = {q: place for place, (q, _) in enumerate(basis)}
        self._assignments = assignments
        self._flipped = dict(zip(self.column, flipped, strict=True))

    def _of_state(self, q: int, letter: str) -> tuple[float, float]:
        values = FACTORS[letter].values
        return (values[1], values[0]) if self._flipped[q] else values

    def value(self, q: int, letter: str) -> Table:
        values = self._of_state(q, letter)
        known = self._assignments.get(q)
        return np.array(values if known is None else known.undone(values))

    def slope(self, q: int, letter: str, which: int) -> Table:
        return np.array(self._assignments[q].slopes(self._of_state(q, letter))[which])

    def uncertain(self) -> list[tuple[int, int]]:
        """Return which numbers of the assignment matrices have an error."""
        return [
            (q, which)
            for q in self.column if q in self._assignments
            for which, error in enumerate(self._assignments[q][2:]) if error
        ]  # fmt: skip


def _values(
    outcomes: npt.NDArray[np.uint8], terms: Terms, factors: _Factors, by: tuple[int, int] | None = None
) -> Table:
    """Return what each outcome counts for each observable, or its derivative: float64 (outcomes, observables)."""
    values = np.zeros((len(outcomes), len(terms)))
    for place, several in enumerate(terms):
        for term, coefficient in several:
            if by is not None and all(q != by[0] for q, _ in term):
                continue
            tables = [
                (q, factors.slope(q, letter, by[1]) if by is not None and q == by[0] else factors.value(q, letter))
                for q, letter in term
            ]
            picked = (table[outcomes[:, factors.column[q]]] for q, table in tables)
            values[:, place] += coefficient * reduce(np.multiply, picked)
    return values
