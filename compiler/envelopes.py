"""The envelopes of a compiler: each shape once, by content."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pulsed.model.payload import ArrayRef, PartWriter
from pulsed.pulse.library.pulse import Pulse


@dataclass(frozen=True)
class Envelope:
    """A row of the table: complex128 samples at one per dt, |sample| <= 1 with the largest at 1."""

    key: bytes
    samples: npt.NDArray[np.complex128]


class Packed(NamedTuple):
    """Some envelopes as a chunk has them: one array of samples, its first part."""

    keys: tuple[bytes, ...]
    refs: tuple[ArrayRef, ...]
    samples: npt.NDArray[np.complex128]


class _Packs:
    """The sets of envelopes that chunks had, the oldest dropped when their samples exceed ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._kept: dict[bytes, Packed] = {}
        self._lock = threading.Lock()

    def get(self, key: bytes, make: Callable[[], Packed]) -> Packed:
        """Return what is kept for ``key``, made by ``make`` if nothing is."""
        found = self._kept.get(key)
        if found is None:
            found = make()
            with self._lock:
                if found.samples.nbytes <= self._limit and self._kept.setdefault(key, found) is found:
                    self._bytes += found.samples.nbytes
                while self._bytes > self._limit:
                    self._bytes -= self._kept.pop(next(iter(self._kept))).samples.nbytes
        return found


PACKED_BYTES = 64 << 20
"""Samples that one compiler keeps packed."""


class EnvelopeTable:
    """Envelopes by content. A row number never changes, so tables of gates can refer to it."""

    def __init__(
        self,
        rows: Sequence[Envelope] = (),
        peaks: Sequence[float] = (),
        by_key: Mapping[bytes, int] | None = None,
        lengths: npt.NDArray[np.int64] | None = None,
        packs: _Packs | None = None,
        common: int | None = None,
    ) -> None:
        self.rows, self._peaks, self._by_key = [*rows], [*peaks], {**(by_key or {})}
        self._lengths = np.zeros(0, np.int64) if lengths is None else lengths
        self._packs, self._common = packs or _Packs(PACKED_BYTES), common

    def copy(self) -> EnvelopeTable:
        """Return a table with the same rows, that may grow by itself."""
        # What both hold is packed once for all copies: those of one compiler differ in the rows beyond it only.
        common = len(self.rows) if self._common is None else self._common
        return EnvelopeTable(self.rows, self._peaks, self._by_key, self.lengths, self._packs, common)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Samples of each row."""
        if len(self._lengths) != len(self.rows):
            self._lengths = np.array([len(row.samples) for row in self.rows], dtype=np.int64)
        return self._lengths

    def packed(self, rows: npt.NDArray[np.int64]) -> Packed:
        """Return the envelopes of ``rows`` (int64, ascending)."""
        common = len(self.rows) if self._common is None else self._common
        if len(rows) and rows[-1] >= common:
            return self._pack(rows)
        return self._packs.get(rows.tobytes(), lambda: self._pack(rows))

    def _pack(self, rows: npt.NDArray[np.int64]) -> Packed:
        envelopes = [self.rows[row] for row in rows.tolist()]
        samples = np.concatenate([np.zeros(0, np.complex128), *(item.samples for item in envelopes)])
        samples.flags.writeable = False
        everything = PartWriter().add(samples)
        stops = np.cumsum([len(item.samples) for item in envelopes], dtype=np.int64).tolist()
        refs = [everything.rows(stop - len(item.samples), stop) for item, stop in zip(envelopes, stops, strict=True)]
        return Packed(tuple(item.key for item in envelopes), tuple(refs), samples)

    def row(self, pulse: Pulse, ratio: Fraction = Fraction(1)) -> tuple[int, float]:
        """Return the row of ``pulse``'s shape at ``ratio`` samples per dt, and the factor its amplitude grows by."""
        key = pulse.shape_key if ratio == 1 else pulse.shape_key + str(ratio).encode()
        found = self._by_key.get(key)
        if found is not None:
            return found, self._peaks[found]
        samples = np.ascontiguousarray(pulse.normalized() if ratio == 1 else pulse.resampled(ratio))
        peak = float(np.abs(samples).max(initial=0.0)) or 1.0
        self._peaks.append(peak)
        self.rows.append(Envelope(key, samples / peak))
        self._by_key[key] = len(self.rows) - 1
        return self._by_key[key], peak

    def add(self, key: bytes, samples: npt.NDArray[np.complex128]) -> int:
        """Return the row of samples that are a shape already: complex128, one per sample of the port, peak 1."""
        found = self._by_key.get(key)
        if found is None:
            found = self._by_key[key] = len(self.rows)
            self._peaks.append(1.0)
            self.rows.append(Envelope(key, samples))
        return found
