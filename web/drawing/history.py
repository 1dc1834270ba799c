"""A value over time as a picture: points with their errors, and round numbers at the axes."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pulsed.model.calibration import PastValue
from pulsed.model.units import format_quantity
from pulsed.model.wording import show_value, when

WIDTH, HEIGHT = 1100.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 92.0, 16.0, 14.0, 34.0
_STEPS = (60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400, 30 * 86400)


@dataclass(frozen=True)
class Point:
    """One value in the picture, in its units of length."""

    x: float
    y: float
    low: float
    high: float
    """Where its standard error ends, below and above."""
    said: str
    calibration_id: str
    again: bool
    """It has been active before: the set was rolled back."""


@dataclass(frozen=True)
class HistoryPicture:
    """What the template draws."""

    points: tuple[Point, ...]
    line: str
    """A path along which the value was active."""
    rows: tuple[tuple[float, str], ...]
    """Round values: y and what they are."""
    columns: tuple[tuple[float, str], ...]
    """Round times: x and what they are."""


def draw(history: Sequence[PastValue], now: float) -> HistoryPicture | None:
    """Return the picture of values that are numbers, in any order; None when there is none."""
    past = sorted((item for item in history if not isinstance(item.value.value, tuple)), key=lambda item: item.since)
    if not past:
        return None
    numbers = [float(item.value.value) for item in past if not isinstance(item.value.value, tuple)]
    errors = [item.value.stderr or 0.0 for item in past]
    low = min(n - e for n, e in zip(numbers, errors, strict=True))
    high = max(n + e for n, e in zip(numbers, errors, strict=True))
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - margin, high + margin
    first, last = past[0].since, max(now, past[-1].since + 1.0)

    def x(t: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (t - first) / (last - first)

    def y(n: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - n) / (high - low)

    seen: set[tuple[float, str]] = set()
    points, path = [], ""
    for item, number, error in zip(past, numbers, errors, strict=True):
        key = number, item.value.time
        points.append(Point(
            x(item.since), y(number), y(number - error), y(number + error),
            f"{show_value(item.value)}, since {when(item.since)}", item.calibration_id, key in seen,
        ))  # fmt: skip
        seen.add(key)
        path += f"H{x(item.since):.1f}V{y(number):.1f}" if path else f"M{x(item.since):.1f} {y(number):.1f}"
    unit = past[-1].value.unit
    rows = tuple((y(n), _said(n, unit, high - low)) for n in round_values(low, high))
    columns = tuple((x(t), text) for t, text in round_times(first, last))
    return HistoryPicture(tuple(points), path + f"H{x(last):.1f}", rows, columns)


def round_values(low: float, high: float, most: int = 6) -> list[float]:
    """Return at most ``most`` round numbers between ``low`` and ``high``, evenly apart."""
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(step * k for k in (1, 2, 5, 10, 20) if (high - low) / (step * k) < most)
    return [step * k for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def round_times(first: float, last: float, most: int = 7) -> list[tuple[float, str]]:
    """Return round local times between two Unix times (s), and how to write them."""
    step = next((step for step in _STEPS if (last - first) / step <= most), (last - first) / most)
    form = "%H:%M" if step < 43200 else "%d %b"
    shift = -time.timezone
    marks = range(math.ceil((first + shift) / step), math.floor((last + shift) / step) + 1)
    return [(k * step - shift, time.strftime(form, time.localtime(k * step - shift))) for k in marks]


def _said(number: float, unit: str, span: float) -> str:
    digits = max(3, math.ceil(math.log10(max(abs(number), span) / span)) + 3) if span else 6
    return format_quantity(number, unit, digits) if unit in ("Hz", "s") else f"{number:.{digits}g} {unit}".rstrip()
