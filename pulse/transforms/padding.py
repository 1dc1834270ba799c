"""Transforms of schedules around their measurements and gaps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pulsed.pulse.channels import AcquireChannel, Channel, ClassicalIOChannel, DriveChannel, MeasureChannel, MemorySlot
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import Acquire, Delay, Instruction, Play
from pulsed.pulse.schedule.timeline import Schedule, ScheduleComponent


def pad(
    schedule: Schedule,
    channels: Iterable[Channel] | None = None,
    until: int | None = None,
    inplace: bool = False,
    pad_with: type[Instruction] | None = None,
) -> Schedule:
    """Return ``schedule`` with its gaps filled.

    Args:
        schedule: the program.
        channels: which to fill, by default all in use; classical ones are never filled.
        until: fill up to this time (dt), by default the schedule's end.
        inplace: change and return ``schedule``.
        pad_with: instruction of (duration, channel), by default Delay.

    Raises:
        PulseError: ``pad_with`` is no such instruction.

    """
    if pad_with is not None and not (isinstance(pad_with, type) and issubclass(pad_with, Instruction)):
        raise PulseError("pad_with must be a kind of instruction", subject="pad", value=pad_with)
    filler: Any = pad_with or Delay
    until = schedule.duration if until is None else until
    gaps = []
    for channel in schedule.channels if channels is None else channels:
        if isinstance(channel, ClassicalIOChannel):
            continue
        now = 0
        for start, stop in schedule.timeslots.get(channel, []):
            if now < min(start, until):
                gaps.append((now, filler(min(start, until) - now, channel)))
            now = max(now, stop)
        if now < until:
            gaps.append((now, filler(until - now, channel)))
    padded = schedule if inplace else schedule.shift(0)
    for time, instruction in gaps:
        padded.insert(time, instruction, inplace=True)
    return padded


def add_implicit_acquires(schedule: ScheduleComponent, meas_map: list[list[int]]) -> Schedule:
    """Return ``schedule`` in which every acquisition covers all qubits that the rack measures together.

    Args:
        schedule: the program.
        meas_map: groups of qubits measured together. An acquired qubit without memory slot gets the slot of its index.

    """
    timed: list[tuple[int, Instruction]] = []
    present = {(time, inst.channel) for time, inst in schedule.instructions if isinstance(inst, Acquire)}
    for time, instruction in schedule.instructions:
        if not isinstance(instruction, Acquire):
            timed.append((time, instruction))
            continue
        qubit = instruction.channel.index
        mem_slot = instruction.mem_slot or MemorySlot(qubit)
        others = (instruction.reg_slot, instruction.kernel, instruction.discriminator)
        timed.append(
            (time, Acquire(instruction.duration, instruction.channel, mem_slot, *others, name=instruction.name))
        )
        for other in sorted({q for group in meas_map if qubit in group for q in group}):
            channel = AcquireChannel(other)
            if (time, channel) in present:
                continue
            present.add((time, channel))
            new = Acquire(
                instruction.duration,
                channel,
                MemorySlot(other),
                kernel=instruction.kernel,
                discriminator=instruction.discriminator,
            )
            timed.append((time, new))
    return Schedule(*timed, name=schedule.name, metadata=dict(getattr(schedule, "metadata", {})))


def align_measures(
    schedules: Iterable[ScheduleComponent],
    inst_map: Any = None,
    cal_gate: str = "u3",
    max_calibration_duration: int | None = None,
    align_time: int | None = None,
    align_all: bool = True,
) -> list[Schedule]:
    """Return ``schedules`` shifted so that their measurements begin at one time.

    Args:
        schedules: programs with no pulse after a measurement on the same qubit.
        inst_map: for the duration of ``cal_gate``, when no time is given.
        cal_gate: the gate whose longest schedule bounds the beginning of the measurements.
        max_calibration_duration: the measurements do not begin before this.
        align_time: the measurements begin at this time; by default at the latest in ``schedules``.
        align_all: shift everything else along; else only the measurements.

    Raises:
        PulseError: ``align_time`` is negative or too early, or a pulse follows a measurement.

    """
    flat = [Schedule(*schedule.instructions, name=getattr(schedule, "name", None)) for schedule in schedules]
    firsts = [_first_measurement(schedule) for schedule in flat]
    if align_time is None:
        latest = max((first for first in firsts if first is not None), default=0)
        if max_calibration_duration is None and inst_map is not None:
            max_calibration_duration = _longest(inst_map, cal_gate)
        align_time = max(latest, max_calibration_duration or 0)
    elif align_time < 0:
        raise PulseError("align_time must not be negative", subject="align_measures", value=align_time)
    aligned = []
    for schedule, first in zip(flat, firsts, strict=True):
        shift = 0 if first is None else align_time - first
        timed = [
            (time + (shift if align_all or _is_measurement(instruction) else 0), instruction)
            for time, instruction in schedule.instructions
        ]
        aligned.append(Schedule(*timed, name=schedule.name, metadata=dict(schedule.metadata)))
    return aligned


def _is_measurement(instruction: Instruction) -> bool:
    return isinstance(instruction, Acquire) or (
        isinstance(instruction, Play) and isinstance(instruction.channel, MeasureChannel)
    )


def _first_measurement(schedule: Schedule) -> int | None:
    """Return the time of the first acquisition; refuse a drive pulse on a qubit after its acquisition."""
    acquired: dict[Any, int] = {}
    first = None
    for time, instruction in schedule.instructions:
        if isinstance(instruction, Acquire):
            first = time if first is None else first
            acquired[instruction.channel.index] = time
        elif (
            isinstance(instruction, Play)
            and isinstance(instruction.channel, DriveChannel)
            and instruction.channel.index in acquired
        ):
            raise PulseError(
                f"a pulse on {instruction.channel} follows the measurement of its qubit",
                subject=f"Schedule {schedule.name!r}",
                value=time,
            )
    return first


def _longest(inst_map: Any, gate: str) -> int:
    """Return the longest duration of ``gate`` over all qubits, its parameters set to zero."""
    longest = 0
    for qubits in inst_map.qubits_with_instruction(gate):
        zeros = dict.fromkeys(inst_map.get_parameters(gate, qubits), 0.0)
        longest = max(longest, inst_map.get(gate, qubits, **zeros).duration)
    return longest
