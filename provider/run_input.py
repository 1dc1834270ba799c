"""What was given to run, read: the programs, the pulse gates of the call, and values for parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from qiskit.circuit import QuantumCircuit

from pulsed.provider.binds import Binds, counts, read_binds
from pulsed.provider.errors import UnsupportedCircuitError
from pulsed.provider.programs import adopted
from pulsed.provider.pulse_gates import GateKey, own_gates

if TYPE_CHECKING:
    from pulsed.pulse.schedule import Schedule, ScheduleBlock


class RunInput(msgspec.Struct, frozen=True):
    """The programs of one job; the pulse gates of the keyword ``calibrations``; values of parameters."""

    programs: Sequence[Any]
    gates: Mapping[GateKey, Schedule | ScheduleBlock]
    binds: Binds

    @property
    def counts(self) -> list[int]:
        """How many results each program has."""
        return counts(self.binds, len(self.programs))


def read_run_input(run_input: Any, limit: int, calibrations: Any = None, parameter_binds: Any = None) -> RunInput:
    """Read what a call of run was given, at most ``limit`` programs and bindings.

    Raises:
        RunInputError: something that is neither circuit nor schedule.
        UnsupportedCircuitError: too many programs or bindings, or none.
        OptionValueError: a keyword that does not fit the programs.

    """
    programs = read_programs(run_input, limit)
    binds = read_binds(parameter_binds, programs, limit)
    return RunInput(programs, own_gates(calibrations, programs), binds)


def read_programs(run_input: Any, limit: int) -> list[Any]:
    """Return the circuits, schedules and blocks of ``run_input``, one or a list, at most ``limit``.

    Raises :class:`RunInputError` for anything else, :class:`UnsupportedCircuitError` for too many.
    """
    if isinstance(run_input, list | tuple):
        found = [
            item if isinstance(item, QuantumCircuit) else adopted(item, place) for place, item in enumerate(run_input)
        ]
    else:
        found = [run_input if isinstance(run_input, QuantumCircuit) else adopted(run_input, None)]
    if not 1 <= len(found) <= limit:
        raise UnsupportedCircuitError(
            "too many programs in one job" if found else "nothing to run", subject="run", value=len(found),
            legal=f"1 to {limit}",
        )  # fmt: skip
    return found
