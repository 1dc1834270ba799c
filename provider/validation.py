"""Everything of one job checked against what the backend has, and as it is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import mul
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from qiskit.circuit import QuantumCircuit

from pulsed.compiler.canonical import Key, canonical, check_lengths, free_parameters
from pulsed.model.errors import PulsedError
from pulsed.model.job import RunOptions
from pulsed.model.rack_time import check_rack_time, least_seconds
from pulsed.model.result_size import check_result_size, least_bytes
from pulsed.provider.binds import Binds
from pulsed.provider.boxes import opened
from pulsed.provider.errors import UnsupportedCircuitError
from pulsed.provider.lengths import least_length
from pulsed.provider.plain_circuits import PlainCheck
from pulsed.provider.programs import adopt, named, unbound
from pulsed.provider.pulse_gates import GateKey, attached_gates, merge_gates
from pulsed.provider.rules import Rules, check_bits, check_circuit, check_gate, check_measures, check_schedule
from pulsed.provider.run_input import RunInput

if TYPE_CHECKING:
    from pulsed.compiler.canonical import CircuitScan
    from pulsed.provider.plain_circuits import PlainScan
    from pulsed.pulse.schedule import Schedule

_MOST_NAMED = 5
"""Programs that an error lists beside the first."""


class CheckedInput(msgspec.Struct, frozen=True):
    """Programs as they are sent, all pulse gates that go with them, the values of parameters, and the options."""

    programs: Sequence[Any]
    gates: Mapping[GateKey, Schedule]
    binds: Binds
    counts: Sequence[int]
    """How many results each program has."""
    options: RunOptions
    plain: bool = False
    """Whether all are circuits of gates, measurements and waits of whole dt alone, without control flow."""


def check_run(given: RunInput, rules: Rules, options: RunOptions, *, branches: bool = True) -> CheckedInput:
    """Check a job before it is sent; ``branches``: it may have control flow.

    Raises:
        UnsupportedCircuitError: about the first program that cannot be run; its message has the others.
        RackTimeError: it would take longer on the rack than jobs may that are not confirmed.
        ResultSizeError: it would bring back more than a result may have.

    """
    programs, gates, plain, lengths = _check_programs(given, rules, branches)
    results, limits = given.counts, rules.device.limits
    length = sum(map(mul, lengths, results)) * float(rules.device.dt)
    seconds = least_seconds(sum(results), length, options, limits)
    check_rack_time(seconds, options, limits, "run", at_least=True)
    size = sum(least_bytes(many, options, _slots(one)) for one, many in zip(programs, results, strict=True))
    check_result_size(size, options, limits, "run", at_least=True)
    return CheckedInput(programs, gates, given.binds, results, options, plain)


def _slots(program: Any) -> int:
    """Return how many memory slots a program has at least: a circuit has one for each of its bits."""
    return program.num_clbits if isinstance(program, QuantumCircuit) else 1


def _check_programs(
    given: RunInput, rules: Rules, branches: bool
) -> tuple[list[Any], dict[GateKey, Schedule], bool, list[int]]:
    """Return the programs as they are sent, all pulse gates, whether all are plain circuits, and the least lengths."""
    gates = given.gates
    for key, schedule in gates.items():
        check_gate(key[1], schedule, rules, f"calibrations, {key[0]} on {key[1]}")
    values = {item.program: dict(zip(item.parameters, table.T, strict=True)) for item, table in given.binds}
    circuits: list[tuple[QuantumCircuit, CircuitScan | PlainScan, dict[GateKey, Schedule]]] = []
    check, plains = PlainCheck(rules), 0
    sent: list[Any] = []
    lengths: list[int] = []
    refused = []
    for number, program in enumerate(given.programs):
        try:
            if isinstance(program, QuantumCircuit):
                plain = None if gates else check.scan(program)
                if plain is not None:
                    sent.append(program)
                    lengths.append(plain.length)
                    circuits.append((program, plain, {}))
                    plains += 1
                    continue
                program, boxes = opened(program, rules.device, number)  # noqa: PLW2901 - as it is sent
                attached = {**attached_gates(program), **boxes}
                own = {**gates, **attached}
                custom: dict[Key, dict[tuple[float, ...], Schedule]] = {}
                for key, schedule in own.items():
                    custom.setdefault(key[:2], {})[key[2]] = schedule
                found = check_circuit(program, rules, custom, bound=number in values, number=number, branches=branches)
                check_measures(program, found.gates, custom, number)
                check_bits(program, found.gates, own, number)
                sent.append(_sendable(program, found, rules, values.get(number), number))
                circuits.append((program, found, attached))
            else:
                sent.append(_check_pulses(program, rules, values.get(number), number))
            lengths.append(least_length(sent[-1]))
        except PulsedError as error:
            refused.append(error)
    if refused:
        raise _refusal(refused)
    if not gates and not any(attached for _, _, attached in circuits):
        return sent, {}, plains == len(sent), lengths
    used = [(circuit, scan.gates, attached) for circuit, scan, attached in circuits]
    return sent, merge_gates(used, gates), False, lengths


def _sendable(
    circuit: QuantumCircuit, found: CircuitScan, rules: Rules, values: Mapping[str, Any] | None, number: int
) -> QuantumCircuit:
    """Return ``circuit`` in the form that serialisation keeps: the same object where it is in that form."""
    if not found.special:
        return circuit
    subject = named("circuit", circuit.name, number)
    if values is not None:
        check_lengths(circuit, {one: values[one.name] for one in free_parameters(circuit)}, rules.device.dt, subject)
    return canonical(circuit, rules.device.dt, subject, found.special)


def _refusal(refused: Sequence[PulsedError]) -> UnsupportedCircuitError:
    """Return the error about the first of the programs that cannot be run, which names the others too."""
    first, *others = refused
    more = ", ".join(error.subject.partition(",")[0] for error in others[:_MOST_NAMED])
    more += f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    message = first.message + (f" (refused are also {more})" if others else "")
    error = UnsupportedCircuitError(message, subject=first.subject, value=first.value, legal=first.legal)
    error.__cause__ = first.__cause__
    return error


def _check_pulses(program: Any, rules: Rules, values: Mapping[str, Any] | None, number: int) -> Any:
    """Return a pulse program as it is sent, checked with the extreme values of its unbound parameters."""
    subject = named("schedule", program.name, number)
    if values is None:
        if program.is_parameterized():
            raise unbound(subject, program.parameters)
        try:
            schedule = adopt(program)
        except PulsedError as error:
            raise UnsupportedCircuitError(f"cannot be scheduled: {error}", subject=subject) from error
        check_schedule(schedule, rules, subject)
        return schedule
    known = {parameter.name: parameter for parameter in program.parameters}
    rows = {0} | {int(pick(column)) for column in values.values() for pick in (np.argmin, np.argmax)}
    for row in sorted(rows):
        numbers = {known[name]: column[row].item() for name, column in values.items()}
        whole = {one: int(value) if value.is_integer() else value for one, value in numbers.items()}
        try:
            bound = adopt(program.assign_parameters(whole, inplace=False))
        except PulsedError as error:
            shown = ", ".join(f"{one.name} = {value}" for one, value in whole.items())
            # what the pulse got follows from these values, and a message has one "got"
            which = f"{error.subject}: {error.message}" if error.subject else error.message
            raise UnsupportedCircuitError(
                f"values of unbound parameters that the schedule does not take: {which}",
                subject=subject,
                value=shown,
                legal=error.legal,
            ) from error
        check_schedule(bound, rules, subject)
    return program
