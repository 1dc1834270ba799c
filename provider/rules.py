"""What a backend has, and what of a circuit or schedule it refuses before anything is sent: one clear error each."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from qiskit.circuit import CircuitInstruction
from qiskit.exceptions import QiskitError

from pulsed.compiler.canonical import CONTROL_FLOW, CircuitScan, Key, free_parameters, look_through
from pulsed.model.errors import PulsedError
from pulsed.provider.errors import UnsupportedCircuitError
from pulsed.provider.programs import is_late, listed, named, unbound

if TYPE_CHECKING:
    from typing import Any

    from qiskit.circuit import QuantumCircuit
    from qiskit.transpiler import Target

    from pulsed.compiler.control_flow_checks import Pulses
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription
    from pulsed.pulse.instructions import Instruction
    from pulsed.pulse.schedule import Schedule, ScheduleBlock

EVERYWHERE = frozenset({"barrier", "delay"})
_NO_VARIABLES = "the rack has no classical variables; use classical bits and if_test"
_HAS_C_IF = hasattr(CircuitInstruction, "condition")
"""Instructions of Qiskit 1.4 may have a condition of their own."""


def legal_gates(target: Target) -> frozenset[Key]:
    """Return the name and qubits of every calibrated gate of ``target``."""
    return frozenset(
        (name, () if qubits is None else tuple(qubits)) for name in target.operation_names for qubits in target[name]
    )


@dataclass(frozen=True)
class Rules:
    """What a backend has: a device with a calibration set, the gates of its target, its channels by name.

    ``record``: samples per dt that the digitizer records of each qubit.
    """

    device: DeviceDescription
    calibration: CalibrationSet
    gates: frozenset[Key]
    channels: tuple[str, ...]
    target: Target
    record: tuple[Fraction, ...] = ()

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, int]]:
        """How many qubits and values each gate of the target has."""
        gates = {name: self.target.operation_from_name(name) for name in self.target.operation_names}
        return {name: (gate.num_qubits, len(gate.params)) for name, gate in gates.items() if not isinstance(gate, type)}

    @cached_property
    def num_values(self) -> Mapping[str, int]:
        """How many values each gate of the target has."""
        return {name: values for name, (_, values) in self.shapes.items()}

    @cached_property
    def looked_up_in_pairs(self) -> frozenset[str]:
        """Names of what can be done to every qubit, and of gates on two: those alone need a look at their qubits."""
        from qiskit.circuit.library import get_standard_gate_name_mapping

        known, every = get_standard_gate_name_mapping(), range(self.device.num_qubits)
        found = set(EVERYWHERE)
        for name, (qubits, _) in self.shapes.items():
            # A user's own gate may have the name of one that Qiskit means other qubits by.
            if name in known and known[name].num_qubits != qubits:
                continue
            if qubits == 2 or (qubits == 1 and all((name, (q,)) in self.gates for q in every)):
                found.add(name)
        return frozenset(found)


def check_circuit(
    circuit: QuantumCircuit,
    rules: Rules,
    custom: Pulses | None = None,
    *,
    bound: bool = False,
    number: int | None = None,
    branches: bool = True,
) -> CircuitScan:
    """Raise :class:`UnsupportedCircuitError` unless the backend has all that ``circuit`` uses; return what that is.

    Args:
        circuit: transpiled, with its qubits those of the rack.
        rules: what the backend has.
        custom: the pulses of gates that come with their own.
        bound: its parameters have values beside it.
        number: of the circuit in the list given to run.
        branches: it may have control flow.

    """
    subject = named("circuit", circuit.name, number)
    if circuit.num_qubits > rules.device.num_qubits:
        raise UnsupportedCircuitError(
            "more qubits than the backend has",
            subject=subject,
            value=circuit.num_qubits,
            legal=f"at most {rules.device.num_qubits}",
        )
    if circuit.num_parameters and not bound and (free := free_parameters(circuit)):
        raise unbound(subject, free)
    _check_variables(circuit, subject)
    found = look_through(circuit)
    gates, custom = rules.gates, custom or {}
    for key, place in found.gates.items():
        if key[0] in CONTROL_FLOW and not branches:
            raise UnsupportedCircuitError(
                "control flow in a job with dynamic=False", subject=f"{subject}, instruction {place}",
                value=key[0], legal="dynamic=True or None",
            )  # fmt: skip
        if key not in gates and key[0] not in EVERYWHERE and key[0] not in CONTROL_FLOW and key not in custom:
            raise _unknown_gate(key, f"{subject}, instruction {place}", rules)
    wrong = wrong_values(circuit, rules, custom)
    if wrong is not None:
        place, item = wrong
        raise UnsupportedCircuitError(
            "a gate with another number of values than the backend's", subject=f"{subject}, instruction {place}",
            value=f"{item.name}({', '.join(map(str, item.params))})", legal=f"{rules.num_values[item.name]} values",
        )  # fmt: skip
    if found.special or _HAS_C_IF:
        _check_control_flow(circuit, found, rules, custom, subject)
    return found


def wrong_values(
    circuit: QuantumCircuit, rules: Rules, custom: Pulses | None = None
) -> tuple[int, CircuitInstruction] | None:
    """Return the first instruction with another number of values than its gate has, bodies included, and its place.

    A gate that Qiskit knows has the right number; one made by name, ``Gate("rz", 1, [])``, may not. ``custom`` gates
    may have as many values as their pulses.
    """
    for place, item in enumerate(circuit.data):
        if item.is_standard_gate():
            continue
        if item.name in CONTROL_FLOW:
            for body in getattr(item.operation, "blocks", ()):
                inner = wrong_values(body, rules, custom)
                if inner is not None:
                    return place, inner[1]
        elif len(item.params) != rules.num_values.get(item.name, len(item.params)) and not (
            custom and any(key[0] == item.name and _fits(item, pulses) for key, pulses in custom.items())
        ):
            return place, item
    return None


def _fits(item: CircuitInstruction, pulses: Mapping[tuple[float, ...], Schedule | ScheduleBlock]) -> bool:
    """Return whether pulses of a gate, by its values, are for as many values; those without are for any that come."""
    return any(len(item.params) == (len(values) or len(program.parameters)) for values, program in pulses.items())


def _check_control_flow(
    circuit: QuantumCircuit, found: CircuitScan, rules: Rules, custom: Pulses, subject: str
) -> None:
    """Raise :class:`UnsupportedCircuitError` for what lowering would refuse of if_test, switch and loops."""
    if not _HAS_C_IF and not any(name in CONTROL_FLOW for name, _ in found.gates):
        return
    from pulsed.compiler.control_flow_checks import check_control_flow

    try:
        check_control_flow(circuit, rules.device, rules.calibration, custom, rules.gates)
    except PulsedError as error:
        where = error.subject.replace(f"circuit {circuit.name}", subject, 1)
        raise UnsupportedCircuitError(error.message, subject=where, value=error.value, legal=error.legal) from error
    except QiskitError as error:  # a loop whose parameter its body does not take
        raise UnsupportedCircuitError(f"a loop that cannot be unrolled: {error.message}", subject=subject) from error


def _check_variables(circuit: QuantumCircuit, subject: str) -> None:
    if circuit.num_vars:
        names = listed(variable.name for variable in circuit.iter_vars())
        raise UnsupportedCircuitError(_NO_VARIABLES, subject=_first(circuit, "store", subject), value=names)
    if getattr(circuit, "num_stretches", 0):
        names = listed(stretch.name for stretch in circuit.iter_stretches())
        raise UnsupportedCircuitError(
            "a stretch has no length before it is scheduled; give the delays numbers",
            subject=_first(circuit, "delay", subject), value=names,
        )  # fmt: skip


def _first(circuit: QuantumCircuit, name: str, subject: str) -> str:
    """Return the subject of an error about the first instruction of a name whose value is an expression."""
    for place, item in enumerate(circuit.data):
        if item.name == name and (name == "store" or hasattr(item.params[0], "type")):
            return f"{subject}, instruction {place}"
    return subject


def _unknown_gate(key: Key, subject: str, rules: Rules) -> UnsupportedCircuitError:
    name, qubits = key
    if name == "store":
        return UnsupportedCircuitError(_NO_VARIABLES, subject=subject, value=name)
    pairs = sorted(other for gate, other in rules.gates if gate == name)
    if not pairs:
        names = listed(sorted({gate for gate, _ in rules.gates} - CONTROL_FLOW | EVERYWHERE))
        return UnsupportedCircuitError(
            "the backend has no such gate; transpile the circuit for this backend", subject=subject, value=name,
            legal=names,
        )  # fmt: skip
    return UnsupportedCircuitError(
        "the backend does not have this gate on these qubits; transpile the circuit for this backend",
        subject=subject, value=f"{name} on {qubits}", legal=f"{name} on {listed(pairs)}",
    )  # fmt: skip


def check_measures(circuit: QuantumCircuit, used: Iterable[Key], custom: Pulses, number: int | None = None) -> None:
    """Raise :class:`UnsupportedCircuitError` unless ``circuit`` uses a measurement, or a pulse gate that acquires."""
    if not any(key[0] == "measure" or any(map(_slots, custom.get(key, {}).values())) for key in used):
        raise UnsupportedCircuitError(
            "no measurement, so there would be no result; add measure or measure_all",
            subject=named("circuit", circuit.name, number),
        )


def check_schedule(schedule: Schedule, rules: Rules, subject: str) -> None:
    """Raise :class:`UnsupportedCircuitError` unless ``schedule`` keeps to the backend's channels and acquires."""
    from pulsed.pulse.instructions import Acquire

    check_acquires(schedule, rules, subject)
    _check_channels(schedule, rules, subject)
    _check_grid(schedule, rules, subject)
    if not any(isinstance(instruction, Acquire) for _, instruction in schedule.instructions):
        raise UnsupportedCircuitError(
            "no Acquire, so there would be no result; add Acquire or measure", subject=subject
        )


def check_gate(qubits: tuple[int, ...], schedule: Schedule | ScheduleBlock, rules: Rules, subject: str) -> None:
    """Raise :class:`UnsupportedCircuitError` for a gate on qubits or channels that are not there."""
    for q in qubits:
        if not 0 <= q < rules.device.num_qubits:
            raise UnsupportedCircuitError(
                "a pulse gate on a qubit that the backend does not have", subject=subject, value=q,
                legal=f"0 to {rules.device.num_qubits - 1}",
            )  # fmt: skip
    _check_channels(schedule, rules, subject)
    check_acquires(schedule, rules, subject)
    _check_grid(schedule, rules, subject, starts=False)


def check_bits(
    circuit: QuantumCircuit, used: Container[Key], gates: Mapping[Any, Schedule], number: int | None = None
) -> None:
    """Raise :class:`UnsupportedCircuitError` for pulse gates that acquire into no bit of a circuit that uses them."""
    mine = {key: schedule for key, schedule in gates.items() if key[:2] in used}
    if not mine:
        return
    from pulsed.compiler.circuits import check_own_gate

    for key, schedule in mine.items():
        try:
            check_own_gate(named("circuit", circuit.name, number), key, _slots(schedule), circuit.num_clbits)
        except PulsedError as error:
            raise UnsupportedCircuitError(
                error.message, subject=error.subject, value=error.value, legal=error.legal
            ) from error


def _slots(schedule: Schedule | ScheduleBlock) -> list[int]:
    """Return the memory slot of each Acquire, -1 for one without."""
    from pulsed.pulse.instructions import Acquire
    from pulsed.pulse.schedule import instructions_of

    acquired = [item for item in instructions_of(schedule) if isinstance(item, Acquire)]
    return [-1 if item.mem_slot is None else item.mem_slot.index for item in acquired]


def _check_channels(schedule: Schedule | ScheduleBlock, rules: Rules, subject: str) -> None:
    from pulsed.pulse.channels import AcquireChannel, PulseChannel

    for channel in schedule.channels:
        if isinstance(channel, PulseChannel | AcquireChannel) and channel.name not in rules.channels:
            raise UnsupportedCircuitError(
                "the backend has no such channel", subject=subject, value=channel.name, legal=", ".join(rules.channels)
            )


def _check_grid(schedule: Schedule | ScheduleBlock, rules: Rules, subject: str, starts: bool = True) -> None:
    """Raise :class:`UnsupportedCircuitError` for a pulse whose length, or a start, is off the grid of the backend.

    ``starts``: they are those of the shot, and not of a gate that is yet to be placed. The daemon checks again what
    the port of each channel can play.
    """
    from pulsed.pulse.instructions import Acquire, Play
    from pulsed.pulse.utils import is_free

    timing = rules.device.timing
    for time, instruction in _timed_instructions(schedule):
        kind = {Play: "pulse", Acquire: "acquisition"}.get(type(instruction))
        if kind is None:
            continue
        where = _where(subject, instruction, time)
        length = instruction.duration
        if kind == "pulse" and not is_free(length) and (length % timing.granularity or length < timing.min_length):
            raise UnsupportedCircuitError(
                "the pulse's length is off the backend's grid", subject=where, value=f"{length} dt",
                legal=f"multiples of {timing.granularity} dt, from {timing.min_length} dt",
            )  # fmt: skip
        grid = timing.pulse_alignment if kind == "pulse" else timing.acquire_alignment
        if starts and time is not None and time % grid:
            raise UnsupportedCircuitError(
                f"the {kind}'s start is off the backend's grid", subject=where, value=f"{time} dt",
                legal=f"multiples of {grid} dt",
            )  # fmt: skip


def check_acquires(schedule: Schedule | ScheduleBlock, rules: Rules, subject: str) -> None:
    """Raise :class:`UnsupportedCircuitError` for a kernel, discriminator or register of Acquire that does not act."""
    from pulsed.pulse.configuration import is_calibrated, kernel_weights
    from pulsed.pulse.exceptions import PulseError
    from pulsed.pulse.instructions import Acquire
    from pulsed.pulse.utils import is_free

    for time, instruction in _timed_instructions(schedule):
        if not isinstance(instruction, Acquire):
            continue
        where, qubit = _where(subject, instruction, time), instruction.channel.index
        if not is_calibrated(instruction.discriminator):
            raise UnsupportedCircuitError(
                "an acquisition has no discriminator of its own", subject=where,
                value=repr(instruction.discriminator)[:200],
                legal='Discriminator("calibrated"), or none; with meas_level 1 the points come back as they are',
            )  # fmt: skip
        if instruction.reg_slot is not None:
            raise UnsupportedCircuitError(
                "the rack has no registers", subject=where, value=instruction.reg_slot, legal="a MemorySlot alone"
            )
        kernel = None if is_calibrated(instruction.kernel) else instruction.kernel
        if kernel is None or not isinstance(qubit, int) or qubit >= len(rules.record):
            continue
        if is_free(instruction.duration):
            continue  # the daemon sees whether the kernel fits the length that comes
        try:
            kernel_weights(kernel, instruction.duration, rules.record[qubit])
        except PulseError as error:
            raise UnsupportedCircuitError(error.message, subject=where, value=error.value, legal=error.legal) from error


def _where(subject: str, instruction: Any, time: int | None) -> str:
    return f"{subject}, {instruction.channel}" + ("" if time is None else f" at {time} dt")


def _timed_instructions(program: Schedule | ScheduleBlock) -> list[tuple[int | None, Instruction]]:
    """Return the instructions of a program, each with its time in dt; None where times are not known yet."""
    from pulsed.pulse.schedule import instructions_of

    if is_late(program):
        return [(None, instruction) for instruction in instructions_of(program)]
    return list(program.instructions)
