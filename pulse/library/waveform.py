"""Where ``qiskit.pulse`` had Waveform."""

from pulsed.pulse.library.pulse import Waveform

__all__ = ["Waveform"]
