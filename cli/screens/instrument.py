"""What the terminal shows of a single instrument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from pulsed.cli.screens.terminal import plain, plain_table
from pulsed.model.units import format_quantity

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_ROWS = 6
_MARGIN = 11
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Of Unicode's Braille patterns, from U+2800 on: four rows of two dots."""


def readings_screen(readings: Mapping[str, str]) -> RenderableType:
    """Return what an instrument answers, one line for each query."""
    table = plain_table("", "", words=("",))
    table.show_header = False
    for name, value in readings.items():
        table.add_row(plain(name, "dim"), plain(value))
    return table


def record_screen(
    port: str, values: npt.NDArray[np.complexfloating], step: float, shots: int, width: int
) -> RenderableType:
    """Return a record (samples,) of an input as two lines of dots, I and Q, no wider than ``width`` characters."""
    head = Text.assemble(
        plain(port, "bold"), f"  {len(values)} samples of {format_quantity(step, 's', 3)}, mean of {shots} shots   ",
        ("I", "cyan"), " above ", ("Q", "magenta"), ", full scale 1",
    )  # fmt: skip
    columns = max(10, width - _MARGIN - 2)
    lines: list[RenderableType] = [head]
    for part, style in ((values.real, "cyan"), (values.imag, "magenta")):
        high = float(abs(part).max()) or 1.0
        edges = {0: f"{high:.3g}", _ROWS - 1: f"{-high:.3g}"}
        for row, cells in enumerate(_dots(part, high, columns)):
            line = Text(f"{edges.get(row, ''):>{_MARGIN - 2}} │", "dim")
            lines.append(line.append("".join(chr(0x2800 + cell) if cell else " " for cell in cells), style))
    end = format_quantity(len(values) * step, "s", 3)
    lines.append(Text(" " * _MARGIN + "0" + end.rjust(columns - 1), "dim"))
    return Group(*lines)


def _dots(values: npt.NDArray[np.floating], high: float, columns: int) -> list[list[int]]:
    """Return the dots of each character: at each column from the lowest to the highest value that falls there."""
    import numpy as np

    cells = [[0] * columns for _ in range(_ROWS)]
    pieces = np.array_split(values, min(2 * columns, len(values)))
    for k, piece in enumerate(pieces):
        x = k if len(pieces) == 2 * columns else round(k * (2 * columns - 1) / max(1, len(pieces) - 1))
        places = np.round((1 - np.array([piece.max(), piece.min()]) / high) / 2 * (4 * _ROWS - 1)).astype(int)
        for y in range(places[0], places[1] + 1):
            cells[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
    return cells
