"""What is refused of control flow before a circuit is queued: all that lowering would refuse, by instruction."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from typing import TypeAlias

from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, ParameterExpression

from pulsed.compiler.bit_values import check_measured
from pulsed.compiler.canonical import Key
from pulsed.compiler.control_flow_steps import flow, is_decided
from pulsed.compiler.predistortion import distortions
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import CircuitError
from pulsed.pulse.channels import MemorySlot
from pulsed.pulse.instructions import Acquire, Instruction, SetFrequency, SetPhase, ShiftFrequency
from pulsed.pulse.schedule import Schedule, ScheduleBlock, instructions_of

Pulses: TypeAlias = Mapping[Key, Mapping[tuple[float, ...], Schedule | ScheduleBlock]]
"""Pulses of gates that come with their own, by name and qubits, then by the values of their parameters, none for those
whose pulses have the parameters."""

_NOT_DECIDED = (Acquire, SetFrequency, ShiftFrequency, SetPhase)


def check_control_flow(
    circuit: QuantumCircuit,
    device: DeviceDescription,
    calibration: CalibrationSet | None = None,
    pulses: Pulses | None = None,
    gates: Container[Key] | None = None,
) -> None:
    """Raise :class:`CircuitError` unless the rack can play the control flow of ``circuit``; cheap when it has none.

    This is all that lowering would refuse about control flow, known before anything is queued: instructions that no
    rack plays (``while_loop``), conditions that cannot be worked out or have too many cases, bits that nothing was
    measured into before, racks without feedback.
    The subject is the circuit by name with the place of the instruction, ``legal`` what is legal.

    Args:
        circuit: as it is handed to run.
        device: the rack.
        calibration: the set that is to be played with; without one the distortion of lines is not looked at.
        pulses: of gates that come with their own.
        gates: name and qubits of each calibrated one, for what a reset in a body is made of; without it they are all
            taken to be there.

    """
    if not is_decided(circuit):
        return
    measured: set[int] = set()
    found = flow(circuit, device.dt, acquired_by(pulses or {}))
    slots = {bit: slot for slot, bit in enumerate(found.circuit.clbits)}
    for literals, played, place in found.steps:
        subject = f"circuit {circuit.name}, instruction {place}"
        if gates is not None and played.name in ("measure", "x"):
            _check_gate(circuit, played, pulses or {}, gates, subject)
        own = [item for schedule in _own(circuit, played, pulses) for item in instructions_of(schedule)]
        if literals:
            _check_decided(own, played.name == "measure", subject)
            check_feedback(device, () if calibration is None else distortions(device, calibration), subject)
            check_measured(literals, measured, subject)
        if played.name == "measure":
            measured.add(slots[played.clbits[0]])
        else:
            measured |= {item.mem_slot.index for item in own if isinstance(item, Acquire) and item.mem_slot is not None}


def _check_gate(
    circuit: QuantumCircuit, played: CircuitInstruction, pulses: Pulses, gates: Container[Key], subject: str
) -> None:
    """Raise :class:`CircuitError` for a reset of a qubit that cannot be read or turned over."""
    key = played.name, tuple(circuit.find_bit(qubit).index for qubit in played.qubits)
    if key not in gates and key not in pulses:
        raise CircuitError(
            "a reset in the body of a decision is a measurement and an x, and the qubit has not both", subject=subject,
            value=f"no {played.name} on {key[1][0]}", legal="qubits with both",
        )  # fmt: skip


def acquired_by(pulses: Pulses) -> dict[Key, set[int]]:
    """Return the memory slots that pulse gates acquire into; those for measure take the bit of the circuit."""
    return {
        key: {item.index for program in each.values() for item in program.channels if isinstance(item, MemorySlot)}
        for key, each in pulses.items()
        if key[0] != "measure"
    }


def _own(
    circuit: QuantumCircuit, instruction: CircuitInstruction, pulses: Pulses | None
) -> Collection[Schedule | ScheduleBlock]:
    """Return those of ``pulses`` that an instruction of the whole circuit may play: the one with its numbers."""
    if not pulses:
        return ()
    qubits = tuple(circuit.find_bit(qubit).index for qubit in instruction.qubits)
    found = pulses.get((instruction.name, qubits), {})
    if any(isinstance(value, ParameterExpression) and value.parameters for value in instruction.params):
        return found.values()
    late = found.get(())  # the values of its parameters may be those of any instruction
    exact = late if late is not None else found.get(tuple(map(float, instruction.params))) if found else None
    return () if exact is None else (exact,)


def _check_decided(pulses: Iterable[Instruction], measures: bool, subject: str) -> None:
    """Raise :class:`CircuitError` for a pulse gate that is played on a measured bit and would do more than it can."""
    for item in pulses:
        if isinstance(item, _NOT_DECIDED) and not (measures and isinstance(item, Acquire)):
            raise CircuitError(
                "a pulse gate on a measured bit cannot do this", subject=subject, value=str(item)[:120],
                legal="Play, Delay and ShiftPhase",
            )  # fmt: skip


def check_feedback(device: DeviceDescription, straightened: Container[str], subject: str) -> None:
    """Raise :class:`CircuitError` for a rack that cannot act on what it measured.

    ``straightened``: the ports with a distortion to undo, which are played sample by sample.
    """
    why = None
    if device.timing.feedback_latency is None:
        why = "states no feedback latency"
    for name, port in device.ports.items():
        if port.direction == "output" and not port.nco:
            why = why or f"has no NCO at port {name}"
        elif name in straightened:
            why = why or f"undoes the distortion of the line at port {name}"
    if why is not None:
        raise CircuitError(f"the rack cannot play if_test: it {why}", subject=subject, value="if_else")
