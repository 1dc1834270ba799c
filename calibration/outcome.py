"""What an analysis found: values to propose and the fits that they come from, or why the data say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pulsed.calibration.fits.fit import Fit
from pulsed.model.calibration import Number


@dataclass(frozen=True)
class Proposal:
    """A value that a routine proposes."""

    value: Number
    unit: str = ""
    stderr: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What an analysis found. ``values`` have names without the subject; bad data gives none."""

    quality: Literal["good", "bad data"]
    reason: str = ""
    values: dict[str, Proposal] = field(default_factory=dict)
    fits: dict[str, Fit] = field(default_factory=dict)
    """By what they are of, for the figure and the report."""

    @property
    def good(self) -> bool:
        """Whether there are values to propose."""
        return self.quality == "good"


def bad_data(reason: str, **fits: Fit) -> Outcome:
    """Return the outcome of data that say nothing, and why."""
    return Outcome("bad data", reason, {}, fits)


def first_bad(fits: Mapping[str, Fit]) -> Outcome | None:
    """Return the outcome when one of ``fits`` is not good, else None."""
    for name, fit in fits.items():
        if not fit.ok:
            return Outcome("bad data", f"{name}: {fit.reason}", {}, dict(fits))
    return None
