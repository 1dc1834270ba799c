"""Definitions of gates one by one, as ``qiskit.pulse`` 1.4 has them: a schedule, or a function that makes one.

Here a map of gates takes schedules and functions as they are, so these are for programs that have them by name.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instruction_schedule_map import InstructionScheduleMap, Program
from pulsed.pulse.utils import Value

_GATE = "definition"


class CalibrationPublisher(IntEnum):
    """Who wrote a definition."""

    BACKEND_PROVIDER = 0
    QISKIT = 1
    EXPERIMENT_SERVICE = 2


class CalibrationEntry(ABC):
    """A definition of a gate."""

    def __init__(self) -> None:
        self._gates = InstructionScheduleMap()
        self._user_provided = True

    @abstractmethod
    def define(self, definition: Any, user_provided: bool = True) -> None:
        """Take a definition; raise :class:`PulseError` for one that is none."""

    def _define(self, definition: Any, arguments: list[str] | None, user_provided: bool) -> None:
        self._gates.add(_GATE, 0, definition, arguments)
        self._user_provided = user_provided

    def get_signature(self) -> inspect.Signature:
        """Return the parameters of the gate in order."""
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature([inspect.Parameter(name, kind) for name in self._gates.get_parameters(_GATE, 0)])

    def get_schedule(self, *args: Value, **kwargs: Value) -> Program:
        """Return the schedule with values for its parameters, by position or by name."""
        return self._gates.get(_GATE, 0, *args, **kwargs)

    @property
    def user_provided(self) -> bool:
        """Whether a user wrote it, and not the backend."""
        return self._user_provided


class ScheduleDef(CalibrationEntry):
    """A schedule; ``arguments`` are the names of its parameters in order, by default alphabetical."""

    def __init__(self, arguments: Sequence[str] | None = None) -> None:
        super().__init__()
        self._arguments = None if arguments is None else list(arguments)

    def define(self, definition: Program, user_provided: bool = True) -> None:
        """Take a schedule."""
        if callable(definition):
            raise PulseError("not a schedule", subject="ScheduleDef", value=definition, legal="Schedule, ScheduleBlock")
        self._define(definition, self._arguments, user_provided)

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, ScheduleDef) and self.get_signature() == other.get_signature()
        return same and self.get_schedule() == other.get_schedule()  # type: ignore[attr-defined]

    __hash__ = None  # type: ignore[assignment]


class CallableDef(CalibrationEntry):
    """A function of the gate's parameters that returns a schedule."""

    def define(self, definition: Callable[..., Program], user_provided: bool = True) -> None:
        """Take a function."""
        if not callable(definition):
            raise PulseError("not a function", subject="CallableDef", value=definition)
        self._define(definition, None, user_provided)
