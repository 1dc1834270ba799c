"""A schedule as one flat table: what both roads, from circuits and from schedules, lead to.

Rows are instructions in dt on the rows of :class:`~pulsed.compiler.wiring.Wiring`; frames are not resolved yet.
"""

from __future__ import annotations

from cmath import phase
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import sin

import numpy as np
import numpy.typing as npt
from qiskit.circuit import ParameterExpression

from pulsed.compiler.envelopes import EnvelopeTable
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
_OPAQUE = np.dtype((np.void, FLAT.itemsize))


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


_REAL = 1e-9
"""Largest imaginary part of what counts as real, relative to full scale."""

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
    """Return the FLAT rows of timed instructions (dt, in any order), sorted by time, length and name of the channel.

    Values without a number are appended to ``late``, and are 0 in the rows. Raises :class:`LoweringError` with
    channel, instruction and time for what the rack cannot play, such values included when ``late`` is None, and
    :class:`NotLinearError` for those that ``late`` cannot hold.
    """
    reader = _Reader(wiring, table, late)
    reader.read(instructions)
    rows = _rows(np.array(reader.distinct, dtype=FLAT), np.array(reader.codes, dtype=np.int64))
    rows["time"] = reader.times
    rows["value"][reader.turned] = reader.values
    # Rows of one channel, time and length stay in the order of insertion.
    order = np.lexsort((wiring.name_order[rows["row"]], rows["length"], rows["time"]))
    if late:
        place_of = np.argsort(order)
        late[:] = sorted((replace(item, row=int(place_of[item.row])) for item in late), key=lambda item: item.row)
    return _rows(rows, order)


def _rows(table: npt.NDArray[np.void], which: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    # As bytes: numpy copies rows with fields field by field.
    return table.view(_OPAQUE)[which].view(FLAT)


class _Reader:
    """Reads the instructions of one schedule. What is played over and over is looked at once.

    Row i is at ``times[i]`` and else row ``codes[i]`` of ``distinct``; those of ``turned`` have a value of their own.
    """

    def __init__(self, wiring: Wiring, table: EnvelopeTable, late: list[Late] | None) -> None:
        self._wiring = wiring
        self._table = table
        self._late = late
        self.distinct: list[tuple[int, int, int, int, int, int, float, float]] = []
        self.times: list[int] = []
        self.codes: list[int] = []
        self.turned: list[int] = []
        self.values: list[float] = []

    def read(self, instructions: Iterable[tuple[int, Instruction]]) -> None:
        """Append the rows of ``instructions``."""
        # Pulses by identity, while the instructions keep them alive.
        known: dict[tuple[object, type, object], int] = {}
        times, codes, turned, values = self.times, self.codes, self.turned, self.values
        for time, instruction in instructions:
            kind, value = type(instruction), None
            key: tuple[object, type, object] | None = None
            if kind is Play:
                pulse, channel = instruction.operands
                key = (id(pulse), type(channel), channel.index)
            elif kind in _FRAME_KINDS:
                value, channel = instruction.operands
                if type(value) is float:
                    key = (kind, type(channel), channel.index)
            elif kind is Delay or isinstance(instruction, Delay | Directive | Snapshot):
                continue
            code = known.get(key) if key is not None else None
            if code is None:
                code, late = len(self.distinct), len(self._late or ())
                self.distinct.append(self._row(time, instruction))
                if key is not None and len(self._late or ()) == late:
                    known[key] = code
            elif value is not None:
                turned.append(len(codes))
                values.append(value)
            codes.append(code)
            times.append(time)

    def _row(self, time: int, instruction: Instruction) -> tuple[int, int, int, int, int, int, float, float]:
        if self._late is None and instruction.is_parameterized():
            names = ", ".join(sorted(str(p) for p in instruction.parameters))
            raise LoweringError(
                "this parameter has no value yet: assign_parameters first",
                subject=_where(time, instruction),
                value=names,
            )
        if isinstance(instruction, Play):
            return self._play(time, instruction)
        if isinstance(instruction, Acquire):
            return _acquire(time, instruction, self._wiring, self._table)
        return self._frame(time, instruction)

    def _play(self, time: int, instruction: Play) -> tuple[int, int, int, int, int, int, float, float]:
        row = self._wiring.row(instruction.channel)
        pulse, found = instruction.pulse, _NOTHING_LATE
        if self._late is not None and pulse.is_parameterized():
            pulse, found = _late_values(pulse, _where(time, instruction))
        envelope, peak = self._table.row(pulse, self._wiring.lines[row].ratio)
        if self._late is not None:
            factors = {"amplitude": peak, "value": 1.0}
            self._late += [Late(len(self.codes), name, value, factors[name]) for name, value in found.items()]
        amplitude, angle = _polar(pulse, found)
        if self._wiring.lines[row].baseband:
            _check_real(_where(time, instruction), self._table.rows[envelope].samples, angle, found)
        return (time, instruction.duration, row, PLAY, envelope, -1, amplitude * peak, angle)

    def _frame(self, time: int, instruction: Instruction) -> tuple[int, int, int, int, int, int, float, float]:
        kind, field = _frame_kind(time, instruction)
        value = getattr(instruction, field)
        (channel,) = instruction.channels
        row = self._wiring.row(channel)
        if self._wiring.lines[row].baseband:
            raise LoweringError(
                "a flux line has no carrier, so neither phase nor frequency", subject=_where(time, instruction),
                value=str(value), legal="pulses of real samples, and delays",
            )  # fmt: skip
        if self._late is not None and _is_late(value):
            # A frequency is 0 nowhere in the band: what is late is the way from the frame's own.
            known = self._wiring.lines[row].frequency if kind == SET_FREQUENCY else 0.0
            self._late.append(Late(len(self.codes), "value", value, offset=-known))
            value = known
        return (time, 0, row, kind, -1, -1, 0.0, float(value))


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


def _check_real(
    where: str, samples: npt.NDArray[np.complex128], angle: float, late: Mapping[str, ParameterExpression]
) -> None:
    """Refuse what a flux line cannot play: samples that are not real."""
    value = None
    if "value" in late:
        value = f"an angle of {late['value']}"
    elif abs(sin(angle)) > _REAL:
        value = f"an angle of {angle:.6g} rad"
    elif np.abs(samples.imag).max() > _REAL:
        value = "samples with an imaginary part"
    if value is not None:
        legal = "amplitudes of either sign, no angle and no imaginary part"
        raise LoweringError("a flux line plays real samples", subject=where, value=value, legal=legal)


def _frame_kind(time: int, instruction: Instruction) -> tuple[int, str]:
    try:
        return _FRAME_KINDS[type(instruction)]
    except KeyError:
        raise LoweringError("this instruction cannot be played", subject=_where(time, instruction)) from None


def _acquire(
    time: int, instruction: Acquire, wiring: Wiring, table: EnvelopeTable
) -> tuple[int, int, int, int, int, int, float, float]:
    if instruction.discriminator is not None:
        raise LoweringError(
            "an acquisition has no discriminator of its own", subject=f"{instruction.channel} at {time} dt",
            value=repr(instruction.discriminator)[:200],
            legal="none: the calibrated one classifies; with meas_level 1 the points come back as they are",
        )  # fmt: skip
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
