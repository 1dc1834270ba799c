"""The named pulses of the library. Formulas are in :mod:`pulsed.pulse.library.shapes`, with t in dt.

Every class takes ``name``, for display, and ``limit_amplitude``; False allows samples of modulus above one. Each
raises :class:`~pulsed.pulse.exceptions.PulseError` for a value that is not finite or not legal.
"""

from __future__ import annotations

from typing import ClassVar

from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.library.shapes import SHAPES
from pulsed.pulse.library.symbolic import ScalableSymbolicPulse, SymbolicPulse
from pulsed.pulse.utils import Value


class Constant(ScalableSymbolicPulse):
    """amp·e^{i·angle} over the whole duration."""

    __slots__ = ()

    def __init__(
        self,
        duration: Value,
        amp: Value,
        angle: Value = 0.0,
        name: str | None = None,
        limit_amplitude: bool | None = None,
    ) -> None:
        self._setup(SHAPES["Constant"], duration, {"amp": amp, "angle": angle}, name, limit_amplitude)


class _Peaked(ScalableSymbolicPulse):
    """A pulse whose shape has one width, sigma (dt)."""

    __slots__ = ()
    _key: ClassVar[str]

    def __init__(
        self,
        duration: Value,
        amp: Value,
        sigma: Value,
        angle: Value = 0.0,
        name: str | None = None,
        limit_amplitude: bool | None = None,
    ) -> None:
        params = {"sigma": sigma, "amp": amp, "angle": angle}
        self._setup(SHAPES[self._key], duration, params, name, limit_amplitude)


class Gaussian(_Peaked):
    """Gaussian about the middle, lifted to zero at t = -1 and t = duration + 1."""

    __slots__ = ()
    _key = "Gaussian"


class GaussianDeriv(_Peaked):
    """Derivative of the unlifted Gaussian of peak amp."""

    __slots__ = ()
    _key = "GaussianDeriv"


class SechDeriv(_Peaked):
    """Derivative of the unlifted hyperbolic secant of peak amp."""

    __slots__ = ()
    _key = "SechDeriv"


class Sech(ScalableSymbolicPulse):
    """Hyperbolic secant about the middle; with ``zero_ends`` lifted to zero at t = -1 and t = duration + 1."""

    __slots__ = ()

    def __init__(
        self,
        duration: Value,
        amp: Value,
        sigma: Value,
        angle: Value = 0.0,
        name: str | None = None,
        zero_ends: bool = True,
        limit_amplitude: bool | None = None,
    ) -> None:
        shape = SHAPES["Sech" if zero_ends else "Sech.unlifted"]
        self._setup(shape, duration, {"sigma": sigma, "amp": amp, "angle": angle}, name, limit_amplitude)


class Drag(ScalableSymbolicPulse):
    """Lifted Gaussian with its derivative in quadrature; ``beta`` is in dt."""

    __slots__ = ()

    def __init__(
        self,
        duration: Value,
        amp: Value,
        sigma: Value,
        beta: Value,
        angle: Value = 0.0,
        name: str | None = None,
        limit_amplitude: bool | None = None,
    ) -> None:
        params = {"sigma": sigma, "beta": beta, "amp": amp, "angle": angle}
        self._setup(SHAPES["Drag"], duration, params, name, limit_amplitude)


def _width(duration: Value, sigma: Value, width: Value | None, ratio: Value | None) -> Value:
    """Return the flat top's width, given itself or the flank's length over sigma."""
    if (width is None) == (ratio is None):
        given = "neither" if width is None else "both"
        raise PulseError("exactly one of width and risefall_sigma_ratio must be given", value=given)
    return width if ratio is None else duration - 2.0 * ratio * sigma


class GaussianSquare(ScalableSymbolicPulse):
    """Flat top of ``width`` dt with lifted Gaussian flanks; give ``width`` or ``risefall_sigma_ratio``."""

    __slots__ = ()

    def __init__(
        self,
        duration: Value,
        amp: Value,
        sigma: Value,
        width: Value | None = None,
        angle: Value = 0.0,
        risefall_sigma_ratio: Value | None = None,
        name: str | None = None,
        limit_amplitude: bool | None = None,
    ) -> None:
        width = _width(duration, sigma, width, risefall_sigma_ratio)
        params = {"sigma": sigma, "width": width, "amp": amp, "angle": angle}
        self._setup(SHAPES["GaussianSquare"], duration, params, name, limit_amplitude)


class GaussianSquareDrag(ScalableSymbolicPulse):
    """Flat top of ``width`` dt with the halves of a DRAG pulse as flanks; ``beta`` in dt."""

    __slots__ = ()

    def __init__(
        self,
        duration: Value,
        amp: Value,
        sigma: Value,
        beta: Value,
        width: Value | None = None,
        angle: Value = 0.0,
        risefall_sigma_ratio: Value | None = None,
        name: str | None = None,
        limit_amplitude: bool | None = None,
    ) -> None:
        width = _width(duration, sigma, width, risefall_sigma_ratio)
        params = {"sigma": sigma, "width": width, "beta": beta, "amp": amp, "angle": angle}
        self._setup(SHAPES["GaussianSquareDrag"], duration, params, name, limit_amplitude)


def gaussian_square_echo(
    duration: Value,
    amp: Value,
    sigma: Value,
    width: Value | None = None,
    angle: Value = 0.0,
    active_amp: Value = 0.0,
    active_angle: Value = 0.0,
    risefall_sigma_ratio: Value | None = None,
    name: str | None = None,
    limit_amplitude: bool | None = None,
) -> SymbolicPulse:
    """Return an echoed GaussianSquare: over half the duration amp, over the other half -amp, over all active_amp.

    The flanks of all three are (duration - width)/2 long.
    After Jurcevic et al., Quantum Sci. Technol. 6, 025020 (2021).
    """
    params = {
        "amp": amp,
        "angle": angle,
        "sigma": sigma,
        "width": _width(duration, sigma, width, risefall_sigma_ratio),
        "active_amp": active_amp,
        "active_angle": active_angle,
    }
    return SymbolicPulse("gaussian_square_echo", duration, params, name, limit_amplitude)


class _Wave(ScalableSymbolicPulse):
    """A periodic wave: ``phase`` in rad, ``freq`` in 1/dt, by default one period in the duration."""

    __slots__ = ()
    _key: ClassVar[str]

    def __init__(
        self,
        duration: Value,
        amp: Value,
        phase: Value,
        freq: Value | None = None,
        angle: Value = 0.0,
        name: str | None = None,
        limit_amplitude: bool | None = None,
    ) -> None:
        if freq is None:
            if isinstance(duration, (int, float)) and duration <= 0:
                raise PulseError("a wave without freq needs a positive duration", subject=self._key, value=duration)
            freq = 1 / duration
        params = {"freq": freq, "phase": phase, "amp": amp, "angle": angle}
        self._setup(SHAPES[self._key], duration, params, name, limit_amplitude)


class Sin(_Wave):
    """amp·sin(2π·freq·t + phase)."""

    __slots__ = ()
    _key = "Sin"


class Cos(_Wave):
    """amp·cos(2π·freq·t + phase)."""

    __slots__ = ()
    _key = "Cos"


class Sawtooth(_Wave):
    """Sawtooth wave that rises through zero where the sine does."""

    __slots__ = ()
    _key = "Sawtooth"


class Triangle(_Wave):
    """Triangle wave in step with the sine."""

    __slots__ = ()
    _key = "Triangle"


class Square(_Wave):
    """Sign of the sine: +1 from where it rises through zero, -1 from where it falls."""

    __slots__ = ()
    _key = "Square"
