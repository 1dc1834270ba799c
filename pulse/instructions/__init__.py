"""Instructions of the pulse language."""

from pulsed.pulse.instructions.call import Call
from pulsed.pulse.instructions.frame import (
    BeginOffset,
    EndOffset,
    EnterFrame,
    FrameChange,
    FrameUse,
    LeaveFrame,
    SetFrequency,
    SetPhase,
    ShiftFrequency,
    ShiftPhase,
)
from pulsed.pulse.instructions.instruction import Instruction
from pulsed.pulse.instructions.other import Directive, Reference, RelativeBarrier, Snapshot, TimeBlockade
from pulsed.pulse.instructions.timed import Acquire, Delay, Play

__all__ = [
    "Acquire",
    "BeginOffset",
    "Call",
    "Delay",
    "Directive",
    "EndOffset",
    "EnterFrame",
    "FrameChange",
    "FrameUse",
    "Instruction",
    "LeaveFrame",
    "Play",
    "Reference",
    "RelativeBarrier",
    "SetFrequency",
    "SetPhase",
    "ShiftFrequency",
    "ShiftPhase",
    "Snapshot",
    "TimeBlockade",
]
