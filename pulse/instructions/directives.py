"""Where ``qiskit.pulse`` had its directives."""

from pulsed.pulse.instructions.other import Directive, RelativeBarrier, TimeBlockade

__all__ = ["Directive", "RelativeBarrier", "TimeBlockade"]
