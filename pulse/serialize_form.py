"""The numbers that stand for kinds of things in the bytes of a pulse program, and the bounds of what is read."""

from __future__ import annotations

from pulsed.pulse import alignments as al
from pulsed.pulse import channels as ch
from pulsed.pulse import instructions as ins
from pulsed.pulse.library import shapes, symbolic_pulses
from pulsed.pulse.library.symbolic import ScalableSymbolicPulse

MAX_DEPTH = 64
"""Deepest nesting of schedules and blocks that is written or read."""

MAX_SAMPLES = 1 << 32
"""Longest pulse given by a formula that is read, in samples; reading does not sample it."""

CHANNELS: tuple[type[ch.Channel], ...] = (
    ch.DriveChannel,
    ch.MeasureChannel,
    ch.ControlChannel,
    ch.AcquireChannel,
    ch.MemorySlot,
    ch.RegisterSlot,
    ch.SnapshotChannel,
)
FRAME: tuple[type[ins.FrameChange], ...] = (ins.SetFrequency, ins.ShiftFrequency, ins.SetPhase, ins.ShiftPhase)
PLAIN: tuple[type[al.AlignmentKind], ...] = (al.AlignLeft, al.AlignRight, al.AlignSequential)
PULSES: dict[str, type[ScalableSymbolicPulse]] = {
    name: getattr(symbolic_pulses, name)
    for name in (key.partition(".")[0] for key in shapes.SHAPES)
    if name != "gaussian_square_echo"
}
# tags of the instructions that are not frame changes, which have 0 to 3
PLAY, DELAY, ACQUIRE, BARRIER, SNAPSHOT, BLOCKADE, REFERENCE, SUBROUTINE, SCHEDULE, BLOCK = range(10, 20)
ENTER, LEAVE, BEGIN, END = range(20, 24)
EXPRESSION = "="
"""Before the tree of an expression that stands in place of a number."""
