"""Schedule: instructions at integer times."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NoReturn, Self, TypeAlias, Union

import numpy as np
from qiskit.circuit import Parameter, ParameterExpression

from pulsed.pulse.channels import Channel
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.filters import Rule, composite_filter, filter_instructions
from pulsed.pulse.foreign import adopted
from pulsed.pulse.instructions import Instruction
from pulsed.pulse.program import PulseProgram
from pulsed.pulse.schedule.timeslots import Interval, Overlap, TimeSlots, merge, place
from pulsed.pulse.utils import Value, instruction_duration_validation, resolve

ScheduleComponent: TypeAlias = Union["Schedule", Instruction]
TimedInstruction: TypeAlias = tuple[int, Instruction]


class Schedule(PulseProgram):
    """Instructions on channels at integer multiples of dt; no channel does two things at once.

    Schedules nest. An inserted schedule is taken as it is at that moment: changing it later does not change the
    schedule that holds it.

    Args:
        *schedules: instructions or schedules, at time zero or as (time, instruction or schedule).
        name: by default ``sched`` and a number.
        metadata: anything the user wants to keep with the schedule.

    Raises:
        PulseError: times that are negative or no integers, overlaps, or something that is no instruction.
        UnassignedDurationError: a duration that is still a parameter; use a :class:`ScheduleBlock`.

    """

    prefix: ClassVar[str] = "sched"
    instances_counter: ClassVar[itertools.count[int]] = itertools.count()

    def __init__(
        self,
        *schedules: ScheduleComponent | tuple[int, ScheduleComponent],
        name: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{self.prefix}{next(self.instances_counter)}" if name is None else str(name), metadata)
        self._children: list[tuple[int, ScheduleComponent]] = []
        self._timeslots: TimeSlots = {}
        self._duration = 0
        self._sorted: tuple[TimedInstruction, ...] | None = None
        for item in schedules:
            time, component = item if isinstance(item, tuple) else (0, item)
            self._insert(time, component)

    @classmethod
    def from_instructions(cls, timed: Iterable[TimedInstruction], name: str | None = None) -> Self:
        """Return the schedule of many instructions; fastest when they are in order of time on each channel.

        The same as inserting them one by one, with the same errors.
        """
        new = cls(name=name)
        new.insert_all(timed)
        return new

    def insert_all(self, timed: Iterable[TimedInstruction]) -> None:
        """Insert many instructions in place, see :meth:`from_instructions`."""
        slots, children, end = self._timeslots, self._children, 0
        for time, instruction in timed:
            duration = instruction.duration
            if type(time) is not int or type(duration) is not int or time < 0:
                self._insert(time, instruction)
                continue
            span = (time, time + duration)
            channels = instruction.channels
            if len(channels) == 1 and (taken := slots.get(channels[0])) is not None and taken[-1][1] <= time:
                taken.append(span)
                children.append((time, instruction))
                end = max(end, span[1])
            else:
                self._insert(time, instruction)
        self._duration = max(self._duration, end)
        self._sorted = None

    @classmethod
    def initialize_from(cls, other_program: Any, name: str | None = None) -> Self:
        """Return an empty schedule with the name and metadata of ``other_program``."""
        metadata = dict(other_program.metadata)
        return cls(name=other_program.name if name is None else name, metadata=metadata)

    @property
    def timeslots(self) -> TimeSlots:
        """For each channel the sorted (start, stop) of its instructions."""
        return self._timeslots

    @property
    def duration(self) -> int:
        """Time at which the last child ends, in dt; an empty schedule that was inserted counts as such."""
        return self._duration

    @property
    def start_time(self) -> int:
        """Time at which the first instruction starts."""
        return self.ch_start_time(*self._timeslots)

    @property
    def stop_time(self) -> int:
        """The duration."""
        return self._duration

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels in use, in the order of their first insertion."""
        return tuple(self._timeslots)

    @property
    def children(self) -> tuple[tuple[int, ScheduleComponent], ...]:
        """What was inserted, with its times, in the order of insertion."""
        return tuple(self._children)

    @property
    def instructions(self) -> tuple[TimedInstruction, ...]:
        """All instructions with their times, sorted by time, duration and channel names; nested ones included."""
        if self._sorted is None:
            self._sorted = tuple(sorted(self.unordered(), key=_order))
        return self._sorted

    def unordered(self) -> Sequence[TimedInstruction]:
        """Return all instructions with their times, nested ones included, without the cost of sorting them."""
        if self._sorted is not None:
            return self._sorted
        flat: list[TimedInstruction] = []
        for time, child in self._children:
            if isinstance(child, Schedule):
                flat.extend((time + inner, instruction) for inner, instruction in child.unordered())
            else:
                flat.append((time, child))
        return flat

    @property
    def parameters(self) -> set[Parameter]:
        """The parameters that have no value yet."""
        found: set[Parameter] = set()
        for _, instruction in self.instructions:
            found |= instruction.parameters
        return found

    def is_parameterized(self) -> bool:
        """Return whether a parameter has no value yet."""
        return any(instruction.is_parameterized() for _, instruction in self.instructions)

    def ch_duration(self, *channels: Channel) -> int:
        """Return the time at which the last instruction on any of ``channels`` ends; 0 if there is none."""
        return self.ch_stop_time(*channels)

    def ch_start_time(self, *channels: Channel) -> int:
        """Return the time at which the first instruction on any of ``channels`` starts; 0 if there is none."""
        return min((self._timeslots[channel][0][0] for channel in channels if channel in self._timeslots), default=0)

    def ch_stop_time(self, *channels: Channel) -> int:
        """Return the time at which the last instruction on any of ``channels`` ends; 0 if there is none."""
        return max((self._timeslots[channel][-1][1] for channel in channels if channel in self._timeslots), default=0)

    def insert(
        self, start_time: int, schedule: ScheduleComponent, name: str | None = None, inplace: bool = False
    ) -> Schedule:
        """Return this schedule with ``schedule`` at ``start_time``.

        Args:
            start_time: in dt.
            schedule: an instruction or schedule; a long one costs time linear in its length.
            name: of the result, by default this one's; not used in place.
            inplace: change and return this schedule; if that fails it is unchanged.

        """
        if not inplace:
            return self.copy(name).insert(start_time, schedule, inplace=True)
        self._insert(start_time, schedule)
        return self

    def append(self, schedule: ScheduleComponent, name: str | None = None, inplace: bool = False) -> Schedule:
        """Return this schedule with ``schedule`` where the last instruction on a common channel ends."""
        if not isinstance(schedule, (Schedule, Instruction)):
            schedule = _component(schedule)
        common = [channel for channel in schedule.channels if channel in self._timeslots]
        return self.insert(self.ch_stop_time(*common), schedule, name, inplace)

    def shift(self, time: int, name: str | None = None, inplace: bool = False) -> Schedule:
        """Return this schedule later by ``time`` dt; a negative time must not lead before zero."""
        time = _checked_time(time)
        for channel, intervals in self._timeslots.items():
            if intervals[0][0] + time < 0:
                raise PulseError(
                    f"an instruction on {channel} would start before time 0",
                    subject=f"Schedule {self._name!r}",
                    value=intervals[0][0] + time,
                )
        if not inplace:
            return self.copy(name).shift(time, inplace=True)
        self._children = [(start + time, child) for start, child in self._children]
        self._timeslots = {
            channel: [(start + time, stop + time) for start, stop in intervals]
            for channel, intervals in self._timeslots.items()
        }
        self._duration += time
        self._sorted = None
        return self

    def replace(self, old: ScheduleComponent, new: ScheduleComponent, inplace: bool = False) -> Schedule:
        """Return this schedule with ``new`` for every child that equals ``old``, at any depth, at the same times.

        Raises:
            PulseError: ``new`` overlaps with something else.

        """
        try:
            replaced = _replaced(self, old, new)
        except PulseError as error:
            raise PulseError(f"replacement of {old} with {new} results in overlapping instructions: {error}") from error
        return self._become(replaced) if inplace else replaced

    def where(self, rule: Rule) -> Self:
        """Return a flat schedule of the (time, instruction) for which ``rule`` is true."""
        new = self.initialize_from(self)
        new.insert_all(timed for timed in self.instructions if rule(timed))
        return new

    def filter(
        self,
        *filter_funcs: Callable[[TimedInstruction], bool],
        channels: Iterable[Channel] | Channel | None = None,
        instruction_types: Iterable[type] | type | None = None,
        time_ranges: Iterable[Interval] | None = None,
        intervals: Iterable[Interval] | None = None,
        check_subroutine: bool = True,
    ) -> Schedule:
        """Return a flat schedule of the instructions that pass all filters.

        Args:
            *filter_funcs: each gets (time, instruction) and returns whether to keep it.
            channels: keep instructions on one of these.
            instruction_types: keep instances of one of these.
            time_ranges: keep what lies wholly within one of these (start, stop).
            intervals: the same as ``time_ranges``.
            check_subroutine: kept for old programs; nested schedules are always looked into.

        """
        rules = composite_filter(channels, instruction_types, time_ranges, intervals)
        return filter_instructions(self, [*rules, *filter_funcs])

    def exclude(
        self,
        *filter_funcs: Callable[[TimedInstruction], bool],
        channels: Iterable[Channel] | Channel | None = None,
        instruction_types: Iterable[type] | type | None = None,
        time_ranges: Iterable[Interval] | None = None,
        intervals: Iterable[Interval] | None = None,
        check_subroutine: bool = True,
    ) -> Schedule:
        """Return a flat schedule without the instructions that :meth:`filter` would keep."""
        rules = composite_filter(channels, instruction_types, time_ranges, intervals)
        return filter_instructions(self, [*rules, *filter_funcs], negate=True)

    def assign_parameters(self, value_dict: Mapping[Any, Value], inplace: bool = True) -> Schedule:
        """Return this schedule with values for its parameters.

        Args:
            value_dict: parameter, parameter vector or name → number, expression, or sequence for a vector.
            inplace: change and return this schedule; if that fails it is unchanged.

        Raises:
            PulseError: a value that is not legal where it is used, or instructions that overlap with it.

        """
        assigned = self.assigned(resolve(value_dict, self.parameters))
        return self._become(assigned) if inplace else assigned

    def assigned(self, values: Mapping[Parameter, Value]) -> Schedule:
        """Return this schedule with ``values`` put in for its parameters."""
        children = [(time, child.assigned(values)) for time, child in self._children]
        return Schedule(*children, name=self._name, metadata=dict(self._metadata))

    def _insert(self, time: int, component: ScheduleComponent) -> None:
        if type(time) is not int:
            time = _checked_time(time)
        try:
            if isinstance(component, Instruction):
                duration = component.duration
                if type(duration) is not int:
                    instruction_duration_validation(duration)
                if time < 0:
                    self._refuse_negative(time, component)
                stop = time + duration
                place(self._timeslots, component.channels, (time, stop))
                self._children.append((time, component))
            elif isinstance(component, Schedule):
                if time < 0 and component.children and component.start_time + time < 0:
                    self._refuse_negative(time, component)
                # taken as it is now: what happens to it later must not leave stale intervals here
                component = component.copy()
                merge(self._timeslots, component.timeslots, time)
                self._children.append((time, component))
                stop = time + component.duration
            else:
                self._insert(time, _component(component))
                return
        except Overlap as overlap:
            raise self._overlap_error(time, component, overlap) from None
        self._duration = max(self._duration, stop)
        self._sorted = None

    def _refuse_negative(self, time: int, component: ScheduleComponent) -> NoReturn:
        raise PulseError(
            f"an instruction on {', '.join(map(str, component.channels))} would start before time 0",
            subject=f"Schedule {self._name!r}",
            value=time,
            legal="times from 0 on",
        )

    def _overlap_error(self, time: int, component: ScheduleComponent, overlap: Overlap) -> PulseError:
        what = f"Schedule {component.name!r}" if isinstance(component, Schedule) else f"{component}"
        return PulseError(
            f"{what} cannot be inserted at time {time}: on {overlap.channel} it plays from {overlap.new[0]} to "
            f"{overlap.new[1]} and overlaps with an instruction from {overlap.old[0]} to {overlap.old[1]}",
            subject=f"Schedule {self._name!r}",
        )

    def copy(self, name: str | None = None) -> Schedule:
        """Return a copy, whose changes leave this schedule as it is; ``name``: of the copy, by default this one's."""
        new = Schedule(name=self._name if name is None else name, metadata=dict(self._metadata))
        return new._become(self)

    def _become(self, other: Schedule) -> Schedule:
        """Hold what ``other`` holds."""
        self._children = list(other.children)
        self._timeslots = {channel: intervals.copy() for channel, intervals in other.timeslots.items()}
        self._duration, self._sorted = other.duration, other._sorted
        return self

    def __add__(self, other: ScheduleComponent) -> Schedule:
        return self.append(other)

    def __or__(self, other: ScheduleComponent) -> Schedule:
        return self.insert(0, other)

    def __lshift__(self, time: int) -> Schedule:
        return self.shift(time)

    def __len__(self) -> int:
        return len(self.instructions)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return False
        return self._timeslots.keys() == other.timeslots.keys() and self.instructions == other.instructions

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = [*map(str, self.instructions[:50]), *(["..."] if len(self.instructions) > 50 else [])]
        return f'Schedule({", ".join(shown)}, name="{self._name}")'


Instruction.schedule_type = Schedule


def _replaced(schedule: Schedule, old: ScheduleComponent, new: ScheduleComponent) -> Schedule:
    changed: list[tuple[int, ScheduleComponent]] = []
    for time, child in schedule.children:
        if child == old:
            changed.append((time, new))
        else:
            changed.append((time, _replaced(child, old, new) if isinstance(child, Schedule) else child))
    return Schedule(*changed, name=schedule.name, metadata=dict(schedule.metadata))


def _order(timed: TimedInstruction) -> tuple[int, Any, list[str]]:
    time, instruction = timed
    names = [channel.name for channel in instruction.channels]
    if len(names) > 1:
        names.sort()
    return time, instruction.duration, names


def _checked_time(time: Any) -> int:
    if not isinstance(time, (int, np.integer)) or isinstance(time, bool):
        shown = str(time) if isinstance(time, ParameterExpression) else time
        raise PulseError("start time must be an integer number of dt", subject="Schedule", value=shown)
    return int(time)


def _component(thing: Any) -> Schedule:
    """Return a schedule of another language as ours. Raises :class:`PulseError` for what is no schedule."""
    found = adopted(thing)
    if not isinstance(found, Schedule):
        raise _not_a_component(thing)
    return found


def _not_a_component(thing: object) -> PulseError:
    return PulseError(
        "cannot be part of a Schedule",
        subject=type(thing).__name__,
        value=thing,
        legal="an instruction or a Schedule; a ScheduleBlock after transforms.block_to_schedule",
    )
