"""Gates of a user's own in one backend: with their pulses, beside those of the lab, and seen by nobody else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

from qiskit.circuit import Gate, Parameter, QuantumCircuit
from qiskit.circuit.equivalence import EquivalenceLibrary
from qiskit.exceptions import QiskitError

from pulsed.model.errors import PulsedError
from pulsed.provider.errors import AddedGateError
from pulsed.provider.patterns import gate_names
from pulsed.provider.programs import adopted, is_late, places
from pulsed.provider.pulse_gates import named_gates

if TYPE_CHECKING:
    from pulsed.model.device import DeviceDescription
    from pulsed.pulse.schedule import Schedule, ScheduleBlock

Rule: TypeAlias = tuple[Gate, QuantumCircuit]
"""A gate, and a circuit that does the same."""
AddedGates: TypeAlias = "Mapping[tuple[str, tuple[int, ...]], AddedGate]"
"""By name and qubits."""


@dataclass(frozen=True, eq=False)
class AddedGate:
    """A gate of the user's own on its qubits.

    Attributes:
        gate: with a Parameter for each of its values.
        qubits: control first.
        schedule: what plays it; its parameters are those of the gate.
        duration: in dt; None where it depends on a parameter.
        error: average gate error, None when it is not known.
        rules: for the transpiler.

    """

    gate: Gate
    qubits: tuple[int, ...]
    schedule: Schedule | ScheduleBlock
    duration: int | None
    error: float | None
    rules: tuple[Rule, ...]

    @property
    def key(self) -> tuple[str, tuple[int, ...]]:
        """Name and qubits."""
        return self.gate.name, self.qubits

    def __deepcopy__(self, memo: dict[int, Any]) -> AddedGate:
        return self  # nothing of it changes


def read_added_gate(
    gate: Gate | str,
    qubits: Any,
    schedule: Any,
    equivalence: Any,
    error: float | None,
    *,
    device: DeviceDescription,
    others: AddedGates,
    lab: Iterable[str],
) -> AddedGate:
    """Return what ``add_gate`` was given as a gate of ``device``.

    ``others``: the gates that the user has added so far, ``lab``: names of the lab's. Raises :class:`AddedGateError`.
    """
    program = _program(gate, schedule)
    gate = _gate(gate, qubits, program)
    subject = f"gate {gate.name}"
    if gate.name in lab:
        raise AddedGateError(
            "the lab has a gate of this name; for other pulses in its place use calibrations= of run", subject=subject,
            value=gate.name, legal=f"a name other than {', '.join(sorted(lab))}",
        )  # fmt: skip
    at = _qubits(subject, gate, qubits, device)
    for (name, place), other in others.items():
        same = (other.gate.num_qubits, len(other.gate.params)) == (gate.num_qubits, len(gate.params))
        if name == gate.name and place != at and not same:
            raise AddedGateError(
                "the same name stands for another gate on other qubits", subject=subject,
                value=f"{gate.num_qubits} qubits, {len(gate.params)} parameters",
                legal=f"{other.gate.num_qubits} and {len(other.gate.params)}, as on {place}",
            )  # fmt: skip
    _check_parameters(subject, gate, program)
    duration = None if is_late(program) else int(program.duration)
    _check_channels(subject, at, program, device)
    if error is not None and (isinstance(error, bool) or not isinstance(error, Real) or not 0 <= error <= 1):
        raise AddedGateError("not a gate error", subject=subject, value=error, legal="0 to 1, or None")
    return AddedGate(gate, at, program, duration, error, _rules(subject, gate, equivalence))


def _program(gate: Gate | str, schedule: Any) -> Schedule | ScheduleBlock:
    try:
        found: Schedule | ScheduleBlock = adopted(schedule, None)
    except PulsedError as error:
        name = gate if isinstance(gate, str) else getattr(gate, "name", repr(gate))
        raise AddedGateError(
            "needs a schedule", subject=f"gate {name}", value=type(schedule).__name__, legal="Schedule or ScheduleBlock"
        ) from error
    return found


def _gate(gate: Gate | str, qubits: Any, program: Schedule | ScheduleBlock) -> Gate:
    """Return the gate itself; a name alone has the parameters of its schedule in alphabetical order."""
    if isinstance(gate, str):
        try:
            count = len(places(qubits))
        except TypeError:
            count = 1  # the qubits are refused in a moment
        return Gate(gate, count, sorted(program.parameters, key=lambda parameter: str(parameter.name)))
    if not isinstance(gate, Gate):
        raise AddedGateError("not a gate", subject="add_gate", value=repr(gate), legal="a Qiskit Gate, or a name")
    if getattr(gate, "mutable", True) is False:
        gate = gate.to_mutable()
    return gate


def _qubits(subject: str, gate: Gate, qubits: Any, device: DeviceDescription) -> tuple[int, ...]:
    count = device.num_qubits
    try:
        at = places(qubits)
    except TypeError:
        at = ()
    if len(at) != gate.num_qubits or len(set(at)) != len(at) or not all(0 <= q < count for q in at):
        raise AddedGateError(
            "not qubits for this gate", subject=subject, value=qubits,
            legal=f"{gate.num_qubits} different ones of 0 to {count - 1}",
        )  # fmt: skip
    if len(at) > 2:
        # The transpiler takes gates of three qubits apart before it knows where they are.
        raise AddedGateError("acts on too many qubits", subject=subject, value=at, legal="one qubit or two")
    pairs = [(item.control, item.target) for item in device.couplings]
    if len(at) == 2 and at not in pairs and at[::-1] not in pairs:
        raise AddedGateError(
            "the qubits are not coupled: the transpiler would route gates there that only this one can play",
            subject=subject, value=at, legal=", ".join(map(str, pairs)) or "none: the chip has no couplings",
        )  # fmt: skip
    return at


def _check_parameters(subject: str, gate: Gate, program: Schedule | ScheduleBlock) -> None:
    own = [value for value in gate.params if isinstance(value, Parameter)]
    if len(set(own)) != len(gate.params):
        raise AddedGateError(
            "has values where it needs parameters: what the schedule takes from the circuit", subject=subject,
            value=", ".join(map(str, gate.params)), legal="a different Parameter each",
        )  # fmt: skip
    missing = sorted(str(parameter.name) for parameter in program.parameters - set(own))
    if missing:
        raise AddedGateError(
            "its schedule has parameters that the gate has not", subject=subject, value=", ".join(missing),
            legal=", ".join(sorted(str(parameter.name) for parameter in own)) or "none",
        )  # fmt: skip


def _check_channels(subject: str, at: tuple[int, ...], program: Any, device: DeviceDescription) -> None:
    """Raise :class:`AddedGateError` for pulses on lines of other qubits."""
    from pulsed.compiler.channel_use import foreign_channel

    channel = foreign_channel(program, at, device)
    if channel is not None:
        pairs = [{item.control, item.target} for item in device.couplings]
        own = {f"{kind}{q}" for kind in "dma" for q in at} | {
            f"u{k}" for k, pair in enumerate(pairs) if pair <= set(at)
        }
        raise AddedGateError(
            "plays on a channel of other qubits", subject=subject, value=f"{channel.name} in a gate on {at}",
            legal=", ".join(sorted(own)),
        )  # fmt: skip


def _rules(subject: str, gate: Gate, equivalence: Any) -> tuple[Rule, ...]:
    """Return the rules for the transpiler. Raises :class:`AddedGateError` for what Qiskit does not take as one."""
    if equivalence is None:
        return () if gate.definition is None else ((gate, gate.definition),)
    given = [(gate, equivalence)] if isinstance(equivalence, QuantumCircuit) else equivalence
    try:
        rules = tuple((one, circuit) for one, circuit in given)
        if gate.definition is not None and gate.name not in {one.name for one, _ in rules}:
            rules += ((gate, gate.definition),)
        trial = EquivalenceLibrary()
        for one, circuit in rules:
            trial.add_equivalence(one, circuit)
    except (TypeError, ValueError, AttributeError, QiskitError) as error:
        raise AddedGateError(
            f"not an equivalence: {error}", subject=subject, value=repr(equivalence)[:200],
            legal="a circuit that does what the gate does, or pairs of a gate and such a circuit",
        ) from error  # fmt: skip
    return rules


def with_added(calibrations: Mapping[Any, Any] | None, added: AddedGates, run_input: Any) -> Mapping[Any, Any] | None:
    """Return the keyword ``calibrations`` of run with the added gates that circuits use; what it has itself wins."""
    if not added:
        return calibrations
    programs = run_input if isinstance(run_input, list | tuple) else [run_input]
    names: set[str] = set()
    for program in programs:
        if isinstance(program, QuantumCircuit):
            names |= gate_names(program)
    given = named_gates(calibrations)
    taken = {key[:2] for key in given}
    own = {
        (name, qubits, tuple(item.gate.params)): item.schedule
        for (name, qubits), item in added.items()
        if name in names and (name, qubits) not in taken
    }
    return {**given, **own}
