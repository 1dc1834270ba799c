"""A schedule as one flat table: what both roads, from circuits and from schedules, lead to.

Rows are instructions in dt on the rows of :class:`~pulsed.compiler.wiring.Wiring`; frames are not resolved yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from pulsed.compiler.wiring import Wiring
from pulsed.model.errors import LoweringError
from pulsed.pulse.instructions import (
    Acquire,
    Delay,
    Directive,
    Instruction,
    Play,
    SetFrequency,
    SetPhase,
    ShiftFrequency,
    ShiftPhase,
    Snapshot,
)
from pulsed.pulse.library.pulse import Pulse

PLAY, SHIFT_PHASE, SET_PHASE, SHIFT_FREQUENCY, SET_FREQUENCY, ACQUIRE = range(6)

FLAT = np.dtype(
    [
        ("time", "<i8"),
        ("length", "<i8"),
        ("row", "<i4"),
        ("kind", "<i4"),
        ("envelope", "<i4"),
        ("memory_slot", "<i4"),
        ("amplitude", "<f8"),
        ("value", "<f8"),
    ]
)
"""time, length: dt; row: of the wiring; envelope: of the table (PLAY), kernel (ACQUIRE, -1 boxcar); amplitude: full
scale (PLAY); value: the pulse's angle, a phase (rad) or a frequency (Hz)."""


@dataclass(frozen=True)
class Envelope:
    """A row of the table: complex128 samples at one per dt, |sample| <= 1 with the largest at 1."""

    key: bytes
    samples: npt.NDArray[np.complex128]


class EnvelopeTable:
    """Envelopes by content. A row number never changes, so tables of gates can refer to it."""

    def __init__(self) -> None:
        self.rows: list[Envelope] = []
        self._peaks: list[float] = []
        self._by_key: dict[bytes, int] = {}

    def copy(self) -> EnvelopeTable:
        """Return a table with the same rows, that may grow by itself."""
        other = EnvelopeTable()
        other.rows, other._peaks, other._by_key = [*self.rows], [*self._peaks], {**self._by_key}
        return other

    def row(self, pulse: Pulse, ratio: Fraction = Fraction(1)) -> tuple[int, float]:
        """Return the row of ``pulse``'s shape at ``ratio`` samples per dt, and the factor its amplitude grows by."""
        key = pulse.shape_key if ratio == 1 else pulse.shape_key + str(ratio).encode()
        found = self._by_key.get(key)
        if found is not None:
            return found, self._peaks[found]
        samples = np.ascontiguousarray(pulse.normalized() if ratio == 1 else pulse.resampled(ratio))
        peak = float(np.abs(samples).max(initial=0.0)) or 1.0
        self._peaks.append(peak)
        self.rows.append(Envelope(key, samples / peak))
        self._by_key[key] = len(self.rows) - 1
        return self._by_key[key], peak

    def add(self, key: bytes, samples: npt.NDArray[np.complex128]) -> int:
        """Return the row of samples that are a shape already: complex128, one per sample of the port, peak 1."""
        found = self._by_key.get(key)
        if found is None:
            found = self._by_key[key] = len(self.rows)
            self._peaks.append(1.0)
            self.rows.append(Envelope(key, samples))
        return found


_FRAME_KINDS: dict[type, tuple[int, str]] = {
    ShiftPhase: (SHIFT_PHASE, "phase"),
    SetPhase: (SET_PHASE, "phase"),
    ShiftFrequency: (SHIFT_FREQUENCY, "frequency"),
    SetFrequency: (SET_FREQUENCY, "frequency"),
}


def flatten(
    instructions: Iterable[tuple[int, Instruction]], wiring: Wiring, table: EnvelopeTable, start: int = 0
) -> npt.NDArray[np.void]:
    """Return the FLAT rows of timed instructions (dt), in their order.

    Raises :class:`LoweringError` with channel, instruction and time for what the rack cannot play.
    """
    rows: list[tuple[int, int, int, int, int, int, float, float]] = []
    for time, instruction in instructions:
        if isinstance(instruction, Delay | Directive | Snapshot):
            continue
        if instruction.is_parameterized():
            names = ", ".join(sorted(str(p) for p in instruction.parameters))
            raise LoweringError(
                "this parameter has no value yet: assign_parameters first",
                subject=_where(time, instruction),
                value=names,
            )
        if isinstance(instruction, Play):
            row = wiring.row(instruction.channel)
            envelope, peak = table.row(instruction.pulse, wiring.lines[row].ratio)
            scale = complex(instruction.pulse.scale) * peak
            angle = float(np.angle(scale))
            rows.append((time + start, instruction.duration, row, PLAY, envelope, -1, abs(scale), angle))
        elif isinstance(instruction, Acquire):
            rows.append(_acquire(time + start, instruction, wiring))
        else:
            kind, field = _frame_kind(time, instruction)
            value = float(getattr(instruction, field))
            (channel,) = instruction.channels
            rows.append((time + start, 0, wiring.row(channel), kind, -1, -1, 0.0, value))
    return np.array(rows, dtype=FLAT)


def _frame_kind(time: int, instruction: Instruction) -> tuple[int, str]:
    try:
        return _FRAME_KINDS[type(instruction)]
    except KeyError:
        raise LoweringError("this instruction cannot be played", subject=_where(time, instruction)) from None


def _acquire(time: int, instruction: Acquire, wiring: Wiring) -> tuple[int, int, int, int, int, int, float, float]:
    slot = -1 if instruction.mem_slot is None else instruction.mem_slot.index
    return (time, instruction.duration, wiring.row(instruction.channel), ACQUIRE, -1, slot, 0.0, 0.0)


def _where(time: int, instruction: Instruction) -> str:
    return f"{instruction} at {time} dt"
