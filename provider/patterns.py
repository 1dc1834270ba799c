"""Pulse gates with parameters, such as a ``defcal rz(angle a)``: one for each value that circuits use.

One for all values that come later: see :class:`pulsed.compiler.templates.LateProgram`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from qiskit.circuit import Parameter, ParameterExpression, QuantumCircuit

from pulsed.compiler.canonical import CONTROL_FLOW
from pulsed.model.errors import PulsedError
from pulsed.provider.errors import OptionValueError, UnsupportedCircuitError
from pulsed.provider.programs import adopt

if TYPE_CHECKING:
    from pulsed.pulse.schedule import Schedule, ScheduleBlock

Program: TypeAlias = "Schedule | ScheduleBlock"
Pattern = tuple[str, tuple[int, ...], tuple[Any, ...]]
"""Name, qubits and parameters of a pulse gate; a parameter is a number, or a Parameter that the schedule has."""


def gate_uses(circuit: QuantumCircuit) -> Iterator[tuple[str, tuple[int, ...], tuple[Any, ...]]]:
    """Yield name, qubits and parameters of each gate of a circuit, the bodies of its control flow included."""
    index = {bit: q for q, bit in enumerate(circuit.qubits)}
    for item in circuit.data:
        qubits = tuple(index[bit] for bit in item.qubits)
        if item.name not in CONTROL_FLOW:
            yield item.name, qubits, tuple(item.params)
            continue
        for body in getattr(item.operation, "blocks", ()):
            for name, inner, params in gate_uses(body):
                yield name, tuple(qubits[q] for q in inner), params


def gate_names(circuit: QuantumCircuit) -> set[str]:
    """Return the names of all gates of a circuit, the bodies of its control flow included."""
    names = set(circuit.count_ops())
    return names | {name for name, _, _ in gate_uses(circuit)} if names & CONTROL_FLOW else names


def with_values(gates: Mapping[Pattern, Program], programs: Iterable[Any]) -> dict[Pattern, Program]:
    """Return pulse gates with a number for each parameter: for those of a pattern, every one that ``programs`` use.

    A gate that is given with the very numbers goes before a pattern.

    Raises:
        OptionValueError: a schedule with parameters that are not its gate's, or numbers that its pulses do not take.
        UnsupportedCircuitError: a circuit uses a pattern with a value that comes later.

    """
    found: dict[Pattern, Program] = {}
    patterns: dict[tuple[str, tuple[int, ...], int], list[tuple[Pattern, Program]]] = {}
    for key, schedule in gates.items():
        name, qubits, params = key
        own = {value for value in params if isinstance(value, Parameter)}
        missing = sorted(parameter.name for parameter in schedule.parameters - own)
        if missing:
            raise OptionValueError(
                "a pulse gate with parameters that are not the gate's: assign_parameters first",
                subject=f"calibrations, {_shown(key)}", value=", ".join(missing),
                legal=", ".join(sorted(parameter.name for parameter in own)) or "none",
            )  # fmt: skip
        if own:
            patterns.setdefault((name, qubits, len(params)), []).append((key, schedule))
        else:
            found[key] = schedule
    if patterns:
        exact = frozenset(key[:2] for key in found)
        for number, program in enumerate(programs):
            if isinstance(program, QuantumCircuit):
                _add(found, patterns, exact, program, number)
    return found


def _add(
    found: dict[Pattern, Program],
    patterns: Mapping[tuple[str, tuple[int, ...], int], list[tuple[Pattern, Program]]],
    exact: Container[tuple[str, tuple[int, ...]]],
    circuit: QuantumCircuit,
    number: int,
) -> None:
    """Add what ``circuit`` uses of ``patterns`` to ``found``, with its numbers; ``exact`` are given with some, too."""
    for name, qubits, params in gate_uses(circuit):
        candidates = patterns.get((name, qubits, len(params)))
        if candidates is None:
            continue
        if any(isinstance(value, ParameterExpression) and value.parameters for value in params):
            late = _late(candidates) if (name, qubits) not in exact else None
            if late is None:
                raise UnsupportedCircuitError(
                    "which pulses are played depends on a value that comes later: assign_parameters before run",
                    subject=f"circuit {number} {circuit.name!r}", value=_shown((name, qubits, params)),
                )  # fmt: skip
            found[name, qubits, ()] = late
            continue
        values = tuple(float(value) for value in params)
        if (name, qubits, values) in found:
            continue
        for key, schedule in candidates:
            pairs = list(zip(key[2], values, strict=True))
            if all(isinstance(mine, Parameter) or mine == value for mine, value in pairs):
                # Only a block with lengths that come late needs whole numbers, which are no other pulses elsewhere.
                assigned = {
                    mine: int(value) if value.is_integer() else value
                    for mine, value in pairs
                    if isinstance(mine, Parameter)
                }
                try:
                    found[name, qubits, values] = adopt(schedule.assign_parameters(assigned, inplace=False))
                except PulsedError as error:
                    raise OptionValueError(
                        f"a pulse gate does not take these values: {error}",
                        subject=f"circuit {number} {circuit.name!r}", value=_shown((name, qubits, values)),
                    ) from error  # fmt: skip
                break


def _late(candidates: Sequence[tuple[Pattern, Program]]) -> Program | None:
    """Return the pulses for values that come later, with a parameter for each in their order.

    None where the values would tell which pulses are played, or where these do not take all of them.
    """
    ((_, _, params), schedule), *others = candidates
    if others or len(set(params)) != len(params) or schedule.parameters != set(params):
        return None
    # The values of an instruction go to parameters in order of name.
    return schedule.assign_parameters(
        {mine: Parameter(f"p{place:03}") for place, mine in enumerate(params)}, inplace=False
    )


def _shown(key: Pattern) -> str:
    name, qubits, params = key
    values = f"({', '.join(map(str, params))})" if params else ""
    return f"{name}{values} on {', '.join(map(str, qubits))}"
