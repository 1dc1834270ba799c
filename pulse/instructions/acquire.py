"""Where ``qiskit.pulse`` had Acquire."""

from pulsed.pulse.instructions.timed import Acquire

__all__ = ["Acquire"]
