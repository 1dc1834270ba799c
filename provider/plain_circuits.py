"""Circuits of plain gates, most of those that are run, checked in Qiskit's compiled code instead of one by one here."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from qiskit.circuit import CircuitInstruction, QuantumCircuit

from pulsed.compiler.canonical import CONTROL_FLOW, INT_IS_DT, Key, look_through

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulsed.provider.rules import Rules

_NOT_PLAIN = CONTROL_FLOW | {"store"}
_HAS_C_IF = hasattr(CircuitInstruction, "condition")
"""Of Qiskit 1.4, where any gate may have a condition."""


def _least_length(circuit: QuantumCircuit, num_values: Mapping[str, int]) -> int | None:
    """Return what :func:`pulsed.provider.lengths.least_length` does, in one pass with a look at what is plain.

    None where a delay is no whole number of dt, as the scheduling stage writes them, or where a gate lacks values: one
    that Qiskit knows has as many as it needs; one made by name, ``Gate("rz", 1, [])``, may not.
    """
    waits: dict[Any, int] = {}
    for item in circuit.data:
        if item.is_standard_gate():
            continue
        name, values = item.name, item.params
        if name == "delay":
            if type(values[0]) is not int:
                return None
            qubit = item.qubits[0]
            waits[qubit] = waits.get(qubit, 0) + values[0]
        elif len(values) != num_values.get(name, len(values)):
            return None
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
        names = circuit.count_ops().keys()
        if "measure" not in names or not _NOT_PLAIN.isdisjoint(names):
            return None
        if "delay" in names and not INT_IS_DT:
            return None
        length = _least_length(circuit, self._rules.num_values)
        if length is None:
            return None
        from qiskit.converters import circuit_to_dag

        self._basis.run(circuit_to_dag(circuit, copy_operations=False))
        return PlainScan(circuit, length) if self._basis.property_set["all_gates_in_basis"] else None
