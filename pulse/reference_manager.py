"""Where ``qiskit.pulse`` had ReferenceManager."""

from pulsed.pulse.schedule.references import ReferenceManager

__all__ = ["ReferenceManager"]
