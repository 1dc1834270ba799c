"""Values that may still be Qiskit parameters: binding, formatting, checking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from qiskit.circuit import Parameter, ParameterExpression, ParameterVector
from qiskit.exceptions import QiskitError

from pulsed.pulse.exceptions import PulseError, UnassignedDurationError

Value: TypeAlias = Any
"""A number, or a Qiskit ``ParameterExpression`` (typed Any: Qiskit ships no types that mypy follows)."""


def parameters_of(value: Value) -> set[Parameter]:
    """Return the parameters in ``value`` that have no number yet."""
    return set(value.parameters) if isinstance(value, ParameterExpression) else set()


def is_free(value: Value) -> bool:
    """Return whether ``value`` is an expression with unassigned parameters."""
    return isinstance(value, ParameterExpression) and bool(value.parameters)


def format_parameter_value(operand: Value, decimal: int = 10) -> Value:
    """Return a fully bound expression as int, float or complex; anything else as it is.

    A number within 10^-``decimal`` of a non-zero integer becomes that integer, so that durations computed from
    expressions are integers. Small numbers are never rounded to zero.
    """
    if not isinstance(operand, ParameterExpression) or operand.parameters:
        return operand
    number = operand.numeric()
    if isinstance(number, complex):
        if number.imag != 0.0:
            return number
        number = number.real
    if isinstance(number, int):
        return number
    # beyond 2^53 a float says nothing about integers
    nearest = round(number) if abs(number) < 2**53 else number
    if number == nearest or (nearest != 0 and abs(number - nearest) < 10.0**-decimal):
        return nearest
    return float(number)


def plain_number(value: Value) -> Value:
    """Return a number of numpy, or an array of no dimension, as a Python number; a whole complex one as real.

    Anything else is returned as it is.

    Raises:
        PulseError: a truth value, which is no number here.

    """
    if type(value) in (float, int):
        return value
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim):
        value = value.item()
    if isinstance(value, np.floating):  # longer than Python's
        return float(value)
    if isinstance(value, bool):
        raise PulseError("a truth value is no number", value=value, legal="a number")
    if isinstance(value, complex) and value.imag == 0:
        return value.real
    return value


def bind(value: Value, values: Mapping[Parameter, Value]) -> Value:
    """Return ``value`` with all of ``values`` put in at once; a result without parameters is a plain number.

    Raises:
        PulseError: a value that is no finite number, or for which the expression has none.

    """
    if not isinstance(value, ParameterExpression):
        return value
    free = value.parameters
    numbers = {p: plain_number(v) for p, v in values.items() if p in free and not isinstance(v, ParameterExpression)}
    expressions = {p: v for p, v in values.items() if p in free and isinstance(v, ParameterExpression)}
    try:
        for number in numbers.values():
            if not isinstance(number, int | float | complex):  # Qiskit 2.3 takes an array of one
                raise TypeError(f"{number!r} is no number")
        bound = value.bind(numbers) if numbers else value
        return format_parameter_value(bound.subs(expressions) if expressions else bound)
    except (QiskitError, RuntimeError, ArithmeticError, TypeError, ValueError) as error:
        given = {parameter.name: given for parameter, given in (numbers | expressions).items()}
        raise PulseError(f"the values cannot be put in: {error}", subject=str(value), value=given) from error


def resolve(value_dict: Mapping[Any, Any], known: Iterable[Parameter]) -> dict[Parameter, Value]:
    """Return ``value_dict`` keyed by parameter; keys may be parameters, vectors or names.

    Args:
        value_dict: parameter, :class:`ParameterVector` (with a sequence of values) or name → number or expression.
        known: the parameters of the program; parameters that it does not have are ignored.

    Raises:
        PulseError: a vector and its values differ in length, or a key is of another type or a name that no parameter
            has.

    """
    by_name: dict[str, list[Parameter]] = {}
    vectors: dict[str, dict[Any, Any]] = {}
    for parameter in known:
        by_name.setdefault(parameter.name, []).append(parameter)
        vector = getattr(parameter, "vector", None)
        if vector is not None:
            vectors.setdefault(vector.name, {})[id(vector)] = vector
    found: dict[Parameter, Value] = {}
    for key, value in value_dict.items():
        if isinstance(key, ParameterVector):
            found.update(_vector_items(key, value))
        elif isinstance(key, str):
            if key not in by_name and key not in vectors:
                raise PulseError("no parameter has this name", value=key, legal=", ".join(sorted({*by_name, *vectors})))
            found.update((parameter, value) for parameter in by_name.get(key, ()))
            for vector in vectors.get(key, {}).values():
                found.update(_vector_items(vector, value))
        elif isinstance(key, Parameter):
            found[key] = value
        else:
            raise PulseError(
                "a key of an assignment must be a parameter", value=key, legal="Parameter, ParameterVector or name"
            )
    return found


def _vector_items(vector: Any, values: Sequence[Value]) -> Iterable[tuple[Parameter, Value]]:
    if not isinstance(values, (Sequence, np.ndarray)) or len(values) != len(vector):
        raise PulseError("vector and values differ in length", subject=f"parameter vector {vector.name}", value=values)
    return zip(vector, values, strict=True)


def checked_duration(duration: Value, subject: str) -> Value:
    """Return ``duration`` as an int, or unchanged if it is still an expression.

    A whole number may be a float, as sums of times and parameters are: 82.0 is 82.

    Raises:
        PulseError: it is not a non-negative integer.

    """
    if type(duration) is int and duration >= 0:
        return duration
    if isinstance(duration, ParameterExpression):
        duration = format_parameter_value(duration)
        if isinstance(duration, ParameterExpression):
            return duration
    if isinstance(duration, (float, np.floating)) and float(duration).is_integer():
        duration = int(duration)
    if not isinstance(duration, (int, np.integer)) or isinstance(duration, bool) or duration < 0:
        raise PulseError("duration must be a non-negative integer number of dt", subject=subject, value=duration)
    return int(duration)


def instruction_duration_validation(duration: Value) -> None:
    """Check that ``duration`` can be scheduled.

    Raises:
        UnassignedDurationError: it still is an expression.
        PulseError: it is not a non-negative integer.

    """
    if is_free(duration):
        raise UnassignedDurationError(
            "Instruction duration is not assigned; assign all parameters before scheduling", value=str(duration)
        )
    checked_duration(duration, "instruction")


def format_meas_map(meas_map: list[list[int]]) -> dict[int, list[int]]:
    """Return, for each qubit of a list of groups measured together, its sorted group."""
    return {qubit: sorted(group) for group in meas_map for qubit in group}
