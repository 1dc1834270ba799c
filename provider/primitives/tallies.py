"""How often each outcome occurred, for many bindings at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_DENSE_BITS = 10
"""Up to so many bits every possible outcome has a column."""
_MOST_CELLS = 2**22
"""Of one table."""

Tally = tuple[slice, npt.NDArray[np.uint8], npt.NDArray[np.float64]]
"""Some of the bindings, the outcomes that they have as uint8 (outcomes, bits) of 0 and 1, and how often each occurred:
float64 (bindings, outcomes)."""


def tallies(packed: npt.NDArray[np.uint8], first: int, count: int) -> Iterator[Tally]:
    """Yield tallies of all bindings, some at a time.

    Args:
        packed: uint8 (bindings, shots, bytes), bit k of a shot is bit k % 8 of byte k // 8.
        first: the first bit that counts.
        count: how many do.

    """
    bindings, shots, _ = packed.shape
    if count <= _DENSE_BITS:
        outcomes = (np.arange(2**count)[:, None] >> np.arange(count) & 1).astype(np.uint8)
        step = max(1, _MOST_CELLS // max(2**count, shots))
    else:
        step = max(1, int(np.sqrt(_MOST_CELLS / shots)))
    for start in range(0, bindings, step):
        part = packed[start : start + step]
        if count <= _DENSE_BITS:
            index = _numbers(part, first, count)
        else:
            bits = np.unpackbits(part, axis=-1, bitorder="little")[..., first : first + count]
            rows = np.packbits(bits.reshape(-1, count), axis=1, bitorder="little")
            unique, index = np.unique(rows, axis=0, return_inverse=True)
            outcomes = np.unpackbits(unique, axis=1, bitorder="little", count=count)
        size = len(outcomes)
        cells = index.reshape(len(part), shots) + size * np.arange(len(part))[:, None]
        counts = np.bincount(cells.ravel(), minlength=len(part) * size).reshape(len(part), size)
        yield slice(start, start + len(part)), outcomes, counts.astype(np.float64)


def _numbers(packed: npt.NDArray[np.uint8], first: int, count: int) -> npt.NDArray[np.int64]:
    """Return ``count`` bits of each shot from bit ``first`` on as a number, the first the lowest."""
    low, high = first // 8, (first + count + 7) // 8
    whole = packed[..., low].astype(np.int64)
    for byte in range(low + 1, high):
        whole |= packed[..., byte].astype(np.int64) << 8 * (byte - low)
    numbers: npt.NDArray[np.int64] = whole >> (first - 8 * low) & (2**count - 1)
    return numbers
