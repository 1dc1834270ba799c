"""From a circuit to start times: one look-up per instruction, then array work.

Each distinct operation of a circuit (a gate on its qubits, a measurement into its bit, a delay) is resolved once; the
walk over the instructions then writes down numbers of operations, and the values of those that have one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import Delay, ParameterExpression

from pulsed.compiler.templates import OwnKey, Templates
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import CircuitError

BARRIER, DELAY, VIRTUAL, GATE, MEASURE, RESET = range(6)


@dataclass
class Operations:
    """A circuit as arrays: ``code[i]`` is the row in the tables of instruction i.

    ``value[i]`` is its angle (VIRTUAL, rad) or length (DELAY, dt), else 1. The tables have per distinct operation its
    kind, template (-1 when nothing is played), qubits and memory slot (-1 when it has none).
    """

    code: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    kind: list[int] = field(default_factory=list)
    template: list[int] = field(default_factory=list)
    qubits: list[tuple[int, ...]] = field(default_factory=list)
    slot: list[int] = field(default_factory=list)
    late: dict[int, ParameterExpression] = field(default_factory=dict)
    """Instructions whose value is an expression of parameters that are bound later; their ``value`` is 0."""

    @cached_property
    def table(self) -> npt.NDArray[np.int64]:
        """Kind, template and slot of each distinct operation, int64 (3, operations), for compiled code."""
        return np.array((self.kind, self.template, self.slot), dtype=np.int64)


class _Operation(NamedTuple):
    kind: int
    template: int
    qubits: tuple[int, ...]
    slot: int = -1


class _Resolver:
    """Finds out, once per distinct operation of a circuit, what it is. Raises :class:`CircuitError`."""

    def __init__(
        self, circuit: QuantumCircuit, templates: Templates, device: DeviceDescription, own: Mapping[OwnKey, int]
    ) -> None:
        self._circuit = circuit
        self._templates = templates
        self._own = own
        self._own_names = {key[0] for key in own}
        self._dt = float(device.dt)
        self.index = {bit: i for i, bit in enumerate(circuit.qubits)}
        self.late: dict[int, ParameterExpression] = {}
        self._clbit = {bit: i for i, bit in enumerate(circuit.clbits)}

    def resolve(self, instruction: Any) -> tuple[_Operation, bool]:
        """Return the operation, and whether equal name and qubits always mean this one."""
        name = instruction.name
        qubits = tuple([self.index[bit] for bit in instruction.qubits])
        if name in self._own_names:
            found = self._own.get((name, qubits, tuple(self._number(name, value) for value in instruction.params)))
            if found is not None:
                return _Operation(GATE, found, qubits), False
        if name == "rz":
            return _Operation(VIRTUAL, self._templates.virtual[qubits[0]], qubits), name not in self._own_names
        if name == "barrier":
            return _Operation(BARRIER, -1, qubits), True
        if name == "delay":
            return _Operation(DELAY, -1, qubits), True
        template = self._templates.ids.get((name, qubits))
        if template is None:
            raise self._unknown(name, qubits)
        if name == "measure":
            return _Operation(MEASURE, template, qubits, self._clbit[instruction.clbits[0]]), False
        return _Operation(RESET if name == "reset" else GATE, template, qubits), name not in self._own_names

    def angle(self, instruction: Any, at: int) -> float:
        """Return the angle of an rz whose parameter is no plain float; an expression is kept for later."""
        value = instruction.params[0]
        if isinstance(value, ParameterExpression) and value.parameters:
            self.late[at] = value
            return 0.0
        return self._number("rz", value)

    def _number(self, name: str, value: Any) -> float:
        if isinstance(value, ParameterExpression) and value.parameters:
            names = ", ".join(sorted(str(p) for p in value.parameters))
            raise CircuitError(
                "this parameter has no value yet: assign_parameters first",
                subject=f"circuit {self._circuit.name}, {name}",
                value=names,
            )
        number = float(value)
        if not np.isfinite(number):
            raise CircuitError("not a finite number", subject=f"circuit {self._circuit.name}, {name}", value=number)
        return number

    def length(self, instruction: Any, at: int) -> float:
        """Return a delay in dt; an expression is kept for later."""
        delay: Delay = instruction.operation
        unit = 1.0 if delay.unit == "dt" else _SECONDS.get(delay.unit, np.nan) / self._dt
        if isinstance(delay.duration, ParameterExpression) and delay.duration.parameters:
            self.late[at] = delay.duration * unit
            return 0.0
        length = self._number("delay", delay.duration)
        return float(whole(np.array([length * unit]), f"circuit {self._circuit.name}, delay", self._dt)[0])

    def _unknown(self, name: str, qubits: tuple[int, ...]) -> CircuitError:
        places = [key[1] for key in self._templates.ids if key[0] == name]
        shown = qubits[0] if len(qubits) == 1 else qubits
        if places:
            message = f"the gate {name} is not there for these qubits: transpile for the backend"
            legal = ", ".join(str(q[0] if len(q) == 1 else q) for q in sorted(places))
        else:
            message = "an unsupported gate: transpile for the backend, or attach a pulse gate to the job"
            legal = ", ".join(sorted({key[0] for key in self._templates.ids} | {"rz", "delay", "barrier"}))
        return CircuitError(message, subject=f"circuit {self._circuit.name}", value=f"{name} on {shown}", legal=legal)


def whole(lengths: npt.NDArray[np.float64], subject: str, dt: float) -> npt.NDArray[np.float64]:
    """Return delays in dt, exactly; a delay between two samples is refused, not rounded."""
    found = np.round(lengths)
    bad = ~((found >= 0) & (np.abs(lengths - found) < 1e-6 * np.maximum(1.0, 1e-6 * np.abs(found))))
    if bad.any():
        raise CircuitError(
            "a delay is a whole number of dt: transpile for the backend to have it rounded",
            subject=subject,
            value=f"{lengths[bad][0]:.9g} dt",
            legal=f"0 or a multiple of dt = {dt:g} s",
        )
    return found


_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}


def walk(
    circuit: QuantumCircuit, templates: Templates, device: DeviceDescription, own: Mapping[OwnKey, int]
) -> Operations:
    """Return the operations of ``circuit``; ``own`` has the templates of the job's pulse gates.

    Raises :class:`CircuitError` that names the instruction for what this device cannot do.
    """
    if circuit.num_qubits > device.num_qubits:
        raise CircuitError(
            "more qubits than the device has",
            subject=f"circuit {circuit.name}",
            value=circuit.num_qubits,
            legal=f"at most {device.num_qubits}",
        )
    resolver = _Resolver(circuit, templates, device, own)
    operations: list[_Operation] = []
    # Row of a known operation; its complement when it has a value to read.
    known: dict[tuple[str, Any], int] = {}
    code: list[int] = []
    values: list[float] = []
    write, put, find = code.append, values.append, known.get
    for instruction in circuit.data:
        name = instruction.name
        found = find((name, instruction.qubits))
        if found is None:
            operation, again = resolver.resolve(instruction)
            found = len(operations) if operation.kind not in _VALUED else ~len(operations)
            operations.append(operation)
            if again:
                known[name, instruction.qubits] = found
        if found < 0:
            found = ~found
            if name == "rz":
                angle = instruction.params[0]
                put(angle if type(angle) is float else resolver.angle(instruction, len(code)))
            else:
                put(resolver.length(instruction, len(code)))
        write(found)
    return _collect(circuit, operations, code, values, resolver.late)


_VALUED = (VIRTUAL, DELAY)


def _collect(
    circuit: QuantumCircuit,
    operations: list[_Operation],
    code: list[int],
    values: list[float],
    late: dict[int, ParameterExpression],
) -> Operations:
    codes = np.array(code, dtype=np.int32)
    kind = [item.kind for item in operations]
    read = np.array(values)
    if not np.isfinite(read).all():
        bad = float(read[~np.isfinite(read)][0])
        raise CircuitError("not a finite number", subject=f"circuit {circuit.name}, rz", value=bad)
    value = np.ones(len(codes))
    if values:
        value[np.isin(np.array(kind)[codes], _VALUED)] = read
    result = Operations(
        codes,
        value,
        kind,
        [item.template for item in operations],
        [item.qubits for item in operations],
        [item.slot for item in operations],
        late,
    )
    return _without_first_resets(result) if RESET in kind else result


def _without_first_resets(operations: Operations) -> Operations:
    """Drop resets of qubits that nothing has touched: the wait between shots has reset them."""
    touched: set[int] = set()
    keep = np.ones(len(operations.code), dtype=bool)
    for i, code in enumerate(operations.code.tolist()):
        qubits = operations.qubits[code]
        keep[i] = operations.kind[code] != RESET or qubits[0] in touched
        if operations.kind[code] not in (BARRIER, DELAY, RESET):
            touched.update(qubits)
    moved = np.cumsum(keep) - 1
    operations.late = {int(moved[i]): value for i, value in operations.late.items()}
    operations.code, operations.value = operations.code[keep], operations.value[keep]
    return operations


def describe(circuit: QuantumCircuit) -> tuple[int, tuple[tuple[str, int], ...], bytes]:
    """Return memory slots, (name, size) of each classical register, and the metadata as JSON."""
    metadata = json.dumps(circuit.metadata, default=str).encode() if circuit.metadata else b"{}"
    return circuit.num_clbits, tuple((register.name, register.size) for register in circuit.cregs), metadata
