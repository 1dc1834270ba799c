"""Channels, gates and definitions of gates as objects of ``qiskit.pulse``, which Qiskit 1.4 has and 2 has not.

Nothing announces here that Qiskit 2 dropped them: whoever uses them gets that from Qiskit.
"""

from __future__ import annotations

import inspect
import warnings
from functools import partial
from typing import Any

import qiskit.pulse as theirs
from qiskit.pulse.calibration_entries import CalibrationEntry

from pulsed.pulse.interop import to_qiskit


def channel(ours: Any) -> Any:
    """Return a channel of ours as one of ``qiskit.pulse``."""
    with _quietly():
        return getattr(theirs, type(ours).__name__)(ours.index)


class GateEntry(CalibrationEntry):  # type: ignore[misc]
    """The definition of a gate by the backend: converted when it is asked for, and not attached to circuits.

    Args:
        program: our schedule, or a function of the gate's parameters that returns it.
        parameters: the names of the parameters in order.

    """

    def __init__(self, program: Any, parameters: tuple[str, ...] = ()) -> None:
        self._program = program
        self._parameters = parameters
        self._converted: Any = None

    def define(self, definition: Any, user_provided: bool = True) -> None:
        """Not there: a backend's definition stays as it is."""
        raise NotImplementedError("a definition of the backend's stays; add one of your own to the map instead")

    def get_signature(self) -> inspect.Signature:
        """Return the parameters of the gate in order."""
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature([inspect.Parameter(name, kind) for name in self._parameters])

    def get_schedule(self, *args: Any, **kwargs: Any) -> Any:
        """Return the schedule of ``qiskit.pulse``, with values for its parameters by position or by name."""
        if callable(self._program):
            return _converted(self._program(*args, **kwargs))
        if self._converted is None:
            self._converted = _converted(self._program)
        return self._converted

    @property
    def user_provided(self) -> bool:
        """False: it is the backend's."""
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GateEntry) and self._program == other._program

    __hash__ = None  # type: ignore[assignment]


def _converted(program: Any) -> Any:
    with _quietly():
        return to_qiskit(program)


def gate_map(ours: Any) -> Any:
    """Return an InstructionScheduleMap of ours as one of ``qiskit.pulse``."""
    with _quietly():
        found = theirs.InstructionScheduleMap()
    for name in ours.instructions:
        for qubits in ours.qubits_with_instruction(name):
            entry = GateEntry(partial(ours.get, name, qubits), ours.get_parameters(name, qubits))
            found._add(name, qubits if isinstance(qubits, tuple) else (qubits,), entry)
    return found


class _quietly(warnings.catch_warnings):  # noqa: N801
    """A context without Qiskit's announcements that it will drop its pulse language."""

    def __enter__(self) -> Any:
        found = super().__enter__()
        warnings.simplefilter("ignore", DeprecationWarning)
        return found
