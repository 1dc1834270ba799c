"""From a circuit to start times: one walk over the instructions, then array work.

A circuit becomes a table of operations that refer to gate templates; a compiled kernel places them as late (or
as early) as the qubits, the grid and the digitizer's windows allow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from math import lcm
from typing import Literal

import numpy as np
import numpy.typing as npt
from numba import njit
from qiskit import QuantumCircuit
from qiskit.circuit import Delay, ParameterExpression

from pulsed.compiler.flat import ACQUIRE, FLAT, SHIFT_PHASE, EnvelopeTable, flatten
from pulsed.compiler.gates import GateInfo, GateKey
from pulsed.compiler.wiring import Wiring
from pulsed.model.errors import CircuitError
from pulsed.pulse.channels import MemorySlot
from pulsed.pulse.frames import rz_phase
from pulsed.pulse.instructions import Acquire, Instruction, ShiftPhase
from pulsed.pulse.schedule import Schedule

BARRIER, DELAY, VIRTUAL, GATE, MEASURE = range(5)

OwnKey = tuple[str, tuple[int, ...], tuple[float, ...]]
Gates = Mapping[OwnKey, Schedule]
"""Pulse gates of a job: (name, qubits, params) → schedule."""


@dataclass
class Operations:
    """A circuit as arrays.

    ``kind``, ``template``, ``value``, ``slot`` and ``duration`` have one entry per operation; the qubits of operation
    i are ``qubits[pointer[i]:pointer[i + 1]]``.
    """

    kind: list[int] = field(default_factory=list)
    template: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    slot: list[int] = field(default_factory=list)
    duration: list[int] = field(default_factory=list)
    pointer: list[int] = field(default_factory=lambda: [0])
    qubits: list[int] = field(default_factory=list)

    def add(
        self,
        kind: int,
        qubits: Sequence[int],
        duration: int = 0,
        template: int = -1,
        value: float = 1.0,
        slot: int = -1,
    ) -> None:
        """Append one operation."""
        self.kind.append(kind)
        self.template.append(template)
        self.value.append(value)
        self.slot.append(slot)
        self.duration.append(duration)
        self.qubits.extend(qubits)
        self.pointer.append(len(self.qubits))


class Templates:
    """The gates of one calibration set as FLAT rows, found by name and qubits."""

    def __init__(self, wiring: Wiring, gates: Mapping[GateKey, GateInfo], table: EnvelopeTable) -> None:
        self._wiring = wiring
        self._table = table
        self.schedules: list[Schedule] = []
        self.durations: list[int] = []
        self._rows: list[npt.NDArray[np.void]] = []
        self.ids: dict[GateKey, int] = {}
        for key, info in gates.items():
            self.ids[key] = self._add(info.schedule)
        self.virtual = [self._add_rows(self._turn(q)) for q in range(wiring.device.num_qubits)]
        self._joined: tuple[npt.NDArray[np.void], npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None

    def _turn(self, qubit: int) -> npt.NDArray[np.void]:
        rows = np.zeros(len(self._wiring.frames_of_qubit[qubit]), dtype=FLAT)
        rows["row"] = self._wiring.frames_of_qubit[qubit]
        rows["kind"], rows["envelope"], rows["memory_slot"] = SHIFT_PHASE, -1, -1
        rows["value"] = rz_phase(1.0)
        return rows

    def _add(self, schedule: Schedule) -> int:
        return self._add_rows(flatten(schedule.instructions, self._wiring, self._table), schedule)

    def _add_rows(self, rows: npt.NDArray[np.void], schedule: Schedule | None = None) -> int:
        self._rows.append(rows)
        self.schedules.append(schedule if schedule is not None else Schedule())
        self.durations.append(schedule.duration if schedule is not None else 0)
        self._joined = None
        return len(self._rows) - 1

    def with_gates(self, gates: Gates, table: EnvelopeTable) -> tuple[Templates, dict[OwnKey, int]]:
        """Return templates that have the pulse gates of one job too, and the template of each."""
        extended = copy(self)
        extended._rows, extended.schedules, extended.durations = [*self._rows], [*self.schedules], [*self.durations]
        extended._table = table
        return extended, {key: extended._add(schedule) for key, schedule in gates.items()}

    def joined(self) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return all rows, the first row of each template, and how many each has."""
        if self._joined is None:
            counts = np.array([len(rows) for rows in self._rows], dtype=np.int64)
            self._joined = np.concatenate(self._rows), np.cumsum(counts) - counts, counts
        return self._joined


def walk(circuit: QuantumCircuit, templates: Templates, wiring: Wiring, own: Mapping[OwnKey, int]) -> Operations:
    """Return the operations of ``circuit``; ``own`` has the templates of the job's pulse gates.

    Raises :class:`CircuitError` that names the instruction for what this device cannot do.
    """
    device = wiring.device
    if circuit.num_qubits > device.num_qubits:
        raise CircuitError(
            "more qubits than the device has",
            subject=f"circuit {circuit.name}",
            value=circuit.num_qubits,
            legal=f"at most {device.num_qubits}",
        )
    index = {bit: i for i, bit in enumerate(circuit.qubits)}
    clbit = {bit: i for i, bit in enumerate(circuit.clbits)}
    ids, durations, virtual = templates.ids, templates.durations, templates.virtual
    operations = Operations()
    touched: set[int] = set()
    for instruction in circuit.data:
        name = instruction.name
        qubits = tuple([index[bit] for bit in instruction.qubits])
        if own and (found := own.get((name, qubits, _numbers(circuit, instruction)))) is not None:
            operations.add(GATE, qubits, durations[found], found)
        elif name == "rz":
            angle = _angle(circuit, instruction)
            operations.add(VIRTUAL, qubits, 0, virtual[qubits[0]], angle)
        elif (found := ids.get((name, qubits))) is not None:
            if name == "measure":
                operations.add(MEASURE, qubits, durations[found], found, slot=clbit[instruction.clbits[0]])
            elif name != "reset" or qubits[0] in touched:
                operations.add(GATE, qubits, durations[found], found)
        elif name == "barrier":
            operations.add(BARRIER, qubits)
            continue
        elif name == "delay":
            operations.add(DELAY, qubits, _delay(circuit, instruction.operation, float(device.dt)))
            continue
        else:
            raise _unknown(circuit, name, qubits, ids)
        touched.update(qubits)
    return operations


def _numbers(circuit: QuantumCircuit, instruction: object) -> tuple[float, ...]:
    return tuple(_number(circuit, instruction, value) for value in instruction.params)  # type: ignore[attr-defined]


def _angle(circuit: QuantumCircuit, instruction: object) -> float:
    return _number(circuit, instruction, instruction.params[0])  # type: ignore[attr-defined]


def _number(circuit: QuantumCircuit, instruction: object, value: object) -> float:
    if isinstance(value, ParameterExpression) and value.parameters:
        names = ", ".join(sorted(str(p) for p in value.parameters))
        raise CircuitError(
            "this parameter has no value yet: assign_parameters first",
            subject=f"circuit {circuit.name}, {instruction.name}",  # type: ignore[attr-defined]
            value=names,
        )
    number = float(value)  # type: ignore[arg-type]
    if not np.isfinite(number):
        raise CircuitError("not a finite number", subject=f"circuit {circuit.name}", value=number)
    return number


_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}


def _delay(circuit: QuantumCircuit, delay: Delay, dt: float) -> int:
    """Return a delay in dt, exactly; a delay between two samples is refused, not rounded."""
    length = _number(circuit, delay, delay.duration)
    samples = length if delay.unit == "dt" else length * _SECONDS.get(delay.unit, np.nan) / dt
    if not (samples >= 0 and abs(samples - round(samples)) < 1e-6 * max(1.0, 1e-6 * samples)):
        raise CircuitError(
            "a delay is a whole number of dt: transpile for the backend to have it rounded",
            subject=f"circuit {circuit.name}, delay",
            value=f"{length} {delay.unit}",
            legal=f"multiples of {dt:g} s",
        )
    return round(samples)


def _unknown(circuit: QuantumCircuit, name: str, qubits: tuple[int, ...], ids: Mapping[GateKey, int]) -> CircuitError:
    places = [key[1] for key in ids if key[0] == name]
    shown = qubits[0] if len(qubits) == 1 else qubits
    if places:
        legal = ", ".join(str(q[0] if len(q) == 1 else q) for q in sorted(places))
        return CircuitError(
            f"the gate {name} is not there for these qubits: transpile for the backend",
            subject=f"circuit {circuit.name}",
            value=f"{name} on {shown}",
            legal=legal,
        )
    legal = ", ".join(sorted({key[0] for key in ids} | {"rz", "delay", "barrier"}))
    return CircuitError(
        "an unsupported gate: transpile for the backend, or attach a pulse gate to the job",
        subject=f"circuit {circuit.name}",
        value=f"{name} on {shown}",
        legal=legal,
    )


@njit(cache=True)  # type: ignore[untyped-decorator]
def _align(position: int, duration: int, grid: int, backward: bool) -> int:  # pragma: no cover - compiled
    edge = position + duration if backward else position
    return position + (-edge) % grid


@njit(cache=True)
def _place(kind, duration, pointer, qubits, group, n, pulse_grid, acquire_grid, backward):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the position of each operation, counted from the end of the circuit when ``backward``."""
    count = kind.shape[0]
    front = np.zeros(n, dtype=np.int64)
    position = np.zeros(count, dtype=np.int64)
    starts = np.empty(count, dtype=np.int64)
    lengths = np.empty(count, dtype=np.int64)
    groups = np.empty(count, dtype=np.int64)
    windows = 0
    for step in range(count):
        i = count - 1 - step if backward else step
        at = np.int64(0)
        for k in range(pointer[i], pointer[i + 1]):
            at = max(at, front[qubits[k]])
        d = duration[i]
        if kind[i] == GATE and d > 0:
            at = _align(at, d, pulse_grid, backward)
        elif kind[i] == MEASURE:
            at = _align(at, d, acquire_grid, backward)
            g = group[qubits[pointer[i]]]
            # Windows of one digitizer coincide or are apart; the list is sorted by start.
            w = 0
            while w < windows:
                if groups[w] == g and at + d > starts[w]:
                    if starts[w] >= at and lengths[w] == d:
                        at = starts[w]
                        break
                    if at < starts[w] + lengths[w]:
                        at = _align(starts[w] + lengths[w], d, acquire_grid, backward)
                elif groups[w] == g:
                    break
                w += 1
            insert = windows
            while insert > 0 and starts[insert - 1] > at:
                starts[insert] = starts[insert - 1]
                lengths[insert] = lengths[insert - 1]
                groups[insert] = groups[insert - 1]
                insert -= 1
            starts[insert], lengths[insert], groups[insert] = at, d, g
            windows += 1
        position[i] = at
        for k in range(pointer[i], pointer[i + 1]):
            front[qubits[k]] = at + d
    end = np.int64(0)
    for q in range(n):
        end = max(end, front[q])
    return position, end


@dataclass(frozen=True)
class Timed:
    """Operations with their start times, dt."""

    operations: Operations
    starts: npt.NDArray[np.int64]
    duration: int


def place(operations: Operations, wiring: Wiring, method: Literal["alap", "asap"] = "alap") -> Timed:
    """Give every operation its start, as late or as early as possible, on the device's grid."""
    device, timing = wiring.device, wiring.device.timing
    group = np.zeros(device.num_qubits, dtype=np.int64)
    for g, members in enumerate(device.meas_map):
        group[list(members)] = g
    durations = np.array(operations.duration, dtype=np.int64)
    backward = method == "alap"
    position, end = _place(
        np.array(operations.kind, dtype=np.int64),
        durations,
        np.array(operations.pointer, dtype=np.int64),
        np.array(operations.qubits, dtype=np.int64),
        group,
        device.num_qubits,
        timing.pulse_alignment,
        timing.acquire_alignment,
        backward,
    )
    grid = lcm(timing.pulse_alignment, timing.acquire_alignment)
    duration = int(end) + (-int(end)) % grid
    return Timed(operations, duration - position - durations if backward else position, duration)


def to_rows(timed: Timed, templates: Templates) -> npt.NDArray[np.void]:
    """Return the FLAT rows of placed operations, in the order of the circuit."""
    rows, first, counts = templates.joined()
    operations = timed.operations
    template = np.array(operations.template, dtype=np.int64)
    played = np.flatnonzero(template >= 0)
    template = template[played]
    repeat = counts[template]
    owner = np.repeat(played, repeat)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(repeat) - repeat, repeat)
    result: npt.NDArray[np.void] = rows[np.repeat(first[template], repeat) + within]
    result["time"] += timed.starts[owner]
    result["value"] *= np.array(operations.value)[owner]
    slots = np.array(operations.slot, dtype=np.int32)[owner]
    acquired = (result["kind"] == ACQUIRE) & (slots >= 0)
    result["memory_slot"][acquired] = slots[acquired]
    return result


def to_schedule(timed: Timed, templates: Templates, wiring: Wiring, name: str) -> Schedule:
    """Return placed operations as the Schedule that will be played."""
    operations = timed.operations
    children: list[tuple[int, Instruction]] = []
    for i, kind in enumerate(operations.kind):
        start = int(timed.starts[i])
        if kind == VIRTUAL:
            qubit = operations.qubits[operations.pointer[i]]
            shift = rz_phase(operations.value[i])
            children += [(start, ShiftPhase(shift, wiring.lines[row].channel)) for row in wiring.frames_of_qubit[qubit]]
        elif kind in (GATE, MEASURE):
            for time, instruction in templates.schedules[operations.template[i]].instructions:
                played = instruction
                if kind == MEASURE and isinstance(instruction, Acquire):
                    slot = MemorySlot(operations.slot[i])
                    played = Acquire(instruction.duration, instruction.channel, slot)
                children.append((start + time, played))
    return Schedule(*children, name=name)


def describe(circuit: QuantumCircuit) -> tuple[int, tuple[tuple[str, int], ...], bytes]:
    """Return memory slots, (name, size) of each classical register, and the metadata as JSON."""
    metadata = json.dumps(circuit.metadata or {}, default=str).encode()
    return circuit.num_clbits, tuple((register.name, register.size) for register in circuit.cregs), metadata
