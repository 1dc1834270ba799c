"""Where ``qiskit.pulse`` had the instructions on phases."""

from pulsed.pulse.instructions.frame import SetPhase, ShiftPhase

__all__ = ["SetPhase", "ShiftPhase"]
