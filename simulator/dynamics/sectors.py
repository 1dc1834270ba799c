"""Sectors: density matrices of several transmons in which only some of them are in level 2 at once.

Coefficients as in :mod:`pulsed.simulator.dynamics.hermitian`, four of a transmon without level 2, five with it. A block
has one set of transmons of which the five stand, of all others the four; blocks of more than ``order`` transmons are
left out, for that many have leaked in a share of some l**(order + 1) of the shots, l the leakage of one. What flows
into them is bounded as the state evolves: see :func:`run`. With as many as there are transmons nothing is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pulsed.simulator.dynamics.hermitian import SIZE

Real = NDArray[np.float64]
Ints = NDArray[np.int64]

WITHOUT, WITH = (0, 1, 3, 4), (2, 5, 6, 7, 8)
"""Coefficients of a transmon without level 2 and with it."""

PLACES = np.array(WITHOUT + WITH)
"""All nine in this order, in which maps of :func:`run` have them."""

LOCAL, PAIR, SHIFT = 0, 1, 2
"""Kinds of steps of :func:`run`."""

# Of both classes of coefficients: how many populations and coherences; where each stands, and its levels.
_COUNTS = np.array([[2, 1], [1, 2]])
_POPULATIONS = np.array([[[0, 0], [3, 1]], [[4, 2], [0, 0]]])
_COHERENCES = np.array([[[1, 2, 0, 1], [0, 0, 0, 0]], [[0, 2, 0, 2], [1, 3, 1, 2]]])


@dataclass(frozen=True)
class Layout:
    """Where coefficients stand in the states of ``count`` transmons.

    Attributes:
        count: transmons.
        order: most of them in level 2 at once.
        index: (size,) place of each coefficient among all 9**count.
        site_blocks: (count, n, 4) of each transmon: where a block without its level 2 begins and the one with it (-1 if
            that is left out), and how many rows and columns they have before and after it.
        outermost: populations with ``order`` transmons in level 2.
        width: most columns of a pair.

    """

    count: int
    order: int
    index: Ints
    site_blocks: Ints
    outermost: Ints
    width: int

    def pair_blocks(self, first: int, second: int) -> Ints:
        """Return (n, 7): where blocks begin, and how many rows, places between and columns there are.

        Those with level 2 of neither of two transmons, of the first, of the second and of both; -1 if left out.
        """
        return _pair_blocks(self.count, self.order, first, second)

    def pair_places(self) -> Ints:
        """Return which of 81 coefficients of a pair a map acts on, in the order of :func:`run`."""
        parts = [(WITHOUT, WITHOUT), (WITH, WITHOUT), (WITHOUT, WITH), (WITH, WITH)][: (1, 3, 4)[min(self.order, 2)]]
        return np.concatenate([np.add.outer(SIZE * np.array(a), np.array(b)).ravel() for a, b in parts])

    def part_index(self, sites: tuple[int, ...]) -> Ints:
        """Return (size,): which coefficient of some of the transmons each coefficient has as its factor."""
        return _part_index(self.count, self.order, sites)


def _sets(count: int, order: int) -> list[frozenset[int]]:
    return [frozenset(s) for k in range(min(order, count) + 1) for s in combinations(range(count), k)]


def _shape(count: int, leaked: frozenset[int]) -> list[int]:
    return [len(WITH if s in leaked else WITHOUT) for s in range(count)]


@lru_cache(maxsize=64)
def _begins(count: int, order: int) -> dict[frozenset[int], int]:
    sets = _sets(count, order)
    sizes = [int(np.prod(_shape(count, s))) for s in sets]
    return dict(zip(sets, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))


@lru_cache(maxsize=64)
def layout(count: int, order: int) -> Layout:
    """Return the layout of ``count`` transmons of which at most ``order`` are in level 2."""
    begins = _begins(count, order)
    index, sites = [], []
    for leaked in begins:
        flat = np.zeros(1, dtype=np.int64)
        for s in range(count):
            flat = np.add.outer(SIZE * flat, np.array(WITH if s in leaked else WITHOUT)).ravel()
        index.append(flat)
    for s in range(count):
        rows = []
        for others in (o for o in begins if s not in o):
            shape = _shape(count, others)
            rows.append([begins[others], begins.get(others | {s}, -1), np.prod(shape[:s]), np.prod(shape[s + 1 :])])
        sites.append(rows)
    whole = np.concatenate(index)
    width = int(np.prod(sorted(5 if k < order else 4 for k in range(max(count - 2, 0)))))
    levels = {0: 0, 4: 1, 8: 2}
    digits = np.stack(np.unravel_index(whole, (SIZE,) * count))
    diagonal = np.isin(digits, list(levels)).all(axis=0) & ((digits == 8).sum(axis=0) == order)
    return Layout(count, order, whole, np.array(sites, dtype=np.int64), np.flatnonzero(diagonal), width)


@lru_cache(maxsize=256)
def _pair_blocks(count: int, order: int, first: int, second: int) -> Ints:
    begins, rows = _begins(count, order), []
    for others in (o for o in begins if first not in o and second not in o):
        shape = _shape(count, others)
        where = [begins.get(others | more, -1) for more in ({*()}, {first}, {second}, {first, second})]
        spans = pairwise((0, first, second, count))
        before, between, after = (shape[a + (n > 0) : b] for n, (a, b) in enumerate(spans))
        rows.append([*where, np.prod(before), np.prod(between), np.prod(after)])
    return np.array(rows, dtype=np.int64)


@lru_cache(maxsize=256)
def _part_index(count: int, order: int, sites: tuple[int, ...]) -> Ints:
    digits = np.unravel_index(layout(count, order).index, (SIZE,) * count)
    return np.ravel_multi_index(tuple(digits[s] for s in sites), (SIZE,) * len(sites)).astype(np.int64)


@njit(cache=True, nogil=True, fastmath={"contract"})
def _turned(m, angle, out):  # type: ignore[no-untyped-def]
    """Write a transmon's map after a turn by exp(i angle n) to ``out``."""
    c1, s1 = np.cos(angle), -np.sin(angle)
    c2, s2 = c1 * c1 - s1 * s1, 2 * c1 * s1
    out[:] = m
    for re, im, c, s in ((1, 2, c1, s1), (4, 6, c2, s2), (5, 7, c1, s1)):
        for i in range(9):
            out[i, re], out[i, im] = m[i, re] * c + m[i, im] * s, m[i, im] * c - m[i, re] * s


@njit(cache=True, nogil=True, fastmath={"contract"})
def _rows(x, m, few, many, rows, work):  # type: ignore[no-untyped-def]
    """Apply a map to the last transmon: its coefficients stand together."""
    for r in range(rows):
        y = x[few + 4 * r : few + 4 * r + 4]
        a, b, c, d = y[0], y[1], y[2], y[3]
        if many < 0:
            for i in range(4):
                y[i] = m[i, 0] * a + m[i, 1] * b + m[i, 2] * c + m[i, 3] * d
            continue
        z = x[many + 5 * r : many + 5 * r + 5]
        e, f, g, h, o = z[0], z[1], z[2], z[3], z[4]
        for i in range(9):
            low = m[i, 0] * a + m[i, 1] * b + m[i, 2] * c + m[i, 3] * d
            work[i] = low + m[i, 4] * e + m[i, 5] * f + m[i, 6] * g + m[i, 7] * h + m[i, 8] * o
        for i in range(4):
            y[i] = work[i]
        for i in range(5):
            z[i] = work[4 + i]


@njit(cache=True, nogil=True, fastmath={"contract"})
def _local(x, m, blocks, work):  # type: ignore[no-untyped-def]
    """Apply a map to one transmon."""
    for t in range(blocks.shape[0]):
        few, many, rows, n = blocks[t]
        if n == 1:
            _rows(x, m, few, many, rows, work)
            continue
        if many < 0:
            for r in range(rows):
                y = x[few + 4 * r * n : few + 4 * (r + 1) * n]
                y0, y1, y2, y3 = y[:n], y[n : 2 * n], y[2 * n : 3 * n], y[3 * n :]
                for i in range(4):
                    a, b, c, d = m[i, 0], m[i, 1], m[i, 2], m[i, 3]
                    row = work[i * n : (i + 1) * n]
                    for k in range(n):
                        row[k] = a * y0[k] + b * y1[k] + c * y2[k] + d * y3[k]
                for k in range(4 * n):
                    y[k] = work[k]
            continue
        for r in range(rows):
            y, z = x[few + 4 * r * n : few + 4 * (r + 1) * n], x[many + 5 * r * n : many + 5 * (r + 1) * n]
            y0, y1, y2, y3 = y[:n], y[n : 2 * n], y[2 * n : 3 * n], y[3 * n :]
            z0, z1, z2, z3, z4 = z[:n], z[n : 2 * n], z[2 * n : 3 * n], z[3 * n : 4 * n], z[4 * n :]
            for i in range(9):
                a, b, c, d = m[i, 0], m[i, 1], m[i, 2], m[i, 3]
                e, f, g, h, o = m[i, 4], m[i, 5], m[i, 6], m[i, 7], m[i, 8]
                row = work[i * n : (i + 1) * n]
                for k in range(n):
                    low = a * y0[k] + b * y1[k] + c * y2[k] + d * y3[k]
                    row[k] = low + e * z0[k] + f * z1[k] + g * z2[k] + h * z3[k] + o * z4[k]
            for k in range(4 * n):
                y[k] = work[k]
            last = work[4 * n : 9 * n]
            for k in range(5 * n):
                z[k] = last[k]


@njit(cache=True, nogil=True, fastmath={"contract"})
def _move(x, block, packed, out):  # type: ignore[no-untyped-def]  # noqa: PLR0912
    """Copy the blocks of a pair to the rows of ``packed``, or back if ``out``; return how many rows and columns."""
    rows, middle, n = block[4], block[5], block[6]
    width, row = rows * middle * n, 0
    for kind in range(4):
        begin = block[kind]
        if begin < 0:
            continue
        first, second = 5 if kind & 1 else 4, 5 if kind & 2 else 4
        for i in range(first):
            for j in range(second):
                if middle * n == 1:  # the last two transmons: their coefficients stand together
                    near, far = x[begin + i * second + j :], packed[row]
                    if out:
                        for r in range(rows):
                            near[r * first * second] = far[r]
                    else:
                        for r in range(rows):
                            far[r] = near[r * first * second]
                    row += 1
                    continue
                for r in range(rows):
                    for m in range(middle):
                        start, column = begin + (((r * first + i) * middle + m) * second + j) * n, (r * middle + m) * n
                        there, here = x[start : start + n], packed[row, column : column + n]
                        if out:
                            for k in range(n):
                                there[k] = here[k]
                        else:
                            for k in range(n):
                                here[k] = there[k]
                row += 1
    return row, width


@njit(cache=True, nogil=True, fastmath={"contract"})
def _product(m, packed, size, width, out):  # type: ignore[no-untyped-def]
    """Write m (size, size) times ``packed`` (size, width) to ``out``, some columns after the other."""
    for first in range(0, width, 256):
        n = min(256, width - first)
        for i in range(size):
            row = out[i, first : first + n]
            for k in range(n):
                row[k] = 0.0
            j = 0
            while j + 8 <= size:
                a, b, c, d = m[i, j], m[i, j + 1], m[i, j + 2], m[i, j + 3]
                e, f, g, h = m[i, j + 4], m[i, j + 5], m[i, j + 6], m[i, j + 7]
                p, q = packed[j, first : first + n], packed[j + 1, first : first + n]
                r, s = packed[j + 2, first : first + n], packed[j + 3, first : first + n]
                t, u = packed[j + 4, first : first + n], packed[j + 5, first : first + n]
                v, w = packed[j + 6, first : first + n], packed[j + 7, first : first + n]
                for k in range(n):
                    low = a * p[k] + b * q[k] + c * r[k] + d * s[k]
                    row[k] += low + e * t[k] + f * u[k] + g * v[k] + h * w[k]
                j += 8
            while j < size:
                a, p = m[i, j], packed[j, first : first + n]
                for k in range(n):
                    row[k] += a * p[k]
                j += 1


@njit(cache=True, nogil=True, fastmath={"contract"})
def _rotate(x, first, second, rows, step, n, angle):  # type: ignore[no-untyped-def]
    """Turn two columns of coefficients, which begin at ``first`` and ``second`` in each of ``rows``, by an angle."""
    c, s = np.cos(angle), np.sin(angle)
    if n == 1:
        a, b = x[first:], x[second:]
        for r in range(rows):
            u, v = a[r * step], b[r * step]
            a[r * step], b[r * step] = c * u - s * v, s * u + c * v
        return
    for r in range(rows):
        a = x[first + r * step : first + r * step + n]
        b = x[second + r * step : second + r * step + n]
        for k in range(n):
            u, v = a[k], b[k]
            a[k], b[k] = c * u - s * v, s * u + c * v


@njit(cache=True, nogil=True, fastmath={"contract"})
def _shift(x, block, energies, duration):  # type: ignore[no-untyped-def]
    """Let a pair pick up its energies (3, 3) for ``duration`` ns."""
    rows, middle, n = block[4], block[5], block[6]
    for kind in range(4):
        begin = block[kind]
        if begin < 0:
            continue
        ka, kb = kind & 1, kind >> 1
        da, db = 4 + ka, 4 + kb
        inner = db * n
        for m in range(middle):
            base = begin + m * inner
            for p in range(_COUNTS[ka, 0]):
                i, level = _POPULATIONS[ka, p, 0], _POPULATIONS[ka, p, 1]
                for q in range(_COUNTS[kb, 1]):
                    re, im, low, high = _COHERENCES[kb, q]
                    angle = -duration * (energies[level, low] - energies[level, high])
                    if angle != 0.0:
                        a = base + i * middle * inner
                        _rotate(x, a + re * n, a + im * n, rows, da * middle * inner, n, angle)
            for q in range(_COUNTS[ka, 1]):
                re, im, low, high = _COHERENCES[ka, q]
                for p in range(_COUNTS[kb, 0]):
                    j, level = _POPULATIONS[kb, p, 0], _POPULATIONS[kb, p, 1]
                    angle = -duration * (energies[low, level] - energies[high, level])
                    if angle != 0.0:
                        a, b = base + re * middle * inner + j * n, base + im * middle * inner + j * n
                        _rotate(x, a, b, rows, da * middle * inner, n, angle)
                for p in range(_COUNTS[kb, 1]):
                    ra, ia, lower, upper = _COHERENCES[kb, p]
                    same = -duration * (energies[low, lower] - energies[high, upper])
                    cross = -duration * (energies[low, upper] - energies[high, lower])
                    cs, ss = 0.5 * np.cos(same), 0.5 * np.sin(same)
                    cc, sc = 0.5 * np.cos(cross), 0.5 * np.sin(cross)
                    for r in range(rows):
                        top = base + r * da * middle * inner
                        a, b = top + re * middle * inner, top + im * middle * inner
                        rea, ima = x[a + ra * n : a + ra * n + n], x[a + ia * n : a + ia * n + n]
                        reb, imb = x[b + ra * n : b + ra * n + n], x[b + ia * n : b + ia * n + n]
                        for k in range(n):
                            rr, ri, ir, ii = rea[k], ima[k], reb[k], imb[k]
                            u, w = cs * (rr - ii) - ss * (ri + ir), ss * (rr - ii) + cs * (ri + ir)
                            v, y = cc * (rr + ii) - sc * (ir - ri), sc * (rr + ii) + cc * (ir - ri)
                            rea[k], imb[k], ima[k], reb[k] = u + v, v - u, w - y, w + y


@njit(cache=True, nogil=True, fastmath={"contract"})
def run(x, steps, values, local_maps, pair_maps, energies, site_blocks, pair_blocks, outermost, leaks, work, left_out):  # type: ignore[no-untyped-def]
    """Take states through steps, in place, and bound the chance of what is left out.

    A map takes a state without level 2 there with a chance below ``leaks``, the sum over all such basis states; one
    with ``order`` transmons in it would then be in a sector that is left out.

    Args:
        x: (batch, size) coefficients.
        steps: (n, 3) kind, transmon or pair, and index of the map.
        values: (n,) the turn by exp(i angle n) before a transmon's map; the duration of pair energies, ns.
        local_maps: (kinds, batch or 1, 9, 9), coefficients in the order of :data:`PLACES`.
        pair_maps: (kinds, batch or 1, m, m), coefficients in the order of :meth:`Layout.pair_places`.
        energies: (pairs, 3, 3) rad/ns.
        site_blocks: (sites, blocks, 4), see :class:`Layout`.
        pair_blocks: (pairs, blocks, 7).
        outermost: populations with as many transmons in level 2 as there may be.
        leaks: (n,) of each step's map.
        work: (2, 81, width) for the columns of a pair, or of a transmon.
        left_out: (batch,) what the bound is added to.

    """
    turned, flat = np.empty((9, 9)), work.ravel()
    for b in range(x.shape[0]):
        for n in range(steps.shape[0]):
            kind, place, which = steps[n]
            if kind == 0:
                _turned(local_maps[which, b if local_maps.shape[1] > 1 else 0], values[n], turned)
                _local(x[b], turned, site_blocks[place], flat)
            elif kind == 1:
                chosen = pair_maps[which, b if pair_maps.shape[1] > 1 else 0]
                for t in range(pair_blocks.shape[1]):
                    size, width = _move(x[b], pair_blocks[place, t], work[0], False)
                    _product(chosen, work[0], size, width, work[1])
                    _move(x[b], pair_blocks[place, t], work[1], True)
            else:
                for t in range(pair_blocks.shape[1]):
                    _shift(x[b], pair_blocks[place, t], energies[place], values[n])
            if leaks[n] > 0:
                share = 0.0
                for k in outermost:
                    share += x[b, k]
                left_out[b] += leaks[n] * max(share, 0.0)
