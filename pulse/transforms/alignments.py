"""Where ``qiskit.pulse`` had the alignment contexts."""

from pulsed import old_names
from pulsed.pulse.alignments import (
    AlignEquispaced,
    AlignFunc,
    AlignLeft,
    AlignmentKind,
    AlignRight,
    AlignSequential,
)

__getattr__ = old_names(__name__)

__all__ = ["AlignEquispaced", "AlignFunc", "AlignLeft", "AlignRight", "AlignSequential", "AlignmentKind"]
