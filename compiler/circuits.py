"""From a circuit to start times: one look-up per instruction, then array work.

Each distinct operation (a gate on its qubits, a measurement, a delay) is resolved once for all circuits on a register;
the walk over the instructions then writes down numbers of operations, and the values of those that have one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterExpression

from pulsed.compiler.canonical import CONTROL_FLOW, delay_length
from pulsed.compiler.control_flow_steps import ControlFlowError, has_c_if
from pulsed.compiler.gates import GateKey
from pulsed.compiler.instruction_table import NotLinearError
from pulsed.compiler.metadata import MetadataEncoder
from pulsed.compiler.operations import BARRIER, DELAY, GATE, MEASURE, OWN, RESET, SCALED, VIRTUAL, Key, Operations
from pulsed.compiler.resets import readouts_before_resets, without_first_resets
from pulsed.compiler.templates import OwnKey, Templates
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import CircuitError


class _Resolver:
    """Finds out what the instructions of one circuit are. Raises :class:`CircuitError`."""

    def __init__(
        self, circuit: QuantumCircuit, templates: Templates, device: DeviceDescription, own: Mapping[OwnKey, int]
    ) -> None:
        self._circuit = circuit
        self._templates = templates
        self._own = own
        self._numbered = {key[:2] for key in own}
        self._own_names = {key[0] for key in own} | {key[0] for key in templates.late}
        self._dt = device.dt
        self.distinct = templates.distinct(circuit.qubits)
        self.unbound: dict[int, tuple[ParameterExpression, ...]] = {}
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
            raise _controlled(self._circuit, name)
        template = self._templates.ids.get((name, qubits))
        if template is None:
            raise self._unknown(name, qubits)
        return _KINDS.get(name, GATE), template, qubits

    def special(self, instruction: Any, at: int, code: int) -> tuple[int, float]:
        """Return code and value of an instruction of which name and qubits do not say all."""
        if self.distinct.kind[code] == OWN:
            code = self._own_code(instruction, self.distinct.qubits[code], at)
        kind = self.distinct.kind[code]
        self.resets |= kind == RESET
        if kind == MEASURE:
            return code, self._clbit[instruction.clbits[0]]
        if kind == DELAY:
            return code, self.length(instruction, at)
        return code, self.angle(instruction.params[0], at) if kind in (VIRTUAL, SCALED) else 1.0

    def _own_code(self, instruction: Any, qubits: tuple[int, ...], at: int) -> int:
        name = instruction.name
        if (name, qubits) in self._templates.late and not self._has_numbers(name, qubits, instruction.params):
            return self._late_code((name, qubits), instruction.params, at)
        unbound = [str(value) for value in instruction.params if _is_unbound(value)]
        if unbound and (name, qubits) in self._numbered:
            raise NotLinearError(
                "this parameter has no value yet, and may tell which pulse gate is played: assign_parameters first",
                subject=f"circuit {self._circuit.name}, {name}", value=", ".join(unbound),
            )  # fmt: skip
        # Where the job has no pulses, the values do not matter here.
        numbers = () if unbound else tuple(self._number(name, value) for value in instruction.params)
        key = (name, qubits, numbers)
        if key not in self._own_codes:
            template = self._own.get(key)
            kind = GATE
            if template is None:
                kind, template, qubits = self._plain(name, qubits)
            else:
                subject = f"circuit {self._circuit.name}"
                check_own_gate(subject, key, self._templates.memory_slots(template), self._circuit.num_clbits)
                # The circuit says which bit it is measured into, whatever slot its pulses were written with.
                kind = MEASURE if name == "measure" else GATE
            code = self.distinct.add(kind, template, qubits)
            self._own_codes[key] = max(code, ~code)
        return self._own_codes[key]

    def _has_numbers(self, name: str, qubits: tuple[int, ...], params: Sequence[Any]) -> bool:
        """Return whether the job has pulses for a gate with these very numbers."""
        if (name, qubits) not in self._numbered or any(_is_unbound(value) for value in params):
            return False
        return (name, qubits, tuple(float(value) for value in params)) in self._own

    def _late_code(self, gate: GateKey, params: Sequence[Any], at: int) -> int:
        """Return the code of a pulse gate whose parameters have the values ``params``."""
        name, qubits = gate
        wanted = self._templates.late[gate].names
        if len(params) != len(wanted):
            raise CircuitError(
                "a pulse gate with another number of values than its schedule has parameters",
                subject=f"circuit {self._circuit.name}, {name}", value=len(params), legal=", ".join(wanted),
            )  # fmt: skip
        unbound = tuple(value for value in params if _is_unbound(value))
        if unbound:
            self.unbound[at] = unbound
            return self._add_gate(gate, params)
        key = (name, qubits, tuple([self._number(name, value) for value in params]))
        if key not in self._own_codes:
            whole = [int(value) if value.is_integer() else value for value in key[2]]
            self._own_codes[key] = self._add_gate(gate, whole)
        return self._own_codes[key]

    def _add_gate(self, gate: GateKey, values: Sequence[float | ParameterExpression]) -> int:
        return self.distinct.add(GATE, self._templates.add_late(gate, values), gate[1])

    def angle(self, value: Any, at: int) -> float:
        """Return the angle of a gate as a number; an expression is kept for later."""
        if isinstance(value, ParameterExpression) and value.parameters:
            self.unbound[at] = (value,)
            return 0.0
        return self._number(self._circuit.data[at].name, value)

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
        length = delay_length(instruction, self._dt, f"circuit {self._circuit.name}, delay")
        if isinstance(length, ParameterExpression):
            self.unbound[at] = (length,)
            return 0.0
        return float(length)

    def _unknown(self, name: str, qubits: tuple[int, ...]) -> CircuitError:
        places = [key[1] for key in self._templates.ids if key[0] == name]
        shown = qubits[0] if len(qubits) == 1 else qubits
        if places:
            message = f"there is no gate {name} on these qubits: transpile for the backend"
            legal = ", ".join(str(q[0] if len(q) == 1 else q) for q in sorted(places))
        else:
            message = "an unsupported gate: transpile for the backend, or attach a pulse gate to the job"
            legal = ", ".join(sorted({key[0] for key in self._templates.ids} | {"rz", "delay", "barrier"}))
        return CircuitError(message, subject=f"circuit {self._circuit.name}", value=f"{name} on {shown}", legal=legal)


def _is_unbound(value: Any) -> bool:
    return isinstance(value, ParameterExpression) and bool(value.parameters)


def check_own_gate(subject: str, key: OwnKey, slots: Sequence[int], bits: int) -> None:
    """Raise :class:`CircuitError` for a pulse gate that cannot bring back what it measures.

    Args:
        subject: the circuit that uses it.
        key: the gate.
        slots: the memory slot of each of its acquisitions, negative for one whose bit is thrown away.
        bits: how many classical bits the circuit has.

    """
    name, qubits, _ = key
    gate = f"{name} on {', '.join(map(str, qubits))}"
    if name == "measure" and len(slots) != 1:
        raise CircuitError(
            "a pulse gate for measure acquires once, into the bit that the circuit names", subject=f"{subject}, {gate}",
            value=f"{len(slots)} Acquire", legal="one Acquire",
        )  # fmt: skip
    beyond = [slot for slot in slots if slot >= bits]
    if beyond and name != "measure":
        raise CircuitError(
            "a pulse gate acquires into a bit that the circuit does not have", subject=f"{subject}, {gate}",
            value=f"MemorySlot({beyond[0]})", legal=f"MemorySlot(0) to MemorySlot({bits - 1})" if bits else "none",
        )  # fmt: skip


def _controlled(circuit: QuantumCircuit, name: str) -> ControlFlowError:
    return ControlFlowError("control flow has no single schedule", subject=f"circuit {circuit.name}", value=name)


_SILENT = {"barrier": BARRIER, "delay": DELAY}
_KINDS = {"measure": MEASURE, "reset": RESET, "rx": SCALED}


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
    if has_c_if(circuit):
        raise _controlled(circuit, "c_if")
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
        name = data[int(np.flatnonzero(signed < 0)[bad])].name
        raise CircuitError("not a finite number", subject=f"circuit {circuit.name}, {name}", value=angles[bad])
    for i in special.tolist():
        code[i], value[i] = resolver.special(data[i], i, int(code[i]))
    operations = Operations(code, value, distinct, resolver.unbound)
    if not resolver.resets:
        return operations
    return readouts_before_resets(without_first_resets(operations) if fresh else operations, templates)


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


def describe(circuit: QuantumCircuit) -> tuple[int, tuple[tuple[str, int], ...], bytes]:
    """Return memory slots, (name, size) of each classical register, and the metadata as JSON."""
    metadata = MetadataEncoder().encode(circuit.metadata).encode() if circuit.metadata else b"{}"
    return circuit.num_clbits, tuple((register.name, register.size) for register in circuit.cregs), metadata
