"""How qubits are read in the working set, and populations without the errors of the reading."""

from __future__ import annotations

import numpy as np

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits.assignment import Assignment
from pulsed.calibration.fits.fit import Real
from pulsed.calibration.routine import MeasurementResponse
from pulsed.model.errors import InvalidValueError


def assignment(executor: Executor, qubit: int) -> Assignment:
    """Return how a qubit is read, from the working set; what it does not know of the thermal population is 0."""
    names = [f"Q{qubit}.{name}" for name in ("readout.p10", "readout.p01", "thermal")]
    values = [executor.blocks.value(name, *([0.0] if name.endswith("thermal") else [])) for name in names]
    if values[2] >= 0.5:
        raise InvalidValueError(
            "a qubit that is in 1 half of the time has no readout to correct", subject=names[2], value=values[2],
            legal="below 0.5",
        )  # fmt: skip
    known = executor.calibration.values
    spread = [(known[name].stderr or 0.0) if name in known else 0.0 for name in names]
    return Assignment.of([*values, *spread])


def population(answer: MeasurementResponse, column: int, reading: Assignment) -> tuple[Real, Real]:
    """Return the population of 1 without the errors of the reading, and its standard error, per schedule."""
    assert answer.bits is not None, "level 2"
    ones = answer.bits[:, :, column] > 0
    shots = ones.shape[1]
    # A half more on either side, so that no error is 0.
    smooth = (ones.sum(axis=1) + 0.5) / (shots + 1)
    found: Real = (ones.mean(axis=1) - reading.wrong_zero) / reading.contrast
    error: Real = np.sqrt(smooth * (1 - smooth) / shots) / reading.contrast
    return found, error


def room(executor: Executor, port: str) -> float:
    """Return the largest amplitude of one tone that a port can play, full scale: what its mixer's correction leaves."""
    known, offsets, correction = executor.calibration, f"{port}.mixer.offset", f"{port}.mixer.correction"
    a, b, c, d = known.numbers(correction) if known.has(correction) else (1.0, 0.0, 0.0, 1.0)
    i, q = known.numbers(offsets) if known.has(offsets) else (0.0, 0.0)
    return float(min(1.0, (1 - abs(i)) / np.hypot(a, b), (1 - abs(q)) / np.hypot(c, d)))
