"""Where ``qiskit.pulse`` had Play."""

from pulsed.pulse.instructions.timed import Play

__all__ = ["Play"]
