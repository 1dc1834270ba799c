"""Shots that found the same: groups of equal rows, by keys of whole numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LARGEST = 1 << 62
"""Of a key."""
_TABLE = 8
"""Keys in a table for each of those that are looked up."""


def joint(first: NDArray[np.int64], *others: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (n,) keys of the rows of columns (n,), in the order of the rows. None may be negative.

    The levels of forty transmons are a number of 63 bits: columns are counted by rank where their product would be
    more.
    """
    key = first
    for column in others:
        size = int(column.max(initial=0)) + 1
        if (int(key.max(initial=0)) + 1) * size <= _LARGEST:
            key = key * size + column
        else:
            rank = distinct(column)[1]
            key = distinct(key)[1] * (int(rank.max()) + 1) + rank
    return key


def distinct(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each distinct one of ``keys`` (n,) comes first, in rising order, and (n,) which of these each is.

    As ``numpy.unique`` does, without a sort where a table of all keys that there might be is not much longer. None may
    be negative.
    """
    most = int(keys.max(initial=0))
    if most > _TABLE * len(keys):
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        return first.astype(np.int64), which.astype(np.int64).ravel()
    places = np.full(most + 1, -1, np.int64)
    places[keys[::-1]] = np.arange(len(keys) - 1, -1, -1)
    there = places >= 0
    return places[there], (np.cumsum(there) - 1)[keys]
