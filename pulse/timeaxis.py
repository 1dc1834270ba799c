"""The time axis of a drawing: linear where something happens, with long idle times cut short."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

CUT_FRACTION = 0.25
"""An idle time is cut if it is longer than this fraction of all the rest."""

DRAWN_FRACTION = 0.04
"""What remains of a cut, as a fraction of all the rest."""


class TimeAxis:
    """Map from time in dt to the position along the axis, also in dt.

    Args:
        busy: (start, stop) of everything with a duration, in any order, in dt.
        start: first time shown.
        stop: last time shown.

    """

    def __init__(self, busy: Iterable[tuple[int, int]], start: int, stop: int) -> None:
        self.start = start
        self.stop = max(stop, start + 1)
        gaps = _gaps(sorted(busy), self.start, self.stop)
        self.cuts: list[tuple[int, int]] = []
        rest = self.stop - self.start
        # the longest first, as each cut makes the rest shorter and so the next one relatively longer
        for gap in sorted(gaps, key=lambda gap: gap[0] - gap[1]):
            length = gap[1] - gap[0]
            if length <= CUT_FRACTION * (rest - length) or rest == length:
                break
            self.cuts.append(gap)
            rest -= length
        self.cuts.sort()
        times, positions = [float(self.start)], [0.0]
        for cut_start, cut_stop in self.cuts:
            positions.append(positions[-1] + cut_start - times[-1])
            positions.append(positions[-1] + DRAWN_FRACTION * rest)
            times += [float(cut_start), float(cut_stop)]
        positions.append(positions[-1] + self.stop - times[-1])
        times.append(float(self.stop))
        self._times, self._positions = times, positions
        self.length = positions[-1]

    def __call__(self, time: Any) -> Any:
        """Return the position of a time or an array of times."""
        return np.interp(time, self._times, self._positions)

    def ticks(self, unit: float, count: int) -> list[tuple[float, str]]:
        """Return (position, label) at round multiples of ``unit`` dt, about ``count`` of them, none within a cut."""
        shown = self.length / unit
        raw = max(shown / max(count, 1), 1e-12)
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
        ends = [self.start, *(end for cut in self.cuts for end in cut), self.stop]
        found: list[tuple[float, str]] = []
        for begin, end in zip(ends[::2], ends[1::2], strict=True):
            first, last = math.ceil(begin / unit / step - 1e-9), math.floor(end / unit / step + 1e-9)
            for index in range(first, last + 1):
                position = float(self(index * step * unit))
                # labels on both sides of a cut must not run into each other
                if not found or position - found[-1][0] > 0.5 * step * unit:
                    found.append((position, f"{index * step:.10g}"))
        return found


def _gaps(busy: list[tuple[int, int]], start: int, stop: int) -> list[tuple[int, int]]:
    gaps, now = [], start
    for begin, end in busy:
        if begin > now:
            gaps.append((now, min(begin, stop)))
        now = max(now, end)
    if now < stop:
        gaps.append((now, stop))
    return [(begin, end) for begin, end in gaps if end > begin]


def scaled_unit(seconds: float) -> tuple[float, str]:
    """Return the unit (s, name) in which a duration reads well."""
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= 20 * unit:
            return unit, name
    return 1e-9, "ns"
