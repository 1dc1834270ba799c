"""Instructions on the frame of a channel: its frequency and phase."""

from __future__ import annotations

from math import isfinite
from typing import ClassVar

import numpy as np
from qiskit.circuit import ParameterExpression

from pulsed.pulse.channels import PulseChannel
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions.instruction import KIND_MISMATCH, OnChannel
from pulsed.pulse.utils import Value, bind


class FrameChange(OnChannel):
    """An instruction of zero duration on the frame of a pulse channel."""

    __slots__ = ()
    _quantity: ClassVar[str]

    def __init__(self, value: Value, channel: PulseChannel, name: str | None = None) -> None:
        if not isinstance(channel, PulseChannel):
            raise PulseError(KIND_MISMATCH, subject=type(self).__name__, value=channel, legal="a pulse channel")
        if type(value) is float and isfinite(value):
            self._operands = (value, channel)
            self._name = name
            return
        value = bind(value, {})
        if not isinstance(value, ParameterExpression):
            try:
                finite = bool(np.isfinite(value)) and value == value.real
            except (TypeError, AttributeError):
                finite = False
            if not finite:
                raise PulseError(
                    f"{self._quantity} is not a finite real number", subject=type(self).__name__, value=value
                )
        self._operands = (value, channel)
        self._name = name

    @property
    def duration(self) -> int:
        """Zero."""
        return 0


class SetFrequency(FrameChange):
    """Set a channel's frequency (Hz)."""

    __slots__ = ()
    _quantity = "frequency"

    def __init__(self, frequency: Value, channel: PulseChannel, name: str | None = None) -> None:
        super().__init__(frequency, channel, name)

    @property
    def frequency(self) -> Value:
        """Hz."""
        return self._operands[0]


class ShiftFrequency(FrameChange):
    """Add to a channel's frequency (Hz); positive raises the radio frequency."""

    __slots__ = ()
    _quantity = "frequency"

    def __init__(self, frequency: Value, channel: PulseChannel, name: str | None = None) -> None:
        super().__init__(frequency, channel, name)

    @property
    def frequency(self) -> Value:
        """Hz."""
        return self._operands[0]


class SetPhase(FrameChange):
    """Set a channel's phase (rad)."""

    __slots__ = ()
    _quantity = "phase"

    def __init__(self, phase: Value, channel: PulseChannel, name: str | None = None) -> None:
        super().__init__(phase, channel, name)

    @property
    def phase(self) -> Value:
        """Phase in rad."""
        return self._operands[0]


class ShiftPhase(FrameChange):
    """Add to a channel's phase (rad); ``rz(λ)`` is ``ShiftPhase(-λ)``, see :mod:`pulsed.pulse.frames`."""

    __slots__ = ()
    _quantity = "phase"

    def __init__(self, phase: Value, channel: PulseChannel, name: str | None = None) -> None:
        super().__init__(phase, channel, name)

    @property
    def phase(self) -> Value:
        """Phase in rad."""
        return self._operands[0]
