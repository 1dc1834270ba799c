"""A pulse sheet: what is played, row by row on one axis of time, as data and as a page that one can zoom.

The page is drawn by uPlot (https://github.com/leeoniya/uPlot, MIT), which lies in ``model/plots`` with what is ours.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pulsed.model.errors import InvalidValueError

MOST_SAMPLES = 4_000_000
"""Of one sheet: a browser holds and draws so many."""
Complex = npt.NDArray[np.complex128]


@dataclass(frozen=True)
class SheetSpan:
    """Something that lasts: a pulse, or an acquisition with its weights. Times as of the sheet."""

    start: float
    end: float
    text: str
    kernel: Complex | None = None


@dataclass(frozen=True)
class SheetMark:
    """A change of a frame, at a time."""

    at: float
    text: str


@dataclass(frozen=True)
class SheetRow:
    """A port or a channel: runs of samples, each ``period`` long, and zero between them."""

    name: str
    note: str
    period: float
    """Of one sample, in the unit of the sheet."""
    runs: Sequence[tuple[int, Complex]]
    """Start in samples and samples of each, in order and apart from each other."""
    scale: float = 1.0
    """What the height of the row is."""
    pulses: Sequence[SheetSpan] = ()
    windows: Sequence[SheetSpan] = ()
    frames: Sequence[SheetMark] = ()


@dataclass(frozen=True)
class PulseSheet:
    """What is played, for the eye; in a notebook it shows itself."""

    title: str
    rows: Sequence[SheetRow]
    end: float
    seconds: bool = True
    """Whether times are in seconds; in dt else."""

    def __post_init__(self) -> None:
        number = sum(len(samples) for row in self.rows for _, samples in row.runs)
        if number > MOST_SAMPLES:
            raise InvalidValueError(
                "too many samples to draw: choose a part of the time, or fewer rows", subject=self.title,
                value=f"{number} samples", legal=f"up to {MOST_SAMPLES}",
            )  # fmt: skip

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it; samples are float32, little-endian, in base64."""
        return {
            "title": self.title, "end": self.end, "seconds": self.seconds,
            "rows": [
                {
                    "name": row.name, "note": row.note, "period": row.period, "scale": row.scale or 1.0,
                    "starts": [start for start, _ in row.runs], "lengths": [len(samples) for _, samples in row.runs],
                    "i": _packed([samples.real for _, samples in row.runs]),
                    "q": _packed([samples.imag for _, samples in row.runs]),
                    "pulses": [_span(pulse) for pulse in row.pulses],
                    "windows": [_span(window) for window in row.windows],
                    "frames": [{"at": mark.at, "text": mark.text} for mark in row.frames],
                }
                for row in self.rows
            ],
        }  # fmt: skip

    def html(self) -> str:
        """Return a page that needs nothing else: data, scripts and style are in it."""
        data = json.dumps(self.plain()).replace("<", "\\u003c")
        style = "".join(_asset(name) for name in ("uplot.css", "alone.css", "sheet.css"))
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(self.title)}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>'
            f'<body><h1>{escape(self.title)}</h1><div data-sheet="#data"></div>'
            f'<script type="application/json" id="data">{data}</script>'
            f"<script>{_asset('uplot.min.js')}</script><script>{_asset('sheet.js')}</script></body></html>\n"
        )

    def save(self, path: Path | str) -> Path:
        """Write :meth:`html` into a file, and return where."""
        where = Path(path)
        try:
            where.write_text(self.html(), encoding="utf-8")
        except OSError as error:
            raise InvalidValueError(f"cannot be written: {error.strerror}", subject=str(where)) from error
        return where

    def _repr_html_(self) -> str:
        height = min(900, 190 + 97 * len(self.rows))
        frame = f'srcdoc="{escape(self.html())}" title="{escape(self.title)}" sandbox="allow-scripts"'
        return f'<iframe {frame} style="width: 100%; height: {height}px; border: 0"></iframe>'


def _span(span: SheetSpan) -> dict[str, Any]:
    found: dict[str, Any] = {"start": span.start, "end": span.end, "text": span.text}
    if span.kernel is not None:
        found["kernel"] = _packed([span.kernel.real])
    return found


def _packed(parts: Sequence[npt.NDArray[np.float64]]) -> str:
    whole = np.concatenate(parts) if parts else np.zeros(0)
    return b64encode(whole.astype("<f4").tobytes()).decode()


@cache
def _asset(name: str) -> str:
    return (files("pulsed.model") / "plots" / name).read_text(encoding="utf-8")
