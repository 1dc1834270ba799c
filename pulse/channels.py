"""Channels: the logical lines on which instructions are played. Cheap, hashable values."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from qiskit.circuit import Parameter, ParameterExpression

from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.utils import bind, parameters_of


class Channel:
    """Base of all channels: a kind and an index.

    Args:
        index: a non-negative integer, or a Qiskit parameter expression that is assigned later.

    Raises:
        PulseError: the index is neither.

    """

    __slots__ = ("_hash", "_index", "_name")
    _name: str
    prefix: ClassVar[str] = ""
    _kind: ClassVar[Any] = 0
    _twin: ClassVar[type | None] = None
    """The class of ``qiskit.pulse`` whose channels are equal to those of this one; None on Qiskit 2."""

    def __init__(self, index: int | ParameterExpression) -> None:
        if not self.prefix:
            legal = "DriveChannel, MeasureChannel, ControlChannel, AcquireChannel, MemorySlot, RegisterSlot"
            raise PulseError("this kind of channel is abstract", subject=type(self).__name__, value=index, legal=legal)
        if type(index) is not int or index < 0:
            index = self._checked(index)
        self._index = index
        self._hash = hash((self._kind, index))

    @classmethod
    def _checked(cls, index: Any) -> Any:
        if isinstance(index, ParameterExpression) and index.parameters:
            return index
        number = index.numeric() if isinstance(index, ParameterExpression) else index
        whole = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
        if not whole and not (isinstance(number, float) and number.is_integer() and number is not index):
            raise PulseError("channel index must be a nonnegative integer", subject=cls.__name__, value=index)
        if number < 0:
            raise PulseError("channel index must be a nonnegative integer", subject=cls.__name__, value=index)
        return int(number)

    @property
    def index(self) -> int | ParameterExpression:
        """The index, an integer or an expression."""
        return self._index

    @property
    def name(self) -> str:
        """Short name, as ``d0`` for ``DriveChannel(0)``."""
        # asked for when schedules are sorted, once per instruction
        try:
            return self._name
        except AttributeError:
            self._name = f"{self.prefix}{self._index}"
            return self._name

    @property
    def parameters(self) -> set[Parameter]:
        """Parameters of the index that have no value yet."""
        return parameters_of(self._index)

    def is_parameterized(self) -> bool:
        """Return whether the index has a parameter without a value."""
        return type(self._index) is not int

    def assigned(self, values: Mapping[Parameter, Any]) -> Self:
        """Return this channel with ``values`` put in for parameters of the index."""
        return self if type(self._index) is int else type(self)(bind(self._index, values))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        same = type(self) is type(other) or type(other) is self._twin
        return same and bool(self._index == other._index)  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._index})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._index,)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class PulseChannel(Channel):
    """A channel that plays pulses and has a frame."""

    __slots__ = ()


class ClassicalIOChannel(Channel):
    """A channel that carries classical data."""

    __slots__ = ()


class DriveChannel(PulseChannel):
    """The line that drives qubit ``index`` at its own frequency."""

    __slots__ = ()
    prefix = "d"
    _kind = 1


class MeasureChannel(PulseChannel):
    """The line that carries the readout stimulus of qubit ``index``."""

    __slots__ = ()
    prefix = "m"
    _kind = 2


class ControlChannel(PulseChannel):
    """A line for two-qubit drives; the backend says which pair and frequency belong to ``index``."""

    __slots__ = ()
    prefix = "u"
    _kind = 3


class AcquireChannel(Channel):
    """The line on which the readout of qubit ``index`` comes back."""

    __slots__ = ()
    prefix = "a"
    _kind = 4


class MemorySlot(ClassicalIOChannel):
    """A bit of the result's memory."""

    __slots__ = ()
    prefix = "m"
    _kind = 5


class RegisterSlot(ClassicalIOChannel):
    """A fast register for conditions."""

    __slots__ = ()
    prefix = "c"
    _kind = 6


class SnapshotChannel(ClassicalIOChannel):
    """The channel of :class:`~pulsed.pulse.instructions.Snapshot`."""

    __slots__ = ()
    prefix = "s"
    _kind = 7

    def __init__(self, index: int = 0) -> None:
        super().__init__(index)


def _twins() -> dict[type, type[Channel]]:
    """Return our class for each of the channels of ``qiskit.pulse``, and give ours the hashes of theirs.

    So a channel that a backend hands out on Qiskit 1.4 finds what is on it in schedules of either language.
    """
    theirs = sys.modules.get("qiskit.pulse.channels")  # Qiskit 1.4 imports it by itself
    if theirs is None:
        return {}
    found: dict[type, type[Channel]] = {}
    for ours in (
        DriveChannel, MeasureChannel, ControlChannel, AcquireChannel, MemorySlot, RegisterSlot, SnapshotChannel,
    ):  # fmt: skip
        twin: type = getattr(theirs, ours.__name__)
        found[twin] = ours
        ours._kind, ours._twin = twin, twin  # type: ignore[assignment]
    return found


_OURS = _twins()


def adopted(channel: Any) -> Any:
    """Return a channel of ``qiskit.pulse`` as ours, anything else as it is."""
    ours = _OURS.get(type(channel))
    return channel if ours is None else ours(channel.index)
