"""The gates of one calibration set as flat rows, found by name and qubits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from qiskit.circuit import Parameter, ParameterExpression, QuantumCircuit

from pulsed.compiler.canonical import CONTROL_FLOW
from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.envelopes import EnvelopeTable
from pulsed.compiler.fractional import FractionalGate, FractionalRx
from pulsed.compiler.gates import GateInfo, GateKey
from pulsed.compiler.instruction_table import ACQUIRE, FLAT, OPAQUE, SHIFT_PHASE, UnboundParameter, flatten, weigh
from pulsed.compiler.operations import Distinct
from pulsed.pulse.frames import rz_phase
from pulsed.pulse.schedule import Schedule, ScheduleBlock
from pulsed.pulse.transforms import block_to_schedule

OwnKey = tuple[str, tuple[int, ...], tuple[float, ...]]
"""A pulse gate of a job: name, qubits, params."""
Gates = Mapping[OwnKey, Schedule | ScheduleBlock]
"""One whose program has parameters has no params in its key: they are those of the instruction, in order of name."""

_EMPTY = Schedule()
_MOST_REGISTERS, _MOST_OPERATIONS = 16, 1 << 14
"""What is kept between circuits: of 127 qubits each gate on all places is about a thousand operations."""


class Templates:
    """Schedules as FLAT rows. A template's number is its place in ``schedules`` and ``durations`` (dt)."""

    def __init__(
        self,
        channel_map: ChannelMap,
        gates: Mapping[GateKey, GateInfo],
        table: EnvelopeTable,
        fractional: Mapping[GateKey, FractionalGate] = MappingProxyType({}),
    ) -> None:
        self._channel_map = channel_map
        self._table = table
        self._rows: list[npt.NDArray[np.void]] = []
        self._acquired: list[tuple[int, int, int]] = []
        self._slots: list[list[int]] = []
        self._joined: _Joined | None = None
        self.groups = np.zeros(channel_map.device.num_qubits, dtype=np.int64)
        """Which group of the meas_map each qubit belongs to."""
        for group, members in enumerate(channel_map.device.meas_map):
            self.groups[list(members)] = group
        self.schedules: list[Schedule] = []
        self.durations: list[int] = []
        self._distinct: dict[tuple[Any, ...], Distinct] = {}
        self.late: dict[GateKey, LateGate] = {
            key: gate for key, gate in fractional.items() if not isinstance(gate, FractionalRx)
        }
        """Gates whose pulses have parameters, which get their values from each instruction."""
        self.own: dict[OwnKey, int] = {}
        """The pulse gates of the job that have no parameters."""
        self.has_own = False
        """Whether there are pulse gates of the job."""
        self.unbound: dict[int, list[UnboundParameter]] = {}
        """Of templates of such gates, the values of rows that are bound later."""
        self.ids = {key: self._add(info.schedule) for key, info in gates.items()}
        for key, gate in fractional.items():
            if isinstance(gate, FractionalRx):  # its rows are those of a half turn
                self.ids[key] = self._append(self._rows[self.ids["x", key[1]]], gate.schedule)
        self.virtual = [self._append(self._turn(q), _EMPTY) for q in range(channel_map.device.num_qubits)]
        """The template of rz on each qubit: its rows are for an angle of 1."""

    def _turn(self, qubit: int) -> npt.NDArray[np.void]:
        rows = np.zeros(len(self._channel_map.frames_of_qubit[qubit]), dtype=FLAT)
        rows["row"] = self._channel_map.frames_of_qubit[qubit]
        rows["kind"], rows["envelope"], rows["memory_slot"] = SHIFT_PHASE, -1, -1
        rows["value"] = rz_phase(1.0)
        return rows

    def _add(self, schedule: Schedule) -> int:
        rows = flatten(schedule.unordered(), self._channel_map, self._table)
        weigh(rows, self._channel_map, self._table)
        return self._append(rows, schedule)

    def _append(self, rows: npt.NDArray[np.void], schedule: Schedule) -> int:
        self._rows.append(rows)
        acquired = rows[rows["kind"] == ACQUIRE]
        begin = int(acquired["time"].min(initial=schedule.duration))
        end = int((acquired["time"] + acquired["length"]).max(initial=begin))
        group = self.groups[self._channel_map.lines[acquired["row"][0]].qubit] if len(acquired) else -1
        self._acquired.append((begin, end - begin, int(group)))
        self._slots.append(sorted({slot for slot in acquired["memory_slot"].tolist() if slot >= 0}))
        self.schedules.append(schedule)
        self.durations.append(schedule.duration)
        return len(self._rows) - 1

    def with_gates(self, gates: Gates, table: EnvelopeTable) -> Templates:
        """Return templates that have the pulse gates of one job, too, and their shapes in ``table``."""
        if not gates:
            return self
        extended = self._copy(table)
        extended.late, extended.has_own = {**self.late}, True
        for (name, qubits, params), schedule in gates.items():
            if not params and schedule.is_parameterized():
                extended.late[name, qubits] = LateProgram(schedule)
            else:
                extended.own[name, qubits, params] = extended._add(_timed(schedule))
        return extended

    def for_circuit(self, circuit: QuantumCircuit, table: EnvelopeTable) -> Templates:
        """Return templates for ``circuit``: a copy where it may add to them, by :meth:`add_late`."""
        return self._copy(table) if uses(circuit, {name for name, _ in self.late}) else self

    def _copy(self, table: EnvelopeTable) -> Templates:
        """Return a copy that can be added to; it shares what it holds up to now."""
        found = copy(self)
        found._part(table)
        return found

    def _part(self, table: EnvelopeTable) -> None:
        """Share nothing that is added to any more with what this is a copy of."""
        self._rows, self.schedules, self.durations = [*self._rows], [*self.schedules], [*self.durations]
        self._acquired, self._slots, self.own = [*self._acquired], [*self._slots], {**self.own}
        self._table, self._joined, self._distinct, self.unbound = table, None, {}, {}

    def add_late(self, key: GateKey, values: Sequence[float | ParameterExpression]) -> int:
        """Return a new template: a gate with values for the parameters of its pulses, numbers or not.

        Raises :class:`NotLinearError` for a value without a number that is more than a phase, frequency or amplitude.
        """
        schedule, unbound = self.late[key].assigned(values), list[UnboundParameter]()
        rows = flatten(schedule.unordered(), self._channel_map, self._table, unbound)
        weigh(rows, self._channel_map, self._table)
        template = self._append(rows, schedule)
        self._joined = None
        if unbound:
            self.unbound[template] = unbound
        return template

    def distinct(self, qubits: Sequence[Any]) -> Distinct:
        """Return the operations met so far in circuits on these qubits (Qiskit's), to be added to."""
        register = tuple(qubits)
        found = self._distinct.get(register)
        if found is None or len(found) > _MOST_OPERATIONS:
            while len(self._distinct) >= _MOST_REGISTERS:
                self._distinct.pop(next(iter(self._distinct)), None)
            found = self._distinct[register] = Distinct()
        return found

    def _join(self) -> _Joined:
        if self._joined is None:
            counts = np.array([*map(len, self._rows), 0], dtype=np.int64)
            first = np.concatenate(([0], np.cumsum(counts[:-1])))
            rows = np.concatenate([rows.view(OPAQUE) for rows in self._rows]).view(FLAT)
            lengths = np.array([*self.durations, 0], np.int64)
            acquired = np.array([*self._acquired, (0, 0, -1)], np.int64)
            sizes = [0, *map(len, self._slots), 0]
            slots = np.array([slot for item in self._slots for slot in item], np.int64)
            self._joined = _Joined(rows, first, counts, Lasting(lengths, acquired, np.cumsum(sizes), slots))
        return self._joined

    def joined(self) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
        """Return all rows, and where each template's begin (one entry more than there are templates)."""
        return self._join().rows, self._join().first

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Rows of each template; entry -1 is 0, for operations that play nothing."""
        return self._join().counts

    @property
    def lasting(self) -> Lasting:
        """What placement has to know of each template; entry -1 is for operations that play nothing."""
        return self._join().lasting

    def rows(self, template: int) -> npt.NDArray[np.void]:
        """Return the rows of a template, FLAT."""
        return self._rows[template]

    def memory_slots(self, template: int) -> list[int]:
        """Return the memory slot of each acquisition of a template, -1 for one whose bit is thrown away."""
        rows = self._rows[template]
        found: list[int] = rows["memory_slot"][rows["kind"] == ACQUIRE].tolist()
        return found


def by_name(program: Schedule | ScheduleBlock) -> list[Parameter]:
    """Return the parameters of a pulse gate in the order in which an instruction gives their values."""
    return sorted(program.parameters, key=lambda parameter: parameter.name)


class LateGate(Protocol):
    """A gate whose pulses have parameters."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters in the order in which an instruction gives their values."""

    def assigned(self, values: Sequence[float | ParameterExpression]) -> Schedule:
        """Return the pulses with these values.

        Raises :class:`NotLinearError` for one without a number where the pulses have no times without it.
        """


class LateProgram:
    """A pulse gate of a job whose schedule has parameters."""

    def __init__(self, program: Schedule | ScheduleBlock) -> None:
        self.program = program
        self._parameters = by_name(program)
        self.names = tuple(parameter.name for parameter in self._parameters)

    def assigned(self, values: Sequence[float | ParameterExpression]) -> Schedule:
        """Return the pulses with these values."""
        return _timed(self.program.assign_parameters(dict(zip(self._parameters, values, strict=True)), inplace=False))


def uses(circuit: QuantumCircuit, names: set[str]) -> bool:
    """Return whether ``circuit`` has a gate of one of these names, in the bodies of its control flow, too."""
    found = circuit.count_ops().keys()
    if not names or names & found or not CONTROL_FLOW & found:
        return bool(names & found)
    flow = (item.operation for item in circuit.data if item.name in CONTROL_FLOW)
    return any(uses(body, names) for operation in flow for body in getattr(operation, "blocks", ()))


def _timed(program: Schedule | ScheduleBlock) -> Schedule:
    return block_to_schedule(program) if isinstance(program, ScheduleBlock) else program


class Lasting(NamedTuple):
    """What placement has to know of each template: int64 arrays, dt.

    Row t of ``acquired`` has where its acquisitions begin, how long they last (0 without any), and which group of the
    meas_map they belong to. The memory slots that it names itself are ``slots[pointer[t] : pointer[t + 1]]``.
    """

    lengths: npt.NDArray[np.int64]
    acquired: npt.NDArray[np.int64]
    pointer: npt.NDArray[np.int64]
    slots: npt.NDArray[np.int64]


class _Joined(NamedTuple):
    rows: npt.NDArray[np.void]
    first: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    lasting: Lasting
