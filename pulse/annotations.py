"""Pulses inside of circuits of Qiskit 2: boxes of which an annotation says with which pulses they are played.

The content of such a box is what it means, which a simulator runs; its :class:`Calibration` is what a rack plays.
Qiskit carries annotations along and never looks inside. What has to follow its changes of a circuit is therefore among
the content: marks that do nothing, in gates that every transpiler knows. A barrier on the schedule's qubits in order
follows the layout; for each parameter, in order of name, turns by it and back have its value assigned.
"""

from __future__ import annotations

import base64
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cached_property
from typing import Any

import msgspec
from qiskit.circuit import Annotation, Parameter, ParameterExpression, QuantumCircuit, Qubit
from qiskit.circuit.annotation import OpenQASM3Serializer
from qiskit.circuit.exceptions import CircuitError

from pulsed.pulse.exceptions import PulseError, SerialisationError
from pulsed.pulse.schedule import Schedule, ScheduleBlock
from pulsed.pulse.serialize import dumps, loads

NAMESPACE = "pulsed.calibration"
"""Of the annotation, in QPY and OpenQASM 3, too."""
Program = Schedule | ScheduleBlock
_VERSION = "1"


class Calibration(Annotation):  # type: ignore[misc]
    """The annotation of a box that is played as a schedule instead of its content.

    Args:
        schedule: a Schedule or ScheduleBlock, or {physical qubits: schedule} to have one wherever the layout puts the
            box. Parameters of it that are parameters of the circuit get their values with the circuit's.
        qubits: the physical qubits that a single schedule is for; None: those that its channels belong to.

    Raises:
        PulseError: something else than schedules, or qubits that are no distinct numbers from 0.

    """

    namespace = NAMESPACE

    def __init__(self, schedule: Program | Mapping[Any, Program], qubits: int | Iterable[int] | None = None) -> None:
        self.marked = False
        """Whether the content of the box begins with marks."""
        if isinstance(schedule, Mapping):
            if qubits is not None or not schedule:
                raise PulseError("needs schedules by qubits, or one schedule", subject="Calibration", value=qubits)
            self.schedules: dict[tuple[int, ...] | None, Program] = {
                _numbers(places): program for places, program in schedule.items()
            }
        else:
            self.schedules = {None if qubits is None else _numbers(qubits): schedule}
        for program in self.schedules.values():
            if not isinstance(program, Schedule | ScheduleBlock):
                raise PulseError(
                    "not a pulse program", subject="Calibration", value=type(program).__name__,
                    legal="Schedule, ScheduleBlock, or a dictionary of them by qubits",
                )  # fmt: skip

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters without a value, by name and in this order."""
        found = {one.name: one for program in self.schedules.values() for one in program.parameters}
        return dict(sorted(found.items()))

    @cached_property
    def payload(self) -> bytes:
        """The schedules with their qubits as bytes."""
        items = [(qubits, dumps(program, late=True)) for qubits, program in self.schedules.items()]
        return msgspec.msgpack.encode([self.marked, items])

    def with_marks(self) -> Calibration:
        """Return this calibration for a box whose content begins with :func:`marks`."""
        found = copy(self)
        found.__dict__.pop("payload", None)
        found.marked = True
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Calibration) and self.payload == other.payload

    def __hash__(self) -> int:
        return hash(self.payload)

    def __reduce__(self) -> tuple[Any, ...]:
        return _read, (self.payload,)

    def __repr__(self) -> str:
        shown = ", ".join(
            program.name if qubits is None else f"{program.name} on {', '.join(map(str, qubits))}"
            for qubits, program in self.schedules.items()
        )
        return f"Calibration({shown})"


def _numbers(qubits: int | Iterable[int]) -> tuple[int, ...]:
    try:
        several = tuple(qubits) if isinstance(qubits, Iterable) else (qubits,)
        found = tuple(operator.index(qubit) for qubit in several)
    except TypeError:
        found = ()
    if not found or min(found) < 0 or len(set(found)) != len(found):
        raise PulseError("not qubits", subject="Calibration", value=qubits, legal="distinct numbers from 0")
    return found


def _read(payload: bytes) -> Calibration:
    try:
        marked, items = msgspec.msgpack.decode(payload, type=tuple[bool, list[tuple[tuple[int, ...] | None, bytes]]])
    except msgspec.MsgspecError as error:
        raise SerialisationError(f"the bytes are no calibration of a box: {error}") from error
    programs = {qubits: loads(program) for qubits, program in items}
    found = Calibration(programs[None]) if None in programs else Calibration(programs)
    return found.with_marks() if marked else found


def mark(circuit: QuantumCircuit, qubits: Sequence[Qubit], values: Iterable[ParameterExpression]) -> None:
    """Add marks to ``circuit``: which qubits, in order, and which values go with the schedule of the box around them.

    A turn by a value that is a multiple of 2π does nothing, and a transpiler may drop it: the second one then says of
    which. The third takes both back.
    """
    circuit.barrier(qubits)
    for value in values:
        for turn in (value, 1 - value, -1):
            circuit.rz(turn, qubits[0])
            circuit.barrier(qubits[0])


@contextmanager
def calibrated_box(
    circuit: QuantumCircuit,
    calibration: Calibration | Program | Mapping[Any, Program],
    qubits: int | Qubit | Iterable[int | Qubit],
    label: str | None = None,
) -> Iterator[Calibration]:
    """Make a box that is played as a schedule; what is added to ``circuit`` inside of the ``with`` is its meaning.

    Args:
        circuit: the circuit that the box is added to.
        calibration: a schedule for the physical qubits with the numbers of ``qubits``, or {physical qubits: schedule},
            or a :class:`Calibration`. Its parameters become parameters of the circuit.
        qubits: of the circuit, in the order that the schedule has them.
        label: of the box.

    Raises:
        PulseError: as :class:`Calibration` does, and for qubits that the circuit does not have.

    """
    places = _bits(circuit, qubits)
    if not isinstance(calibration, Calibration):
        numbers = None if isinstance(calibration, Mapping) else [circuit.find_bit(qubit).index for qubit in places]
        calibration = Calibration(calibration, numbers)
    with circuit.box(annotations=[calibration.with_marks()], label=label):
        mark(circuit, places, calibration.parameters.values())
        yield calibration


def content_of(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return ``circuit`` with the content of its boxes in their place: what it means, for tools that know no boxes."""
    found = circuit.copy_empty_like()
    for item in circuit.data:
        blocks = getattr(item.operation, "blocks", ())
        if item.name == "box":
            found.compose(content_of(item.operation.body), item.qubits, item.clbits, inplace=True)
        elif blocks:
            operation = item.operation.replace_blocks([content_of(block) for block in blocks])
            found.append(item.replace(operation=operation))
        else:
            found.append(item)
    return found


def _bits(circuit: QuantumCircuit, qubits: Any) -> list[Qubit]:
    """Return qubits of a circuit, one or several, that are given themselves or by number."""
    try:
        several = [qubits] if isinstance(qubits, Qubit) or hasattr(qubits, "__index__") else list(qubits)
        found = [one if isinstance(one, Qubit) else circuit.qubits[operator.index(one)] for one in several]
        numbers = [circuit.find_bit(one).index for one in found]
    except (TypeError, IndexError, CircuitError):
        numbers = []
    if not numbers or len(set(numbers)) != len(numbers):
        raise PulseError(
            "not qubits of the circuit", subject=f"calibrated_box of circuit {circuit.name!r}", value=qubits,
            legal=f"different ones of 0 to {circuit.num_qubits - 1}",
        ) from None  # fmt: skip
    return found


class CalibrationSerializer(OpenQASM3Serializer):  # type: ignore[misc]
    """Writes and reads :class:`Calibration` in OpenQASM 3, and through ``as_qpy()`` in QPY."""

    def dump(self, annotation: Annotation) -> Any:
        """Return the annotation as one line of text; NotImplemented for another one."""
        if not isinstance(annotation, Calibration):
            return NotImplemented
        return f"{_VERSION} {base64.b64encode(annotation.payload).decode()}"

    def load(self, namespace: str, payload: str) -> Any:
        """Return the annotation that :meth:`dump` wrote. Raises :class:`SerialisationError` for any other text."""
        if namespace != NAMESPACE:
            return NotImplemented
        version, _, text = payload.strip().partition(" ")
        if version != _VERSION:
            raise SerialisationError("a calibration of another version", value=version[:20], legal=_VERSION)
        try:
            return _read(base64.b64decode(text, validate=True))
        except ValueError as error:
            raise SerialisationError(f"the text is no calibration of a box: {error}") from error


QASM3_ANNOTATIONS = {NAMESPACE: CalibrationSerializer()}
"""The ``annotation_handlers`` of ``qiskit.qasm3``."""
QPY_ANNOTATIONS = {NAMESPACE: CalibrationSerializer().as_qpy()}
"""The ``annotation_factories`` of ``qiskit.qpy``."""
