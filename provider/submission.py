"""What was given to run, read and checked: programs and the pulse gates that go with them."""

from __future__ import annotations

import warnings
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qiskit.circuit import QuantumCircuit

from pulsed.provider.checks import Rules, check_circuit, check_measures, check_schedule, wrong_input
from pulsed.provider.errors import OptionValueError, UnsupportedCircuitError

if TYPE_CHECKING:
    from pulsed.pulse.schedule import Schedule

GateKey = tuple[str, tuple[int, ...], tuple[float, ...]]
"""Name, qubits and parameters of a pulse gate."""


def read_programs(run_input: Any, limit: int) -> list[Any]:
    """Return the circuits and schedules of ``run_input``, one or a list, at most ``limit``.

    Raises :class:`RunInputError` for anything else, :class:`UnsupportedCircuitError` for too many.
    """
    if isinstance(run_input, list | tuple):
        found = [
            item if isinstance(item, QuantumCircuit) else adopt(item, place) for place, item in enumerate(run_input)
        ]
    else:
        found = [run_input if isinstance(run_input, QuantumCircuit) else adopt(run_input)]
    if not 1 <= len(found) <= limit:
        raise UnsupportedCircuitError(
            "too many programs in one job" if found else "nothing to run", subject="run", value=len(found),
            legal=f"1 to {limit}",
        )  # fmt: skip
    return found


def check_programs(
    programs: Sequence[Any], rules: Rules, given: Mapping[Any, Any] | None, bound: Container[int] = ()
) -> dict[GateKey, Schedule]:
    """Check all programs of one job; return its pulse gates: those of ``given`` and those attached to circuits.

    The parameters of those in ``bound``, by their number, have values beside them.
    """
    gates = {key: adopt(schedule) for key, schedule in named_gates(given).items()}
    circuits = []
    for number, program in enumerate(programs):
        if isinstance(program, QuantumCircuit):
            attached = attached_gates(program)
            used = check_circuit(program, rules, {key[:2] for key in (*gates, *attached)}, bound=number in bound)
            check_measures(program, used)
            circuits.append((program, used, attached))
        else:
            check_schedule(program, rules, bound=number in bound)
    return merge_gates(circuits, gates)


def attached_gates(circuit: QuantumCircuit) -> dict[GateKey, Schedule]:
    """Return the pulse gates in ``circuit.calibrations`` of Qiskit 1.4; Qiskit 2 has none."""
    if not hasattr(type(circuit), "calibrations"):
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        attached = circuit.calibrations
    return {
        (name, tuple(qubits), tuple(float(value) for value in params)): adopt(schedule)
        for name, by_qubits in attached.items()
        for (qubits, params), schedule in by_qubits.items()
    }


def adopt(program: Any, place: int | None = None) -> Schedule:
    """Return a pulse program as a :class:`Schedule`; ``place`` is its number in the list given to run.

    Raises :class:`RunInputError` for anything that is no pulse program.
    """
    # only runs with pulses need the pulse language
    from pulsed.pulse.interop import from_qiskit, is_qiskit_program
    from pulsed.pulse.schedule import Schedule, ScheduleBlock
    from pulsed.pulse.transforms import block_to_schedule

    if is_qiskit_program(program):
        program = from_qiskit(program)
    if isinstance(program, ScheduleBlock):
        return block_to_schedule(program)
    if not isinstance(program, Schedule):
        raise wrong_input(program, place)
    return program


def named_gates(calibrations: Mapping[Any, Any] | None) -> dict[GateKey, Any]:
    """Return the keyword ``calibrations`` of run, {(gate, qubits[, params]): schedule}, with its keys in full.

    A gate is a name or a Qiskit gate, qubits one index or several.
    """
    result: dict[GateKey, Any] = {}
    for key, schedule in (calibrations or {}).items():
        try:
            gate, qubits, *rest = key
            name = gate if isinstance(gate, str) else gate.name
            places = (qubits,) if isinstance(qubits, int) else tuple(int(q) for q in qubits)
            given = rest[0] if rest else () if isinstance(gate, str) else gate.params
            params = tuple(float(value) for value in given or ())
        except (TypeError, ValueError, AttributeError):
            raise OptionValueError(
                "not the key of a pulse gate", subject="calibrations", value=key, legal="(gate, qubits, params)"
            ) from None
        result[name, places, params] = schedule
    return result


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
    name, qubits, params = key
    return any(
        item.operation.name == name
        and tuple(item.operation.params) == params
        and tuple(circuit.find_bit(bit).index for bit in item.qubits) == qubits
        for item in circuit.data
    )


def _disagreement(circuit: QuantumCircuit, key: GateKey) -> UnsupportedCircuitError:
    return UnsupportedCircuitError(
        "circuits of one job give one gate different pulses; run them as separate jobs",
        subject=f"circuit {circuit.name!r}",
        value=f"{key[0]} on {key[1]} with parameters {key[2]}",
    )
