"""Programs as run takes them: circuits, schedules and blocks; how errors name them and their qubits."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from pulsed.provider.errors import RunInputError, UnsupportedCircuitError

if TYPE_CHECKING:
    from qiskit.circuit import Parameter

    from pulsed.pulse.schedule import Schedule, ScheduleBlock

_LONGEST_LIST = 12


def places(qubits: Any) -> tuple[int, ...]:
    """Return one qubit or several as numbers. Raises ``TypeError`` for what is no whole number, True among it."""
    try:
        several = tuple(qubits)
    except TypeError:
        several = (qubits,)
    if any(isinstance(q, bool | np.bool_) for q in several):
        raise TypeError("a truth value is not a qubit")
    return tuple(operator.index(q) for q in several)


def listed(names: Iterable[object]) -> str:
    """Return ``names`` with commas between them, of many the first and how many there are."""
    every = list(map(str, names))
    more = f", ... ({len(every)} in all)" if len(every) > _LONGEST_LIST else ""
    return ", ".join(every[:_LONGEST_LIST]) + more


def named(kind: str, name: str, number: int | None = None) -> str:
    """Return what an error calls the program ``name``, with its ``number`` in the list given to run."""
    return f"{kind} {name!r}" if number is None else f"{kind} {number} {name!r}"


def adopt(program: Any, place: int | None = None) -> Schedule:
    """Return a pulse program as a :class:`Schedule`; ``place`` is its number in the list given to run.

    Raises :class:`RunInputError` for anything that is no pulse program.
    """
    from pulsed.pulse.transforms import block_to_schedule

    found = adopted(program, place)
    return found if is_schedule(found) else block_to_schedule(found)


def timed(program: Schedule | ScheduleBlock) -> Schedule | ScheduleBlock:
    """Return a program of our language as a schedule; a block whose lengths are parameters without a value as it is."""
    return program if is_late(program) else adopt(program)


def is_late(program: Schedule | ScheduleBlock) -> bool:
    """Return whether the lengths of a program come with the values of parameters."""
    return not is_schedule(program) and not program.is_schedulable()  # type: ignore[union-attr]


def adopted(program: Any, place: int | None) -> Any:
    """Return a pulse program of our language: a block stays one, since its lengths may be unbound parameters."""
    # only runs with pulses need the pulse language
    from pulsed.pulse.interop import from_qiskit, is_qiskit_program
    from pulsed.pulse.schedule import Schedule, ScheduleBlock

    if is_qiskit_program(program):
        program = from_qiskit(program)
    if not isinstance(program, Schedule | ScheduleBlock):
        raise wrong_input(program, place)
    return program


def is_schedule(program: Any) -> bool:
    """Return whether a pulse program is a schedule, not a block."""
    from pulsed.pulse.schedule import Schedule

    return isinstance(program, Schedule)


def unbound(subject: str, parameters: Iterable[Parameter]) -> UnsupportedCircuitError:
    """Return the error for a program with parameters that have no value."""
    return UnsupportedCircuitError(
        "parameters without a value; bind them with assign_parameters or parameter_binds", subject=subject,
        value=listed(sorted(parameter.name for parameter in parameters)),
    )  # fmt: skip


def wrong_input(item: object, place: int | None = None) -> RunInputError:
    """Return the error for something that cannot be run."""
    subject = "run" if place is None else f"run, program {place}"
    kind = type(item)
    if "qobj" in kind.__module__:
        return RunInputError(
            "a Qobj is not accepted; give run the circuits or schedules themselves", subject=subject,
            value=kind.__name__, legal="QuantumCircuit, Schedule, ScheduleBlock or a list of them",
        )  # fmt: skip
    return RunInputError(
        "cannot be run", subject=subject, value=kind.__name__,
        legal="QuantumCircuit, Schedule, ScheduleBlock or a list of them",
    )  # fmt: skip
