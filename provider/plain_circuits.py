"""Circuits of plain gates, most of those that are run, checked in Qiskit's compiled code instead of one by one here."""

from __future__ import annotations

import operator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from qiskit.circuit import CircuitInstruction

from pulsed.compiler.canonical import CONTROL_FLOW, INT_IS_DT, Key, look_through

if TYPE_CHECKING:
    from collections.abc import Set

    from qiskit.circuit import QuantumCircuit
    from qiskit.dagcircuit import DAGCircuit, DAGOpNode

    from pulsed.provider.rules import Rules

_NOT_PLAIN = CONTROL_FLOW | {"store"}
_HAS_C_IF = hasattr(CircuitInstruction, "condition")
"""Of Qiskit 1.4, where any gate may have a condition."""


class _AnyObject(type):
    def __instancecheck__(cls, operation: Any) -> bool:
        return True

    # This is asked for each gate: a compiled function says no twice as fast as a method would.
    __subclasscheck__ = operator.not_  # type: ignore[assignment]


class _MadeInPython(metaclass=_AnyObject):
    """What every object is an instance of, and no class a subclass.

    For ``DAGCircuit.op_nodes`` these are the operations that a circuit keeps as objects. Gates and instructions that
    Qiskit knows by itself are in a circuit without any, and only their classes are looked at.
    """


def _least_length(dag: DAGCircuit) -> int | None:
    """Return what :func:`pulsed.provider.lengths.least_length` does; None where a delay is no whole number of dt."""
    waits: dict[Any, int] = {}
    for node in dag.named_nodes("delay"):
        length = node.params[0]
        if type(length) is not int:
            return None
        qubit = node.qargs[0]
        waits[qubit] = waits.get(qubit, 0) + length
    return max(waits.values(), default=0)


class PlainScan:
    """The :class:`pulsed.compiler.canonical.CircuitScan` of a plain circuit, its gates when they are asked for."""

    special: tuple[Any, ...] = ()

    def __init__(self, circuit: QuantumCircuit, length: int) -> None:
        self._circuit = circuit
        self.length = length
        """The dt that one shot takes at least."""

    @cached_property
    def gates(self) -> dict[Key, int]:
        """Name and qubits of what is done, each with the place where it comes first."""
        return look_through(self._circuit).gates


class PlainCheck:
    """The check of the plain circuits of one job."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    @cached_property
    def _directions(self) -> Any:
        from qiskit.transpiler.passes import CheckGateDirection

        return CheckGateDirection(None, target=self._rules.target)

    @cached_property
    def _basis(self) -> Any:
        from qiskit.transpiler.passes import GatesInBasis

        return GatesInBasis(target=self._rules.target)

    def scan(self, circuit: QuantumCircuit) -> PlainScan | None:
        """Return the scan of a circuit that can be run as it is: gates of the target, a measurement among them.

        None for any other: what is to be said of it is found out with more time.
        """
        if _HAS_C_IF or circuit.num_qubits > self._rules.device.num_qubits:
            return None
        if circuit.num_parameters or circuit.num_vars or getattr(circuit, "num_stretches", 0):
            return None
        if circuit.has_control_flow_op():
            return None
        from qiskit.converters import circuit_to_dag

        dag = circuit_to_dag(circuit, copy_operations=False)
        names = dag.count_ops().keys()
        if "measure" not in names or not _NOT_PLAIN.isdisjoint(names) or ("delay" in names and not INT_IS_DT):
            return None
        if not self._legal(dag, names) or not all(map(self._has_values, dag.op_nodes(_MadeInPython))):
            return None
        length = _least_length(dag) if "delay" in names else 0
        return None if length is None else PlainScan(circuit, length)

    def _legal(self, dag: DAGCircuit, names: Set[str]) -> bool:
        """Return whether the target has each gate on its qubits; most have to be asked of those on two alone."""
        if names <= self._rules.looked_up_in_pairs:
            self._directions.run(dag)
            return bool(self._directions.property_set["is_direction_mapped"])
        self._basis.run(dag)
        return bool(self._basis.property_set["all_gates_in_basis"])

    def _has_values(self, node: DAGOpNode) -> bool:
        """Return whether a gate has as many qubits and values as the target's of this name.

        One that Qiskit knows has; one made by name, ``Gate("rz", 1, [])``, may not.
        """
        shape = self._rules.shapes.get(node.name)
        return shape is None or shape == (len(node.qargs), len(node.params))
