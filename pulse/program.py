"""What both kinds of program, Schedule and ScheduleBlock, have in common: name, metadata and parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

from qiskit.circuit import Parameter

from pulsed.pulse.drawable import Drawable
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.utils import Value


class PulseProgram(ABC, Drawable):
    """Base of :class:`~pulsed.pulse.Schedule` and :class:`~pulsed.pulse.ScheduleBlock`.

    Args:
        name: for display; it takes no part in equality.
        metadata: anything the user wants to keep with the program.

    Raises:
        PulseError: the metadata are no dictionary.

    """

    def __init__(self, name: str, metadata: dict[str, Any] | None) -> None:
        self._name = name
        self.metadata = metadata

    @property
    def name(self) -> str:
        """Name for display; it takes no part in equality."""
        return self._name

    @property
    def metadata(self) -> dict[str, Any]:
        """What the user keeps with the program."""
        return self._metadata

    @metadata.setter
    def metadata(self, metadata: dict[str, Any] | None) -> None:
        if metadata is not None and not isinstance(metadata, dict):
            raise PulseError("metadata must be a dictionary or None", subject=type(self).__name__, value=metadata)
        self._metadata = metadata or {}

    @property
    @abstractmethod
    def parameters(self) -> set[Parameter]:
        """The parameters that have no value yet."""

    def is_parameterized(self) -> bool:
        """Return whether a parameter has no value yet."""
        return bool(self.parameters)

    def get_parameters(self, parameter_name: str) -> list[Parameter]:
        """Return the unassigned parameters of this name; several may share one."""
        return [parameter for parameter in self.parameters if parameter.name == parameter_name]

    @abstractmethod
    def assign_parameters(self, value_dict: Mapping[Any, Value], inplace: bool = True) -> Self:
        """Return this program with values for its parameters."""

    @abstractmethod
    def copy(self, name: str | None = None) -> Self:
        """Return a copy, whose changes leave this program as it is; ``name``: of the copy, by default this one's."""
