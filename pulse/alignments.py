"""Alignment contexts: how a block turns the order of its parts into times.

Each gets parts with known extents on their channels, and returns a start time (dt) for each.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from qiskit.circuit import Parameter, ParameterExpression

from pulsed.pulse.channels import Channel
from pulsed.pulse.exceptions import PulseError, UnassignedDurationError
from pulsed.pulse.program import PulseProgram
from pulsed.pulse.utils import Value, bind, checked_duration, parameters_of

AnySchedule = TypeVar("AnySchedule", bound=PulseProgram)
# a Schedule, which lies above this module


class AlignedPart(Protocol):
    """What a context gives a time to: an instruction or a schedule, of known duration."""

    @property
    def duration(self) -> Any:
        """In dt."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels in use."""

    def ch_stop_time(self, *channels: Channel) -> Any:
        """Return the time at which the last instruction on any of ``channels`` ends, in dt."""


class AlignmentKind(ABC):
    """Base of the alignment contexts; an immutable value."""

    __slots__ = ("_context_params",)
    is_sequential: bool = True

    def __init__(self, context_params: tuple[Value, ...] = ()) -> None:
        self._context_params = context_params

    @abstractmethod
    def times(self, parts: Sequence[AlignedPart]) -> list[int]:
        """Return the start time of each part, in dt.

        Raises:
            PulseError: the parts cannot be placed.
            UnassignedDurationError: the context's own duration is still a parameter.

        """

    def align(self, schedule: AnySchedule) -> AnySchedule:
        """Return ``schedule`` with its children at the times of this context."""
        given: Any = schedule
        parts = [child for _, child in given.children]
        aligned = given.initialize_from(given)
        for time, part in zip(self.times(parts), parts, strict=True):
            aligned.insert(time, part, inplace=True)
        return aligned  # type: ignore[no-any-return]

    @property
    def context_params(self) -> tuple[Value, ...]:
        """The operands of the context."""
        return self._context_params

    @property
    def parameters(self) -> set[Parameter]:
        """Operands that have no value yet."""
        return set().union(*map(parameters_of, self._context_params))

    def assigned(self, values: Mapping[Parameter, Value]) -> Self:
        """Return this context with ``values`` put in."""
        return self if not self.parameters else type(self)(*(bind(value, values) for value in self._context_params))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._context_params == other.context_params

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._context_params))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(str, self._context_params))})"


class _Extents:
    """First and last time of each channel of one part, relative to its start."""

    __slots__ = ("duration", "starts", "stops")

    def __init__(self, part: AlignedPart) -> None:
        self.duration: int = part.duration
        timeslots = getattr(part, "timeslots", None)  # of a schedule
        if timeslots is not None:
            self.starts = {channel: slots[0][0] for channel, slots in timeslots.items()}
            self.stops = {channel: slots[-1][1] for channel, slots in timeslots.items()}
        else:
            self.starts = dict.fromkeys(part.channels, 0)
            self.stops = dict.fromkeys(part.channels, self.duration)


class AlignLeft(AlignmentKind):
    """Each part as early as its channels allow."""

    __slots__ = ()
    is_sequential = False

    def __init__(self) -> None:
        super().__init__()

    def times(self, parts: Sequence[AlignedPart]) -> list[int]:
        """Return the start times, as in :class:`AlignmentKind`."""
        ends: dict[Channel, int] = {}
        times = []
        for part in parts:
            extents = _Extents(part)
            starts = extents.starts
            common = [ends[channel] - start for channel, start in starts.items() if channel in ends]
            # as qiskit.pulse: a part does not reach back before what it brings on channels not used so far
            fresh = [start for channel, start in starts.items() if channel not in ends]
            time = max(max(common, default=0), min(fresh, default=0))
            times.append(time)
            for channel, stop in extents.stops.items():
                ends[channel] = time + stop
        return times


class AlignRight(AlignmentKind):
    """Each part as late as its channels allow, and all as early as possible."""

    __slots__ = ()
    is_sequential = False

    def __init__(self) -> None:
        super().__init__()

    def times(self, parts: Sequence[AlignedPart]) -> list[int]:
        """Return the start times, as in :class:`AlignmentKind`."""
        # from the last part to the first, in a time whose origin is the end of the last
        begins: dict[Channel, int] = {}
        times: list[int] = []
        end = 0
        for part in reversed(parts):
            extents = _Extents(part)
            common = [begins[channel] - stop for channel, stop in extents.stops.items() if channel in begins]
            # as qiskit.pulse: a part may reach beyond what follows it, on channels that are not common
            time = min(common) if common else end - extents.duration
            times.append(time)
            end = max(end, time + extents.duration)
            for channel, start in extents.starts.items():
                begins[channel] = time + start
        first = min(times, default=0)
        return [time - first for time in reversed(times)]


class AlignSequential(AlignmentKind):
    """One part after the other, also on different channels."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()

    def times(self, parts: Sequence[AlignedPart]) -> list[int]:
        """Return the start times, as in :class:`AlignmentKind`."""
        times, now = [], 0
        for part in parts:
            times.append(now)
            now += part.duration
        return times


class _WithDuration(AlignmentKind):
    """A context of a given total duration; if that is too short, parts follow each other on their channels."""

    __slots__ = ()

    @property
    def duration(self) -> Value:
        """Total duration in dt, or an expression that is assigned later."""
        return self._context_params[0]

    def _total(self) -> int:
        if isinstance(self.duration, ParameterExpression):
            raise UnassignedDurationError("duration is not assigned", subject=repr(self))
        return int(self.duration)


def _appended(parts: Sequence[AlignedPart]) -> list[int]:
    """Return the times when each part begins after all that precedes on any of its channels has ended."""
    ends: dict[Channel, int] = {}
    times = []
    for part in parts:
        time = max((ends.get(channel, 0) for channel in part.channels), default=0)
        ends.update({channel: time + part.ch_stop_time(channel) for channel in part.channels})
        times.append(time)
    return times


class AlignEquispaced(_WithDuration):
    """Equal gaps between the parts, the first at the beginning and the last at the end of ``duration``.

    What the gaps cannot share out evenly goes, by halves, before the first and after the last.
    """

    __slots__ = ()

    def __init__(self, duration: Value) -> None:
        super().__init__((checked_duration(duration, "AlignEquispaced"),))

    def times(self, parts: Sequence[AlignedPart]) -> list[int]:
        """Return the start times, as in :class:`AlignmentKind`."""
        slack = self._total() - sum(part.duration for part in parts)
        if slack < 0 or not parts:
            return _appended(parts)
        if len(parts) == 1:
            return [(slack + 1) // 2]
        gap, rest = divmod(slack, len(parts) - 1)
        now = (rest + 1) // 2
        times = []
        for part in parts:
            times.append(now)
            now += part.duration + gap
        return times


@dataclass(frozen=True, slots=True)
class Positions:
    """A function for :class:`AlignFunc` that is given by its values, and compared by them."""

    fractions: tuple[float, ...]

    def __call__(self, j: int) -> float:
        """Return the fraction of part j = 1, 2, …."""
        if not 1 <= j <= len(self.fractions):
            raise PulseError(
                "no position for this part", subject="Positions", value=j, legal=f"1 to {len(self.fractions)}"
            )
        return self.fractions[j - 1]


class AlignFunc(_WithDuration):
    """The centre of part j = 1, 2, … at ``func(j)·duration``; ``func`` returns a fraction between 0 and 1."""

    __slots__ = ()

    def __init__(self, duration: Value, func: Callable[[int], float]) -> None:
        if not callable(func):
            raise PulseError("func must be callable", subject="AlignFunc", value=func)
        super().__init__((checked_duration(duration, "AlignFunc"), func))

    @property
    def func(self) -> Callable[[int], float]:
        """Fraction of the duration at which the centre of part j lies."""
        return self._context_params[1]  # type: ignore[no-any-return]

    def times(self, parts: Sequence[AlignedPart]) -> list[int]:
        """Return the start times, as in :class:`AlignmentKind`."""
        total = self._total()
        appended = _appended(parts)
        if total < max((time + part.duration for time, part in zip(appended, parts, strict=True)), default=0):
            return appended
        times = []
        for j, part in enumerate(parts, 1):
            fraction = float(self.func(j))
            exact = total * fraction - 0.5 * part.duration
            if not math.isfinite(fraction) or exact < 0 or int(exact) > total:
                raise PulseError(f"part {j} does not lie within the duration", subject=repr(self), value=fraction)
            times.append(int(exact))
        return times
