"""The passes of the scheduling stage."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from qiskit.circuit import Delay
from qiskit.circuit.library import RZGate, XGate
from qiskit.converters import circuit_to_dag, dag_to_circuit
from qiskit.transpiler import TransformationPass

from pulsed.compiler.canonical import CONTROL_FLOW
from pulsed.provider.scheduling.pulses import NEAR, Flip, choose_pulses
from pulsed.provider.scheduling.signs import UNDER_DRIVE, Couplings, Signs
from pulsed.provider.scheduling.timeline import IdleTime, Lengths, TimedStep, is_late, pieces, place, windows
from pulsed.provider.target import zz_of

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit
    from qiskit.dagcircuit import DAGCircuit
    from qiskit.transpiler import Target

_SMALLEST = 1e-4
"""Radians: smaller turns are not written."""
_ERROR = 3e-4
"""Of an x whose error is not known."""
_LEAST = 1e-5
"""Error of an x, beyond that of waiting, that a calibration does not tell from none."""


class PadWaits(TransformationPass):  # type: ignore[misc]
    """Write every wait of a qubit between two operations as a delay, as late as possible, on the rack's grid.

    Operations without a length that is known, control flow, resets and delays with a Parameter among them, are waited
    for by all: no time goes across them. Bodies of control flow are treated in the same way.

    Args:
        target: the backend's.

    """

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.target = target
        self._lengths = Lengths(target)

    def run(self, dag: DAGCircuit) -> DAGCircuit:
        """Return the circuit with its waits."""
        index = {bit: q for q, bit in enumerate(dag.qubits)}
        return self._padded(dag, index.__getitem__, set())

    def _padded(self, dag: DAGCircuit, index: Callable[[Any], int], active: set[int]) -> DAGCircuit:
        """Return ``dag`` padded; ``active`` qubits have begun before it."""
        found = dag.copy_empty_like()
        writer = _CircuitWriter(found, index, active)
        for steps, last in pieces(list(dag.topological_op_nodes()), self._lengths, index):
            place(steps, self._lengths)
            waits = windows(steps)
            signs = self.prepared(steps, waits, writer.active)
            writer.write(steps, waits, signs)
            if last is not None:
                node, qubits = last
                writer.settle(qubits)
                writer.active.update(qubits)
                found.apply_operation_back(self._unknown(node, index), node.qargs, node.cargs)
        writer.settle(sorted(writer.pending))
        return found

    def prepared(self, steps: Sequence[TimedStep], waits: Sequence[IdleTime], active: set[int]) -> Signs | None:
        """Put pulses into the waits; return what qubits do, for the turns that undo it."""
        return None

    def _unknown(self, node: Any, index: Callable[[Any], int]) -> Any:
        """Return an operation of unknown length, with its bodies padded."""
        if node.name not in CONTROL_FLOW or node.name == "box" or not getattr(node.op, "blocks", ()):
            return node.op
        qubits = [index(bit) for bit in node.qargs]

        def body(block: QuantumCircuit) -> QuantumCircuit:
            inner = dict(zip(block.qubits, qubits, strict=True))
            return dag_to_circuit(self._padded(circuit_to_dag(block), inner.__getitem__, set(qubits)))

        return node.op.replace_blocks([body(block) for block in node.op.blocks])


class Decouple(PadWaits):
    """Beside that, x pulses in waits and virtual z where always-on ZZ turns qubits, as far as the target states it.

    It leaves delays alone that are in the circuit, and qubits that have not begun.

    Args:
        target: the backend's.

    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._couplings: Couplings = {
            q: {other: rate * target.dt for other, rate in row.items()} for q, row in zz_of(target).items()
        }
        known = target.qubit_properties or [None] * target.num_qubits
        self._frequencies = {q: one.frequency for q, one in enumerate(known) if getattr(one, "frequency", None)}
        self._directed = frozenset(target["ecr"]) if "ecr" in target.operation_names else frozenset()
        self.flips = dict(self._known_flips())

    def _known_flips(self) -> Iterator[tuple[int, Flip]]:
        if "x" not in self.target.operation_names:
            return
        for (q,), properties in self.target["x"].items():
            length = self._lengths.of("x", (q,), ())
            if length:
                error = properties.error or _ERROR
                if not self._reaches_a_neighbour(q):
                    error = max(error - self._of_waiting(q, properties.duration), _LEAST)
                yield q, Flip(length, error, self._frequencies.get(q))

    def _reaches_a_neighbour(self, qubit: int) -> bool:
        """Return whether a pulse on a qubit may turn a coupled one by crosstalk."""
        mine, others = self._frequencies.get(qubit), map(self._frequencies.get, self._couplings.get(qubit, ()))
        return mine is None or any(other is None or abs(mine - other) < NEAR for other in others)

    def _of_waiting(self, qubit: int, seconds: float) -> float:
        """Return the average error of a wait, by T1 and T2; 0 where they are not known."""
        known = (self.target.qubit_properties or {qubit: None})[qubit]
        t1, t2 = getattr(known, "t1", None), getattr(known, "t2", None)
        if not t1 or not t2:
            return 0.0
        return 1 / 2 - math.exp(-seconds / t1) / 6 - math.exp(-seconds / t2) / 3

    def prepared(self, steps: Sequence[TimedStep], waits: Sequence[IdleTime], active: set[int]) -> Signs | None:
        """Put pulses into the waits against ZZ."""
        signs = Signs(steps, self._couplings, active, self._frequencies, self._directed)
        choose_pulses(waits, signs, self.flips, self._lengths.common)
        return signs


class _CircuitWriter:
    """Writes steps and waits into a circuit; turns about z wait until something on their qubit is not one."""

    def __init__(self, dag: DAGCircuit, index: Callable[[Any], int], active: set[int]) -> None:
        self._dag = dag
        self._bits = {index(bit): bit for bit in dag.qubits}
        self.active = active
        self.pending: dict[int, float] = {}

    def write(self, steps: Sequence[TimedStep], waits: Sequence[IdleTime], signs: Signs | None) -> None:
        """Write one straight piece."""
        after = {(window.qubit, id(window.step)): window for window in waits}
        last: dict[int, int] = {}
        for step in steps:
            for q in step.qubits:
                # A turn about z stands where the qubit has waited, next to what it turns, as the rack places it.
                window = after.pop((q, last.get(q, 0)), None)
                if window is not None:
                    self._wait(window, signs)
            if step.name == "rz":
                self._turn(step)
                continue
            last.update(dict.fromkeys(step.qubits, id(step)))
            owed = () if signs is None else self._turned(step, signs)
            for q, angle in owed:
                self._owe(q, angle)
            if step.name not in ("barrier", "delay", "measure"):
                self.settle(step.qubits)
            if step.name == "measure":
                self.pending.pop(step.qubits[0], None)  # its bit sees no turn about z
            self._dag.apply_operation_back(step.node.op, step.node.qargs, step.node.cargs)
            for q, angle in owed:
                self._owe(q, angle)
            if step.name != "barrier":
                self.active.update(step.qubits)

    def _turn(self, step: TimedStep) -> None:
        (q,), (angle,) = step.qubits, step.node.params
        extra = 0.0 if is_late(angle) else self.pending.pop(q, 0.0)
        operation = RZGate(float(angle) + extra) if extra else step.node.op
        self._dag.apply_operation_back(operation, step.node.qargs, ())

    def _wait(self, window: IdleTime, signs: Signs | None) -> None:
        bit, at = (self._bits[window.qubit],), window.start
        if signs is not None:
            self._owe(window.qubit, signs.turn(window.qubit, window.start, window.end, window.middles))
        for start in window.pulses:
            self._delay(start - at, bit)
            self._dag.apply_operation_back(XGate(), bit, ())
            at = start + window.width
        self._delay(window.end - at, bit)

    def _delay(self, length: int, bit: tuple[Any, ...]) -> None:
        if length:
            self._dag.apply_operation_back(Delay(length, "dt"), bit, ())

    @staticmethod
    def _turned(step: TimedStep, signs: Signs) -> list[tuple[int, float]]:
        """Return the qubits that ZZ turns during an operation that turns them about x by a quarter, and the angles.

        A turn about x with a little z in it is one about x between two about z, of these angles each.
        """
        if step.name == "sx":
            return [(step.qubits[0], UNDER_DRIVE * signs.turn(step.qubits[0], step.start, step.end))]
        if step.name == "ecr":
            # The control is flipped half-way, and the gate's calibration knows the ZZ of its pair.
            control, target = step.qubits
            return [(target, UNDER_DRIVE * signs.turn(target, step.start, step.end, partner=control))]
        return []

    def _owe(self, qubit: int, angle: float) -> None:
        if angle:
            self.pending[qubit] = self.pending.get(qubit, 0.0) + angle

    def settle(self, qubits: Sequence[int]) -> None:
        """Write the turns that ``qubits`` wait for."""
        for q in qubits:
            angle = math.remainder(self.pending.pop(q, 0.0), 2 * math.pi)
            if abs(angle) >= _SMALLEST:
                self._dag.apply_operation_back(RZGate(angle), (self._bits[q],), ())
