"""Sweeps in what an instrument is given: entries of its list that differ by equal steps, for instruments that can loop.

A chunk says each of its programs in full. Where the values of consecutive ones lie on a line - a Rabi experiment, a
delay, a detuning - the rows of the first and their steps say all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from pulsed.drivers.programs import Rows

SWEPT = {"time": 0.0, "amplitude": 1e-9, "phase": 1e-9, "frequency": 1e-3}
"""Fields that may grow, and how far from a line they may be: samples, of full scale, rad, Hz."""
SHORTEST = 4
"""Entries of a sweep: two always lie on a line, and three may by chance."""
_KEPT = ("envelope", "condition", "kernel", "length", "feedback", "angle", "threshold")
"""Fields that have to stay as they are."""


@dataclass(frozen=True)
class EntrySweep:
    """Entries ``first`` to ``first + count - 1``: the rows of the first one grow by equal steps from entry to entry."""

    first: int
    count: int


def find_sweeps(entries: Rows, *tables: Rows) -> list[EntrySweep]:
    """Return all entries as sweeps, of one entry each where nothing is regular.

    ``entries``: :data:`~pulsed.drivers.programs.LIST`. ``tables``: rows sorted by entry, of what is played or recorded.
    """
    count = len(entries)
    if count < 2:
        return [EntrySweep(first, 1) for first in range(count)]
    # Whether each entry but the first can follow the one before it, and by which steps.
    can = entries["shots"][1:] == entries["shots"][:-1]
    steps = [np.diff(entries["period"].astype(float))[:, None]]
    tolerances = [np.zeros(1)]
    for rows in tables:
        sizes = np.bincount(rows["entry"], minlength=count)
        can &= sizes[1:] == sizes[:-1]
        if not len(rows) or not can.any():
            continue
        if (sizes != sizes[0]).any():
            return [found for part in _alike(sizes) for found in _of_part(entries, tables, part)]
        names = rows.dtype.names or ()
        shape = count, sizes[0]
        for name in _KEPT:
            if name in names:
                values = rows[name].reshape(shape)
                can &= (values[1:] == values[:-1]).all(axis=1)
        for name, tolerance in SWEPT.items():
            if name in names:
                change = np.diff(rows[name].reshape(shape).astype(float), axis=0)
                if name == "phase":
                    change = np.remainder(change + np.pi, 2 * np.pi) - np.pi
                steps.append(change)
                tolerances.append(np.full(sizes[0], tolerance))
    return _runs(can, np.concatenate(steps, axis=1), np.concatenate(tolerances))


def _runs(
    can: npt.NDArray[np.bool_], steps: npt.NDArray[np.float64], tolerance: npt.NDArray[np.float64]
) -> list[EntrySweep]:
    """Return the longest runs in which each entry can follow by the same step."""
    same = can[1:] & can[:-1] & (np.abs(np.diff(steps, axis=0)) <= tolerance).all(axis=1)
    found, first, count = [], 0, len(can) + 1
    while first < count:
        stop = first + 1
        if stop < count and can[first]:
            stop += 1
            while stop < count and same[stop - 2]:
                stop += 1
        if stop - first < SHORTEST:
            found.append(EntrySweep(first, 1))
            first += 1
        else:
            found.append(EntrySweep(first, stop - first))
            first = stop
    return found


def _alike(sizes: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return (first, stop) of runs of entries with as many rows."""
    bounds = [0, *(np.flatnonzero(np.diff(sizes)) + 1).tolist(), len(sizes)]
    return list(pairwise(bounds))


def _of_part(entries: Rows, tables: tuple[Rows, ...], part: tuple[int, int]) -> list[EntrySweep]:
    """Return the sweeps of the entries ``part``."""
    first, stop = part
    own = []
    for rows in tables:
        low, high = np.searchsorted(rows["entry"], [first, stop])
        mine = rows[low:high].copy()
        mine["entry"] -= first
        own.append(mine)
    return [EntrySweep(first + one.first, one.count) for one in find_sweeps(entries[first:stop], *own)]
