"""Where ``qiskit.pulse`` had Delay."""

from pulsed.pulse.instructions.timed import Delay

__all__ = ["Delay"]
