"""Choosing instructions of a program by channel, kind and time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, Self, TypeAlias, TypeVar

import numpy as np

from pulsed.pulse.channels import Channel
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import Instruction

Rule: TypeAlias = Callable[[Any], bool]
"""Gets (time, instruction), or an instruction of a block, and returns whether to keep it."""


class Filterable(Protocol):
    """A program that can be filtered: a Schedule or a ScheduleBlock."""

    def where(self, rule: Rule) -> Self:
        """Return a program of the instructions for which ``rule`` is true."""


FilterableT = TypeVar("FilterableT", bound=Filterable)


def filter_instructions(
    sched: FilterableT, filters: list[Rule], negate: bool = False, recurse_subroutines: bool = True
) -> FilterableT:
    """Return a program of the instructions of ``sched`` that pass all ``filters``.

    Args:
        sched: a Schedule, whose filtered copy is flat, or a ScheduleBlock, whose filtered copy keeps its nesting.
        filters: each gets (time, instruction) for a Schedule and an instruction for a ScheduleBlock.
        negate: keep those that do not pass instead.
        recurse_subroutines: kept for old programs; nested programs are always looked into.

    Raises:
        PulseError: ``sched`` is neither.

    """
    if not hasattr(sched, "where"):
        raise PulseError("only a Schedule or ScheduleBlock can be filtered", value=type(sched).__name__)
    return sched.where(lambda item: all(rule(item) for rule in filters) is not negate)


def composite_filter(
    channels: Iterable[Channel] | Channel | None = None,
    instruction_types: Iterable[type] | type | None = None,
    time_ranges: Iterable[tuple[int, int]] | None = None,
    intervals: Iterable[tuple[int, int]] | None = None,
) -> list[Rule]:
    """Return the rules for all arguments that are given, as ``Schedule.filter`` takes them."""
    rules = []
    if channels is not None:
        rules.append(with_channels(channels))
    if instruction_types is not None:
        rules.append(with_instruction_types(instruction_types))
    if time_ranges is not None:
        rules.append(with_intervals(time_ranges))
    if intervals is not None:
        rules.append(with_intervals(intervals))
    return rules


def with_channels(channels: Iterable[Channel] | Channel) -> Rule:
    """Return a rule that keeps instructions on one of ``channels``."""
    wanted = set(channels) if isinstance(channels, Iterable) else {channels}
    return lambda item: not wanted.isdisjoint(_instruction(item).channels)


def with_instruction_types(types: Iterable[type] | type) -> Rule:
    """Return a rule that keeps instances of one of ``types``."""
    wanted = (types,) if isinstance(types, type) else tuple(types)
    return lambda item: isinstance(_instruction(item), wanted)


def with_intervals(ranges: Iterable[tuple[int, int]] | tuple[int, int]) -> Rule:
    """Return a rule that keeps what starts and ends within one of ``ranges``, each (start, stop) in dt."""
    given: list[Any] = list(ranges)
    pairs = [tuple(given)] if len(given) == 2 and all(isinstance(end, (int, np.integer)) for end in given) else given

    def within(item: Any) -> bool:
        if isinstance(item, Instruction):
            raise PulseError("an instruction of a block has no time to filter by", value=item)
        time, instruction = item
        return any(start <= time and time + instruction.duration <= stop for start, stop in pairs)

    return within


def _instruction(item: Any) -> Instruction:
    return item if isinstance(item, Instruction) else item[1]
