"""How long programs last at least, before the daemon has compiled them: their delays, or all of a schedule."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from qiskit.circuit import QuantumCircuit


def least_length(program: Any) -> int:
    """Return the dt that one shot of a program takes at least."""
    return _circuit(program) if isinstance(program, QuantumCircuit) else _schedule(program)


def _circuit(circuit: QuantumCircuit) -> int:
    """Return the longest sum of delays of one qubit; gates take much less, bodies may not be played."""
    if "delay" not in circuit.count_ops():
        return 0
    waits: dict[Any, int] = defaultdict(int)
    for item in circuit.data:
        if item.name == "delay" and isinstance(length := item.operation.duration, int):
            waits[item.qubits[0]] += length
    return max(waits.values(), default=0)


def _schedule(schedule: Any) -> int:
    from pulsed.pulse.exceptions import UnassignedDurationError

    try:
        duration = schedule.duration
    except UnassignedDurationError:  # of a block with late lengths: the daemon knows
        return 0
    return duration if isinstance(duration, int) else 0
