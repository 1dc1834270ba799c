"""What a preview tells of each event of a port."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class PreviewPulse:
    """One event on a port, for labels: start and length in samples from the shot's start, frequency in Hz."""

    channel: str
    start: int
    length: int
    amplitude: float
    frequency: float


@dataclass(frozen=True)
class PreviewWindow:
    """One acquisition: start and length in samples from the shot's start, what it is demodulated and weighted with."""

    port: str
    channel: str
    start: int
    length: int
    frequency: float
    """Hz."""
    weights: npt.NDArray[np.complex128] | None
    """Of each sample; None for equal ones."""
