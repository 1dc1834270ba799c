"""Instructions that take time on a signal line: play, delay, acquire."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pulsed.pulse.channels import AcquireChannel, Channel, MemorySlot, PulseChannel, RegisterSlot
from pulsed.pulse.configuration import Discriminator, Kernel
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions.instruction import Instruction, OnChannel, channel_of
from pulsed.pulse.library.pulse import Pulse
from pulsed.pulse.library.waveform import Waveform
from pulsed.pulse.utils import Value, checked_duration


class Play(OnChannel):
    """Play a pulse on a channel.

    Raises:
        PulseError: ``pulse`` is no pulse, or ``channel`` does not play pulses.

    """

    __slots__ = ()

    def __init__(self, pulse: Pulse | NDArray[Any], channel: PulseChannel, name: str | None = None) -> None:
        if not isinstance(pulse, Pulse):
            if not isinstance(pulse, (np.ndarray, list)):
                raise PulseError("the first operand must be a pulse or samples", subject="Play", value=pulse)
            pulse = Waveform(pulse)
        if not isinstance(channel, PulseChannel):
            channel = channel_of(channel, PulseChannel, "Play", "a pulse channel")
        self._operands = (pulse, channel)
        self._name = pulse.name if name is None else name

    @property
    def pulse(self) -> Pulse:
        """The pulse."""
        return self._operands[0]  # type: ignore[no-any-return]

    @property
    def duration(self) -> Value:
        """The pulse's duration."""
        return self._operands[0].duration


class Delay(OnChannel):
    """Leave a channel idle for ``duration`` dt."""

    __slots__ = ()

    def __init__(self, duration: Value, channel: Channel, name: str | None = None) -> None:
        if not isinstance(channel, Channel):
            channel = channel_of(channel, Channel, "Delay", "a channel")
        self._operands = (checked_duration(duration, "Delay"), channel)
        self._name = name

    @property
    def duration(self) -> Value:
        """The idle time."""
        return self._operands[0]


class Acquire(Instruction):
    """Record the readout signal of one qubit.

    Args:
        duration: in dt.
        channel: whose signal.
        mem_slot: where the classified bit or the kerneled value goes.
        reg_slot: the fast register for it.
        kernel: integration weights; the backend's own by default.
        discriminator: classification; the backend's own by default.
        name: for display.

    Raises:
        PulseError: a channel of the wrong kind, or neither memory nor register slot.

    """

    __slots__ = ()

    def __init__(
        self,
        duration: Value,
        channel: AcquireChannel,
        mem_slot: MemorySlot | None = None,
        reg_slot: RegisterSlot | None = None,
        kernel: Kernel | None = None,
        discriminator: Discriminator | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(channel, AcquireChannel):
            channel = channel_of(channel, AcquireChannel, "Acquire", "an acquire channel")
        if mem_slot is not None and not isinstance(mem_slot, MemorySlot):
            mem_slot = channel_of(mem_slot, MemorySlot, "Acquire", "a memory slot")
        if reg_slot is not None and not isinstance(reg_slot, RegisterSlot):
            reg_slot = channel_of(reg_slot, RegisterSlot, "Acquire", "a register slot")
        if mem_slot is None and reg_slot is None:
            raise PulseError("neither a memory slot nor a register slot was given", subject="Acquire")
        self._operands = (checked_duration(duration, "Acquire"), channel, mem_slot, reg_slot, kernel, discriminator)
        self._name = name

    @property
    def duration(self) -> Value:
        """Length of the record in dt."""
        return self._operands[0]

    @property
    def channel(self) -> AcquireChannel:
        """Whose signal."""
        return self._operands[1]  # type: ignore[no-any-return]

    acquire = channel

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The acquire channel, then the slots that are given."""
        return tuple(channel for channel in self._operands[1:4] if channel is not None)

    @property
    def mem_slot(self) -> MemorySlot | None:
        """The memory slot."""
        return self._operands[2]  # type: ignore[no-any-return]

    @property
    def reg_slot(self) -> RegisterSlot | None:
        """The register slot."""
        return self._operands[3]  # type: ignore[no-any-return]

    @property
    def kernel(self) -> Kernel | None:
        """Integration weights."""
        return self._operands[4]  # type: ignore[no-any-return]

    @property
    def discriminator(self) -> Discriminator | None:
        """Classification."""
        return self._operands[5]  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        name = "" if self._name is None else f", name={self._name!r}"
        shown = ("" if operand is None else str(operand) for operand in self._operands)
        return f"Acquire({', '.join(shown)}{name})"
