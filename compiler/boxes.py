"""Annotated boxes become pulse gates: one name for each schedule, and the values of its parameters as the gate's.

After this a circuit has no annotations: boxes without ours are played as their content, whatever others say of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from math import pi
from typing import TYPE_CHECKING, Any

from qiskit.circuit import CircuitInstruction, Clbit, Gate, QuantumCircuit, Qubit

from pulsed.compiler.canonical import CONTROL_FLOW, delay_length, free_parameters
from pulsed.compiler.channel_use import foreign_channel
from pulsed.compiler.templates import by_name
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import CircuitError
from pulsed.pulse.exceptions import UnassignedDurationError
from pulsed.pulse.instructions import Acquire
from pulsed.pulse.schedule import Schedule, ScheduleBlock, instructions_of
from pulsed.pulse.serialize import dumps, loads
from pulsed.pulse.transforms import block_to_schedule

if TYPE_CHECKING:
    from pulsed.pulse.annotations import Calibration

OwnKey = tuple[str, tuple[int, ...], tuple[float, ...]]
Program = Schedule | ScheduleBlock


def has_boxes(circuit: QuantumCircuit) -> bool:
    """Return whether there is a box in ``circuit`` or in the bodies of its control flow."""
    names = circuit.count_ops().keys()
    if "box" in names or not CONTROL_FLOW & names:
        return "box" in names
    return any(has_boxes(body) for item in circuit.data for body in _bodies(item))


def open_boxes(
    circuit: QuantumCircuit, device: DeviceDescription, subject: str
) -> tuple[QuantumCircuit, dict[OwnKey, Program]]:
    """Return ``circuit`` with a pulse gate for each annotated box, and the schedules of these gates.

    It is the same object where there is nothing to do; the user's own is never changed. Parameters of content that is
    not played stay parameters of the circuit, which change nothing.

    Args:
        circuit: transpiled, with its qubits those of the rack.
        device: the rack.
        subject: the circuit, of errors.

    Raises:
        CircuitError: names the circuit and the box, for one with two calibrations, on other qubits than its schedule
            is for, with channels or bits that are not the box's, or with parameters that the circuit does not have.

    """
    if not has_boxes(circuit):
        return circuit, {}
    opener = _Opener(circuit, device, subject)
    opened = opener.of_body(circuit, circuit.qubits, circuit.clbits)
    for parameter in sorted(set(free_parameters(circuit)) - set(free_parameters(opened)), key=lambda one: one.name):
        opened.global_phase += parameter
    return opened, opener.gates


def calibration_of(instruction: CircuitInstruction, subject: str) -> Calibration | None:
    """Return the calibration that a box is annotated with, None without one. Raises :class:`CircuitError` for two."""
    found = [one for one in getattr(instruction.operation, "annotations", ()) if _is_ours(one)]
    if len(found) > 1:
        raise CircuitError(
            "a box is played in one way", subject=subject, value=f"{len(found)} calibrations", legal="at most one"
        )
    return found[0] if found else None


def box_length(item: CircuitInstruction, number: Mapping[Qubit, int]) -> int | None:
    """Return how long an annotated box plays, dt; ``number``: of each of its qubits on the rack.

    None for a box that is played as its content, whose length comes later, or that ``run`` would refuse.
    """
    try:
        calibration = calibration_of(item, "box")
        if calibration is None:
            return None
        outer = {bit: bit for bit in (*item.qubits, *item.clbits)}
        box = _Box(item, calibration, outer, number, "box")
        qubits = box.ordered or tuple(sorted(box.qubits))
        return _chosen(calibration, qubits, bool(box.ordered), moved=False, subject="box").duration
    except (CircuitError, UnassignedDurationError):
        return None


def _is_ours(annotation: Any) -> bool:
    from pulsed.pulse.annotations import Calibration  # Qiskit 1.4 has none

    return isinstance(annotation, Calibration)


class _Opener:
    """Goes through one circuit and collects the schedules of its boxes."""

    def __init__(self, circuit: QuantumCircuit, device: DeviceDescription, subject: str) -> None:
        self._circuit = circuit
        self._device = device
        self._subject = subject
        self._qubit = {bit: number for number, bit in enumerate(circuit.qubits)}
        self._slot = {bit: number for number, bit in enumerate(circuit.clbits)}
        self._known = {parameter.name: parameter for parameter in circuit.parameters}
        self._where = subject
        self.gates: dict[OwnKey, Program] = {}

    def of_body(self, body: QuantumCircuit, qubits: Sequence[Qubit], clbits: Sequence[Clbit]) -> QuantumCircuit:
        """Return a body with pulse gates for its boxes; its bits are these of the whole circuit."""
        outer = dict(zip((*body.qubits, *body.clbits), (*qubits, *clbits), strict=True))
        changed: dict[int, CircuitInstruction] = {}
        for place, item in enumerate(body.data):
            if item.name in CONTROL_FLOW:
                if body is self._circuit:
                    self._where = f"{self._subject}, instruction {place}"
                new = self._control_flow(item, outer)
                if new is not item:
                    changed[place] = new
        if not changed:
            return body
        copy = body.copy_empty_like()
        for place, item in enumerate(body.data):
            copy.append(changed.get(place, item))
        return copy

    def _control_flow(self, item: CircuitInstruction, outer: Mapping[Any, Any]) -> CircuitInstruction:
        calibration = calibration_of(item, self._box(item))
        if calibration is not None:
            return self._gate(item, calibration, outer)
        blocks = list(_bodies(item))
        qubits, clbits = [outer[bit] for bit in item.qubits], [outer[bit] for bit in item.clbits]
        bodies = [self.of_body(block, qubits, clbits) for block in blocks]
        operation = item.operation
        if any(new is not old for new, old in zip(bodies, blocks, strict=True)):
            operation = operation.replace_blocks(bodies)
        if getattr(operation, "annotations", ()):
            operation = type(operation)(
                operation.body, duration=operation.duration, unit=operation.unit, label=operation.label
            )
        return item if operation is item.operation else item.replace(operation=operation)

    def _box(self, item: CircuitInstruction) -> str:
        label = item.operation.label
        return f"{self._where} ({item.name}{f' {label!r}' if label else ''})"

    def _gate(self, item: CircuitInstruction, calibration: Calibration, outer: Mapping[Any, Any]) -> CircuitInstruction:
        """Return the pulse gate that an annotated box is."""
        box = _Box(item, calibration, outer, self._qubit, self._box(item))
        qubits = box.ordered or tuple(sorted(box.qubits))
        moved = len(qubits) > 1 and not box.ordered and _moved(self._circuit)
        program = _chosen(calibration, qubits, bool(box.ordered), moved, box.subject)
        channel = foreign_channel(program, qubits, self._device)
        if channel is not None:
            raise CircuitError(
                "the schedule of a box uses a channel of a qubit that is not in the box", subject=box.subject,
                value=channel.name, legal=f"channels of {_listed(qubits)}",
            )  # fmt: skip
        written = {self._slot[outer[bit]] for bit in box.measured}
        slots = {at.mem_slot.index for at in instructions_of(program) if isinstance(at, Acquire) and at.mem_slot}
        if written != slots:
            raise CircuitError(
                "the schedule of a box acquires into the bits that its content measures into", subject=box.subject,
                value=f"MemorySlot {_listed(slots)}", legal=f"MemorySlot {_listed(written)}",
            )  # fmt: skip
        known = {name: self._known[name] for name in calibration.parameters if name in self._known}
        values = {**known, **dict(zip(calibration.parameters, box.values, strict=False))}
        wanted = [parameter.name for parameter in by_name(program)]
        missing = [name for name in wanted if name not in values]
        if missing:
            raise CircuitError(
                "the schedule of a box has parameters without a value: only a box of pulse.calibrated_box has them "
                "assigned with the circuit", subject=box.subject, value=", ".join(missing),
                legal=", ".join(sorted(self._known)) or "none: the circuit has no parameters",
            )  # fmt: skip
        self._check_duration(item, program, box.subject)
        every = (*qubits, *sorted(box.qubits - set(qubits)))
        name, kept = _named(dumps(program, late=True), len(every))
        self.gates[name, every, ()] = kept
        places = {self._qubit[outer[bit]]: bit for bit in item.qubits}
        gate = Gate(name, len(every), [values[one] for one in wanted])
        return CircuitInstruction(gate, [places[qubit] for qubit in every])

    def _check_duration(self, item: CircuitInstruction, program: Program, subject: str) -> None:
        operation = item.operation
        if operation.duration is None:
            return
        try:
            played = program.duration
        except UnassignedDurationError:
            played = None
        stated = delay_length(_StatedDuration(operation), self._device.dt, subject)
        if stated != played:
            raise CircuitError(
                "a box lasts as long as its schedule", subject=subject, value=f"{stated} dt",
                legal=f"{played} dt" if played is not None else "none: the schedule has an unbound length",
            )  # fmt: skip


class _StatedDuration:
    """A box's duration, to be read as a delay is."""

    def __init__(self, operation: Any) -> None:
        self.operation, self.params = operation, [operation.duration]


class _Box:
    """What the content of one annotated box says of it, in numbers of the rack's qubits."""

    def __init__(
        self,
        item: CircuitInstruction,
        calibration: Calibration,
        outer: Mapping[Any, Any],
        number: Mapping[Any, int],
        subject: str,
    ) -> None:
        (body,) = _bodies(item)
        bits = dict(zip(body.qubits, item.qubits, strict=True))
        clbits = dict(zip(body.clbits, item.clbits, strict=True))
        self.subject = subject
        self.qubits = {number[outer[bit]] for bit in item.qubits}
        self.measured = [clbits[bit] for bit in _measured(body)]
        self._count = len(calibration.parameters)
        self.ordered: tuple[int, ...] = ()
        self.values: list[Any] = []
        if calibration.marked:
            self._read_marks(body, {bit: number[outer[bits[bit]]] for bit in body.qubits})

    def _read_marks(self, body: QuantumCircuit, number: Mapping[Qubit, int]) -> None:
        """Read what :func:`pulsed.pulse.annotations.mark` wrote."""
        first = next((item for item in body.data if item.name == "barrier"), None)
        if first is None:
            raise CircuitError(
                "the content of a box has lost its marks, which pulse.calibrated_box makes", subject=self.subject
            )
        self.ordered = tuple(number[bit] for bit in first.qubits)
        turns: list[list[Any]] = []
        for item in body.data:
            if first.qubits[0] in item.qubits:
                if item.name == "barrier":
                    turns.append([])
                elif turns and item.name == "rz":
                    turns[-1].append(item.params[0])
                elif turns:
                    break  # the content begins
        for k in range(self._count):
            direct, other = (turns[3 * k + i][:1] if 3 * k + i < len(turns) - 1 else [] for i in (0, 1))
            if not direct and not other:
                raise CircuitError(
                    "the content of a box has lost the values of its schedule's parameters", subject=self.subject,
                    value=f"{k} values", legal=f"{self._count} values",
                )  # fmt: skip
            self.values.append(direct[0] if direct else 2 * pi * round((1 - other[0]) / (2 * pi)))


def _chosen(calibration: Calibration, qubits: tuple[int, ...], ordered: bool, moved: bool, subject: str) -> Program:
    """Return the schedule of a calibration that is for these qubits: in this order when ``ordered``."""
    schedules: Mapping[tuple[int, ...] | None, Program] = calibration.schedules
    if moved or (len(qubits) > 1 and ordered and None in schedules):
        raise CircuitError(
            "the layout has moved qubits, and the box does not say which of its qubits is which: make it with "
            "pulse.calibrated_box" if moved else "the schedule of a box does not say which qubits it is for: give "
            "Calibration its qubits", subject=subject, value=f"qubits {_listed(qubits)}",
        )  # fmt: skip
    if None in schedules:
        return schedules[None]
    fitting = [one for one in schedules if one is not None and (one == qubits if ordered else set(one) == set(qubits))]
    if len(fitting) != 1:
        raise CircuitError(
            "a box has schedules for both orders of its qubits: make it with pulse.calibrated_box" if fitting else
            "the schedule of a box is for other physical qubits: transpile with an initial_layout that puts it there, "
            "or give Calibration schedules by qubits", subject=subject, value=f"qubits {_listed(qubits)}",
            legal="; ".join(_listed(one) for one in schedules if one is not None),
        )  # fmt: skip
    return schedules[fitting[0]]


def _measured(body: QuantumCircuit) -> Iterator[Clbit]:
    """Yield the bits that a body measures into."""
    for item in body.data:
        if item.name == "measure":
            yield item.clbits[0]
        for block in _bodies(item):
            inner = dict(zip(block.clbits, item.clbits, strict=True))
            for bit in _measured(block):
                yield inner[bit]


def _bodies(item: CircuitInstruction) -> Iterable[QuantumCircuit]:
    return getattr(item.operation, "blocks", ()) if item.name in CONTROL_FLOW else ()


def _moved(circuit: QuantumCircuit) -> bool:
    """Return whether transpiling may have put a qubit elsewhere."""
    layout = circuit.layout
    if layout is None:
        return False
    orders = layout.initial_index_layout(filter_ancillas=True), layout.routing_permutation()
    return any(list(order) != list(range(len(order))) for order in orders)


@lru_cache(256)
def _named(data: bytes, qubits: int) -> tuple[str, Program]:
    """Return the name of a pulse gate and its schedule: equal ones are the same object in all circuits."""
    program = loads(data)
    if isinstance(program, ScheduleBlock):
        with suppress(UnassignedDurationError):  # a length that is bound later
            program = block_to_schedule(program)
    return f"calibration_{blake2b(data, digest_size=8).hexdigest()}_{qubits}", program


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers) if isinstance(numbers, set | frozenset) else numbers)) or "none"
