"""A pulse program as a sheet that one can zoom: a row per channel, with its frames, acquisitions and kernels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from pulsed.model.sheet import PulseSheet, SheetMark, SheetRow, SheetSpan
from pulsed.pulse.configuration import is_calibrated, kernel_weights
from pulsed.pulse.instructions import Acquire, FrameChange, FrameUse, Play
from pulsed.pulse.painter import Row, frame_text, summed


def sheet_of(rows: Iterable[Row], start: int, stop: int, dt: float | None, title: str) -> PulseSheet:
    """Return rows of a drawing as a sheet; times are in seconds where ``dt`` (s) is known, in dt else.

    Args:
        rows: a channel with what is on it, each.
        start: what is before is left out, dt.
        stop: what is after is left out, dt.
        dt: s.
        title: above the sheet.

    """
    unit = 1.0 if dt is None else dt
    made = [_row(row, start, stop, unit) for row in rows]
    return PulseSheet(title, made, stop * unit, seconds=dt is not None)


def _row(row: Row, start: int, stop: int, unit: float) -> SheetRow:
    plays = [(t, p) for t, p in row.plays if t < stop and t + p.duration > start]
    runs = [(t, np.asarray(p.pulse.envelope(), np.complex128)) for t, p in plays]
    largest = max((float(np.abs(samples).max(initial=0.0)) for _, samples in runs), default=0.0)
    acquires = [(t, a) for t, a in row.acquires if t < stop and t + a.duration > start]
    return SheetRow(
        row.channel.name, f"max |d| {largest:.3g}" if runs else "", unit, runs, largest or 1.0,
        [SheetSpan(t * unit, (t + p.duration) * unit, _play_text(p)) for t, p in plays],
        [_window(t, a, unit) for t, a in acquires],
        [SheetMark(t * unit, text) for t, text in _frames([f for f in row.frames if start <= f[0] <= stop])],
    )  # fmt: skip


def _play_text(play: Play) -> str:
    return play.name or type(play.pulse).__name__


def _window(time: int, acquire: Acquire, unit: float) -> SheetSpan:
    slots = [f"mem {acquire.mem_slot.index}"] if acquire.mem_slot else []
    slots += [f"reg {acquire.reg_slot.index}"] if acquire.reg_slot else []
    kernel, weights = acquire.kernel, None
    words = f"→ {', '.join(slots)}"
    if kernel is not None and not is_calibrated(kernel):
        weights = kernel_weights(kernel, acquire.duration, Fraction(1))
        words += f", kernel {kernel.name or 'of its own'}"
    return SheetSpan(time * unit, (time + acquire.duration) * unit, words, weights)


def _frames(frames: Sequence[tuple[int, FrameChange | FrameUse]]) -> list[tuple[int, str]]:
    """Return the changes of each moment in words; phases that follow one another are one."""
    moments: dict[int, list[FrameChange | FrameUse]] = {}
    for time, change in frames:
        moments.setdefault(time, []).append(change)
    return [(time, " ".join(map(frame_text, left))) for time, all_ in moments.items() if (left := summed(all_))]
