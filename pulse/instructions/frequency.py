"""Where ``qiskit.pulse`` had the instructions on frequencies."""

from pulsed.pulse.instructions.frame import SetFrequency, ShiftFrequency

__all__ = ["SetFrequency", "ShiftFrequency"]
