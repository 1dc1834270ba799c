"""Instructions on the frame of a channel: its frequency and phase."""

from __future__ import annotations

from math import isfinite, tau
from typing import ClassVar

import numpy as np
from qiskit.circuit import ParameterExpression

from pulsed.pulse.channels import AcquireChannel, Channel, PulseChannel
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.frames import DEMODULATION_SIGN
from pulsed.pulse.instructions.instruction import Instruction, OnChannel, channel_of
from pulsed.pulse.utils import Value, bind, plain_number


class FrameChange(OnChannel):
    """An instruction of zero duration on the frame of a pulse channel."""

    __slots__ = ()
    _quantity: ClassVar[str]

    def __init__(self, value: Value, channel: PulseChannel, name: str | None = None) -> None:
        if not isinstance(channel, PulseChannel):
            channel = channel_of(channel, PulseChannel, type(self).__name__, "a pulse channel")
        if type(value) is float and isfinite(value):
            self._operands = (value, channel)
            self._name = name
            return
        value = bind(value, {})
        if not isinstance(value, ParameterExpression):
            given, number = value, None if isinstance(value, (bool, np.bool_)) else plain_number(value)
            if not isinstance(number, (int, float)) or not isfinite(number):
                raise PulseError(
                    f"{self._quantity} is not a finite real number", subject=type(self).__name__, value=given
                )
            value = number
        self._operands = (value, channel)
        self._name = name

    @property
    def duration(self) -> int:
        """Zero."""
        return 0


class FrequencyChange(FrameChange):
    """An instruction on a channel's frequency (Hz)."""

    __slots__ = ()
    _quantity = "frequency"

    def __init__(self, frequency: Value, channel: PulseChannel, name: str | None = None) -> None:
        super().__init__(frequency, channel, name)

    @property
    def frequency(self) -> Value:
        """Hz."""
        return self._operands[0]


class SetFrequency(FrequencyChange):
    """Set a channel's frequency (Hz)."""

    __slots__ = ()


class ShiftFrequency(FrequencyChange):
    """Add to a channel's frequency (Hz); positive raises the radio frequency."""

    __slots__ = ()


class PhaseChange(FrameChange):
    """An instruction on a channel's phase (rad)."""

    __slots__ = ()
    _quantity = "phase"

    def __init__(self, phase: Value, channel: PulseChannel, name: str | None = None) -> None:
        super().__init__(phase, channel, name)

    @property
    def phase(self) -> Value:
        """Phase in rad."""
        return self._operands[0]


class SetPhase(PhaseChange):
    """Set a channel's phase (rad)."""

    __slots__ = ()


class ShiftPhase(PhaseChange):
    """Add to a channel's phase (rad); ``rz(λ)`` is ``ShiftPhase(-λ)``, see :mod:`pulsed.pulse.frames`."""

    __slots__ = ()


class BeginOffset(ShiftFrequency):
    """In a block: the shift that begins an offset whose end turns the phase back; a ShiftFrequency when scheduled."""

    __slots__ = ()


class EndOffset(FrequencyChange):
    """In a block: turn the phase back by what the channel has gained in the offset that :class:`BeginOffset` began.

    How long that was is known when the block is scheduled; a ShiftPhase comes of it then. The end of the frequency's
    shift is an instruction of its own.

    Args:
        frequency: of the offset, Hz.
        channel: whose.
        dt: of the backend, s.
        name: for display.

    """

    __slots__ = ()

    def __init__(self, frequency: Value, channel: PulseChannel, dt: float, name: str | None = None) -> None:
        super().__init__(frequency, channel, name)
        self._operands = (*self._operands, float(dt))

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channel."""
        return self._operands[1:2]

    @property
    def dt(self) -> float:
        """Sampling time in s."""
        return self._operands[2]  # type: ignore[no-any-return]

    def turned_back(self, duration: int) -> ShiftPhase:
        """Return the shift of phase after an offset of ``duration`` dt: with the field e^{−i2πft}, +2πf·duration."""
        turns = self.frequency * (duration * self.dt)
        if not isinstance(turns, ParameterExpression):
            turns %= 1
        return ShiftPhase(DEMODULATION_SIGN * tau * turns, self.channel, self.name)


class FrameUse(Instruction):
    """One end of a stretch in which a channel plays in another frame than its own.

    That frame is the channel's own, seen from elsewhere: its carrier is 2πf·t + φ from the start of the shot, as if it
    had been at ``frequency`` all along, and what shifts the one shifts the other. So pulses of it keep their phase
    among each other however often the channel goes back to its own frame in between, and the channel's own frame goes
    on as if it had never been left. This is the frame of OpenPulse's ``newframe``.

    Args:
        frequency: f, Hz.
        phase: φ, rad; zero on an acquire channel.
        channel: whose.
        name: for display.

    Raises:
        PulseError: a value that is no finite number, or a channel without a frame.

    """

    __slots__ = ()

    def __init__(self, frequency: float, phase: float, channel: Channel, name: str | None = None) -> None:
        subject = type(self).__name__
        if not isinstance(channel, (PulseChannel, AcquireChannel)):
            legal = "a pulse channel or an acquire channel"
            channel = channel_of(channel, (PulseChannel, AcquireChannel), subject, legal)
        for what, value in (("frequency", frequency), ("phase", phase)):
            if not isinstance(value, (int, float, np.integer, np.floating)) or not isfinite(value):
                raise PulseError(f"{what} is not a finite real number", subject=subject, value=value)
        if phase and isinstance(channel, AcquireChannel):
            raise PulseError("an acquire channel has no phase", subject=subject, value=phase, legal=0)
        super().__init__((float(frequency), float(phase), channel), name)

    @property
    def frequency(self) -> float:
        """Hz."""
        return self._operands[0]  # type: ignore[no-any-return]

    @property
    def phase(self) -> float:
        """Phase of the frame at the shot's start, on top of the channel's own, in rad."""
        return self._operands[1]  # type: ignore[no-any-return]

    @property
    def channel(self) -> Channel:
        """Whose."""
        return self._operands[2]  # type: ignore[no-any-return]

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channel."""
        return self._operands[2:]

    @property
    def duration(self) -> int:
        """Zero."""
        return 0


class EnterFrame(FrameUse):
    """From here on the channel plays in this frame, see :class:`FrameUse`, until the same frame is left."""

    __slots__ = ()


class LeaveFrame(FrameUse):
    """From here on the channel plays in its own frame again, as if it had never entered this one."""

    __slots__ = ()
