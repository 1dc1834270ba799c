"""A scale of colours for numbers, and the ink that can be read on each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

STOPS = ("#443983", "#3b528b", "#2f6c8e", "#25848e", "#1f9e89", "#3dbc74", "#86d549", "#c8e020", "#fde725")
"""From the lowest value to the highest: viridis without its darkest part, whose lightness grows evenly, so that it can
be told apart in any kind of colour vision, and in print."""


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


@dataclass(frozen=True)
class ColourScale:
    """Colours between two values, evenly or by the logarithm."""

    low: float
    high: float
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Return where a value lies between ``low`` and ``high``, 0 to 1."""
        if self.high <= self.low:
            return 0.5
        if self.logarithmic:
            place = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            place = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, place))

    def colour(self, value: float) -> str:
        """Return the colour of a value as ``#rrggbb``."""
        place = self.share(value) * (len(STOPS) - 1)
        first = min(int(place), len(STOPS) - 2)
        pairs = zip(_rgb(STOPS[first]), _rgb(STOPS[first + 1]), strict=True)
        return "#" + "".join(f"{round(a + (b - a) * (place - first)):02x}" for a, b in pairs)


def scale_of(values: Sequence[float], *, logarithmic: bool) -> ColourScale:
    """Return the scale from the least to the greatest of ``values``; by the logarithm only where all are positive."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ColourScale(0.0, 0.0)
    return ColourScale(min(finite), max(finite), logarithmic and min(finite) > 0)


def ink(colour: str) -> str:
    """Return black or white, whichever has the greater contrast on ``colour`` (WCAG 2.2)."""
    lightness = luminance(colour)
    return "#000000" if (lightness + 0.05) ** 2 > 0.05 * 1.05 else "#ffffff"


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb``, 0 to 1 (WCAG 2.2)."""
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in _rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
