"""Pulses given by a function of time and parameters; the base of the library's and of users' own shapes."""

from __future__ import annotations

import cmath
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from hashlib import blake2b
from typing import Any, Self

import numpy as np
from qiskit.circuit import Parameter, ParameterExpression

from pulsed.pulse.exceptions import PulseError, UnassignedParameterError
from pulsed.pulse.library.pulse import Pulse
from pulsed.pulse.library.shape_cache import SHAPE_CACHE, Samples
from pulsed.pulse.library.shapes import SHAPES, Array, Shape
from pulsed.pulse.utils import Value, bind, parameters_of, plain_number

AMPLITUDE_TOLERANCE = 1e-10
"""Two pulses are equal if their complex amplitudes differ by no more than this."""


LONGEST_SAMPLED_CHECK = 1 << 20
"""Beyond this duration the limit of the amplitude is checked by the upper bound of the shape, not by its samples."""


class SymbolicPulse(Pulse):
    """A pulse by a function of arrays.

    Args:
        pulse_type: name of the shape.
        duration: in dt.
        parameters: the function's parameters by name; numbers or Qiskit expressions.
        name: for display.
        limit_amplitude: False allows samples of modulus above one.
        envelope: ``envelope(t, duration, **parameters)`` → array of the length of ``t``, where ``t`` holds the
            midpoints n + 1/2 in dt. Not needed when ``pulse_type`` is a shape of this library.
        constraints: ``constraints(duration, **parameters)`` → whether the parameters are legal.

    Raises:
        PulseError: an unknown shape, parameters that are not finite or break a constraint, an amplitude above one.

    """

    __slots__ = ("_free", "_params", "_shape")
    disable_validation = False

    def __init__(
        self,
        pulse_type: str,
        duration: Value,
        parameters: Mapping[str, Value] | None = None,
        name: str | None = None,
        limit_amplitude: bool | None = None,
        envelope: Callable[..., Array] | None = None,
        constraints: Callable[..., bool] | None = None,
    ) -> None:
        shape = _shape_for(pulse_type, dict(parameters or {}), envelope, constraints)
        self._setup(shape, duration, dict(parameters or {}), name, limit_amplitude)

    def _setup(
        self,
        shape: Shape,
        duration: Value,
        params: dict[str, Value],
        name: str | None,
        limit_amplitude: bool | None,
    ) -> None:
        Pulse.__init__(self, duration, name, limit_amplitude)
        self._shape = shape
        self._params = params
        self._free = isinstance(self._duration, ParameterExpression)
        for key, value in params.items():
            if isinstance(value, ParameterExpression):
                params[key] = bind(value, {})
                self._free = self._free or isinstance(params[key], ParameterExpression)
            elif isinstance(value, (np.generic, np.ndarray, complex)) and not isinstance(value, np.bool_):
                params[key] = plain_number(value)
        if not self.disable_validation:
            self.validate_parameters()

    @classmethod
    def restored(
        cls, shape: Shape, duration: int, values: Sequence[float], name: str | None, limit_amplitude: bool | None
    ) -> Self:
        """Return a pulse of a known shape from the values of its parameters in order, with all checks."""
        names = shape.parameters
        if issubclass(cls, ScalableSymbolicPulse):
            names = (*names, "amp", "angle")
        if len(names) != len(values):
            raise PulseError("wrong number of parameters", subject=shape.key, value=len(values), legal=len(names))
        new = object.__new__(cls)
        SymbolicPulse._setup(new, shape, duration, dict(zip(names, values, strict=True)), name, limit_amplitude)
        return new

    @property
    def pulse_type(self) -> str:
        """Name of the shape."""
        return self._shape.key.partition(".")[0]

    @property
    def shape(self) -> Shape:
        """The envelope function with its constraints."""
        return self._shape

    @property
    def parameters(self) -> dict[str, Value]:
        """The parameters by name, duration first."""
        return {"duration": self._duration, **self._params}

    @property
    def free_parameters(self) -> set[Parameter]:
        """The Qiskit parameters without a value."""
        if not self._free:
            return set()
        return parameters_of(self._duration).union(*map(parameters_of, self._params.values()))

    def is_parameterized(self) -> bool:
        """Return whether a parameter has no value yet."""
        return self._free

    def assigned(self, values: Mapping[Parameter, Value]) -> Self:
        """Return this pulse with ``values`` put in; raise :class:`PulseError` if they are not legal."""
        if not self._free:
            return self
        new = object.__new__(type(self))
        params = {key: bind(value, values) for key, value in self._params.items()}
        limit = self.__dict__.get("limit_amplitude")
        SymbolicPulse._setup(new, self._shape, bind(self._duration, values), params, self._name, limit)
        return new

    def shape_values(self) -> dict[str, Value]:
        """Return the parameters of the shape by name: all but the duration, the amplitude and the angle."""
        return self._params

    @property
    def scale(self) -> complex:
        """One: the amplitude is part of the shape."""
        return 1 + 0j

    def _needs_values(self) -> None:
        if self._free:
            names = ", ".join(sorted(parameter.name for parameter in self.free_parameters))
            raise UnassignedParameterError(
                "unassigned parameters; all must be assigned", subject=repr(self), value=names
            )

    @property
    def shape_key(self) -> bytes:
        """Content hash of the shape; for a function of the user, of its samples."""
        if self._shape_key is None:
            self._needs_values()
            if self._shape.builtin:
                values = tuple(map(float, self.shape_values().values()))
                content = struct.pack(f"<q{len(values)}d", self._duration, *values)
                self._shape_key = blake2b(content, digest_size=16, key=self._shape.key.encode()).digest()
            else:
                self._shape_key = blake2b(self._sample().tobytes(), digest_size=16, person=b"function").digest()
        return self._shape_key

    def _sample(self, ratio: Fraction = Fraction(1)) -> Samples:
        count = self._duration * ratio
        if count.denominator != 1:
            raise PulseError(
                "not a whole number of samples on this clock", subject=repr(self), value=str(count), legal="an integer"
            )
        t = (np.arange(int(count)) + 0.5) / float(ratio)
        made = np.asarray(self._shape.function(t, self._duration, **self.shape_values()), dtype=np.complex128)
        if made.shape != t.shape:
            raise PulseError(
                "envelope function returned an array of another shape",
                subject=repr(self),
                value=made.shape,
                legal=t.shape,
            )
        if not np.isfinite(made).all():
            n = int(np.argmin(np.isfinite(made)))
            raise PulseError(f"envelope is not finite at sample {n}", subject=repr(self), value=complex(made[n]))
        # a function may return a view of something it keeps
        return made.copy()

    def normalized(self) -> Samples:
        """Return the shape, complex128 of length ``duration``, at amp 1 and angle 0; read-only and cached."""
        self._needs_values()
        return SHAPE_CACHE.get(self.shape_key, self._sample)

    def resampled(self, ratio: Fraction) -> Samples:
        """Return the shape at the midpoints of ``ratio`` samples per dt, see :meth:`Pulse.resampled`."""
        self._needs_values()
        key = self.shape_key + str(ratio).encode()
        return SHAPE_CACHE.get(key, lambda: self._sample(ratio))

    def validate_parameters(self) -> None:
        """Check the parameters; while one has no value, only what can be checked.

        Raises:
            PulseError: a value is not finite, breaks a constraint of the shape, or makes a sample larger than one.

        """
        for key, value in self._params.items():
            if not isinstance(value, ParameterExpression) and not _is_finite(value):
                raise PulseError(
                    "parameter is not a finite real number", subject=f"{self.pulse_type} {key}", value=value
                )
        if self._free:
            return
        if self._shape.problem is not None:
            problem = self._shape.problem(self._duration, **self.shape_values())
            if problem is not None:
                raise PulseError(f"parameters violate the constraint {problem}", subject=repr(self), legal=problem)
        if self.limit_amplitude:
            self._check_amplitude()

    def _check_amplitude(self) -> None:
        size = abs(self.scale)
        peak = None
        if self._shape.peak is not None:
            peak = size * self._shape.peak(self._duration, **self.shape_values())
            if peak <= 1.0:
                return
        sampled = peak is None or (size <= 1.0 and not self._shape.exact and self._duration <= LONGEST_SAMPLED_CHECK)
        if sampled:
            peak = size * float(np.abs(self.normalized()).max(initial=0.0))
        # rounding in the samples must not refuse an amplitude of one
        if not sampled or peak is None or peak > 1.0 + 1e-12:
            raise PulseError(
                "pulse amplitude exceeds 1; limit_amplitude=False allows it",
                subject=repr(self),
                value=f"norm {peak:.9g}",
                legal="norm at most 1",
            )

    def __getattr__(self, name: str) -> Value:
        if not name.startswith("_"):
            try:
                return self._params[name]
            except KeyError:
                pass
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, SymbolicPulse)
            and self._shape == other.shape
            and bool(self._duration == other.duration)
            and self.shape_values() == other.shape_values()
        )

    def __hash__(self) -> int:
        return hash((self._shape.key, self._duration, tuple(self.shape_values().items())))

    def __repr__(self) -> str:
        inner = ", ".join(f"{key}={value}" for key, value in self.parameters.items())
        name = "" if self._name is None else f", name={self._name!r}"
        return f"{self.pulse_type}({inner}{name})"


class ScalableSymbolicPulse(SymbolicPulse):
    """A pulse by a function of arrays, times amp·e^{i·angle}; the function does not see amp and angle.

    Args:
        pulse_type: name of the shape.
        duration: in dt.
        amp: real amplitude, of modulus at most one for shapes of peak one; negative turns the pulse by π.
        angle: rad.
        parameters: the function's other parameters by name.
        name: for display.
        limit_amplitude: False allows samples of modulus above one.
        envelope: as in :class:`SymbolicPulse`.
        constraints: as in :class:`SymbolicPulse`.

    """

    __slots__ = ()

    def __init__(
        self,
        pulse_type: str,
        duration: Value,
        amp: Value,
        angle: Value,
        parameters: Mapping[str, Value] | None = None,
        name: str | None = None,
        limit_amplitude: bool | None = None,
        envelope: Callable[..., Array] | None = None,
        constraints: Callable[..., bool] | None = None,
    ) -> None:
        given = {key: value for key, value in (parameters or {}).items() if key not in ("amp", "angle")}
        shape = _shape_for(pulse_type, given, envelope, constraints)
        self._setup(shape, duration, {**given, "amp": amp, "angle": angle}, name, limit_amplitude)

    def shape_values(self) -> dict[str, Value]:
        """Return the parameters of the shape by name: all but the duration, the amplitude and the angle."""
        values = self._params.copy()
        del values["amp"], values["angle"]
        return values

    @property
    def scale(self) -> complex:
        """amp·e^{i·angle}."""
        angle = self._params["angle"]
        amp = self._params["amp"]
        if self._free:
            self._needs_values()
        return complex(amp) if angle == 0 else amp * cmath.exp(1j * angle)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not SymbolicPulse.__eq__(self, other) or not isinstance(other, ScalableSymbolicPulse):
            return False
        if self._free or other.is_parameterized():
            mine, theirs = self.parameters, other.parameters
            return bool(mine["amp"] == theirs["amp"] and mine["angle"] == theirs["angle"])
        return abs(self.scale - other.scale) <= AMPLITUDE_TOLERANCE

    __hash__ = SymbolicPulse.__hash__


def _is_finite(value: Any) -> bool:
    if isinstance(value, (bool, np.bool_, complex, np.ndarray)):
        return False
    try:
        return math.isfinite(value)
    except (TypeError, OverflowError):
        return False


def _shape_for(
    pulse_type: str,
    parameters: dict[str, Value],
    envelope: Callable[..., Array] | None,
    constraints: Callable[..., bool] | None,
) -> Shape:
    names = tuple(parameters)
    if envelope is None:
        known = SHAPES.get(pulse_type)
        if known is None or set(known.parameters) != set(names):
            raise PulseError(
                "no envelope function given, and the library has no such shape with these parameters",
                subject=f"pulse type {pulse_type}",
                value=", ".join(names),
                legal=", ".join(SHAPES) if known is None else ", ".join(known.parameters),
            )
        return known

    if constraints is None:
        return Shape(pulse_type, envelope, names)

    def problem(duration: int, **values: float) -> str | None:
        return None if constraints(duration, **values) else constraints.__doc__ or constraints.__name__

    return Shape(pulse_type, envelope, names, problem)
