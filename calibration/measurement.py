"""What a routine asks the rack for, and what it gets: the values that its generator yields and is sent."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray

from pulsed.calibration.executor import Played
from pulsed.model.calibration import Number
from pulsed.pulse.schedule import Schedule


@dataclass(frozen=True)
class MeasurementRequest:
    """What a target wants played.

    ``options`` are other fields of :class:`RunOptions`: settings, spectrum, rep_delay. ``values``, by full name, are
    put over the working set for this ask alone; what is active stays. The schedules are the asker's own.
    """

    schedules: Sequence[Schedule]
    shots: int = 500
    average: bool = False
    level: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Number] = field(default_factory=dict)


@dataclass(frozen=True)
class MeasurementResponse:
    """What came back for one target: as :class:`Played`, with the memory slots of its own schedules, in order."""

    iq: npt.NDArray[np.complex64] | None
    """(schedules, shots, slots), without the shots when averaged."""
    bits: npt.NDArray[np.uint8] | None
    """(schedules, shots, slots), at level 2."""
    records: npt.NDArray[np.complex64] | None
    """(schedules, shots, slots, samples) or without the shots, at level 0."""
    spectrum: npt.NDArray[np.float64] | None
    """(schedules, frequencies) in dBm."""
    overrange: npt.NDArray[np.bool_]
    """(schedules,)"""

    @classmethod
    def of(cls, played: Played, slots: Sequence[int], rows: slice) -> MeasurementResponse:
        """Return one target's share: some schedules, some memory slots."""
        own = list(slots)
        return cls(
            None if played.iq is None else played.iq[rows][..., own],
            None if played.bits is None else played.bits[rows][..., own],
            None if played.records is None else played.records[rows][..., own, :],
            None if played.spectrum is None else played.spectrum[rows],
            played.overrange[rows],
        )


Measurement: TypeAlias = Generator[MeasurementRequest, MeasurementResponse, xarray.Dataset]
"""Yields what it asks for, is sent what came back, and returns the data."""
