"""Programs into plainer forms: blocks into schedules, nested into flat, without subroutines, without directives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pulsed.pulse.exceptions import PulseError, UnassignedDurationError, UnassignedReferenceError
from pulsed.pulse.instructions import Directive, Instruction, Play, Reference, RelativeBarrier, TimeBlockade
from pulsed.pulse.library.waveform import Waveform
from pulsed.pulse.schedule.block import ScheduleBlock
from pulsed.pulse.schedule.timeline import Schedule, ScheduleComponent
from pulsed.pulse.transforms.alignments import AlignLeft
from pulsed.pulse.utils import is_free


def block_to_schedule(block: ScheduleBlock) -> Schedule:
    """Return the schedule of ``block``, with a time for every instruction.

    Raises:
        UnassignedReferenceError: a reference has no subroutine.
        UnassignedDurationError: a duration is still a parameter.
        PulseError: a context cannot place its parts.

    """
    parts: list[ScheduleComponent] = []
    for part in block.blocks:
        if isinstance(part, ScheduleBlock):
            parts.extend(_context_parts(part))
            continue
        if isinstance(part, Reference):
            raise UnassignedReferenceError(
                "a reference has no subroutine; assign it with assign_references",
                subject=f"ScheduleBlock {block.name!r}",
                value=part.ref_keys,
            )
        if is_free(part.duration):
            raise UnassignedDurationError(
                "a duration is not assigned; see the block's parameters",
                subject=f"ScheduleBlock {block.name!r}",
                value=str(part),
            )
        parts.append(part)
    times = block.alignment_context.times(parts)
    return Schedule(*zip(times, parts, strict=True), name=block.name, metadata=dict(block.metadata))


def _context_parts(block: ScheduleBlock) -> list[ScheduleComponent]:
    """Return the schedule of a nested block and, if its context has a duration of its own, a boundary at its end.

    Both are aligned by the context around them, as in qiskit.pulse.
    """
    schedule = block_to_schedule(block)
    total = getattr(block.alignment_context, "duration", None)
    if total is None or total == schedule.duration:
        return [schedule]
    if total < schedule.duration:
        raise PulseError(
            "the parts are longer than the duration of their context",
            subject=f"ScheduleBlock {block.name!r}",
            value=schedule.duration,
            legal=f"at most {total}",
        )
    return [schedule, Schedule((total - schedule.duration, RelativeBarrier(*block.channels)))]


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
    """Return ``schedules`` in which equal waveforms are one object."""
    kept: dict[bytes, Play] = {}

    def shared(instruction: Instruction) -> Instruction:
        if not isinstance(instruction, Play) or not isinstance(instruction.pulse, Waveform):
            return instruction
        first = kept.setdefault(instruction.pulse.shape_key, instruction)
        if first.pulse is instruction.pulse:
            return instruction
        return Play(first.pulse, instruction.channel, name=instruction.name)

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
