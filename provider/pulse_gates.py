"""Pulse gates of one job: those of the keyword ``calibrations``, and those attached to circuits."""

from __future__ import annotations

import warnings
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from qiskit.circuit import Parameter, QuantumCircuit

from pulsed.compiler.canonical import CONTROL_FLOW
from pulsed.provider.errors import OptionValueError, UnsupportedCircuitError
from pulsed.provider.patterns import gate_uses, with_values
from pulsed.provider.programs import adopt, adopted, places, timed

if TYPE_CHECKING:
    from pulsed.pulse.schedule import Schedule, ScheduleBlock

GateKey = tuple[str, tuple[int, ...], tuple[float, ...]]
"""Name, qubits and parameters of a pulse gate."""


def own_gates(
    calibrations: Mapping[Any, Any] | None, programs: Iterable[Any]
) -> dict[GateKey, Schedule | ScheduleBlock]:
    """Return the keyword ``calibrations`` of run as schedules; of gates with parameters those that programs use.

    A block whose lengths are parameters that get their values later stays a block.
    """
    return with_values({key: timed(adopted(schedule, None)) for key, schedule in named_gates(calibrations).items()},
                       programs)  # fmt: skip


def named_gates(calibrations: Mapping[Any, Any] | None) -> dict[GateKey, Any]:
    """Return the keyword ``calibrations`` of run, {(gate, qubits[, params]): schedule}, with its keys in full.

    A gate is a name or a Qiskit gate, qubits one index or several, each of params a number or a Parameter.
    """
    result: dict[GateKey, Any] = {}
    for key, schedule in (calibrations or {}).items():
        try:
            gate, qubits, *rest = key
            name = gate if isinstance(gate, str) else gate.name
            at = places(qubits)
            given = rest[0] if rest else () if isinstance(gate, str) else gate.params
            params = tuple(value if isinstance(value, Parameter) else float(value) for value in given or ())
        except (TypeError, ValueError, AttributeError):
            raise OptionValueError(
                "invalid key of a pulse gate", subject="calibrations", value=key, legal="(gate, qubits, params)"
            ) from None
        result[name, at, params] = schedule
    return result


def attached_gates(circuit: QuantumCircuit) -> dict[GateKey, Schedule]:
    """Return the pulse gates in ``circuit.calibrations`` of Qiskit 1.4, those of bodies included; Qiskit 2 has none.

    A body's qubits are those of its instruction. Raises :class:`UnsupportedCircuitError` where two disagree.
    """
    if not hasattr(type(circuit), "calibrations"):
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        attached = circuit.calibrations
    gates = {
        (name, tuple(qubits), tuple(float(value) for value in params)): adopt(schedule)
        for name, by_qubits in attached.items()
        for (qubits, params), schedule in by_qubits.items()
    }
    for item in circuit.data:
        if item.name in CONTROL_FLOW:
            places = [circuit.find_bit(bit).index for bit in item.qubits]
            for body in getattr(item.operation, "blocks", ()):
                for (name, qubits, params), schedule in attached_gates(body).items():
                    key = name, tuple([places[q] for q in qubits]), params
                    if gates.setdefault(key, schedule) != schedule:
                        raise _disagreement(circuit, key)
    return gates


def merge_gates(
    circuits: Iterable[tuple[QuantumCircuit, Container[Any], Mapping[GateKey, Any]]], given: Mapping[GateKey, Any]
) -> dict[GateKey, Any]:
    """Return all pulse gates of one job: those of ``given`` and those attached to its circuits.

    A gate has one meaning in one job. Raises :class:`UnsupportedCircuitError` where two circuits disagree.

    Args:
        circuits: each with the gates it uses, keys (name, qubits), and those attached to it.
        given: those of the keyword ``calibrations``.

    """
    merged = dict(given)
    known = list(circuits)
    for _, _, attached in known:
        for key, schedule in attached.items():
            merged.setdefault(key, schedule)
    for circuit, used, attached in known:
        for key, schedule in merged.items():
            mine = attached.get(key, given.get(key))
            plain = mine is None and key[:2] in used and _uses(circuit, key)
            if plain or (mine is not None and mine != schedule):
                raise _disagreement(circuit, key)
    return merged


def _uses(circuit: QuantumCircuit, key: GateKey) -> bool:
    return any(found == key for found in gate_uses(circuit))


def _disagreement(circuit: QuantumCircuit, key: GateKey) -> UnsupportedCircuitError:
    return UnsupportedCircuitError(
        "circuits of one job give one gate different pulses; run them as separate jobs",
        subject=f"circuit {circuit.name!r}",
        value=f"{key[0]} on {key[1]} with parameters {key[2]}",
    )
