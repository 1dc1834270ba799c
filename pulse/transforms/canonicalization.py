"""Programs into plainer forms: blocks into schedules, nested into flat, without subroutines, without directives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pulsed.pulse.alignments import AlignLeft
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import Directive, Instruction, Play, RelativeBarrier, TimeBlockade
from pulsed.pulse.library.pulse import Pulse
from pulsed.pulse.schedule.block import ScheduleBlock
from pulsed.pulse.schedule.scheduling import block_to_schedule
from pulsed.pulse.schedule.timeline import Schedule


def schedule_to_block(schedule: Schedule) -> ScheduleBlock:
    """Return a left-aligned block whose schedule has the instructions of ``schedule`` at their times.

    Gaps become :class:`~pulsed.pulse.instructions.TimeBlockade`, up to the end of the schedule on every channel.
    """
    block = ScheduleBlock(name=schedule.name, metadata=dict(schedule.metadata), alignment_context=AlignLeft())
    ends = dict.fromkeys(schedule.channels, 0)
    for time, instruction in schedule.instructions:
        if isinstance(instruction, RelativeBarrier):
            continue
        for channel in instruction.channels:
            if time > ends[channel]:
                block.append(TimeBlockade(time - ends[channel], channel))
            ends[channel] = time + instruction.duration
        block.append(instruction)
    for channel, end in ends.items():
        if end < schedule.duration:
            block.append(TimeBlockade(schedule.duration - end, channel))
    return block


def flatten(program: Schedule) -> Schedule:
    """Return ``program`` with no schedule nested in it."""
    if not isinstance(program, Schedule):
        raise PulseError("only a Schedule can be flattened", value=type(program).__name__)
    return Schedule(*program.instructions, name=program.name, metadata=dict(program.metadata))


def inline_subroutines(program: Schedule | ScheduleBlock) -> Schedule | ScheduleBlock:
    """Return ``program`` with assigned references replaced by the parts of their subroutines."""
    if isinstance(program, Schedule):
        return flatten(program)
    if not isinstance(program, ScheduleBlock):
        raise PulseError("not a pulse program", value=type(program).__name__)
    inlined = ScheduleBlock.initialize_from(program)
    for part in program.blocks:
        inner = inline_subroutines(part) if isinstance(part, ScheduleBlock) else part
        inlined.append(inner)  # type: ignore[arg-type]
    return inlined


def remove_directives(schedule: Schedule) -> Schedule:
    """Return ``schedule`` without barriers and other directives."""
    return schedule.exclude(instruction_types=[Directive])


def remove_trivial_barriers(schedule: Schedule) -> Schedule:
    """Return ``schedule`` without the barriers on less than two channels."""
    return schedule.exclude(lambda timed: isinstance(timed[1], RelativeBarrier) and len(timed[1].channels) < 2)


def compress_pulses(schedules: list[Schedule]) -> list[Schedule]:
    """Return ``schedules`` in which equal pulses are one object: the first of them."""
    kept: dict[Any, list[Pulse]] = {}

    def first_of(pulse: Pulse) -> Pulse:
        # equal pulses share all but the form of amplitude and angle
        key = pulse.duration if pulse.is_parameterized() else pulse.shape_key
        alike = kept.setdefault(key, [])
        for other in alike:
            if other is pulse or other == pulse:
                return other
        alike.append(pulse)
        return pulse

    def shared(instruction: Instruction) -> Instruction:
        if not isinstance(instruction, Play):
            return instruction
        first = first_of(instruction.pulse)
        if first is instruction.pulse:
            return instruction
        return Play(first, instruction.channel, name=instruction.name)

    return [
        Schedule(
            *((time, shared(instruction)) for time, instruction in schedule.instructions),
            name=schedule.name,
            metadata=dict(schedule.metadata),
        )
        for schedule in schedules
    ]


def target_qobj_transform(sched: Any, remove_directives: bool = True) -> Schedule:
    """Return a flat schedule of any program: block, schedule, instruction, (time, instruction), or several of these.

    Args:
        sched: the program.
        remove_directives: leave barriers and other directives out.

    """
    if isinstance(sched, ScheduleBlock):
        program = block_to_schedule(sched)
    elif isinstance(sched, Schedule):
        program = sched
    elif isinstance(sched, Iterable) and not isinstance(sched, tuple):
        program = Schedule(*sched)
    else:
        program = Schedule(sched)
    if remove_directives:
        return program.exclude(instruction_types=[Directive])
    return flatten(program)
