"""Transforms of schedules around their measurements and gaps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pulsed.pulse.channels import AcquireChannel, Channel, ClassicalIOChannel, MeasureChannel, MemorySlot
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import Acquire, Delay, Instruction
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
    """Return ``schedules`` shifted so that their measurements begin at one time, with the times of Qiskit 1.4.

    The first acquisition of each qubit comes to the common time, and with it all that is on the qubit's measure and
    acquire channels. What is on other channels is shifted by as much as the measurement before it in the schedule.

    Args:
        schedules: the programs.
        inst_map: for the duration of ``cal_gate``, when no time is given.
        cal_gate: the gate whose longest schedule bounds the beginning of the measurements.
        max_calibration_duration: the measurements do not begin before this.
        align_time: the measurements begin at this time; by default at the latest first acquisition in ``schedules``.
        align_all: shift what comes before the first measurement too, by as much as the latest first acquisition; of a
            schedule that acquires nothing the end comes to the common time.

    Raises:
        PulseError: ``align_time`` is negative, or so early that something would begin before 0.

    """
    flat = [schedule if isinstance(schedule, Schedule) else Schedule(schedule) for schedule in schedules]
    firsts = [_first_acquisitions(schedule) for schedule in flat]
    if align_time is None:
        if max_calibration_duration is None:
            max_calibration_duration = 0 if inst_map is None else _longest(inst_map, cal_gate)
        align_time = max([max_calibration_duration, *(time for first in firsts for time in first.values())])
    elif align_time < 0:
        raise PulseError("align_time must not be negative", subject="align_measures", value=align_time)
    return [_aligned(*pair, align_time, align_all) for pair in zip(flat, firsts, strict=True)]


def _first_acquisitions(schedule: Schedule) -> dict[int, int]:
    """Return the time of the first acquisition of each qubit."""
    firsts: dict[int, int] = {}
    for time, instruction in schedule.instructions:
        if isinstance(instruction, Acquire):
            firsts.setdefault(instruction.channel.index, time)
    return firsts


def _aligned(schedule: Schedule, firsts: dict[int, int], align_time: int, align_all: bool) -> Schedule:
    shift = align_time - max(firsts.values(), default=schedule.duration) if align_all else 0
    timed = []
    for time, instruction in schedule.instructions:
        qubits = [line.index for line in instruction.channels if isinstance(line, (MeasureChannel, AcquireChannel))]
        known = [firsts[qubit] for qubit in qubits if qubit in firsts]
        if known:
            shift = align_time - max(known)
        timed.append((time + shift, instruction))
    return Schedule(*timed, name=schedule.name, metadata=dict(schedule.metadata))


def _longest(inst_map: Any, gate: str) -> int:
    """Return the longest duration of ``gate`` over all qubits, its parameters set to zero."""
    longest = 0
    for qubits in inst_map.qubits_with_instruction(gate):
        zeros = dict.fromkeys(inst_map.get_parameters(gate, qubits), 0.0)
        longest = max(longest, inst_map.get(gate, qubits, **zeros).duration)
    return longest
