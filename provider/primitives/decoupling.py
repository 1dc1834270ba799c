"""Dynamical decoupling of circuits that are about to be sent."""

from __future__ import annotations

import warnings
from collections import defaultdict, deque
from math import pi
from typing import TYPE_CHECKING, Any

from qiskit.circuit.library import RZGate, XGate
from qiskit.transpiler import PassManager
from qiskit.transpiler.exceptions import TranspilerError
from qiskit.transpiler.passes import ALAPScheduleAnalysis, PadDelay

from pulsed.compiler.canonical import CONTROL_FLOW
from pulsed.provider.added_gates import with_added
from pulsed.provider.boxes import opened
from pulsed.provider.errors import OptionValueError, UnsupportedCircuitError
from pulsed.provider.pulse_gates import own_gates
from pulsed.provider.target import zz_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qiskit.circuit import CircuitInstruction, QuantumCircuit
    from qiskit.transpiler import InstructionDurations, Target

    from pulsed.provider.calibrated_device import CalibratedDevice
    from pulsed.provider.pulse_gates import GateKey

SEQUENCES = {"XX": (0.0, 0.0), "XpXm": (0.0, pi), "XY4": (0.0, pi / 2, 0.0, pi / 2)}
"""Sequences with even waits: the axes of their half turns as angles from X to Y."""
AGAINST_ZZ = "ZZ"
"""The sequence that is chosen wait by wait against the always-on ZZ of the calibration set."""
_AT_REST = frozenset({"measure", "reset"})
_NO_MOTION = frozenset({"delay", "barrier", "rz"})


def decouple(
    circuit: QuantumCircuit, device: CalibratedDevice, sequence: str, calibrations: Mapping[Any, Any] | None = None
) -> QuantumCircuit:
    """Return ``circuit`` with every delay written out, and half turns in those long enough for a sequence.

    Qubits that have not begun or were just measured or reset are left alone, and so is the inside of boxes that are
    played as a schedule. ``sequence`` is :data:`AGAINST_ZZ` or a key of :data:`SEQUENCES`; half turns begin on the grid
    of the rack. ``calibrations``: of run.

    Raises:
        UnsupportedCircuitError: what has no fixed times, for a sequence with even waits.
        OptionValueError: the calibration set knows no ZZ to act against.

    """
    if sequence == AGAINST_ZZ:
        return _against_zz(circuit, device.target)
    subject = f"circuit {circuit.name!r}, dynamical decoupling"
    target, whole = device.target, circuit
    gates = own_gates(with_added(calibrations, device.added, circuit), [circuit])
    circuit, boxed = opened(circuit, device.device)
    if CONTROL_FLOW & circuit.count_ops().keys():
        raise UnsupportedCircuitError(
            "a circuit with control flow has no fixed times", subject=subject,
            value=", ".join(sorted(CONTROL_FLOW & circuit.count_ops().keys())), legal="gates, delays, measurements",
        )  # fmt: skip
    lengths = _with_lengths(target, {**gates, **boxed}, subject)
    pad = PadDelay(fill_very_end=False)
    pad.durations = lengths  # Qiskit 1.4 has the lengths from the analysis, and no argument for them
    passes = PassManager([ALAPScheduleAnalysis(lengths), pad])
    try:
        with warnings.catch_warnings():  # Qiskit 1.4 about its own passes
            warnings.simplefilter("ignore", DeprecationWarning)
            timed = passes.run(circuit)
    except TranspilerError as error:
        raise UnsupportedCircuitError(
            f"the circuit cannot be scheduled: {error.message}",
            subject=subject,
            legal="gates of the backend, bound delays",
        ) from error
    found = timed.copy_empty_like()
    found.global_phase, found._layout = whole.global_phase, whole._layout
    boxes = _boxes(whole, circuit)
    moving: set[Any] = set()
    for start, item in zip(timed.op_start_times, timed.data, strict=True):
        qubit = item.qubits[0]
        if (item.name, item.qubits) in boxes:
            found.append(boxes[item.name, item.qubits].popleft())
            moving.update(item.qubits)
            continue
        if item.name == "delay" and qubit in moving:
            q = circuit.find_bit(qubit).index
            pulse = _known_length(lengths, "x", (q,))
            if pulse is None:
                found.append(item)
                continue
            grid = target.pulse_alignment or 1
            for gate in _filled(start, int(item.params[0]), pulse, SEQUENCES[sequence], grid):
                found.delay(gate, qubit) if isinstance(gate, int) else found.append(gate, [qubit])
            continue
        found.append(item)
        if item.name in _AT_REST:
            moving.difference_update(item.qubits)
        elif item.name not in _NO_MOTION:
            moving.update(item.qubits)
    return found


def _against_zz(circuit: QuantumCircuit, target: Target) -> QuantumCircuit:
    from pulsed.provider.scheduling.passes import Decouple  # even sequences do without it

    if not zz_of(target):
        raise OptionValueError(
            "the calibration set has no ZZ of coupled qubits", subject="options.dynamical_decoupling.sequence_type",
            value=AGAINST_ZZ, legal=", ".join(SEQUENCES),
        )  # fmt: skip
    found: QuantumCircuit = PassManager([Decouple(target)]).run(circuit)
    found._layout = circuit._layout
    return found


def _boxes(circuit: QuantumCircuit, opened: QuantumCircuit) -> dict[tuple[Any, ...], deque[CircuitInstruction]]:
    """Return the boxes of ``circuit`` by name and qubits of the gates that stand for them, in the order of each."""
    found: dict[tuple[Any, ...], deque[CircuitInstruction]] = defaultdict(deque)
    if opened is not circuit:
        for box, gate in zip(circuit.data, opened.data, strict=True):
            if box.name == "box" and gate.name != "box":
                found[gate.name, gate.qubits].append(box)
    return found


def _with_lengths(target: Target, gates: Mapping[GateKey, Any], subject: str) -> InstructionDurations:
    """Return how long the gates of ``target`` and pulse gates are.

    Raises :class:`UnsupportedCircuitError` for a length that is bound later, or that is another one by the values.
    """
    from pulsed.pulse.exceptions import UnassignedDurationError

    found = target.durations()
    own: dict[tuple[str, tuple[int, ...]], set[int]] = defaultdict(set)
    for (name, qubits, values), schedule in gates.items():
        try:
            own[name, qubits].add(int(schedule.duration))
        except UnassignedDurationError as error:
            raise UnsupportedCircuitError(
                "a box or pulse gate with an unbound length has no fixed times", subject=subject,
                value=", ".join(sorted(one.name for one in schedule.parameters)), legal="bound lengths",
            ) from error  # fmt: skip
        if values and (other := _known_length(found, name, qubits)) is not None:
            own[name, qubits].add(other)  # with other values it is that of the lab
    for (name, qubits), lengths in own.items():
        if len(lengths) > 1:
            raise UnsupportedCircuitError(
                "a gate whose length follows from its values is not scheduled", subject=subject,
                value=f"{name} on {qubits}: {', '.join(map(str, sorted(lengths)))} dt", legal="one length",
            )  # fmt: skip
    found.update([(name, qubits, *lengths) for (name, qubits), lengths in own.items()])
    return found


def _known_length(lengths: InstructionDurations, name: str, qubits: tuple[int, ...]) -> int | None:
    """Return how many dt a gate takes, None where nobody knows."""
    try:
        return int(lengths.get(name, qubits))
    except TranspilerError:
        return None


def _filled(start: int, length: int, pulse: int, axes: tuple[float, ...], grid: int) -> Iterator[XGate | RZGate | int]:
    """Yield what a qubit does from ``start`` on for ``length`` dt: half turns with even waits, half of one at each end.

    A half turn takes ``pulse`` dt, and begins at the multiple of ``grid`` that is nearest. A wait is a number of dt.
    """
    wait = (length - len(axes) * pulse) // len(axes)
    ideal = [start + wait // 2 + k * (wait + pulse) for k in range(len(axes))]
    begins = [(time + grid // 2) // grid * grid for time in ideal]
    ends = [start, *(time + pulse for time in begins)]
    waits = [begin - end for begin, end in zip([*begins, start + length], ends, strict=True)]
    if wait < 2 or min(waits) < 0:
        yield length
        return
    for before, axis in zip(waits, axes, strict=False):
        yield before
        if axis:
            yield RZGate(-axis)
        yield XGate()
        if axis:
            yield RZGate(axis)
    yield waits[-1]
