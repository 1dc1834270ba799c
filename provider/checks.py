"""What a backend refuses before anything is sent: one clear error each."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulsed.provider.errors import RunInputError, UnsupportedCircuitError

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit
    from qiskit.transpiler import Target

    from pulsed.pulse.schedule import Schedule

Key = tuple[str, tuple[int, ...]]

_EVERYWHERE = frozenset({"barrier", "delay"})
_LONGEST_LIST = 12


def legal_gates(target: Target) -> frozenset[Key]:
    """Return the name and qubits of every calibrated gate of ``target``."""
    return frozenset(
        (name, () if qubits is None else tuple(qubits)) for name in target.operation_names for qubits in target[name]
    )


def used_gates(circuit: QuantumCircuit) -> dict[Key, int]:
    """Return name and qubits of what ``circuit`` does, each with the place where it comes first.

    Of an if_test it is what its bodies do, at the place of the if_test, and itself, without qubits.
    """
    index = {bit: q for q, bit in enumerate(circuit.qubits)}
    found: dict[Key, int] = {}
    for place, item in enumerate(circuit.data):
        key = (item.name, tuple([index[bit] for bit in item.qubits]))
        if key in found:
            continue
        if item.name == "if_else":
            found.setdefault((item.name, ()), place)
            for body in item.operation.blocks:
                for name, inner in used_gates(body):
                    found.setdefault((name, tuple([key[1][q] for q in inner])), place)
        else:
            found[key] = place
    return found


def _listed(names: Iterable[object]) -> str:
    every = list(map(str, names))
    more = f", ... ({len(every)} in all)" if len(every) > _LONGEST_LIST else ""
    return ", ".join(every[:_LONGEST_LIST]) + more


@dataclass(frozen=True)
class Rules:
    """What a backend has: its number of qubits, the gates of its target, its channels by name."""

    num_qubits: int
    gates: frozenset[Key]
    channels: tuple[str, ...]


def check_circuit(
    circuit: QuantumCircuit, rules: Rules, custom: Container[Key] = frozenset(), *, bound: bool = False
) -> dict[Key, int]:
    """Raise :class:`UnsupportedCircuitError` unless the backend has all that ``circuit`` uses; return what that is.

    Args:
        circuit: transpiled, with its qubits those of the rack.
        rules: what the backend has.
        custom: gates that come with their own pulses.
        bound: its parameters have values beside it.

    """
    subject = f"circuit {circuit.name!r}"
    if circuit.num_qubits > rules.num_qubits:
        raise UnsupportedCircuitError(
            "more qubits than the backend has",
            subject=subject,
            value=circuit.num_qubits,
            legal=f"at most {rules.num_qubits}",
        )
    if circuit.num_parameters and not bound:
        names = _listed(sorted(parameter.name for parameter in circuit.parameters))
        raise UnsupportedCircuitError(
            "parameters without a value; bind them with assign_parameters or parameter_binds", subject=subject,
            value=names,
        )  # fmt: skip
    used = used_gates(circuit)
    for key, place in used.items():
        name, qubits = key
        if name in _EVERYWHERE or key in rules.gates or key in custom:
            continue
        where = f"{subject}, instruction {place}"
        pairs = sorted(other for gate, other in rules.gates if gate == name)
        if not pairs:
            names = _listed(sorted({gate for gate, _ in rules.gates} | _EVERYWHERE))
            raise UnsupportedCircuitError(
                "the backend has no such gate; transpile the circuit for this backend", subject=where, value=name,
                legal=names,
            )  # fmt: skip
        raise UnsupportedCircuitError(
            "the backend does not have this gate on these qubits; transpile the circuit for this backend",
            subject=where, value=f"{name} on {qubits}", legal=f"{name} on {_listed(pairs)}",
        )  # fmt: skip
    return used


def check_measures(circuit: QuantumCircuit, used: Iterable[Key]) -> None:
    """Raise :class:`UnsupportedCircuitError` unless there is a measurement among what ``circuit`` uses."""
    if not any(name == "measure" for name, _ in used):
        raise UnsupportedCircuitError(
            "no measurement, so there is nothing to bring back; add measure or measure_all",
            subject=f"circuit {circuit.name!r}",
        )


def check_schedule(schedule: Schedule, rules: Rules, *, bound: bool = False) -> None:
    """Raise :class:`UnsupportedCircuitError` unless ``schedule`` keeps to the backend's channels and acquires."""
    from pulsed.pulse.channels import AcquireChannel, PulseChannel
    from pulsed.pulse.instructions import Acquire

    subject = f"schedule {schedule.name!r}"
    if schedule.is_parameterized() and not bound:
        names = _listed(sorted(parameter.name for parameter in schedule.parameters))
        raise UnsupportedCircuitError(
            "parameters without a value; bind them with assign_parameters or parameter_binds", subject=subject,
            value=names,
        )  # fmt: skip
    for channel in schedule.channels:
        if isinstance(channel, PulseChannel | AcquireChannel) and channel.name not in rules.channels:
            raise UnsupportedCircuitError(
                "the backend has no such channel", subject=subject, value=channel.name, legal=", ".join(rules.channels)
            )
    if not any(isinstance(instruction, Acquire) for _, instruction in schedule.instructions):
        raise UnsupportedCircuitError(
            "no Acquire, so there is nothing to bring back; add Acquire or measure", subject=subject
        )


def wrong_input(item: object, place: int | None = None) -> RunInputError:
    """Return the error for something that cannot be run."""
    subject = "run" if place is None else f"run, program {place}"
    kind = type(item)
    if "qobj" in kind.__module__:
        return RunInputError(
            "a Qobj is not accepted; give run the circuits or schedules themselves", subject=subject,
            value=kind.__name__, legal="QuantumCircuit, Schedule, ScheduleBlock or a list of them",
        )  # fmt: skip
    return RunInputError(
        "cannot be run", subject=subject, value=kind.__name__,
        legal="QuantumCircuit, Schedule, ScheduleBlock or a list of them",
    )  # fmt: skip
