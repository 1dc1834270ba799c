"""From a circuit to start times: one look-up per instruction, then array work.

Each distinct operation (a gate on its qubits, a measurement, a delay) is resolved once for all circuits on a register;
the walk over the instructions then writes down numbers of operations, and the values of those that have one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from qiskit import QuantumCircuit
from qiskit.circuit import Delay, ParameterExpression

from pulsed.compiler.operations import BARRIER, DELAY, GATE, MEASURE, OWN, RESET, VIRTUAL, Key, Operations
from pulsed.compiler.templates import OwnKey, Templates
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import CircuitError

CONTROL_FLOW = frozenset({"if_else", "for_loop", "while_loop", "switch_case", "box", "break_loop", "continue_loop"})
"""Names of the instructions that decide what is played."""


class ControlFlowError(CircuitError):
    """A circuit with control flow, where a list of gates is asked for."""

    code = "control_flow"


class _Resolver:
    """Finds out what the instructions of one circuit are. Raises :class:`CircuitError`."""

    def __init__(
        self, circuit: QuantumCircuit, templates: Templates, device: DeviceDescription, own: Mapping[OwnKey, int]
    ) -> None:
        self._circuit = circuit
        self._templates = templates
        self._own = own
        self._own_names = {key[0] for key in own}
        self._dt = float(device.dt)
        self.distinct = templates.distinct(circuit.qubits)
        self.late: dict[int, ParameterExpression] = {}
        self.resets = False
        """Whether an instruction is a reset."""
        self._own_codes: dict[OwnKey, int] = {}

    @cached_property
    def _qubit(self) -> dict[Any, int]:
        return {bit: i for i, bit in enumerate(self._circuit.qubits)}

    @cached_property
    def _clbit(self) -> dict[Any, int]:
        return {bit: i for i, bit in enumerate(self._circuit.clbits)}

    def code(self, key: Key) -> int:
        """Return the code of an operation that circuits before this one did not have."""
        known = self.distinct.codes.get(key)
        if known is not None:
            return known
        name, bits = key
        qubits = tuple([self._qubit[bit] for bit in bits])
        if name in self._own_names:
            return self.distinct.add(OWN, -1, qubits, key)
        return self.distinct.add(*self._plain(name, qubits), key)

    def _plain(self, name: str, qubits: tuple[int, ...]) -> tuple[int, int, tuple[int, ...]]:
        """Return kind, template and qubits of what the rack plays for ``name``."""
        if name == "rz":
            return VIRTUAL, self._templates.virtual[qubits[0]], qubits
        if name in _SILENT:
            return _SILENT[name], -1, qubits
        if name in CONTROL_FLOW:
            raise ControlFlowError(
                "control flow has no single schedule", subject=f"circuit {self._circuit.name}", value=name
            )
        template = self._templates.ids.get((name, qubits))
        if template is None:
            raise self._unknown(name, qubits)
        return _KINDS.get(name, GATE), template, qubits

    def special(self, instruction: Any, at: int, code: int) -> tuple[int, float]:
        """Return code and value of an instruction of which name and qubits do not say all."""
        if self.distinct.kind[code] == OWN:
            code = self._own_code(instruction, self.distinct.qubits[code])
        kind = self.distinct.kind[code]
        self.resets |= kind == RESET
        if kind == MEASURE:
            return code, self._clbit[instruction.clbits[0]]
        if kind == DELAY:
            return code, self.length(instruction, at)
        return code, self.angle(instruction.params[0], at) if kind == VIRTUAL else 1.0

    def _own_code(self, instruction: Any, qubits: tuple[int, ...]) -> int:
        name = instruction.name
        key = (name, qubits, tuple(self._number(name, value) for value in instruction.params))
        if key not in self._own_codes:
            template = self._own.get(key)
            operation = self._plain(name, qubits) if template is None else (GATE, template, qubits)
            code = self.distinct.add(*operation)
            self._own_codes[key] = max(code, ~code)
        return self._own_codes[key]

    def angle(self, value: Any, at: int) -> float:
        """Return the angle of an rz as a number; an expression is kept for later."""
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


_SILENT = {"barrier": BARRIER, "delay": DELAY}
_KINDS = {"measure": MEASURE, "reset": RESET}
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}


def walk(
    circuit: QuantumCircuit,
    templates: Templates,
    device: DeviceDescription,
    own: Mapping[OwnKey, int],
    fresh: bool = True,
) -> Operations:
    """Return the operations of ``circuit``; ``own`` has the templates of the job's pulse gates.

    ``fresh``: it begins the shot, so what it resets first needs no reset. Raises :class:`ControlFlowError` for a
    circuit that branches, and :class:`CircuitError` that names the instruction for what this device cannot do.
    """
    if circuit.num_qubits > device.num_qubits:
        raise CircuitError(
            "more qubits than the device has",
            subject=f"circuit {circuit.name}",
            value=circuit.num_qubits,
            legal=f"at most {device.num_qubits}",
        )
    resolver = _Resolver(circuit, templates, device, own)
    distinct, data = resolver.distinct, circuit.data
    codes: list[int] = []
    angles: list[Any] = []
    find, write, put = distinct.codes.get, codes.append, angles.append
    for instruction in data:
        key = (instruction.name, instruction.qubits)
        known = find(key)
        if known is None:
            known = resolver.code(key)
        if known < 0:
            put(instruction.params[0])
        write(known)
    signed = np.array(codes, dtype=np.int64)
    if not set(map(type, angles)) <= {float}:
        turned = np.flatnonzero(signed < 0).tolist()
        angles = [
            angle if type(angle) is float else resolver.angle(angle, i) for angle, i in zip(angles, turned, strict=True)
        ]
    code, value, special, bad = _sorted_out(signed, np.array(angles, dtype=np.float64), distinct.tables.special)
    if bad >= 0:
        raise CircuitError("not a finite number", subject=f"circuit {circuit.name}, rz", value=angles[bad])
    for i in special.tolist():
        code[i], value[i] = resolver.special(data[i], i, int(code[i]))
    operations = Operations(code, value, distinct, resolver.late)
    return _without_first_resets(operations) if resolver.resets and fresh else operations


@njit(cache=True)
def _sorted_out(signed, angles, special):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return codes and values of instructions, which of them are special, and the first angle that is not finite."""
    code, value, found = np.empty_like(signed), np.ones(signed.shape[0]), np.empty_like(signed)
    used, turned, bad = 0, 0, -1
    for i in range(signed.shape[0]):
        code[i] = max(signed[i], ~signed[i])
        if signed[i] < 0:
            value[i] = angles[turned]
            if bad < 0 and not np.isfinite(value[i]):
                bad = turned
            turned += 1
        if special[code[i]]:
            found[used] = i
            used += 1
    return code, value, found[:used], bad


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
