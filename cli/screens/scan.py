"""A scan as characters on a terminal: points of a line, or a map of coloured cells."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray
from rich.console import Group, RenderableType
from rich.live import Live
from rich.style import Style
from rich.text import Text

from pulsed.calibration.results.plots import plot_of
from pulsed.calibration.results.run_plots import axis_of, save_figure
from pulsed.calibration.routine import Outcome
from pulsed.calibration.routines.scan_plots import shown
from pulsed.calibration.runner.telling import Telling
from pulsed.model.measurement import MeasurementInfo
from pulsed.model.visible import visible

if TYPE_CHECKING:
    from pulsed.calibration.routines.scan import Scan
    from pulsed.model.calibration import RunRecord

Real = npt.NDArray[np.float64]
_PICTURE_SECONDS = 2.0
"""Between two pictures while points come: drawing one takes a part of a second."""
_ROWS = 14
"""Most lines of points or cells."""
_LEAST_ROWS = 4
_BESIDE = 6
"""Lines for the head, both axes, the colours, and what the terminal shows below."""
_MARGIN = 12
"""Characters for the numbers on the left."""
_COLOURS = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)])
"""Red, green, blue from low to high."""


def scan_screen(data: xarray.Dataset, width: int, height: int = 24) -> RenderableType:
    """Return one target's scan, not wider or higher than so many characters; what has not been measured is blank."""
    what, values, _ = shown(data)
    keys = [str(dim) for dim in data["i"].dims]
    done = int(np.isfinite(values).sum())
    target = visible(str(data.attrs.get("target", "")))
    head = Text.assemble((target, "bold"), visible(f"  {what}, {done} of {values.size} points"))
    room, rows = max(10, width - _MARGIN - 2), min(_ROWS, max(_LEAST_ROWS, height - _BESIDE))
    body = _line(values, room, rows) if len(keys) == 1 else _map(data, keys[0], values, room, rows)
    axis = axis_of(data, keys[-1])
    x = axis(data[keys[-1]])
    first, last = f"{x[0]:.6g}", f"{x[-1]:.6g}"
    name = visible(axis.label)
    columns = min(room, len(x)) if len(keys) > 1 else room
    space = max(2, columns - len(first) - len(last) - len(name))
    scale = first + " " * (space // 2) + name + " " * (space - space // 2) + last
    return Group(head, *body, Text(" " * _MARGIN + scale, "dim"))


def _line(values: Real, columns: int, height: int) -> list[Text]:
    """Return rows of points, the lowest value at the bottom."""
    seen = np.isfinite(values)
    low, high = (float(np.nanmin(values)), float(np.nanmax(values))) if seen.any() else (0.0, 1.0)
    span = high - low or 1.0
    rows = [[" "] * columns for _ in range(height)]
    for k in np.flatnonzero(seen):
        column = round(k / max(len(values) - 1, 1) * (columns - 1))
        row = round((high - values[k]) / span * (height - 1))
        rows[row][column] = "●"
    edges = {0: f"{high:.4g}", height - 1: f"{low:.4g}"}
    return [
        Text(f"{edges.get(number, ''):>{_MARGIN - 2}} │", "dim") + Text("".join(row), "cyan")
        for number, row in enumerate(rows)
    ]


def _map(data: xarray.Dataset, slow: str, values: Real, columns: int, height: int) -> list[Text]:
    """Return rows of coloured cells, the first value of the slow axis at the bottom; two in a row where it is long."""
    each = 1 if len(values) <= height else 2
    picked = [np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)) for n, most in
              zip(values.shape, (each * height, columns), strict=True)]  # fmt: skip
    axis = axis_of(data, slow)
    cells, along = values[np.ix_(*picked)], axis(data[slow])[picked[0]]
    seen = np.isfinite(cells)
    low, high = (float(cells[seen].min()), float(cells[seen].max())) if seen.any() else (0.0, 1.0)
    blank = np.full(len(picked[1]), np.nan)

    def colour(value: float) -> str | None:
        return _colour((value - low) / ((high - low) or 1.0)) if np.isfinite(value) else None

    lines = [Text(visible(axis.label), "dim")]
    for first in reversed(range(0, len(cells), each)):
        line = Text(f"{along[first]:>{_MARGIN - 2}.5g} │", "dim")
        below = cells[first]
        above = below if each == 1 else cells[first + 1] if first + 1 < len(cells) else blank
        for top, bottom in zip(map(colour, above), map(colour, below), strict=True):
            if top == bottom:
                line.append("█" if top else " ", Style(color=top))
            elif bottom is None:
                line.append("▀", Style(color=top))
            else:
                line.append("▄", Style(color=bottom, bgcolor=top))
        lines.append(line)
    bar = Text(f"{'':>{_MARGIN}}{low:.4g} ", "dim")
    for part in np.linspace(0, 1, 20):
        bar.append("█", Style(color=_colour(part)))
    return [*lines, bar.append(f" {high:.4g}", "dim")]


def _colour(part: float) -> str:
    where = np.clip(part, 0, 1) * (len(_COLOURS) - 1)
    red, green, blue = (round(float(np.interp(where, np.arange(len(_COLOURS)), c))) for c in _COLOURS.T)
    return f"rgb({red},{green},{blue})"


class ScanScreen:
    """Draws what has been measured: on the terminal at each answer, as PNG every now and then."""

    def __init__(self, live: Live | None, pictures: Path, tell: Callable[[MeasurementInfo], None] | None) -> None:
        self.latest: dict[str, xarray.Dataset] = {}
        self.drawn: dict[str, Path] = {}
        self._live, self._pictures = live, pictures
        self._tell = tell and Telling(tell)
        self._started = time.time()
        self._when = 0.0
        self._began = time.strftime("%Y%m%d-%H%M%S")
        self.scan: Scan | None = None

    def watch(self, target: str, data: xarray.Dataset) -> None:
        """Show what has been measured on a target by now."""
        self.latest[target] = data
        self._tell_others(target, data, "")
        if self._live is not None:
            width, height = self._live.console.size
            each = height // len(self.latest)
            self._live.update(Group(*(scan_screen(one, width, each) for one in self.latest.values())))
        if time.monotonic() - self._when > _PICTURE_SECONDS:
            self.draw()

    def ended(self, records: list[RunRecord], record: RunRecord) -> None:
        """Take the record of a target that is finished."""
        records.append(record)
        if record.target in self.latest:
            self._tell_others(record.target, self.latest[record.target], str(record.outcome))

    def _tell_others(self, target: str, data: xarray.Dataset, outcome: str) -> None:
        if self._tell is None:
            return
        done = int(np.isfinite(data["i"].to_numpy()).sum())
        self._tell(MeasurementInfo(
            f"scan-{target}-{self._began}", "scan", target, "scan", self._started, done=done, total=data["i"].size,
            outcome=outcome, plot=plot_of(data, None),
        ))  # fmt: skip

    def draw(self) -> None:
        """Write the pictures again; one that is looked at is always whole."""
        assert self.scan is not None, "there are data"
        self._pictures.mkdir(parents=True, exist_ok=True)
        for target, data in self.latest.items():
            path = self._pictures / f"scan-{target}-{self._began}.png"
            save_figure(self.scan, data, Outcome("good"), path.with_suffix(".part.png")).replace(path)
            self.drawn[target] = path
        self._when = time.monotonic()
