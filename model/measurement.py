"""A measurement under way, as it is shown while it grows: values for the eye, the data themselves are in its file."""

from __future__ import annotations

import msgspec

MOST_NUMBERS = 20_000
"""In one message about a measurement."""
MOST_TRACES = 8
"""Lines in one plot."""
LONGEST = 255
"""Of a name, and of what is written at an axis or a line."""


class PlotTrace(msgspec.Struct, frozen=True, omit_defaults=True):
    """Points along one axis, in order of ``x``, with the curve that was fitted to them as far as there is one."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    sigma: tuple[float, ...] = ()
    """Standard errors; empty where they are not known."""
    fit_x: tuple[float, ...] = ()
    fit_y: tuple[float, ...] = ()


class Heat(msgspec.Struct, frozen=True):
    """A map over two axes; what has not been measured is None."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    z: tuple[float | None, ...]
    """Row by row: the first ``len(x)`` numbers belong to the first ``y``."""


class Plot(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a figure of a measurement shows."""

    x_label: str = ""
    y_label: str = ""
    traces: tuple[PlotTrace, ...] = ()
    heat: Heat | None = None
    z_label: str = ""


class MeasurementInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """One measurement of one routine on one target, as far as it is."""

    run_id: str
    routine: str
    target: str
    kind: str
    started: float
    """Unix time, seconds, as is ``changed``."""
    changed: float = 0.0
    by: str = ""
    done: int = 0
    """Schedules that have been played, of ``total``."""
    total: int = 0
    outcome: str = ""
    """Empty while it goes on; then that of the run's record."""
    silent: float = 0.0
    """Seconds, where it goes on and nothing has been told of it for minutes: whoever measures may be gone."""
    said: str = ""
    """The fitted values or the reason, in words."""
    plot: Plot = Plot()


def numbers_of(plot: Plot) -> int:
    """Return how many numbers a plot has."""
    lines = sum(len(t.x) + len(t.y) + len(t.sigma) + len(t.fit_x) + len(t.fit_y) for t in plot.traces)
    return lines + (0 if plot.heat is None else len(plot.heat.x) + len(plot.heat.y) + len(plot.heat.z))
