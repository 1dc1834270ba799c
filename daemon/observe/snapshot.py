"""How the daemon is at one moment, as values: what metrics and alerts are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pulsed.model.calibration import CalibrationSet
from pulsed.wire.messages import Status


@dataclass(frozen=True)
class CalibrationHealth:
    """How the nodes of the calibration graph stand, as of the last look at it."""

    looked: float = 0.0
    """Unix time, seconds; 0 before the first look."""
    nodes: Mapping[str, int] = field(default_factory=dict)
    """How many nodes there are of each status."""
    drifted: tuple[str, ...] = ()
    """Nodes that a check has found out of spec since they were calibrated."""


@dataclass(frozen=True)
class DaemonSnapshot:
    """One moment of one daemon."""

    now: float
    """Unix time, seconds."""
    status: Status
    calibration: CalibrationSet
    waiting_since: float | None = None
    """When the job came that has waited longest; None when none waits."""
    moved: float = 0.0
    """When a job took a step last, or the daemon started."""
    free_disk: int | None = None
    """Bytes; None where the store is elsewhere."""
    health: CalibrationHealth = CalibrationHealth()
    changes: Mapping[str, int] = field(default_factory=dict)
    """Times since the start that an instrument was found to be set otherwise than it was left, by its name."""
    connections: Mapping[str, int] = field(default_factory=dict)
    """Open ones, by socket."""
    requests: Mapping[str, int] = field(default_factory=dict)
    """Those that came since the start, by their kind."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Requests since the start, by the code of their error."""
    ended: Mapping[str, int] = field(default_factory=dict)
    """Connections since the start, by the reason."""
