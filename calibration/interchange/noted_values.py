"""The values of a set on their way into the files of another stack, each noted once it has found its place there."""

from __future__ import annotations

from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription


class NotedValues:
    """Base of what writes a set as another stack's files; ``used`` are the names that have their place."""

    def __init__(self, device: DeviceDescription, calibration: CalibrationSet) -> None:
        self.device, self.calibration = device, calibration
        self.used: set[str] = set()

    def value(self, name: str) -> float | None:
        """Return a number, and note that it has its place; None where there is none."""
        if not self.calibration.has(name):
            return None
        self.used.add(name)
        return self.calibration.number(name)
