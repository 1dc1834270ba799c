"""Frames of OpenPulse text: where ``newframe`` puts them, and schedules that play in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from qiskit.circuit import ParameterExpression

from pulsed import old_names
from pulsed.pulse.channels import AcquireChannel, Channel, MeasureChannel
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import (
    Acquire,
    EnterFrame,
    FrameChange,
    LeaveFrame,
    Play,
    SetFrequency,
    SetPhase,
    ShiftFrequency,
    ShiftPhase,
)
from pulsed.pulse.schedule.timeline import TimedInstruction

__getattr__ = old_names(__name__)

IN_A_FRAME = (Play, Acquire, SetPhase, SetFrequency)
"""What is another thing in another frame; shifts, delays and gaps are not."""


class FrameState(NamedTuple):
    """A frame at the start of a shot: Hz, and rad on top of the channel's own phase."""

    frequency: float
    phase: float


def own_frequency(frequencies: Mapping[Channel, float], channel: Channel) -> float:
    """Return the frequency of a channel, nan without one: an acquire channel has that of its measure channel."""
    found = frequencies.get(channel)
    if found is None and isinstance(channel, AcquireChannel):
        found = frequencies.get(MeasureChannel(channel.index))
    return math.nan if found is None else float(found)


def framed(timed: Iterable[TimedInstruction], frames: Mapping[Channel, FrameState | None]) -> list[TimedInstruction]:
    """Return ``timed`` with each of ``frames`` that it plays in entered at the start and left after the last use.

    Raises :class:`PulseError` for a frame that begins with a parameter, which is None.
    """
    timed = list(timed)
    ends: dict[Channel, int] = {}
    for time, instruction in timed:
        if isinstance(instruction, IN_A_FRAME):
            channel = instruction.channels[0]
            ends[channel] = max(ends.get(channel, 0), time + instruction.duration)
    used = {channel: end for channel, end in ends.items() if channel in frames}
    enter: list[TimedInstruction] = []
    leave: list[TimedInstruction] = []
    for channel, end in used.items():
        state = frames[channel]
        if state is None:
            raise PulseError("the frame of a gate does not begin with a parameter", value=channel.name)
        enter.append((0, EnterFrame(*state, channel)))
        leave.append((end, LeaveFrame(*state, channel)))
    return [*enter, *timed, *leave]


def shifted(state: FrameState | None, change: FrameChange) -> FrameState | None:
    """Return a frame after a change at the start of the shot; None when that has a parameter."""
    value = change.operands[0]
    if state is None or isinstance(value, ParameterExpression):
        return None
    if isinstance(change, (SetFrequency, ShiftFrequency)):
        return FrameState(value + (state.frequency if isinstance(change, ShiftFrequency) else 0.0), state.phase)
    return FrameState(state.frequency, value + (state.phase if isinstance(change, ShiftPhase) else 0.0))
