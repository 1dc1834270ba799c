"""The envelopes of a compiler: each shape once, by content."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from pulsed.pulse.library.pulse import Pulse


@dataclass(frozen=True)
class Envelope:
    """A row of the table: complex128 samples at one per dt, |sample| <= 1 with the largest at 1."""

    key: bytes
    samples: npt.NDArray[np.complex128]


class EnvelopeTable:
    """Envelopes by content. A row number never changes, so tables of gates can refer to it."""

    def __init__(self) -> None:
        self.rows: list[Envelope] = []
        self._peaks: list[float] = []
        self._by_key: dict[bytes, int] = {}
        self._lengths: npt.NDArray[np.int64] = np.zeros(0, np.int64)

    def copy(self) -> EnvelopeTable:
        """Return a table with the same rows, that may grow by itself."""
        other = EnvelopeTable()
        other.rows, other._peaks, other._by_key = [*self.rows], [*self._peaks], {**self._by_key}
        other._lengths = self.lengths
        return other

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Samples of each row."""
        if len(self._lengths) != len(self.rows):
            self._lengths = np.array([len(row.samples) for row in self.rows], dtype=np.int64)
        return self._lengths

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
