"""What the pulse language asks of a backend: Qiskit's BackendV2 with pulse methods, or a BackendV1."""

from __future__ import annotations

from typing import Any

from pulsed.pulse.channels import AcquireChannel, Channel, ControlChannel, DriveChannel, MeasureChannel
from pulsed.pulse.exceptions import PulseError

_LINES = {"drive": DriveChannel, "measure": MeasureChannel, "acquire": AcquireChannel}


def _configuration(backend: Any) -> Any:
    configuration = getattr(backend, "configuration", None)
    return configuration() if callable(configuration) else configuration


def num_qubits_of(backend: Any) -> int:
    """Return the number of qubits."""
    own = getattr(backend, "num_qubits", None)
    return int(_configuration(backend).n_qubits if own is None else own)


def dt_of(backend: Any) -> float:
    """Return dt in s.

    Raises:
        PulseError: the backend has no dt.

    """
    dt = getattr(backend, "dt", None)
    if dt is None:
        dt = getattr(getattr(backend, "target", None) or _configuration(backend), "dt", None)
    if dt is None:
        raise PulseError("the backend has no dt", subject=str(getattr(backend, "name", backend)))
    return float(dt)


def line_of(backend: Any, kind: str, qubit: int) -> Any:
    """Return the "drive", "measure" or "acquire" channel of a qubit.

    Raises:
        PulseError: the backend has no such qubit.

    """
    if not 0 <= qubit < num_qubits_of(backend):
        legal = f"0 to {num_qubits_of(backend) - 1}"
        raise PulseError("no such qubit", subject=str(getattr(backend, "name", backend)), value=qubit, legal=legal)
    method = getattr(backend, f"{kind}_channel", None)
    channel = method(qubit) if callable(method) else None
    return _LINES[kind](qubit) if channel is None else channel


def control_channels_of(backend: Any, qubits: tuple[int, ...]) -> list[ControlChannel]:
    """Return the control channels of a pair (control, target).

    Raises:
        PulseError: the backend has none for it.

    """
    own = getattr(backend, "control_channel", None)
    method = own if callable(own) else getattr(_configuration(backend), "control", None)
    try:
        found = list(method(qubits)) if callable(method) else []
    except (KeyError, LookupError, PulseError) as error:
        raise PulseError("no control channel for this pair", value=qubits) from error
    if not found:
        raise PulseError("no control channel for this pair", value=qubits)
    return found


def qubit_channels_of(backend: Any, qubit: int) -> list[Channel]:
    """Return the drive, measure and acquire channel of a qubit, and the control channels of all pairs it is in."""
    lines: dict[Channel, None] = dict.fromkeys(line_of(backend, kind, qubit) for kind in _LINES)
    for pair in getattr(backend, "coupling_map", None) or ():
        if qubit in pair:
            try:
                lines.update(dict.fromkeys(control_channels_of(backend, tuple(pair))))
            except PulseError:
                # a pair may be driven in one direction only
                continue
    return list(lines)
