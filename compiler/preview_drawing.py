"""The picture of a preview: what each port plays, one row per port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pulsed.compiler.render import Segment
    from pulsed.model.figure import Picture

_MOST_POINTS = 4000
"""Of one row; where there are more samples, the least and the largest of each of its parts are drawn."""


class PortRow(NamedTuple):
    """What is drawn of one port: its samples, what it records (start and length in samples), samples per second."""

    port: str
    segments: Sequence[Segment]
    windows: Sequence[tuple[str, int, int]]
    clock: float


def draw_rows(rows: Sequence[PortRow], duration: float, title: str) -> Picture:
    """Return a matplotlib figure: I and Q of each port over time, each row from -1 to 1 of full scale.

    Args:
        rows: from top to bottom.
        duration: s.
        title: above the rows.

    """
    from pulsed.pulse.draw import new_figure
    from pulsed.pulse.painter import ACQUIRE, IDLE, IMAGINARY, MARK, REAL
    from pulsed.pulse.timeaxis import scaled_unit

    unit, name = scaled_unit(duration)
    end = duration / unit
    figure: Picture
    figure, axis = new_figure(len(rows))
    for i, row in enumerate(rows):
        axis.axhline(-i, color=IDLE, linewidth=0.6, zorder=1)
        for segment in row.segments:
            for part, color in ((segment.samples.real, REAL), (segment.samples.imag, IMAGINARY)):
                at, values = _thinned(part)
                axis.plot((segment.start + at) / row.clock / unit, 0.45 * values - i, color=color, linewidth=0.7)
        together: dict[tuple[float, float], list[str]] = {}
        for channel, start, length in row.windows:
            together.setdefault((start / row.clock / unit, length / row.clock / unit), []).append(channel)
        for span, channels in together.items():
            axis.broken_barh([span], (-i - 0.3, 0.6), facecolor=ACQUIRE, alpha=0.22, edgecolor=ACQUIRE)
            place: dict[str, Any] = {"fontsize": 8, "color": ACQUIRE, "ha": "center", "va": "center"}
            axis.text(span[0] + span[1] / 2, -i, ", ".join(channels), **place)
            end = max(end, sum(span))
    axis.set_yticks([-i for i in range(len(rows))], [row.port for row in rows])
    axis.set_ylim(0.5 - len(rows), 0.5)
    axis.set_xlim(0, end)
    axis.set_xlabel(f"time ({name})", fontsize=9)
    axis.set_title(title, fontsize=10, loc="left", pad=6)
    says = "I blue, Q orange; a row is full scale to full scale"
    axis.annotate(says, (1, 1.01), xycoords="axes fraction", fontsize=8, color=MARK, ha="right", va="bottom")
    for side in ("left", "right", "top"):
        axis.spines[side].set_visible(False)
    return figure


def _thinned(samples: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the places and values that are drawn; no peak is left out."""
    if len(samples) <= _MOST_POINTS:
        return np.arange(len(samples)), samples
    bounds = np.linspace(0, len(samples), _MOST_POINTS // 2 + 1).astype(int)[:-1]
    extremes = np.stack([np.minimum.reduceat(samples, bounds), np.maximum.reduceat(samples, bounds)], axis=1)
    return np.repeat(bounds, 2), extremes.ravel()
