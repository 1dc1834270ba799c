"""Notes: what people write down about qubits, pairs, runs and calibration sets."""

from __future__ import annotations

import msgspec

MOST_LETTERS = 2000
"""Of one note."""
MOST_NOTES = 1000
"""About one thing."""


class Note(msgspec.Struct, frozen=True):
    """One note; it stays as it was written."""

    about: str
    """A qubit, a pair, the id of a run or of a calibration set."""
    text: str
    by: str
    time: float
    """Unix time, seconds."""
