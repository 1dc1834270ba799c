"""Where ``qiskit.pulse`` had target_qobj_transform."""

from pulsed.pulse.transforms.canonicalization import target_qobj_transform

__all__ = ["target_qobj_transform"]
