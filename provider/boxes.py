"""Boxes of circuits that are annotated with pulses, as pulse gates: before anything else is made of a circuit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulsed.compiler.canonical import CONTROL_FLOW
from pulsed.model.errors import PulsedError
from pulsed.provider.errors import UnsupportedCircuitError
from pulsed.provider.programs import named

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from pulsed.model.device import DeviceDescription
    from pulsed.provider.pulse_gates import GateKey


def opened(
    circuit: QuantumCircuit, device: DeviceDescription, number: int | None = None
) -> tuple[QuantumCircuit, dict[GateKey, Any]]:
    """Return ``circuit`` with pulse gates in place of annotated boxes, and their schedules.

    The same circuit without such boxes. ``number``: of it in the list given to run. Raises
    :class:`UnsupportedCircuitError` that names circuit and box.
    """
    if not CONTROL_FLOW & circuit.count_ops().keys():
        return circuit, {}
    from pulsed.compiler.boxes import open_boxes  # the compiler is not needed for circuits of gates alone

    try:
        return open_boxes(circuit, device, named("circuit", circuit.name, number))
    except PulsedError as error:
        raise UnsupportedCircuitError(
            error.message, subject=error.subject, value=error.value, legal=error.legal
        ) from error
