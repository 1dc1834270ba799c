"""Where ``qiskit.pulse`` had Reference."""

from pulsed.pulse.instructions.other import Reference

__all__ = ["Reference"]
