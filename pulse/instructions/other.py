"""Instructions that play nothing: directives for alignment, snapshots, references to subroutines."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pulsed.pulse.channels import Channel, SnapshotChannel
from pulsed.pulse.exceptions import PulseError, UnassignedReferenceError
from pulsed.pulse.instructions.instruction import Instruction, channel_of
from pulsed.pulse.utils import Value, checked_duration


class Directive(Instruction):
    """A hint for alignment; it is removed before anything is played."""

    __slots__ = ()

    @property
    def duration(self) -> int:
        """Zero."""
        return 0


class RelativeBarrier(Directive):
    """In a block: what follows on any of ``channels`` starts after all that precedes on them."""

    __slots__ = ()

    def __init__(self, *channels: Channel, name: str | None = None) -> None:
        super().__init__(tuple(channel_of(one, Channel, "RelativeBarrier", "channels") for one in channels), name)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels held together."""
        return self._operands

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RelativeBarrier) and set(self._operands) == set(other.operands)

    def __hash__(self) -> int:
        return hash(("RelativeBarrier", frozenset(self._operands)))


class TimeBlockade(Directive):
    """Keep a channel free of other instructions for ``duration`` dt, to shift what follows it in a block."""

    __slots__ = ()

    def __init__(self, duration: int, channel: Channel, name: str | None = None) -> None:
        duration = checked_duration(duration, "TimeBlockade")
        if not isinstance(duration, int):
            raise PulseError(
                "duration must be an integer, not a parameter", subject="TimeBlockade", value=str(duration)
            )
        super().__init__((duration, channel), name)

    @property
    def channel(self) -> Channel:
        """The channel that is kept free."""
        return self._operands[1]  # type: ignore[no-any-return]

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channel that is kept free."""
        return self._operands[1:]

    @property
    def duration(self) -> int:
        """How long."""
        return self._operands[0]  # type: ignore[no-any-return]


class Snapshot(Instruction):
    """Ask a simulator to record its state."""

    __slots__ = ()

    def __init__(self, label: str, snapshot_type: str = "statevector", name: str | None = None) -> None:
        if not isinstance(label, str):
            raise PulseError("Snapshot label must be a string.", value=label)
        super().__init__((label, snapshot_type), label if name is None else name)

    @property
    def label(self) -> str:
        """Name of the record."""
        return self._operands[0]  # type: ignore[no-any-return]

    @property
    def type(self) -> str:
        """What is recorded."""
        return self._operands[1]  # type: ignore[no-any-return]

    @property
    def channel(self) -> SnapshotChannel:
        """The channel of all snapshots."""
        return SnapshotChannel()

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channel of all snapshots."""
        return (SnapshotChannel(),)

    @property
    def duration(self) -> int:
        """Zero."""
        return 0


class Reference(Instruction):
    """A subroutine that is named here and assigned later, with ``ScheduleBlock.assign_references``."""

    __slots__ = ()
    scope_delimiter: ClassVar[str] = "::"
    key_delimiter: ClassVar[str] = ","

    def __init__(self, name: str, *extra_keys: str) -> None:
        for key in (name, *extra_keys):
            if not isinstance(key, str):
                raise PulseError("a key of a reference must be a string", subject="Reference", value=key)
            if self.scope_delimiter in key or self.key_delimiter in key:
                raise PulseError("'::' and ',' are reserved in keys of a reference", subject="Reference", value=key)
        super().__init__((name, *extra_keys), name)

    @property
    def ref_keys(self) -> tuple[str, ...]:
        """The keys that name the subroutine."""
        return self._operands

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Unknown until a subroutine is assigned: raises :class:`UnassignedReferenceError`."""
        raise self._unassigned()

    @property
    def duration(self) -> Value:
        """Unknown until a subroutine is assigned: raises :class:`UnassignedReferenceError`."""
        raise self._unassigned()

    def _unassigned(self) -> UnassignedReferenceError:
        return UnassignedReferenceError(f"Subroutine is not assigned to {self.ref_keys}.")

    def _rebuilt(self, operands: tuple[Any, ...]) -> Self:
        return type(self)(*operands)

    def __repr__(self) -> str:
        return f"Reference({self.key_delimiter.join(self._operands)})"
