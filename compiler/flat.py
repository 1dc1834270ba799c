"""A schedule as one flat table: what both roads, from circuits and from schedules, lead to.

Rows are instructions in dt on the rows of :class:`~pulsed.compiler.wiring.Wiring`; frames are not resolved yet.
"""

from __future__ import annotations

from cmath import phase
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
from qiskit.circuit import ParameterExpression

from pulsed.compiler.wiring import Wiring
from pulsed.model.errors import LoweringError
from pulsed.pulse.channels import Channel
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
        self._lengths: npt.NDArray[np.int64] = np.zeros(0, np.int64)

    def copy(self) -> EnvelopeTable:
        """Return a table with the same rows, that may grow by itself."""
        other = EnvelopeTable()
        other.rows, other._peaks, other._by_key = [*self.rows], [*self._peaks], {**self._by_key}
        other._lengths = self.lengths
        return other

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Samples of each row."""
        if len(self._lengths) != len(self.rows):
            self._lengths = np.array([len(row.samples) for row in self.rows], dtype=np.int64)
        return self._lengths

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


@dataclass(frozen=True)
class Late:
    """A value of a flat row that is bound later: its ``field`` grows by ``factor * (expression + offset)``."""

    row: int
    field: str
    """``"value"`` or ``"amplitude"``."""
    expression: ParameterExpression
    factor: float = 1.0
    offset: float = 0.0


class NotLinearError(LoweringError):
    """A late value that changes more than phases, frequencies and amplitudes: a length, or the shape of a pulse."""

    code = "not_linear"


_NOTHING_LATE: dict[str, ParameterExpression] = {}

_FRAME_KINDS: dict[type, tuple[int, str]] = {
    ShiftPhase: (SHIFT_PHASE, "phase"),
    SetPhase: (SET_PHASE, "phase"),
    ShiftFrequency: (SHIFT_FREQUENCY, "frequency"),
    SetFrequency: (SET_FREQUENCY, "frequency"),
}


def flatten(
    instructions: Iterable[tuple[int, Instruction]],
    wiring: Wiring,
    table: EnvelopeTable,
    late: list[Late] | None = None,
) -> npt.NDArray[np.void]:
    """Return the FLAT rows of timed instructions (dt), in their order.

    Values without a number are appended to ``late``, and are 0 in the rows. Raises :class:`LoweringError` with
    channel, instruction and time for what the rack cannot play, such values included when ``late`` is None, and
    :class:`NotLinearError` for those that ``late`` cannot hold.
    """
    rows: list[tuple[int, int, int, int, int, int, float, float]] = []
    # Schedules play the same few pulses over and over: by identity, while the instructions keep them alive.
    plays: dict[tuple[int, Channel], tuple[int, int, int, float, float]] = {}
    for time, instruction in instructions:
        if type(instruction) is Play:
            played = plays.get((id(instruction.pulse), instruction.channel))
            if played is not None:
                length, row, envelope, amplitude, angle = played
                rows.append((time, length, row, PLAY, envelope, -1, amplitude, angle))
                continue
        if isinstance(instruction, Delay | Directive | Snapshot):
            continue
        if instruction.is_parameterized() and late is None:
            names = ", ".join(sorted(str(p) for p in instruction.parameters))
            raise LoweringError(
                "this parameter has no value yet: assign_parameters first",
                subject=_where(time, instruction),
                value=names,
            )
        if isinstance(instruction, Play):
            row = wiring.row(instruction.channel)
            pulse, found = instruction.pulse, _NOTHING_LATE
            if late is not None and pulse.is_parameterized():
                pulse, found = _late_values(pulse, _where(time, instruction))
            envelope, peak = table.row(pulse, wiring.lines[row].ratio)
            if late is not None:
                factors = {"amplitude": peak, "value": 1.0}
                late += [Late(len(rows), name, value, factors[name]) for name, value in found.items()]
            amplitude, angle = _polar(pulse, found)
            rows.append((time, instruction.duration, row, PLAY, envelope, -1, amplitude * peak, angle))
            if not found:
                played = (instruction.duration, row, envelope, amplitude * peak, angle)
                plays[id(instruction.pulse), instruction.channel] = played
        elif isinstance(instruction, Acquire):
            rows.append(_acquire(time, instruction, wiring, table))
        else:
            kind, field = _frame_kind(time, instruction)
            value = getattr(instruction, field)
            (channel,) = instruction.channels
            if late is not None and _is_late(value):
                # A frequency is 0 nowhere in the band: what is late is the way from the frame's own.
                known = wiring.lines[wiring.row(channel)].frequency if kind == SET_FREQUENCY else 0.0
                late.append(Late(len(rows), "value", value, offset=-known))
                value = known
            rows.append((time, 0, wiring.row(channel), kind, -1, -1, 0.0, float(value)))
    return np.array(rows, dtype=FLAT)


def _late_values(pulse: Pulse, where: str) -> tuple[Pulse, dict[str, ParameterExpression]]:
    """Return ``pulse`` with numbers for its late values, and those: of its amplitude and angle, no others."""
    late = {name: value for name, value in pulse.parameters.items() if _is_late(value)}
    other = sorted(set(late) - {"amp", "angle"})
    if other:
        raise NotLinearError("a late value of the pulse's shape", subject=where, value=", ".join(other))
    plain = pulse.assigned(dict.fromkeys(pulse.free_parameters, 0.0))
    return plain, {"amplitude" if name == "amp" else "value": value for name, value in late.items()}


def _is_late(value: object) -> bool:
    return isinstance(value, ParameterExpression) and bool(value.parameters)


def _polar(pulse: Pulse, late: Mapping[str, ParameterExpression]) -> tuple[float, float]:
    """Return amplitude and angle of ``pulse``, without what comes late."""
    if not late:
        scale = complex(pulse.scale)
        return abs(scale), phase(scale)
    amp, angle = complex(pulse.parameters["amp"]), float(pulse.parameters["angle"])
    amplitude, turn = (0.0, 0.0) if "amplitude" in late else (abs(amp), float(np.angle(amp)))
    return amplitude, turn + (0.0 if "value" in late else angle)


def _frame_kind(time: int, instruction: Instruction) -> tuple[int, str]:
    try:
        return _FRAME_KINDS[type(instruction)]
    except KeyError:
        raise LoweringError("this instruction cannot be played", subject=_where(time, instruction)) from None


def _acquire(
    time: int, instruction: Acquire, wiring: Wiring, table: EnvelopeTable
) -> tuple[int, int, int, int, int, int, float, float]:
    slot = -1 if instruction.mem_slot is None else instruction.mem_slot.index
    kernel = _kernel(time, instruction, wiring, table)
    return (time, instruction.duration, wiring.row(instruction.channel), ACQUIRE, kernel, slot, 0.0, 0.0)


def _kernel(time: int, instruction: Acquire, wiring: Wiring, table: EnvelopeTable) -> int:
    """Return the row of an acquisition's weights, -1 for a boxcar: the instruction's own, else the calibrated ones."""
    line = wiring.lines[wiring.row(instruction.channel)]
    subject, weights = f"Q{line.qubit}.readout.kernel", wiring.kernels.get(line.qubit)
    if instruction.kernel is not None:
        subject, weights = f"{instruction.channel} at {time} dt", _own_weights(time, instruction)
    if weights is None:
        return -1
    if len(weights) != instruction.duration * line.ratio:
        raise LoweringError(
            f"the kernel has another length than the acquisition on {instruction.channel.name}", subject=subject,
            value=f"{len(weights)} samples", legal=f"{instruction.duration * line.ratio} samples",
        )  # fmt: skip
    return table.add(blake2b(weights.tobytes(), digest_size=16, person=b"kernel").digest(), weights)


def _own_weights(time: int, instruction: Acquire) -> npt.NDArray[np.complex128] | None:
    """Return the weights of ``Kernel(name, weights=...)``, None for ``Kernel("boxcar")``."""
    kernel = instruction.kernel
    assert kernel is not None
    given = kernel.params.get("weights")
    if given is None and kernel.name == "boxcar":
        return None
    try:
        weights = np.array(() if given is None else given, np.complex128)
    except (TypeError, ValueError):
        weights = np.empty(0, np.complex128)
    if weights.ndim != 1 or not len(weights) or not np.isfinite(weights).all():
        raise LoweringError(
            "no such kernel", subject=f"{instruction.channel} at {time} dt", value=repr(kernel)[:200],
            legal='Kernel("boxcar"), or Kernel(name, weights=[...]) with one finite number per sample',
        )  # fmt: skip
    return weights


def _where(time: int, instruction: Instruction) -> str:
    return f"{instruction} at {time} dt"
