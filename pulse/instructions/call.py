"""A subroutine as a part of a schedule, as older programs write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.program import PulseProgram
from pulsed.pulse.utils import Value

Called = TypeVar("Called", bound=PulseProgram)


def Call(subroutine: Called, value_dict: Mapping[Any, Value] | None = None, name: str | None = None) -> Called:
    """Return ``subroutine`` with values for its parameters, to be inserted or appended like an instruction.

    A schedule holds what is inserted by value, so a call is what it calls. ``name``: of the result, by default that of
    ``subroutine``, which is not changed.

    Raises:
        PulseError: no subroutine, or values that are not legal.

    """
    if not isinstance(subroutine, PulseProgram):
        raise PulseError("not a subroutine", subject="Call", value=subroutine, legal="Schedule or ScheduleBlock")
    called = subroutine.assign_parameters(value_dict or {}, inplace=False)
    return called if name is None else called.copy(name)
