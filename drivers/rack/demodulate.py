"""Raw records to integrated values, on the host: what a digitizer without integrators leaves to do.

With z[n] = (I[n] + i Q[n]) / full scale the samples of a window that begins at sample t0 of the shot,

    value = sum over n of kernel[n] z[n] exp(+i 2 pi frequency (t0 + n) / clock)

as the instruments integrate (docs/instruments/dig2.md). Kernel and carrier are the same for all shots, so their
product is made once, and the records are read once, as the int16 they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pulsed.model.errors import InvalidValueError

_TURN = 256
"""Samples after which the carrier is taken from cos and sin again; within, it comes from a table."""
_GROUP = 4
"""Shots that share one reading of the weights when there are several tones: the weights come from the cache's
second level, and four sums of I and Q are as many as the registers hold."""
_PART = 2048
"""Values of a record that a group sums up at once: long sums of few lanes lose digits."""


@dataclass(frozen=True)
class ReadoutTone:
    """One integration of one window. Counts are samples."""

    first: int
    """Where the window begins in the record, which has the windows of a shot one after the other."""
    length: int
    time: int
    """Where it begins in the shot: the carrier's phase is 0 at sample 0 of the shot."""
    frequency: float
    """Hz, either sign."""
    kernel: npt.NDArray[Any] | None = None
    """Complex (length,); a boxcar of weights 1 / length when None. A gap is a run of zeros."""
    name: str = "a tone"
    """The subject of its errors: ``"qubit 3"``."""


@njit(cache=True, nogil=True)
def _weigh(kernel, phase, step, scale, re, im):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write w = scale kernel[n] exp(i (phase + step n)) such that I, Q times ``re`` and ``im`` add up to w (I + iQ)."""
    turn = np.empty(_TURN, np.complex128)
    for k in range(_TURN):
        turn[k] = complex(np.cos(step * k), np.sin(step * k))
    for first in range(0, kernel.shape[0], _TURN):
        angle = phase + step * first
        start = scale * complex(np.cos(angle), np.sin(angle))
        for n in range(first, min(first + _TURN, kernel.shape[0])):
            weight = kernel[n] * start * turn[n - first]
            re[2 * n], re[2 * n + 1] = weight.real, -weight.imag
            im[2 * n], im[2 * n + 1] = weight.imag, weight.real


@njit(cache=True, nogil=True, fastmath=True)
def _integrate(records, first, re, im, out, column):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Sum weights (tones, 2 samples) over the part from ``first`` of ``records`` (shots, 2 samples): one by one."""
    count = re.shape[1]
    for s in range(records.shape[0]):
        row = records[s, first : first + count]
        for t in range(re.shape[0]):
            c, d = re[t], im[t]
            a, b = np.float32(0), np.float32(0)
            for k in range(count):
                x = np.float32(row[k])
                a += x * c[k]
                b += x * d[k]
            out[s, column + t] = complex(a, b)


@njit(cache=True, nogil=True, fastmath=True)
def _integrate_group(records, first, re, im, out, column):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Do as :func:`_integrate`, four shots at a time; ``records`` has a multiple of four."""
    out[:, column : column + re.shape[0]] = 0
    for s in range(0, records.shape[0], _GROUP):
        for start in range(0, re.shape[1], _PART):
            stop = min(start + _PART, re.shape[1])
            r0, r1 = records[s, first + start : first + stop], records[s + 1, first + start : first + stop]
            r2, r3 = records[s + 2, first + start : first + stop], records[s + 3, first + start : first + stop]
            for t in range(re.shape[0]):
                c, d = re[t, start:stop], im[t, start:stop]
                a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = np.float32(0)
                for k in range(stop - start):
                    x0, x1, x2, x3 = np.float32(r0[k]), np.float32(r1[k]), np.float32(r2[k]), np.float32(r3[k])
                    a0 += x0 * c[k]
                    b0 += x0 * d[k]
                    a1 += x1 * c[k]
                    b1 += x1 * d[k]
                    a2 += x2 * c[k]
                    b2 += x2 * d[k]
                    a3 += x3 * c[k]
                    b3 += x3 * d[k]
                out[s, column + t] += complex(a0, b0)
                out[s + 1, column + t] += complex(a1, b1)
                out[s + 2, column + t] += complex(a2, b2)
                out[s + 3, column + t] += complex(a3, b3)


@njit(cache=True, nogil=True)
def _add(records, sums):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    for s in range(records.shape[0]):
        row = records[s]
        for k in range(sums.shape[0]):
            sums[k] += row[k]


def _flat(records: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Return ``records`` as (shots, 2 samples). Raises :class:`InvalidValueError`."""
    if records.ndim != 3 or records.shape[2] != 2 or records.dtype != np.int16:
        raise InvalidValueError(
            "these are no raw records", subject="records", value=f"{records.dtype} {records.shape}",
            legal="int16 (shots, samples, 2)",
        )  # fmt: skip
    flat: npt.NDArray[np.int16] = np.ascontiguousarray(records).reshape(len(records), 2 * records.shape[1])
    return flat


def _check(tone: ReadoutTone, samples: int) -> None:
    if not 0 <= tone.first <= tone.first + tone.length <= samples or tone.length < 1:
        raise InvalidValueError(
            "the window is not in the record", subject=tone.name,
            value=f"samples {tone.first} to {tone.first + tone.length}", legal=f"0 to {samples}",
        )  # fmt: skip
    if tone.kernel is not None and tone.kernel.shape != (tone.length,):
        raise InvalidValueError(
            "the kernel has another length than its window", subject=tone.name,
            value=f"{tone.kernel.size} samples", legal=f"{tone.length} samples",
        )  # fmt: skip


def demodulate(
    records: npt.NDArray[np.int16], tones: Sequence[ReadoutTone], clock: float, full_scale: float = 1.0
) -> npt.NDArray[np.complex64]:
    """Return the value of each tone in each shot: complex64 (shots, tones), in units of full scale.

    ``records``: int16 codes (shots, samples, 2), I and Q; ``clock`` in Hz; ``full_scale`` in codes. Tones that share
    a window cost least when they are next to each other. Sums are taken in float32. Raises
    :class:`InvalidValueError` that names the tone when a kernel or a window does not fit.
    """
    flat = _flat(records)
    out = np.empty((len(flat), len(tones)), np.complex64)
    column = 0
    for (first, length), group in groupby(tones, lambda tone: (tone.first, tone.length)):
        window = list(group)
        for tone in window:
            _check(tone, records.shape[1])
        re, im = np.empty((2, len(window), 2 * length), np.float32)
        for row, tone in enumerate(window):
            kernel = np.full(length, 1 / length) if tone.kernel is None else tone.kernel
            step = 2 * np.pi * tone.frequency / clock
            _weigh(kernel.astype(np.complex128), step * tone.time, step, 1 / full_scale, re[row], im[row])
        # One tone alone waits for the memory, and reads it fastest as one stream.
        grouped = len(flat) // _GROUP * _GROUP if len(window) > 1 else 0
        _integrate_group(flat[:grouped], 2 * first, re, im, out[:grouped], column)
        _integrate(flat[grouped:], 2 * first, re, im, out[grouped:], column)
        column += len(window)
    return out


def average(records: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Return the mean over the shots of ``records`` (shots, samples, 2): float32 (samples, 2), in codes."""
    sums = np.zeros(2 * records.shape[1], np.int64)
    _add(_flat(records), sums)
    return (sums / max(1, len(records))).astype(np.float32).reshape(-1, 2)
