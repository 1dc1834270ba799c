"""From a block to a schedule: a time for every instruction."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from pulsed.pulse.alignments import AlignmentKind
from pulsed.pulse.channels import Channel
from pulsed.pulse.exceptions import PulseError, UnassignedDurationError, UnassignedReferenceError
from pulsed.pulse.instructions import (
    BeginOffset,
    Directive,
    EndOffset,
    Instruction,
    Reference,
    RelativeBarrier,
    ShiftFrequency,
    TimeBlockade,
)
from pulsed.pulse.schedule.timeline import Schedule, ScheduleComponent
from pulsed.pulse.utils import is_free


class BlockLike(Protocol):
    """What is read of a ScheduleBlock, which lies above: it asks for its own times."""

    @property
    def name(self) -> str:
        """Name for display."""

    @property
    def metadata(self) -> dict[str, Any]:
        """What the user keeps with the block."""

    @property
    def alignment_context(self) -> AlignmentKind:
        """How the parts get their times."""

    @property
    def blocks(self) -> Sequence[Any]:
        """The parts in order: instructions and blocks."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels in use."""


class _Gap(TimeBlockade):
    """Before the first and after the last part of a context with a duration of its own, while it is being placed."""

    __slots__ = ()


def block_to_schedule(block: BlockLike, *, as_qiskit: bool = False) -> Schedule:
    """Return the schedule of ``block``, with a time for every instruction.

    A nested context with a duration of its own, such as AlignEquispaced, takes all of it on each of its channels.

    Args:
        block: the program.
        as_qiskit: give it the times of Qiskit 1.4 instead, where a nested context lost the gap at its beginning to what
            came before, or had it doubled when nothing did.

    Raises:
        UnassignedReferenceError: a reference has no subroutine.
        UnassignedDurationError: a duration is still a parameter.
        PulseError: a context cannot place its parts.

    Warns:
        UserWarning: the times are not those of Qiskit 1.4.

    """
    placed = _placed(block, as_qiskit)
    if as_qiskit or not any(isinstance(instruction, _Gap) for _, instruction in placed.unordered()):
        return placed
    schedule = _without_gaps(placed)
    if _differs(schedule, block):
        warnings.warn(
            f"ScheduleBlock {block.name!r} plays at other times than in Qiskit 1.4: a nested align_equispaced or "
            "align_func keeps the gaps at its ends; block_to_schedule(block, as_qiskit=True) gives those of 1.4",
            UserWarning,
            stacklevel=2,
        )
    return schedule


def _differs(schedule: Schedule, block: BlockLike) -> bool:
    try:
        theirs = _placed(block, as_qiskit=True)
    except PulseError:
        return True
    return _without_directives(schedule) != _without_directives(theirs)


def _without_directives(schedule: Schedule) -> Schedule:
    return schedule.exclude(instruction_types=[Directive])


def _without_gaps(schedule: Schedule) -> Schedule:
    """Return ``schedule`` without gaps, as long as it was."""
    kept = [
        (time, _without_gaps(child) if isinstance(child, Schedule) else child)
        for time, child in schedule.children
        if not isinstance(child, _Gap)
    ]
    made = Schedule(*kept, name=schedule.name, metadata=dict(schedule.metadata))
    return made if made.duration == schedule.duration else made.insert(schedule.duration, Schedule(), inplace=True)


def _placed(block: BlockLike, as_qiskit: bool) -> Schedule:
    parts: list[ScheduleComponent] = []
    for part in block.blocks:
        if not isinstance(part, Instruction):
            parts.extend(_context_parts(part, as_qiskit))
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
    timed = _compensated(zip(times, parts, strict=True), block)
    return Schedule(*timed, name=block.name, metadata=dict(block.metadata))


def _compensated(
    timed: Iterable[tuple[int, ScheduleComponent]], block: BlockLike
) -> Iterator[tuple[int, ScheduleComponent]]:
    """Yield parts in their order, with phases for the ends of offsets, which begin and end in one block."""
    began: dict[Channel, list[int]] = {}
    for time, part in timed:
        if isinstance(part, BeginOffset):
            began.setdefault(part.channel, []).append(time)
            yield time, ShiftFrequency(part.frequency, part.channel, part.name)
        elif isinstance(part, EndOffset):
            if not began.get(part.channel):
                raise PulseError(
                    "an offset ends that has not begun", subject=f"ScheduleBlock {block.name!r}", value=str(part)
                )
            yield time, part.turned_back(time - began[part.channel].pop())
        else:
            yield time, part


def _context_parts(block: BlockLike, as_qiskit: bool) -> list[ScheduleComponent]:
    """Return the schedule of a nested block; if its context has a duration of its own, with gaps at its ends.

    As in qiskit.pulse: without gaps, but with a boundary at its end as a part of its own. Both are aligned by the
    context around them.
    """
    schedule = _placed(block, as_qiskit)
    total = getattr(block.alignment_context, "duration", None)
    if total is None:
        return [schedule]
    if total < schedule.duration:
        raise PulseError(
            "the parts are longer than the duration of their context",
            subject=f"ScheduleBlock {block.name!r}",
            value=schedule.duration,
            legal=f"at most {total}",
        )
    if as_qiskit:
        boundary = Schedule((total - schedule.duration, RelativeBarrier(*block.channels)))
        return [schedule] if total == schedule.duration else [schedule, boundary]
    for channel, slots in list(schedule.timeslots.items()):
        first, last = slots[0][0], slots[-1][1]
        if first:
            schedule.insert(0, _Gap(first, channel), inplace=True)
        if last < total:
            schedule.insert(last, _Gap(total - last, channel), inplace=True)
    if schedule.duration < total:
        schedule.insert(total, Schedule(), inplace=True)
    return [schedule]
