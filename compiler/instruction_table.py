"""A schedule as one flat table: what both roads, from circuits and from schedules, lead to.

Rows are instructions in dt on the rows of :class:`~pulsed.compiler.channel_map.ChannelMap`; frames are not resolved
yet.
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

from pulsed import old_names
from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.envelopes import EnvelopeTable
from pulsed.model.errors import LoweringError
from pulsed.pulse.channels import MeasureChannel
from pulsed.pulse.configuration import is_calibrated, kernel_weights
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import (
    Acquire,
    Delay,
    Directive,
    EnterFrame,
    FrameUse,
    Instruction,
    Play,
    SetFrequency,
    SetPhase,
    ShiftFrequency,
    ShiftPhase,
    Snapshot,
)
from pulsed.pulse.library.pulse import Pulse

__getattr__ = old_names(__name__)

PLAY, SHIFT_PHASE, SET_PHASE, SHIFT_FREQUENCY, SET_FREQUENCY, ACQUIRE, FRAME = range(7)

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
"""time, length: dt; row: of the channel map; envelope: of the table (PLAY), kernel (ACQUIRE, -1 boxcar); amplitude:
full scale (PLAY), phase (rad, FRAME); value: the pulse's angle, a phase (rad), a frequency (Hz), from that of the
channel (FRAME), or 1 for a kernel of the instruction's own."""
OPAQUE = np.dtype((np.void, FLAT.itemsize))
"""FLAT as bytes: numpy copies and joins rows with fields field by field."""


@dataclass(frozen=True)
class UnboundParameter:
    """A value of a flat row that is bound later: its ``field`` grows by ``factor * (expression + offset)``."""

    row: int
    field: str
    """``"value"`` or ``"amplitude"``."""
    expression: ParameterExpression
    factor: float = 1.0
    offset: float = 0.0


class NotLinearError(LoweringError):
    """An unbound parameter changes more than phases, frequencies and amplitudes: a length, or a pulse's shape."""

    code = "not_linear"


_REAL = 1e-9
"""Largest imaginary part of what counts as real, relative to full scale."""

_NOTHING_UNBOUND: dict[str, ParameterExpression] = {}

_FRAME_KINDS: dict[type, tuple[int, str]] = {
    ShiftPhase: (SHIFT_PHASE, "phase"),
    SetPhase: (SET_PHASE, "phase"),
    ShiftFrequency: (SHIFT_FREQUENCY, "frequency"),
    SetFrequency: (SET_FREQUENCY, "frequency"),
}


def flatten(
    instructions: Iterable[tuple[int, Instruction]],
    channel_map: ChannelMap,
    table: EnvelopeTable,
    unbound: list[UnboundParameter] | None = None,
) -> npt.NDArray[np.void]:
    """Return the FLAT rows of timed instructions (dt, in any order), sorted by time, length and name of the channel.

    Values without a number are appended to ``unbound``, and are 0 in the rows. Raises :class:`LoweringError` with
    channel, instruction and time for what the rack cannot play, such values included when ``unbound`` is None, and
    :class:`NotLinearError` for those that ``unbound`` cannot hold.
    """
    reader = _InstructionReader(channel_map, table, unbound)
    reader.read(instructions)
    rows = _rows(np.array(reader.distinct, dtype=FLAT), np.array(reader.codes, dtype=np.int64))
    rows["time"] = reader.times
    rows["value"][reader.turned] = reader.values
    # Rows of one channel, time and length stay in the order of insertion.
    order = np.lexsort((channel_map.name_order[rows["row"]], rows["length"], rows["time"]))
    if unbound:
        place_of = np.argsort(order)
        unbound[:] = sorted((replace(item, row=int(place_of[item.row])) for item in unbound), key=lambda item: item.row)
    return _rows(rows, order)


def weigh(rows: npt.NDArray[np.void], channel_map: ChannelMap, table: EnvelopeTable) -> None:
    """Give acquisitions without a kernel their boxcar: over the part of the window in which their qubit is read.

    The mean over more than that would go towards 0, away from where the discriminator knows the states to be. A window
    in which nothing is played is averaged as a whole. ``rows``: FLAT, in order of time on each channel; changed.
    """
    plain = np.flatnonzero((rows["kind"] == ACQUIRE) & (rows["envelope"] < 0) & (rows["value"] == 0))
    for row in np.unique(rows["row"][plain]).tolist():
        line, mine = channel_map.lines[row], plain[rows["row"][plain] == row]
        stimulus = rows[(rows["row"] == channel_map.rows[MeasureChannel(line.qubit)]) & (rows["kind"] == PLAY)]
        begin, end = rows["time"][mine], rows["time"][mine] + rows["length"][mine]
        first = np.searchsorted(stimulus["time"] + stimulus["length"], begin, side="right")
        last = np.searchsorted(stimulus["time"], end) - 1
        for at in np.flatnonzero(first <= last).tolist():
            low = max(0, int(stimulus["time"][first[at]] - begin[at]))
            high = min(end[at], int(stimulus["time"][last[at]] + stimulus["length"][last[at]])) - begin[at]
            if (low, high) != (0, end[at] - begin[at]):
                weights = np.zeros(int((end[at] - begin[at]) * line.ratio), np.complex128)
                covered = slice(int(low * line.ratio), int(high * line.ratio))
                weights[covered] = 1 / max(1, covered.stop - covered.start)
                rows["envelope"][mine[at]] = _kernel_row(weights, table)


def _rows(table: npt.NDArray[np.void], which: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    return table.view(OPAQUE)[which].view(FLAT)


class _InstructionReader:
    """Reads the instructions of one schedule. What is played over and over is looked at once.

    Row i is at ``times[i]`` and else row ``codes[i]`` of ``distinct``; those of ``turned`` have a value of their own.
    """

    def __init__(self, channel_map: ChannelMap, table: EnvelopeTable, unbound: list[UnboundParameter] | None) -> None:
        self._channel_map = channel_map
        self._table = table
        self._unbound = unbound
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
                code, unbound = len(self.distinct), len(self._unbound or ())
                self.distinct.append(self._row(time, instruction))
                if key is not None and len(self._unbound or ()) == unbound:
                    known[key] = code
            elif value is not None:
                turned.append(len(codes))
                values.append(value)
            codes.append(code)
            times.append(time)

    def _row(self, time: int, instruction: Instruction) -> tuple[int, int, int, int, int, int, float, float]:
        if self._unbound is None and instruction.is_parameterized():
            names = ", ".join(sorted(str(p) for p in instruction.parameters))
            raise LoweringError(
                "this parameter has no value yet: assign_parameters first",
                subject=_where(time, instruction),
                value=names,
            )
        if isinstance(instruction, Play):
            return self._play(time, instruction)
        if isinstance(instruction, Acquire):
            return _acquire(time, instruction, self._channel_map, self._table)
        if isinstance(instruction, FrameUse):
            return self._use(time, instruction)
        return self._frame(time, instruction)

    def _play(self, time: int, instruction: Play) -> tuple[int, int, int, int, int, int, float, float]:
        row = self._channel_map.row(instruction.channel)
        pulse, found = instruction.pulse, _NOTHING_UNBOUND
        if self._unbound is not None and pulse.is_parameterized():
            pulse, found = _late_values(pulse, _where(time, instruction))
        envelope, peak = self._table.row(pulse, self._channel_map.lines[row].ratio)
        if self._unbound is not None:
            factors = {"amplitude": peak, "value": 1.0}
            self._unbound += [
                UnboundParameter(len(self.codes), name, value, factors[name]) for name, value in found.items()
            ]
        amplitude, angle = _polar(pulse, found)
        if self._channel_map.lines[row].baseband:
            _check_real(_where(time, instruction), self._table.rows[envelope].samples, angle, found)
        return (time, instruction.duration, row, PLAY, envelope, -1, amplitude * peak, angle)

    def _use(self, time: int, use: FrameUse) -> tuple[int, int, int, int, int, int, float, float]:
        row = self._channel_map.row(use.channel)
        line = self._channel_map.lines[row]
        if line.baseband:
            raise _no_carrier(time, use, use.frequency)
        sign = 1.0 if isinstance(use, EnterFrame) else -1.0
        return (time, 0, row, FRAME, -1, -1, sign * use.phase, sign * (use.frequency - line.frequency))

    def _frame(self, time: int, instruction: Instruction) -> tuple[int, int, int, int, int, int, float, float]:
        kind, field = _frame_kind(time, instruction)
        value = getattr(instruction, field)
        (channel,) = instruction.channels
        row = self._channel_map.row(channel)
        if self._channel_map.lines[row].baseband:
            raise _no_carrier(time, instruction, value)
        if self._unbound is not None and _is_unbound(value):
            # A frequency is 0 nowhere in the band: what is unbound is the way from the frame's own.
            known = self._channel_map.lines[row].frequency if kind == SET_FREQUENCY else 0.0
            self._unbound.append(UnboundParameter(len(self.codes), "value", value, offset=-known))
            value = known
        return (time, 0, row, kind, -1, -1, 0.0, float(value))


def _no_carrier(time: int, instruction: Instruction, value: object) -> LoweringError:
    return LoweringError(
        "a flux line has no carrier, so neither phase nor frequency", subject=_where(time, instruction),
        value=str(value), legal="pulses of real samples, and delays",
    )  # fmt: skip


def _late_values(pulse: Pulse, where: str) -> tuple[Pulse, dict[str, ParameterExpression]]:
    """Return ``pulse`` with numbers for its unbound parameters, and those: of its amplitude and angle, no others."""
    unbound = {name: value for name, value in pulse.parameters.items() if _is_unbound(value)}
    other = sorted(set(unbound) - {"amp", "angle"})
    if other:
        raise NotLinearError("an unbound parameter of the pulse's shape", subject=where, value=", ".join(other))
    plain = pulse.assigned(dict.fromkeys(pulse.free_parameters, 0.0))
    return plain, {"amplitude" if name == "amp" else "value": value for name, value in unbound.items()}


def _is_unbound(value: object) -> bool:
    return isinstance(value, ParameterExpression) and bool(value.parameters)


def _polar(pulse: Pulse, unbound: Mapping[str, ParameterExpression]) -> tuple[float, float]:
    """Return amplitude and angle of ``pulse``, without what is unbound."""
    if not unbound:
        scale = complex(pulse.scale)
        return abs(scale), phase(scale)
    amp, angle = complex(pulse.parameters["amp"]), float(pulse.parameters["angle"])
    amplitude, turn = (0.0, 0.0) if "amplitude" in unbound else (abs(amp), float(np.angle(amp)))
    return amplitude, turn + (0.0 if "value" in unbound else angle)


def _check_real(
    where: str, samples: npt.NDArray[np.complex128], angle: float, unbound: Mapping[str, ParameterExpression]
) -> None:
    """Refuse what a flux line cannot play: samples that are not real."""
    value = None
    if "value" in unbound:
        value = f"an angle of {unbound['value']}"
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
    time: int, instruction: Acquire, channel_map: ChannelMap, table: EnvelopeTable
) -> tuple[int, int, int, int, int, int, float, float]:
    if not is_calibrated(instruction.discriminator):
        raise LoweringError(
            "an acquisition has no discriminator of its own", subject=f"{instruction.channel} at {time} dt",
            value=repr(instruction.discriminator)[:200],
            legal='Discriminator("calibrated"), or none; with meas_level 1 the points come back as they are',
        )  # fmt: skip
    if instruction.reg_slot is not None:
        raise LoweringError(
            "the rack has no registers", subject=f"{instruction.channel} at {time} dt", value=instruction.reg_slot,
            legal="a MemorySlot alone",
        )  # fmt: skip
    slot = -1 if instruction.mem_slot is None else instruction.mem_slot.index
    kernel = _kernel(time, instruction, channel_map, table)
    row, own = channel_map.row(instruction.channel), float(not is_calibrated(instruction.kernel))
    return (time, instruction.duration, row, ACQUIRE, kernel, slot, 0.0, own)


def _kernel(time: int, instruction: Acquire, channel_map: ChannelMap, table: EnvelopeTable) -> int:
    """Return the row of an acquisition's weights: its own, -1 for a boxcar, else the calibrated ones."""
    line = channel_map.lines[channel_map.row(instruction.channel)]
    subject, weights = f"Q{line.qubit}.readout.kernel", channel_map.kernels.get(line.qubit)
    own = None if is_calibrated(instruction.kernel) else instruction.kernel
    if own is not None:
        subject = f"{instruction.channel} at {time} dt"
        try:
            weights = kernel_weights(own, instruction.duration, line.ratio)
        except PulseError as error:
            raise LoweringError(error.message, subject=subject, value=error.value, legal=error.legal) from error
    if weights is None:
        return -1
    if len(weights) != instruction.duration * line.ratio:
        raise LoweringError(
            f"the kernel has another length than the acquisition on {instruction.channel.name}", subject=subject,
            value=f"{len(weights)} samples", legal=f"{instruction.duration * line.ratio} samples",
        )  # fmt: skip
    return _kernel_row(weights, table)


def _kernel_row(weights: npt.NDArray[np.complex128], table: EnvelopeTable) -> int:
    return table.add(blake2b(weights.tobytes(), digest_size=16, person=b"kernel").digest(), weights)


def _where(time: int, instruction: Instruction) -> str:
    return f"{instruction} at {time} dt"
