"""Where ``qiskit.pulse`` had Snapshot."""

from pulsed.pulse.instructions.other import Snapshot

__all__ = ["Snapshot"]
