"""A circuit in the one form that is scheduled, sent and played: every delay a whole number of dt, in bodies too.

QPY gives a delay back without its unit, in dt. So the unit is gone before a circuit is sent, by the arithmetic that
schedules it: what ``backend.schedule`` shows is what the daemon plays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from qiskit.circuit import CircuitInstruction, Delay, Parameter, ParameterExpression, QuantumCircuit
from qiskit.exceptions import QiskitError

from pulsed import old_names
from pulsed.compiler.expressions import Values, evaluate
from pulsed.model.errors import CircuitError

__getattr__ = old_names(__name__)

Key = tuple[str, tuple[int, ...]]
"""Name and qubits of an instruction."""

CONTROL_FLOW = frozenset({"if_else", "for_loop", "while_loop", "switch_case", "box", "break_loop", "continue_loop"})
"""Names of the instructions that decide what is played."""

UNITS = {
    "s": Fraction(1),
    "ms": Fraction(1, 10**3),
    "us": Fraction(1, 10**6),
    "ns": Fraction(1, 10**9),
    "ps": Fraction(1, 10**12),
}
"""Seconds in a unit of a delay; ``"dt"`` beside these."""
LONGEST = 2**53
"""The longest delay, dt: up to here every whole number is one of float64."""
_LEGAL_UNITS = ", ".join((*UNITS, "dt"))


class CircuitScan(NamedTuple):
    """What a circuit holds, bodies included."""

    gates: dict[Key, int]
    """Name and qubits of what is done, each with the place (in the outermost circuit) where it comes first. Control
    flow is there by name, without qubits."""
    special: list[tuple[int, CircuitInstruction]]
    """Control flow and the delays that are not whole numbers of dt already, each with its place."""


def _says_unit() -> bool:
    """Return whether this Qiskit gives a length in dt as an int and one in any other unit as a float, as 2 does."""
    circuit = QuantumCircuit(1)
    circuit.delay(1, 0, "us")
    circuit.delay(1, 0, "dt")
    return [type(item.params[0]) for item in circuit.data] == [float, int]


INT_IS_DT = _says_unit()
"""Then a look at the length says that there is nothing to do."""


def look_through(circuit: QuantumCircuit) -> CircuitScan:
    """Return what ``circuit`` holds. Of control flow it is what the bodies do, at its place, and itself."""
    index = {bit: q for q, bit in enumerate(circuit.qubits)}
    found: dict[Key, int] = {}
    special: list[tuple[int, CircuitInstruction]] = []
    for place, item in enumerate(circuit.data):
        name = item.name
        key = (name, tuple([index[bit] for bit in item.qubits]))
        if name == "delay" and not (INT_IS_DT and type(item.params[0]) is int):
            special.append((place, item))
        if key in found:
            continue
        if name in CONTROL_FLOW:
            special.append((place, item))
            found.setdefault((name, ()), place)
            for body in getattr(item.operation, "blocks", ()):
                for inner, qubits in look_through(body).gates:
                    found.setdefault((inner, tuple([key[1][q] for q in qubits])), place)
        else:
            found[key] = place
    return CircuitScan(found, special)


def free_parameters(circuit: QuantumCircuit) -> list[Parameter]:
    """Return the parameters that ``circuit`` is to be given: not those of its loops, which Qiskit 1.4 counts, too."""
    own = _of_loops(circuit)
    return [parameter for parameter in circuit.parameters if parameter not in own]


def _of_loops(circuit: QuantumCircuit) -> set[Any]:
    found: set[Any] = set()
    if CONTROL_FLOW & circuit.count_ops().keys():
        for item in circuit.data:
            if item.name == "for_loop":
                found.add(item.operation.params[1])
            if item.name in CONTROL_FLOW:
                found.update(*map(_of_loops, getattr(item.operation, "blocks", ())))
    return found


def canonical(
    circuit: QuantumCircuit,
    dt: Fraction,
    subject: str,
    special: list[tuple[int, CircuitInstruction]] | None = None,
    values: Mapping[Parameter, float] | None = None,
) -> QuantumCircuit:
    """Return ``circuit`` with every delay in dt, in bodies too.

    It is the same object where nothing has to change; the user's own is never changed. A delay whose length is a
    parameter becomes the expression of its length in dt, or its number where there are ``values``.

    Args:
        circuit: with its qubits those of the rack.
        dt: seconds.
        subject: of errors.
        special: what :func:`look_through` found, when it is known.
        values: of the parameters of delays.

    Raises:
        CircuitError: names the instruction, for a delay that is no whole number of dt or has no number.

    """
    changed: dict[int, CircuitInstruction] = {}
    plain = True
    for place, item in look_through(circuit).special if special is None else special:
        where = f"{subject}, instruction {place}"
        if item.name == "delay":
            new = _delay(item, dt, where, values)
        else:
            new, plain = _flow(item, dt, where, values), False
        if new is not item:
            changed[place] = new
    if not changed:
        return circuit
    if plain:
        copy = circuit.copy()
        for place, new in changed.items():
            copy.data[place] = new
        return copy
    copy = circuit.copy_empty_like()
    for place, item in enumerate(circuit.data):
        copy.append(changed.get(place, item))
    return copy


def assigned(circuit: QuantumCircuit, values: Mapping[Parameter, float], dt: Fraction, subject: str) -> QuantumCircuit:
    """Return ``circuit`` with numbers for its parameters, and its delays whole numbers of dt.

    Qiskit by itself refuses a bound delay that is a rounding error away from one. Raises as :func:`canonical` does.
    """
    return canonical(circuit, dt, subject, values=values).assign_parameters(dict(values), strict=False)


def check_lengths(circuit: QuantumCircuit, values: Values, dt: Fraction, subject: str) -> None:
    """Raise :class:`CircuitError` unless each of ``values`` makes every delay of ``circuit`` a whole number of dt."""
    for place, item in enumerate(circuit.data):
        where = f"{subject}, instruction {place}"
        if item.name in CONTROL_FLOW:
            for body in getattr(item.operation, "blocks", ()):
                for known in _passes(item, body, values):
                    check_lengths(body, known, dt, f"{where} ({item.name})")
        elif item.name == "delay":
            length = delay_length(item, dt, f"{where} (delay)")
            if isinstance(length, ParameterExpression):
                whole(evaluate(length, values), f"{where} (delay)", dt)


def _passes(item: CircuitInstruction, body: QuantumCircuit, values: Values) -> Iterator[Values]:
    """Yield the values that ``body`` is played with: those of each pass of a loop whose parameter it has."""
    if item.name != "for_loop" or item.operation.params[1] not in body.parameters:
        yield values
        return
    indices, parameter, _ = item.operation.params
    shape = next(iter(values.values())).shape
    for index in indices:
        yield {**values, parameter: np.full(shape, float(index))}


def _flow(
    item: CircuitInstruction, dt: Fraction, subject: str, values: Mapping[Parameter, float] | None
) -> CircuitInstruction:
    """Return control flow with canonical bodies."""
    blocks = tuple(getattr(item.operation, "blocks", ()))
    bodies = [canonical(body, dt, f"{subject} ({item.name}, body {k})", values=values) for k, body in enumerate(blocks)]
    if all(new is old for new, old in zip(bodies, blocks, strict=True)):
        return item
    return item.replace(operation=item.operation.replace_blocks(bodies))


def _delay(
    item: CircuitInstruction, dt: Fraction, subject: str, values: Mapping[Parameter, float] | None
) -> CircuitInstruction:
    length = delay_length(item, dt, f"{subject} (delay)")
    unbound = length.parameters if isinstance(length, ParameterExpression) else ()
    known = {one: values[one] for one in unbound if one in values} if values is not None else {}
    if known and len(known) == len(unbound):
        number = evaluate(length, {one: np.array([value]) for one, value in known.items()})
        (length,) = whole(number, f"{subject} (delay)", dt)
    elif known and isinstance(length, ParameterExpression):  # what is left is the parameter of a loop
        length = length.bind(known)
    elif _unit(item) == "dt" and (unbound or type(item.params[0]) is int):
        return item
    return item.replace(operation=Delay(length, "dt"))


def _unit(instruction: CircuitInstruction) -> str:
    """Return the unit of a delay.

    A parameter in seconds that the transpiler made one in dt, and that then got a value, may be off a whole number by
    a rounding. Qiskit does not make a Delay of that any more.
    """
    try:
        return str(instruction.operation.unit)
    except QiskitError:
        return "dt"


def delay_length(instruction: CircuitInstruction, dt: Fraction, subject: str) -> int | ParameterExpression:
    """Return the length of a delay in dt, an expression of parameters as one.

    Raises :class:`CircuitError` for a length that is no number, such as a stretch, and for one between two samples.
    """
    length = instruction.params[0]
    if INT_IS_DT and type(length) is int:
        return length
    unit = _unit(instruction)
    if isinstance(length, ParameterExpression):
        if length.parameters:
            factor = _factor(unit, dt, subject)
            return length if factor == 1 else length * factor.numerator / factor.denominator
        length = length.numeric() if hasattr(length, "numeric") else complex(length).real
    elif unit == "expr":
        length, unit = _constant(length, subject)
    if isinstance(length, bool | np.bool_) or not isinstance(length, int | float | np.integer | np.floating):
        raise CircuitError("the length of a delay is not a number", subject=subject, value=str(length))
    number = float(length)
    if not isfinite(number):
        raise CircuitError("not a finite number", subject=subject, value=f"{length} {unit}")
    factor = _factor(unit, dt, subject)
    in_dt = number * factor.numerator / factor.denominator
    found = round(in_dt)
    if not _near(in_dt, found):
        raise _between(in_dt, subject, dt, f"{length} {unit} = ")
    return found


def _near(length: float, found: int) -> bool:
    """Return whether a length in dt is a whole number but for rounding errors."""
    return 0 <= found <= LONGEST and abs(length - found) < 1e-6 * max(1.0, 1e-6 * found)


def _between(length: float, subject: str, dt: Fraction, given: str = "") -> CircuitError:
    if length > LONGEST:
        return CircuitError(
            "a delay that no clock counts", subject=subject, value=f"{given}{length:.9g} dt",
            legal=f"at most {LONGEST} dt",
        )  # fmt: skip
    return CircuitError(
        "a delay is a whole number of dt: transpile for the backend to have it rounded", subject=subject,
        value=f"{given}{length:.9g} dt", legal=f"0 or a multiple of dt = {float(dt):g} s",
    )  # fmt: skip


@lru_cache(64)
def _ratio(unit: str, dt: Fraction) -> Fraction:
    return Fraction(1) if unit == "dt" else UNITS[unit] / dt


def _factor(unit: str, dt: Fraction, subject: str) -> Fraction:
    """Return how many dt one ``unit`` is."""
    if unit != "dt" and unit not in UNITS:
        raise CircuitError("not a unit of a delay", subject=subject, value=str(unit), legal=_LEGAL_UNITS)
    return _ratio(unit, dt)


def _constant(expression: Any, subject: str) -> tuple[float, str]:
    """Return number and unit of a constant ``Duration`` of Qiskit 2."""
    duration = getattr(expression, "value", None)
    if duration is None or not hasattr(duration, "unit"):
        raise CircuitError(
            "the length of a delay is an expression that has no value before the circuit runs, such as a stretch",
            subject=subject, value=str(expression)[:120], legal=f"a number in one of {_LEGAL_UNITS}",
        )  # fmt: skip
    return duration.value(), duration.unit()


def whole(lengths: npt.NDArray[np.float64], subject: str, dt: Fraction) -> list[int]:
    """Return delays in dt, exactly; a delay between two samples is refused, not rounded."""
    found = [round(length) for length in lengths.tolist()]
    for length, number in zip(lengths.tolist(), found, strict=True):
        if not _near(length, number):
            raise _between(length, subject, dt)
    return found
