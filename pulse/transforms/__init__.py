"""Transforms of pulse programs, and the alignment contexts."""

from pulsed.pulse.alignments import (
    AlignEquispaced,
    AlignFunc,
    AlignLeft,
    AlignmentKind,
    AlignRight,
    AlignSequential,
)
from pulsed.pulse.schedule.scheduling import block_to_schedule
from pulsed.pulse.transforms.canonicalization import (
    compress_pulses,
    flatten,
    inline_subroutines,
    remove_directives,
    remove_trivial_barriers,
    schedule_to_block,
    target_qobj_transform,
)
from pulsed.pulse.transforms.padding import add_implicit_acquires, align_measures, pad

__all__ = [
    "AlignEquispaced",
    "AlignFunc",
    "AlignLeft",
    "AlignRight",
    "AlignSequential",
    "AlignmentKind",
    "add_implicit_acquires",
    "align_measures",
    "block_to_schedule",
    "compress_pulses",
    "flatten",
    "inline_subroutines",
    "pad",
    "remove_directives",
    "remove_trivial_barriers",
    "schedule_to_block",
    "target_qobj_transform",
]
