"""The base of all instructions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from qiskit.circuit import Parameter, ParameterExpression

from pulsed.pulse.channels import Channel, adopted
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.library.pulse import Pulse
from pulsed.pulse.utils import Value, bind, parameters_of

KIND_MISMATCH = "channel is of the wrong kind"


def channel_of(given: Any, kinds: type | tuple[type, ...], subject: str, legal: str) -> Any:
    """Return a channel of one of ``kinds``, one of ``qiskit.pulse`` as ours.

    Raises :class:`PulseError` for anything else.
    """
    found = adopted(given)
    if not isinstance(found, kinds):
        raise PulseError(KIND_MISMATCH, subject=subject, value=given, legal=legal)
    return found


class Instruction(ABC):
    """Base of all instructions: operands and an optional name.

    Attributes:
        schedule_type: makes the schedules that ``+``, ``|`` and ``<<`` return. Set by the module of Schedule: a
            schedule is made of instructions, so that these cannot import it.

    """

    __slots__ = ("_name", "_operands")
    schedule_type: ClassVar[Any]

    def __init__(self, operands: tuple[Any, ...], name: str | None = None) -> None:
        self._operands = operands
        self._name = name

    @property
    def operands(self) -> tuple[Any, ...]:
        """The operands, in the order of the constructor."""
        return self._operands

    @property
    def name(self) -> str | None:
        """Name for display."""
        return self._name

    @property
    def id(self) -> int:
        """A number that is unique to this object as long as it lives."""
        return id(self)

    @property
    @abstractmethod
    def channels(self) -> tuple[Channel, ...]:
        """The channels that the instruction occupies."""

    @property
    @abstractmethod
    def duration(self) -> Value:
        """Length in dt: an int, or an expression that is assigned later."""

    @property
    def start_time(self) -> int:
        """Zero: an instruction has no time of its own."""
        return 0

    @property
    def stop_time(self) -> Value:
        """The duration."""
        return self.duration

    @property
    def instructions(self) -> tuple[tuple[int, Instruction], ...]:
        """The instruction itself, at time zero."""
        return ((0, self),)

    @property
    def parameters(self) -> set[Parameter]:
        """The parameters that have no value yet."""
        found: set[Parameter] = set()
        for operand in self._operands:
            if isinstance(operand, ParameterExpression):
                found |= parameters_of(operand)
            elif isinstance(operand, Channel):
                found |= operand.parameters
            elif isinstance(operand, Pulse):
                found |= operand.free_parameters
        return found

    def is_parameterized(self) -> bool:
        """Return whether a parameter has no value yet."""
        return bool(self.parameters)

    def assigned(self, values: Mapping[Parameter, Value]) -> Self:
        """Return this instruction with ``values`` put in for its parameters."""
        operands = tuple(
            operand.assigned(values) if isinstance(operand, (Channel, Pulse)) else bind(operand, values)
            for operand in self._operands
        )
        if all(a is b for a, b in zip(operands, self._operands, strict=True)):
            return self
        return self._rebuilt(operands)

    def _rebuilt(self, operands: tuple[Any, ...]) -> Self:
        make: Any = type(self)
        return make(*operands, name=self._name)  # type: ignore[no-any-return]

    def ch_duration(self, *channels: Channel) -> Value:
        """Return the duration if any of ``channels`` is used, else 0."""
        return self.duration if any(channel in self.channels for channel in channels) else 0

    def ch_start_time(self, *channels: Channel) -> int:
        """Return zero."""
        return 0

    def ch_stop_time(self, *channels: Channel) -> Value:
        """Return the duration if any of ``channels`` is used, else 0."""
        return self.ch_duration(*channels)

    def shift(self, time: int, name: str | None = None) -> Any:
        """Return a schedule with this instruction at ``time``."""
        return self.schedule_type((time, self), name=self._name if name is None else name)

    def insert(self, start_time: int, schedule: Any, name: str | None = None) -> Any:
        """Return a schedule with this at zero and ``schedule`` at ``start_time``."""
        return self.schedule_type(self, (start_time, schedule), name=self._name if name is None else name)

    def append(self, schedule: Any, name: str | None = None) -> Any:
        """Return a schedule with ``schedule`` as early as possible after this on their common channels."""
        return self.schedule_type(self, name=self._name if name is None else name).append(schedule, inplace=True)

    def __add__(self, other: Any) -> Any:
        return self.append(other)

    def __or__(self, other: Any) -> Any:
        return self.insert(0, other)

    def __lshift__(self, time: int) -> Any:
        return self.shift(time)

    def __eq__(self, other: object) -> bool:
        return self is other or (type(self) is type(other) and bool(self._operands == other.operands))

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._operands))

    def __repr__(self) -> str:
        name = "" if self._name is None else f", name={self._name!r}"
        return f"{type(self).__name__}({', '.join(map(str, self._operands))}{name})"


class OnChannel(Instruction):
    """An instruction of (value, channel)."""

    __slots__ = ()

    @property
    def channel(self) -> Any:
        """The channel."""
        return self._operands[1]

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channel."""
        return self._operands[1:]
