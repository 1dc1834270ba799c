"""Which schedule plays a gate on which qubits."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from qiskit.circuit import Parameter

from pulsed.model import html
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.foreign import adopted
from pulsed.pulse.schedule.block import ScheduleBlock
from pulsed.pulse.schedule.timeline import Schedule
from pulsed.pulse.utils import Value

Program: TypeAlias = Schedule | ScheduleBlock
Generator: TypeAlias = Callable[..., Program]


class _Entry:
    """A schedule, or a function that returns one, with the names of its arguments in order."""

    __slots__ = ("arguments", "definition", "derived", "needed")

    def __init__(self, definition: Program | Generator, arguments: list[str] | None, derived: bool) -> None:
        definition = adopted(definition)
        self.definition = definition
        self.derived = derived
        if isinstance(definition, (Schedule, ScheduleBlock)):
            names = sorted({parameter.name for parameter in definition.parameters})
            if arguments is not None and sorted(arguments) != names:
                raise PulseError("arguments differ from the schedule's parameters", value=arguments, legal=names)
        elif callable(definition):
            signature = inspect.signature(definition).parameters
            names = list(signature)
            self.needed = [name for name, item in signature.items() if item.default is item.empty]
        else:
            legal = "Schedule, ScheduleBlock or a function that returns one"
            raise PulseError("not a schedule", subject=type(definition).__name__, value=definition, legal=legal)
        self.arguments = tuple(names if arguments is None else arguments)

    def schedule(self, params: tuple[Value, ...], kwparams: dict[str, Value]) -> Program:
        """Return the schedule with its arguments; positional ones may be fewer than there are."""
        if len(params) > len(self.arguments):
            raise PulseError("too many parameters", value=params, legal=self.arguments)
        values = dict(zip(self.arguments, params, strict=False))
        for name, value in kwparams.items():
            if name not in self.arguments or name in values:
                raise PulseError("parameter is unknown or given twice", value=name, legal=self.arguments)
            values[name] = value
        if not isinstance(self.definition, (Schedule, ScheduleBlock)):
            late = {name: Parameter(name) for name in self.needed if name not in values}
            return self.definition(**values, **late)
        return self.definition.assign_parameters(values, inplace=False) if values else self.definition


class InstructionScheduleMap:
    """Gate name and qubits → schedule, or a function of the gate's parameters that returns it.

    Gates may be given by name or as a Qiskit instruction, qubits as an index or a tuple.
    """

    def __init__(self) -> None:
        self._map: dict[str, dict[tuple[int, ...], _Entry]] = {}

    @property
    def instructions(self) -> list[str]:
        """Names of all gates."""
        return list(self._map)

    def qubits_with_instruction(self, instruction: Any) -> list[int | tuple[int, ...]]:
        """Return the qubits on which a gate is defined: indices, and tuples for gates of several qubits."""
        found = self._map.get(_name(instruction), {})
        return [qubits[0] if len(qubits) == 1 else qubits for qubits in found]

    def qubit_instructions(self, qubits: int | Iterable[int]) -> list[str]:
        """Return the names of the gates defined on exactly these qubits."""
        key = _qubits(qubits)
        return [name for name, entries in self._map.items() if key in entries]

    def has(self, instruction: Any, qubits: int | Iterable[int]) -> bool:
        """Return whether a gate is defined on these qubits."""
        return _qubits(qubits) in self._map.get(_name(instruction), {})

    def assert_has(self, instruction: Any, qubits: int | Iterable[int]) -> None:
        """Raise :class:`PulseError` if a gate is not defined on these qubits."""
        self._entry(instruction, qubits)

    def is_derived(self, instruction: Any, qubits: int | Iterable[int]) -> bool:
        """Return whether a gate follows from others of the map; raise :class:`PulseError` if it is not defined."""
        return self._entry(instruction, qubits).derived

    def _entry(self, instruction: Any, qubits: int | Iterable[int]) -> _Entry:
        name, key = _name(instruction), _qubits(qubits)
        entries = self._map.get(name)
        if entries is None:
            raise PulseError("operation is not defined for this system", subject=name, legal=self.instructions)
        if key not in entries:
            legal = self.qubits_with_instruction(name)
            raise PulseError("operation is not defined for these qubits", subject=name, value=key, legal=legal)
        return entries[key]

    def get(self, instruction: Any, qubits: int | Iterable[int], *params: Value, **kwparams: Value) -> Program:
        """Return the schedule of a gate.

        Args:
            instruction: the gate.
            qubits: its qubits.
            *params: its parameters in order; those left out stay parameters.
            **kwparams: its parameters by name.

        Raises:
            PulseError: the gate is not defined on these qubits, or has no such parameters.

        """
        return self._entry(instruction, qubits).schedule(params, kwparams)

    def add(
        self,
        instruction: Any,
        qubits: int | Iterable[int],
        schedule: Program | Generator,
        arguments: list[str] | None = None,
        *,
        derived: bool = False,
    ) -> None:
        """Define a gate, in place of an earlier definition.

        Args:
            instruction: the gate.
            qubits: its qubits.
            schedule: what plays it, or a function of its parameters that returns that.
            arguments: names of the parameters in order; by default alphabetical, or as the function takes them.
            derived: it follows from other gates of the map.

        Raises:
            PulseError: no qubits, no schedule, or arguments that are not its parameters.

        """
        key = _qubits(qubits)
        if not key:
            raise PulseError("a definition needs target qubits", subject=_name(instruction))
        self._map.setdefault(_name(instruction), {})[key] = _Entry(schedule, arguments, derived)

    def remove(self, instruction: Any, qubits: int | Iterable[int]) -> None:
        """Remove a definition; raise :class:`PulseError` if there is none."""
        self._entry(instruction, qubits)
        name = _name(instruction)
        del self._map[name][_qubits(qubits)]
        if not self._map[name]:
            del self._map[name]

    def pop(self, instruction: Any, qubits: int | Iterable[int], *params: Value, **kwparams: Value) -> Program:
        """Remove a definition and return its schedule, as :meth:`get` does."""
        schedule = self.get(instruction, qubits, *params, **kwparams)
        self.remove(instruction, qubits)
        return schedule

    def get_parameters(self, instruction: Any, qubits: int | Iterable[int]) -> tuple[str, ...]:
        """Return the names of a gate's parameters in order."""
        return self._entry(instruction, qubits).arguments

    def __repr__(self) -> str:
        return f"InstructionScheduleMap({ {name: self.qubits_with_instruction(name) for name in self._map} })"

    def _repr_html_(self) -> str:
        rows = (
            (name, ", ".join(self.get_parameters(name, next(iter(entries)))),
             ", ".join(" ".join(map(str, qubits)) for qubits in entries))
            for name, entries in self._map.items()
        )  # fmt: skip
        return html.heading("InstructionScheduleMap") + html.table(("gate", "parameters", "qubits"), rows)


def _name(instruction: Any) -> str:
    return instruction if isinstance(instruction, str) else str(instruction.name)


def _qubits(qubits: int | Iterable[int]) -> tuple[int, ...]:
    return tuple(qubits) if isinstance(qubits, Iterable) else (qubits,)
