"""Envelopes of ``qiskit.pulse`` 1.4 as ours and back; part of :mod:`pulsed.pulse.interop`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pulsed.pulse import library
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.library.pulse import Pulse
from pulsed.pulse.library.shapes import SHAPES, Array

_LEGAL_VALUES = {
    "duration": 64, "amp": 0.1, "angle": 0.0, "sigma": 8.0, "width": 16.0, "beta": 1.0, "freq": 0.1, "phase": 0.0,
    "active_amp": 0.1, "active_angle": 0.0,
}  # fmt: skip
"""Values with which any pulse of the library can be made: only its formula is looked at."""


@dataclass(frozen=True)
class Formula:
    """The formula of a shape that a user of ``qiskit.pulse`` wrote, as a function for :class:`SymbolicPulse`.

    Attributes:
        envelope: symbolic expression of t (dt), the duration and the parameters.
        constraints: what must hold for the parameters, or None.
        valid_amp_conditions: what spares ``qiskit.pulse`` the check of the amplitude, or None.

    """

    envelope: Any
    constraints: Any = None
    valid_amp_conditions: Any = None

    def __call__(self, t: Array, duration: int, **parameters: float) -> Array:
        """Return the envelope at ``t``; where the amplitude is not among the parameters it is one."""
        function, names = _function(self.envelope)
        values = {"amp": 1.0, "angle": 0.0, "duration": duration, "t": t, **parameters}
        if missing := [name for name in names if name not in values]:
            raise PulseError("the formula has a symbol without a value", subject=str(self.envelope), value=missing)
        made = np.asarray(function(*(values[name] for name in names)), dtype=np.complex128)
        return np.array(np.broadcast_to(made, t.shape))

    def legal(self) -> Callable[..., bool] | None:
        """Return the constraints as a function of duration and parameters."""
        if self.constraints is None:
            return None

        def hold(duration: int, **parameters: float) -> bool:
            function, names = _function(self.constraints)
            values = {"amp": 1.0, "angle": 0.0, "duration": duration, **parameters}
            return bool(function(*(values[name] for name in names)))

        hold.__doc__ = str(self.constraints)
        return hold


@lru_cache(maxsize=256)
def _function(expression: Any) -> tuple[Callable[..., Any], list[str]]:
    """Return a symbolic expression as a function of arrays, with the names of its arguments."""
    import sympy

    symbols = sorted(expression.free_symbols, key=lambda symbol: str(symbol.name))
    arguments = [sympy.Symbol(symbol.name) for symbol in symbols]
    return sympy.lambdify(arguments, sympy.sympify(expression), "numpy"), [symbol.name for symbol in symbols]


@lru_cache(maxsize=1)
def _library() -> dict[str, tuple[Callable[..., Any], Any]]:
    """Return, for each of our shapes that ``qiskit.pulse`` has, the class there that makes it, and its formula."""
    from qiskit.pulse import library as theirs

    found = {}
    for key, shape in SHAPES.items():
        name, _, variant = key.partition(".")
        make = getattr(theirs, name, None)
        if make is None:
            continue
        if variant == "unlifted":
            make = _without(make)
        names = {"duration", "amp", "angle", *shape.parameters}
        found[key] = make, make(**{name: _LEGAL_VALUES[name] for name in names}).envelope
    return found


def _without(make: Callable[..., Any]) -> Callable[..., Any]:
    return lambda **values: make(zero_ends=False, **values)


def pulse_from_qiskit(theirs: Any) -> Pulse:
    """Return a pulse of ``qiskit.pulse`` as ours: the same shape and parameters, or the same samples.

    Raises:
        PulseError: a pulse of a class that is neither Waveform nor SymbolicPulse, or a symbolic one without formula.

    """
    from qiskit.pulse import library as qiskit_library

    limit = theirs._limit_amplitude
    if isinstance(theirs, qiskit_library.Waveform):
        return library.Waveform(theirs.samples, theirs.name, limit_amplitude=limit)
    if not isinstance(theirs, qiskit_library.SymbolicPulse):
        raise PulseError("a pulse that has no counterpart", subject=type(theirs).__name__, value=theirs)
    values = dict(theirs.parameters)
    scalable = isinstance(theirs, qiskit_library.ScalableSymbolicPulse)
    for key in (theirs.pulse_type, f"{theirs.pulse_type}.unlifted"):
        if key in _library() and _library()[key][1] == theirs.envelope:
            make: Any = getattr(library, theirs.pulse_type)
            if key.endswith(".unlifted"):
                make = _without(make)
            ours: Pulse = make(**values, name=theirs.name, limit_amplitude=limit)
            return ours
    if theirs.envelope is None:
        raise PulseError("a symbolic pulse without a formula", subject=theirs.pulse_type, value=theirs)
    formula = Formula(theirs.envelope, theirs.constraints, theirs.valid_amp_conditions)
    duration = values.pop("duration")
    scale = {name: values.pop(name) for name in ("amp", "angle") if scalable}
    kind = library.ScalableSymbolicPulse if scalable else library.SymbolicPulse
    return kind(
        theirs.pulse_type, duration, parameters=values, name=theirs.name, limit_amplitude=limit, envelope=formula,
        constraints=formula.legal(), **scale,
    )  # fmt: skip


def pulse_to_qiskit(ours: Pulse) -> Any:
    """Return a pulse as one of ``qiskit.pulse``: the same shape and parameters; what it has not as its samples.

    Raises:
        PulseError: a function of the user with parameters that have no value.

    """
    from qiskit.pulse import library as qiskit_library

    options = {"name": ours.name, "limit_amplitude": ours.limit_amplitude}
    if isinstance(ours, library.SymbolicPulse):
        shape = ours.shape
        if shape.builtin and shape.key in _library():
            return _library()[shape.key][0](**ours.parameters, **options)
        if isinstance(shape.function, Formula):
            formula = shape.function
            values = ours.parameters
            duration = values.pop("duration")
            scalable = isinstance(ours, library.ScalableSymbolicPulse)
            scale = {name: values.pop(name) for name in ("amp", "angle") if scalable}
            kind = qiskit_library.ScalableSymbolicPulse if scalable else qiskit_library.SymbolicPulse
            return kind(
                ours.pulse_type, duration, parameters={**values, **scale}, envelope=formula.envelope,
                constraints=formula.constraints, valid_amp_conditions=formula.valid_amp_conditions, **scale, **options,
            )  # fmt: skip
        if ours.is_parameterized():
            names = ", ".join(sorted(parameter.name for parameter in ours.free_parameters))
            raise PulseError(
                "an envelope that is a Python function has no counterpart until its parameters have values",
                subject=repr(ours), value=names,
            )  # fmt: skip
    return qiskit_library.Waveform(ours.envelope(), **options)
