"""Values in OpenPulse text: numbers, durations, waveforms; computed from expressions without running anything."""

from __future__ import annotations

import cmath
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from qiskit.circuit import ParameterExpression

from pulsed import old_names
from pulsed.pulse.channels import Channel, MemorySlot
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.library import Waveform
from pulsed.pulse.library.pulse import Pulse
from pulsed.pulse.openpulse.functions import FUNCTIONS, MAX_DURATION, OwnKernel

__getattr__ = old_names(__name__)

UNITS = {"ns": Fraction(1, 10**9), "us": Fraction(1, 10**6), "ms": Fraction(1, 1000), "s": Fraction(1)}
CONSTANTS = {"pi": math.pi, "π": math.pi, "tau": math.tau, "τ": math.tau, "euler": math.e, "ℇ": math.e}
MATH: dict[str, Callable[[complex], complex]] = {
    "sin": cmath.sin,
    "cos": cmath.cos,
    "exp": cmath.exp,
    "sqrt": cmath.sqrt,
}


class Exact(float):
    """A number of the text, with the fraction that its decimal digits say: 0.57 * 1600ns is 912 ns and no less."""

    __slots__ = ("fraction",)
    fraction: Fraction

    def __new__(cls, fraction: Fraction) -> Exact:
        """Return the float nearest to ``fraction``, which it keeps."""
        made = super().__new__(cls, fraction)
        made.fraction = fraction
        return made


MAX_BITS = 4096
"""Longest numerator and denominator of a number that is computed exactly."""

MAX_EXPONENT = sys.float_info.max_exp - 1


@dataclass(frozen=True, slots=True)
class Duration:
    """A time in dt, exact."""

    dt: Fraction


@dataclass(frozen=True, slots=True)
class Port:
    """A declared port."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class Frame:
    """A declared frame: the one of its channel."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class BitVariable:
    """A declared bit, or the result of a capture that nobody uses further; ``slot`` is None unless its name says."""

    slot: MemorySlot | None


Item = Any
"""float, complex, ParameterExpression, Duration, Port, Frame, Bit, Pulse or OwnKernel."""


class Values:
    """What expressions are worth.

    Args:
        dt: in s, exact.

    """

    def __init__(self, dt: Fraction) -> None:
        self._dt = dt

    def value(self, node: Any, scope: Mapping[str, Item], name: str | None = None) -> Item:
        """Return the value of an expression; ``name`` is that of the waveform it defines.

        Raises:
            PulseError: an expression, a name or a function that is not known, or a result that is not finite.

        """
        read = self._KINDS.get(type(node).__name__)
        if read is None:
            raise PulseError("this expression is not supported", value=type(node).__name__, legal=EXPRESSIONS)
        try:
            made = self._call(node, scope, name) if read is self._KINDS["FunctionCall"] else read(self, node, scope)
        except (ArithmeticError, ValueError, TypeError) as error:
            raise PulseError(f"cannot be computed: {error}") from error
        if isinstance(made, (float, complex)) and not cmath.isfinite(made):
            raise PulseError("is not a finite number", value=made)
        if isinstance(made, Duration) and abs(made.dt) > MAX_DURATION:
            raise PulseError("is too long", subject="duration", legal=f"at most {MAX_DURATION} dt, {self._unit()}")
        return made

    def _unit(self) -> str:
        return f"1 dt = {float(self._dt):.12g} s"

    def number(self, node: Any, scope: Mapping[str, Item]) -> Any:
        """Return the value of a real expression: a float, or a Qiskit expression of the gate's parameters."""
        return _real(self.value(node, scope))

    def duration(self, node: Any, scope: Mapping[str, Item]) -> int:
        """Return the value of a duration that is a whole number of dt, from zero on."""
        return self._whole(self.value(node, scope))

    def _whole(self, given: Item) -> int:
        if not isinstance(given, Duration):
            raise PulseError("not a duration", value=given, legal="a number with unit dt, ns, us, ms or s")
        if given.dt.denominator != 1 or given.dt < 0:
            raise PulseError(
                "a time must be a whole number of dt", value=f"{float(given.dt):.17g} dt",
                legal=f"0 to {MAX_DURATION}, {self._unit()}",
            )  # fmt: skip
        return int(given.dt)

    def _literal(self, node: Any, scope: Mapping[str, Item]) -> float:
        # repr gives back the decimal digits of the text
        return Exact(Fraction(repr(node.value)))

    def _imaginary(self, node: Any, scope: Mapping[str, Item]) -> complex:
        return complex(0.0, node.value)

    def _time(self, node: Any, scope: Mapping[str, Item]) -> Duration:
        count = Fraction(repr(node.value))
        return Duration(count if node.unit.name == "dt" else count * UNITS[node.unit.name] / self._dt)

    def _name(self, node: Any, scope: Mapping[str, Item]) -> Item:
        found = scope.get(node.name, CONSTANTS.get(node.name))
        if found is None:
            raise PulseError("not declared", value=node.name, legal=", ".join([*scope][:40]))
        return found

    def _unary(self, node: Any, scope: Mapping[str, Item]) -> Item:
        given = self.value(node.expression, scope)
        if node.op.name != "-":
            raise PulseError("this operator is not supported", value=node.op.name, legal="+, -, *, /")
        if isinstance(given, Duration):
            return Duration(-given.dt)
        return Exact(-given.fraction) if isinstance(given, Exact) else -_plain(given)

    def _binary(self, node: Any, scope: Mapping[str, Item]) -> Item:
        left, right, operator = self.value(node.lhs, scope), self.value(node.rhs, scope), node.op.name
        if operator not in {"+", "-", "*", "/"}:
            raise PulseError("this operator is not supported", value=operator, legal="+, -, *, /")
        if not isinstance(left, Duration) and not isinstance(right, Duration):
            return _arithmetic(operator, _plain(left), _plain(right))
        a, b = (side.dt if isinstance(side, Duration) else _fraction(side) for side in (left, right))
        both = isinstance(left, Duration) and isinstance(right, Duration)
        if operator == "/" and both:
            return Exact(a / b)
        if both != (operator in {"+", "-"}) or (operator == "/" and not isinstance(left, Duration)):
            raise PulseError("durations are not combined in this way", value=operator)
        return Duration(_arithmetic(operator, a, b))

    def _call(self, node: Any, scope: Mapping[str, Item], name: str | None = None) -> Item:
        called = node.name.name
        if called in MATH and len(node.arguments) == 1:
            given = self.value(node.arguments[0], scope)
            if not isinstance(given, (float, complex)):
                raise PulseError("needs a number", subject=called, value=given)
            made = MATH[called](given)
            return made.real if made.imag == 0 else made
        function = FUNCTIONS.get(called)
        if function is None:
            raise PulseError("not a function that is known", value=called, legal=", ".join([*MATH, *FUNCTIONS]))
        if len(node.arguments) != len(function.arguments):
            legal = ", ".join(argument for argument, _ in function.arguments)
            raise PulseError("wrong number of arguments", subject=called, value=len(node.arguments), legal=legal)
        given = [self.value(argument, scope) for argument in node.arguments]
        values = [self._argument(kind, value) for (_, kind), value in zip(function.arguments, given, strict=True)]
        return function.make(*values, name=name, dt=float(self._dt))

    def _argument(self, kind: str, value: Item) -> Any:
        if kind == "time":
            return self._whole(value)
        if kind == "length":
            if not isinstance(value, Duration):
                raise PulseError("not a duration", value=value, legal="a number with unit dt, ns, us, ms or s")
            return float(value.dt)
        return _real(value) if kind == "number" else _without_digits(_plain(value))

    def samples(self, node: Any, scope: Mapping[str, Item], name: str | None) -> Waveform:
        """Return the waveform that a list of samples in braces is."""
        return Waveform([_number(self.value(sample, scope)) for sample in node.values], name)

    _KINDS: dict[str, Callable[..., Item]] = {  # noqa: RUF012 - a table, never changed
        "IntegerLiteral": _literal,
        "FloatLiteral": _literal,
        "ImaginaryLiteral": _imaginary,
        "DurationLiteral": _time,
        "Identifier": _name,
        "UnaryExpression": _unary,
        "BinaryExpression": _binary,
        "FunctionCall": _call,
    }


EXPRESSIONS = "numbers, durations, names, +, -, *, /, sin, cos, exp, sqrt, waveform functions"


def waveform(value: Item) -> Pulse:
    """Return ``value`` if it can be played; raise :class:`PulseError` otherwise."""
    if not isinstance(value, Pulse):
        raise PulseError("not a waveform", value="pulsed_kernel" if isinstance(value, OwnKernel) else value)
    return value


def _arithmetic(operator: str, a: Any, b: Any) -> Any:
    if isinstance(a, Exact) and isinstance(b, Exact):
        exact: Fraction = _arithmetic(operator, a.fraction, b.fraction)
        above, below = exact.numerator.bit_length(), exact.denominator.bit_length()
        if max(above, below) <= MAX_BITS and above - below < MAX_EXPONENT:
            return Exact(exact)
    if not isinstance(a, Fraction):
        a, b = _without_digits(a), _without_digits(b)
    if operator == "+":
        return a + b
    if operator == "-":
        return a - b
    return a * b if operator == "*" else a / b


def _fraction(value: Item) -> Fraction:
    number = value if isinstance(value, Exact) else _real(value)
    if isinstance(number, ParameterExpression):
        raise PulseError("a duration cannot depend on a parameter", value=str(number))
    # what is computed with sin or pi has no more digits than a float shows
    return number.fraction if isinstance(number, Exact) else Fraction(repr(number))


def _without_digits(value: Any) -> Any:
    return float(value) if isinstance(value, Exact) else value


def _plain(value: Item) -> Any:
    if not isinstance(value, (float, complex, ParameterExpression)):
        raise PulseError("not a number", value=value)
    return value


def _number(value: Item) -> complex:
    if not isinstance(value, (float, complex)):
        raise PulseError("not a number", value=value)
    return value


def _real(value: Item) -> Any:
    if isinstance(_plain(value), complex):
        if value.imag != 0:
            raise PulseError("not a real number", value=value)
        return value.real
    return _without_digits(value)
