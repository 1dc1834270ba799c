"""The waveform functions of OpenPulse text, by name, for reading and writing.

``pulsed_<shape>`` are the pulses of :mod:`pulsed.pulse.library`, with the same formulas and the same values: the
duration, then the shape's parameters, then ``amp`` and ``angle``. Lengths (sigma, width, beta) are durations; freq is
in 1/dt. They keep every pulse exactly, and their definition is that of the library.

``constant``, ``gaussian``, ``gaussian_square``, ``drag``, ``sech`` and ``sine`` are those of the OpenPulse
specification, taken at its word: ``amp`` is the amplitude at the centre and ``sigma`` the standard deviation, so that,
other than in the library, nothing is lifted to zero at the ends. With x = t - d/2, and t at midpoints of samples::

    constant(complex amp, duration d)                                amp
    gaussian(complex amp, duration d, duration sigma)                amp·exp(-x²/2σ²)
    sech(complex amp, duration d, duration sigma)                    amp/cosh(x/σ)
    gaussian_square(complex amp, duration d, duration square_width,  amp between ±square_width/2, then Gaussian flanks
                    duration sigma)
    drag(complex amp, duration d, duration sigma, float beta)        amp·exp(-x²/2σ²)·(1 - iβx/σ²), beta in dt
    sine(complex amp, duration d, float frequency, angle phase)      amp·sin(2π·frequency·t + phase), frequency in Hz
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.library import symbolic_pulses
from pulsed.pulse.library.shapes import SHAPES, Array, Shape
from pulsed.pulse.library.symbolic import ScalableSymbolicPulse, SymbolicPulse

KERNEL = "pulsed_kernel"
"""``pulsed_kernel(duration)``: stands for the integration weights that the backend has for this qubit."""

LENGTHS = ("sigma", "width", "beta", "square_width")
"""Parameters of the library that are durations in text, and numbers of dt here."""

MAX_SAMPLES = 1 << 22
"""Longest pulse in text whose limits only its samples can tell."""

MAX_DURATION = 1 << 32
"""Longest pulse in text, in dt."""


@dataclass(frozen=True, slots=True)
class Function:
    """A waveform function: its name, the kinds of its arguments in order, and what it makes of them.

    Attributes:
        name: in text.
        arguments: of each argument (name, kind): ``time`` is a whole number of dt, ``length`` any number of dt,
            ``number`` real, ``amplitude`` complex.
        make: the arguments, then ``name`` and ``dt`` (s) → the pulse.

    """

    name: str
    arguments: tuple[tuple[str, str], ...]
    make: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class OwnKernel:
    """In place of a capture's filter: the weights that the backend has."""

    duration: int


def function_name(shape: Shape) -> str:
    """Return the name in text of a shape of the library: ``pulsed_gaussian_square`` for ``GaussianSquare``."""
    spelled = "".join("_" + letter.lower() if letter.isupper() else letter for letter in shape.key.replace(".", "_"))
    return "pulsed_" + spelled.lstrip("_")


def written_parameters(shape: Shape) -> tuple[tuple[str, str], ...]:
    """Return (name, kind) of what follows the duration in the function of a shape of the library."""
    names = shape.parameters if "amp" in shape.parameters else (*shape.parameters, "amp", "angle")
    return tuple((name, "length" if name in LENGTHS else "number") for name in names)


def _of_library(shape: Shape) -> Function:
    names = written_parameters(shape)
    kind = getattr(symbolic_pulses, shape.key.partition(".")[0])
    if not isinstance(kind, type):
        kind = SymbolicPulse

    def make(duration: int, *values: Any, name: str | None, dt: float) -> SymbolicPulse:
        return kind.restored(shape, duration, values, name, None)  # type: ignore[no-any-return]

    return Function(function_name(shape), (("d", "time"), *names), make)


def _gaussian(t: Array, duration: int, sigma: float) -> Array:
    return np.asarray(np.exp(-0.5 * ((t - duration / 2) / sigma) ** 2))


def _drag(t: Array, duration: int, sigma: float, beta: float) -> Array:
    return np.asarray(_gaussian(t, duration, sigma) * (1 - 1j * beta * (t - duration / 2) / sigma**2))


def _gaussian_square(t: Array, duration: int, square_width: float, sigma: float) -> Array:
    beyond = np.maximum(np.abs(t - duration / 2) - square_width / 2, 0.0)
    return np.asarray(np.exp(-0.5 * (beyond / sigma) ** 2))


def _positive(duration: int, **values: float) -> bool:
    """0 < sigma, 0 <= square_width <= duration."""
    return values["sigma"] > 0 and 0 <= values.get("square_width", 0) <= duration


def _polar(amp: Any) -> tuple[Any, float]:
    """Return amp and angle; a real amplitude, or a parameter, stays as it is."""
    if not isinstance(amp, complex):
        return amp, 0.0
    return (amp.real, 0.0) if amp.imag == 0 else (abs(amp), float(np.angle(amp)))


def _of_specification(name: str, envelope: Callable[..., Array], *parameters: tuple[str, str]) -> Function:
    """Return a function that the library does not have, sampled when it is played."""
    names = [parameter for parameter, _ in parameters]

    def make(amp: Any, duration: int, *values: Any, name: str | None, dt: float) -> ScalableSymbolicPulse:
        if duration > MAX_SAMPLES:
            raise PulseError("pulse is too long", subject=shown, value=duration, legal=f"at most {MAX_SAMPLES} dt")
        given = dict(zip(names, values, strict=True))
        return ScalableSymbolicPulse(shown, duration, *_polar(amp), given, name, None, envelope, _positive)

    shown = f"openpulse_{name}"
    return Function(name, (("amp", "amplitude"), ("d", "time"), *parameters), make)


def _constant(amp: Any, duration: int, *, name: str | None, dt: float) -> symbolic_pulses.Constant:
    return symbolic_pulses.Constant(duration, *_polar(amp), name=name)


def _sine(amp: Any, duration: int, frequency: Any, phase: Any, *, name: str | None, dt: float) -> symbolic_pulses.Sin:
    size, angle = _polar(amp)
    return symbolic_pulses.Sin(duration, size, phase, frequency * dt, angle, name)


def _own_kernel(duration: int, *, name: str | None, dt: float) -> OwnKernel:
    return OwnKernel(duration)


FUNCTIONS: dict[str, Function] = {
    function.name: function
    for function in (
        *map(_of_library, SHAPES.values()),
        Function("constant", (("amp", "amplitude"), ("d", "time")), _constant),
        Function("sine", (("amp", "amplitude"), ("d", "time"), ("frequency", "number"), ("phase", "number")), _sine),
        _of_specification("gaussian", _gaussian, ("sigma", "length")),
        _of_specification("sech", SHAPES["Sech.unlifted"].function, ("sigma", "length")),
        _of_specification("gaussian_square", _gaussian_square, ("square_width", "length"), ("sigma", "length")),
        _of_specification("drag", _drag, ("sigma", "length"), ("beta", "number")),
        Function(KERNEL, (("d", "time"),), _own_kernel),
    )
}
