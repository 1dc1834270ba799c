"""The envelopes as functions of arrays.

Every function takes the sampling points ``t`` (float64 array, in dt, normally n + 1/2 for n = 0 … duration - 1), the
``duration`` in dt and the shape's parameters, all but amplitude and angle, and returns the envelope of amplitude one
and angle zero, real or complex, of the length of ``t``. Formulas: documentation of ``qiskit.pulse.library`` 1.4; DRAG
after Motzoi et al., Phys. Rev. Lett. 103, 110501 (2009).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def constant(t: Array, duration: int) -> Array:
    """One everywhere."""
    return np.ones(len(t))


def _gauss(t: Array, centre: float, sigma: float) -> Array:
    return np.exp(-0.5 * ((t - centre) / sigma) ** 2)


def _lifted_gauss(t: Array, centre: float, sigma: float, foot: float) -> Array:
    """Gaussian that is zero at ``foot`` dt before its centre and one at the centre."""
    floor = math.exp(-0.5 * (foot / sigma) ** 2)
    return (_gauss(t, centre, sigma) - floor) / (1.0 - floor)


def gaussian(t: Array, duration: int, sigma: float) -> Array:
    """Gaussian about duration/2, lifted to zero at t = -1."""
    return _lifted_gauss(t, duration / 2, sigma, duration / 2 + 1)


def drag(t: Array, duration: int, sigma: float, beta: float) -> Array:
    """Lifted Gaussian g·(1 - iβ(t - μ)/σ²); ``beta`` in dt."""
    tilt = beta * (t - duration / 2) / sigma**2
    return np.asarray(gaussian(t, duration, sigma) * (1 - 1j * tilt))


def gaussian_square(t: Array, duration: float, sigma: float, width: float) -> Array:
    """Flat top of ``width`` with lifted Gaussian flanks on both sides."""
    return np.asarray(gaussian_square_drag(t, duration, sigma, width, 0.0).real)


def gaussian_square_drag(t: Array, duration: float, sigma: float, width: float, beta: float) -> Array:
    """Flat top of ``width`` whose flanks are the halves of a DRAG pulse."""
    rise = (duration - width) / 2
    off = np.where(t < rise, t - rise, np.where(t < rise + width, 0.0, t - rise - width))
    return np.asarray(_lifted_gauss(off, 0.0, sigma, rise + 1) * (1 - 1j * beta * off / sigma**2))


def gaussian_square_echo(
    t: Array,
    duration: int,
    amp: float,
    angle: float,
    sigma: float,
    width: float,
    active_amp: float,
    active_angle: float,
) -> Array:
    """A GaussianSquare of half the duration, its negative, and over both an active GaussianSquare."""
    half = duration / 2
    echo = np.where(
        t <= half,
        gaussian_square(t, half, sigma, width - half),
        -gaussian_square(t - half, half, sigma, width - half),
    )
    active = gaussian_square(t, duration, sigma, width)
    return np.asarray(amp * np.exp(1j * angle) * echo + active_amp * np.exp(1j * active_angle) * active)


def gaussian_deriv(t: Array, duration: int, sigma: float) -> Array:
    """Derivative of the unlifted Gaussian, per dt."""
    x = t - duration / 2
    return np.asarray(-x / sigma**2 * _gauss(x, 0.0, sigma))


def _sech(x: Array) -> Array:
    decay = np.exp(-np.abs(x))
    return np.asarray(2 * decay / (1 + decay * decay))


def sech(t: Array, duration: int, sigma: float) -> Array:
    """Hyperbolic secant about duration/2, lifted to zero at t = -1."""
    floor = float(_sech(np.array((duration / 2 + 1) / sigma)))
    return np.asarray((_sech((t - duration / 2) / sigma) - floor) / (1 - floor))


def sech_unlifted(t: Array, duration: int, sigma: float) -> Array:
    """Hyperbolic secant about duration/2."""
    return _sech((t - duration / 2) / sigma)


def sech_deriv(t: Array, duration: int, sigma: float) -> Array:
    """Derivative of the unlifted hyperbolic secant, per dt."""
    x = (t - duration / 2) / sigma
    return np.asarray(-_sech(x) * np.tanh(x) / sigma)


def sin(t: Array, duration: int, freq: float, phase: float) -> Array:
    """Sine; ``freq`` in 1/dt."""
    return np.asarray(np.sin(2 * np.pi * freq * t + phase))


def cos(t: Array, duration: int, freq: float, phase: float) -> Array:
    """Cosine; ``freq`` in 1/dt."""
    return np.asarray(np.cos(2 * np.pi * freq * t + phase))


def sawtooth(t: Array, duration: int, freq: float, phase: float) -> Array:
    """Rises from 0 through 1, falls to -1, in step with a sine; ``freq`` in 1/dt."""
    turns = t * freq + phase / (2 * np.pi)
    return np.asarray(2 * (turns - np.floor(turns + 0.5)))


def triangle(t: Array, duration: int, freq: float, phase: float) -> Array:
    """Triangle wave in step with a sine; ``freq`` in 1/dt."""
    return np.asarray(1 - 2 * np.abs(sawtooth(t, duration, freq, phase - np.pi / 2)))


def square(t: Array, duration: int, freq: float, phase: float) -> Array:
    """Sign of a sine: +1 from where it rises through zero, -1 from where it falls; ``freq`` in 1/dt."""
    turns = t * freq + phase / (2 * np.pi)
    return np.asarray(1 + 2 * (2 * np.floor(turns) - np.floor(2 * turns)))


@dataclass(frozen=True, slots=True)
class Shape:
    """An envelope function with what must hold for its parameters.

    Attributes:
        key: stable name, the same in every process.
        function: ``function(t, duration, **parameters)``, see the head of this module.
        parameters: names of the function's parameters.
        problem: ``problem(duration, **parameters)`` names the condition that does not hold, or returns None.
        peak: upper bound of the modulus of the shape at amplitude one; None when only sampling can tell.
        exact: whether ``peak`` is reached, so that beyond it sampling need not decide.

    """

    key: str
    function: Callable[..., Array]
    parameters: tuple[str, ...] = ()
    problem: Callable[..., str | None] | None = field(default=None, compare=False)
    peak: Callable[..., float] | None = field(default=None, compare=False)
    exact: bool = True

    @property
    def builtin(self) -> bool:
        """Whether this is a shape of the library, known by its key in every process."""
        return SHAPES.get(self.key) is self

    def __reduce__(self) -> tuple[Any, ...]:
        if self.builtin:
            return _builtin, (self.key,)
        return Shape, (self.key, self.function, self.parameters, self.problem, self.peak, self.exact)


def _builtin(key: str) -> Shape:
    return SHAPES[key]


def _one(duration: int, **_: float) -> float:
    return 1.0


def _positive_sigma(duration: int, sigma: float, **_: float) -> str | None:
    return None if sigma > 0 else "0 < sigma"


def _flat_top(duration: int, sigma: float, width: float, **_: float) -> str | None:
    return None if sigma > 0 and 0 <= width <= duration else "0 < sigma and 0 <= width <= duration"


def _below_nyquist(duration: int, freq: float, **_: float) -> str | None:
    return None if 0 < freq < 0.5 else "0 < freq < 0.5"


def _drag_peak(duration: int, sigma: float, beta: float, **_: float) -> float:
    """Maximum over x of exp(-x²/2σ²)·sqrt(1 + β²x²/σ⁴), which bounds the lifted pulse."""
    ratio = (beta / sigma) ** 2
    return 1.0 if ratio <= 1 else math.sqrt(ratio * math.exp(1 / ratio - 1))


def _echo_peak(duration: int, amp: float, active_amp: float, **_: float) -> float:
    return abs(amp) + abs(active_amp)


def _gaussian_slope(duration: int, sigma: float) -> float:
    return math.exp(-0.5) / sigma


def _sech_slope(duration: int, sigma: float) -> float:
    return 0.5 / sigma


_WAVE = ("freq", "phase")

SHAPES: dict[str, Shape] = {
    shape.key: shape
    for shape in (
        Shape("Constant", constant, (), None, _one),
        Shape("Gaussian", gaussian, ("sigma",), _positive_sigma, _one),
        Shape("GaussianSquare", gaussian_square, ("sigma", "width"), _flat_top, _one),
        Shape("Drag", drag, ("sigma", "beta"), _positive_sigma, _drag_peak, False),
        Shape(
            "GaussianSquareDrag",
            gaussian_square_drag,
            ("sigma", "width", "beta"),
            _flat_top,
            _drag_peak,
            False,
        ),
        Shape(
            "gaussian_square_echo",
            gaussian_square_echo,
            ("amp", "angle", "sigma", "width", "active_amp", "active_angle"),
            _flat_top,
            _echo_peak,
            False,
        ),
        Shape("GaussianDeriv", gaussian_deriv, ("sigma",), _positive_sigma, _gaussian_slope),
        Shape("Sech", sech, ("sigma",), _positive_sigma, _one),
        Shape("Sech.unlifted", sech_unlifted, ("sigma",), _positive_sigma, _one),
        Shape("SechDeriv", sech_deriv, ("sigma",), _positive_sigma, _sech_slope),
        Shape("Sin", sin, _WAVE, _below_nyquist, _one),
        Shape("Cos", cos, _WAVE, _below_nyquist, _one),
        Shape("Sawtooth", sawtooth, _WAVE, _below_nyquist, _one),
        Shape("Triangle", triangle, _WAVE, _below_nyquist, _one),
        Shape("Square", square, _WAVE, _below_nyquist, _one),
    )
}
