"""Instructions of the pulse language."""

from pulsed.pulse.instructions.frame import FrameChange, SetFrequency, SetPhase, ShiftFrequency, ShiftPhase
from pulsed.pulse.instructions.instruction import Instruction
from pulsed.pulse.instructions.other import Directive, Reference, RelativeBarrier, Snapshot, TimeBlockade
from pulsed.pulse.instructions.timed import Acquire, Delay, Play

__all__ = [
    "Acquire",
    "Delay",
    "Directive",
    "FrameChange",
    "Instruction",
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
