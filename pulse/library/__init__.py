"""The library of pulses."""

from pulsed.pulse.library.pulse import Pulse
from pulsed.pulse.library.symbolic import ScalableSymbolicPulse, SymbolicPulse
from pulsed.pulse.library.symbolic_pulses import (
    Constant,
    Cos,
    Drag,
    Gaussian,
    GaussianDeriv,
    GaussianSquare,
    GaussianSquareDrag,
    Sawtooth,
    Sech,
    SechDeriv,
    Sin,
    Square,
    Triangle,
    gaussian_square_echo,
)
from pulsed.pulse.library.waveform import Waveform

__all__ = [
    "Constant",
    "Cos",
    "Drag",
    "Gaussian",
    "GaussianDeriv",
    "GaussianSquare",
    "GaussianSquareDrag",
    "Pulse",
    "Sawtooth",
    "ScalableSymbolicPulse",
    "Sech",
    "SechDeriv",
    "Sin",
    "Square",
    "SymbolicPulse",
    "Triangle",
    "Waveform",
    "gaussian_square_echo",
]
