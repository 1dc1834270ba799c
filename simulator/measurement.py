"""One readout of a sequence, and what the shots did in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.readout import Jumps, Response


@dataclass
class Measurement:
    """One readout: when it acts on which qubits, how the resonators respond, and what the shots did.

    ``levels`` and ``jumps`` are filled cluster by cluster: (shots, measured) initial levels, jumps per qubit.
    """

    start: int
    stop: int
    response: Response
    levels: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    jumps: list[Jumps] = field(default_factory=list)


def clear(measurements: list[Measurement], shots: int) -> None:
    """Make readouts ready for what so many shots do."""
    for measurement in measurements:
        measured = len(measurement.response.measured)
        measurement.levels = np.zeros((shots, measured), dtype=np.int64)
        empty = np.zeros(0, dtype=np.int64)
        measurement.jumps = [Jumps(empty, empty, empty, empty) for _ in range(measured)]
