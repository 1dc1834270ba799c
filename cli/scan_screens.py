"""A scan as characters on a terminal: points of a line, or a map of coloured cells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray
from rich.console import Group, RenderableType
from rich.style import Style
from rich.text import Text

from pulsed.calibration.routines.scan_figures import label, shown

Real = npt.NDArray[np.float64]
_ROWS = 14
_MARGIN = 12
"""Characters for the numbers on the left."""
_COLOURS = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)])
"""Red, green, blue from low to high."""


def scan_screen(data: xarray.Dataset, width: int) -> RenderableType:
    """Return one target's scan, not wider than ``width`` characters; what has not been measured is blank."""
    what, values, _ = shown(data)
    keys = [str(dim) for dim in data["i"].dims]
    done = int(np.isfinite(values).sum())
    head = Text.assemble((str(data.attrs.get("target", "")), "bold"), f"  {what}, {done} of {values.size} points")
    room = max(10, width - _MARGIN - 2)
    body = _line(values, room) if len(keys) == 1 else _map(data, keys[0], values, room)
    x = data[keys[-1]].to_numpy()
    first, last = f"{x[0]:.6g}", f"{x[-1]:.6g}"
    name = label(data, keys[-1])
    columns = min(room, len(x)) if len(keys) > 1 else room
    space = max(2, columns - len(first) - len(last) - len(name))
    scale = first + " " * (space // 2) + name + " " * (space - space // 2) + last
    return Group(head, *body, Text(" " * _MARGIN + scale, "dim"))


def _line(values: Real, columns: int) -> list[Text]:
    """Return rows of points, the lowest value at the bottom."""
    seen = np.isfinite(values)
    low, high = (float(np.nanmin(values)), float(np.nanmax(values))) if seen.any() else (0.0, 1.0)
    span = high - low or 1.0
    rows = [[" "] * columns for _ in range(_ROWS)]
    for k in np.flatnonzero(seen):
        column = round(k / max(len(values) - 1, 1) * (columns - 1))
        row = round((high - values[k]) / span * (_ROWS - 1))
        rows[row][column] = "●"
    edges = {0: f"{high:.4g}", _ROWS - 1: f"{low:.4g}"}
    return [
        Text(f"{edges.get(number, ''):>{_MARGIN - 2}} │", "dim") + Text("".join(row), "cyan")
        for number, row in enumerate(rows)
    ]


def _map(data: xarray.Dataset, slow: str, values: Real, columns: int) -> list[Text]:
    """Return rows of coloured cells, the first value of the slow axis at the bottom."""
    picked = [np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)) for n, most in
              zip(values.shape, (2 * _ROWS, columns), strict=True)]  # fmt: skip
    cells, along = values[np.ix_(*picked)], data[slow].to_numpy()[picked[0]]
    seen = np.isfinite(cells)
    low, high = (float(cells[seen].min()), float(cells[seen].max())) if seen.any() else (0.0, 1.0)
    lines = []
    for row, at in zip(cells[::-1], along[::-1], strict=True):
        line = Text(f"{at:>{_MARGIN - 2}.5g} │", "dim")
        for value in row:
            line.append("█" if np.isfinite(value) else " ", _colour((value - low) / ((high - low) or 1.0)))
        lines.append(line)
    bar = Text(f"{'':>{_MARGIN}}{low:.4g} ", "dim")
    for part in np.linspace(0, 1, 20):
        bar.append("█", _colour(part))
    return [*lines, bar.append(f" {high:.4g}", "dim")]


def _colour(part: float) -> Style:
    if not np.isfinite(part):
        return Style()
    where = np.clip(part, 0, 1) * (len(_COLOURS) - 1)
    red, green, blue = (round(float(np.interp(where, np.arange(len(_COLOURS)), c))) for c in _COLOURS.T)
    return Style(color=f"rgb({red},{green},{blue})")
