"""What the pulse language asks of a backend: Qiskit's BackendV2 with pulse methods, or a BackendV1.

A backend without a method of its own is asked for its ``configuration()`` and ``defaults()``. Channels of
``qiskit.pulse`` 1.4 become ours.
"""

from __future__ import annotations

from typing import Any

from qiskit.exceptions import QiskitError

from pulsed.pulse.channels import AcquireChannel, Channel, ControlChannel, DriveChannel, MeasureChannel, adopted
from pulsed.pulse.exceptions import PulseError

_LINES = {"drive": DriveChannel, "measure": MeasureChannel, "acquire": AcquireChannel}


def _configuration(backend: Any) -> Any:
    configuration = getattr(backend, "configuration", None)
    return configuration() if callable(configuration) else configuration


def _found(backend: Any, name: str) -> Any:
    """Return what a backend, or else its configuration, has of this name; None without."""
    own = getattr(backend, name, None)
    return getattr(_configuration(backend), name, None) if own is None else own


def inst_map_of(backend: Any) -> Any:
    """Return the schedules of a backend's gates; None without."""
    own = getattr(backend, "instruction_schedule_map", None)
    defaults = getattr(backend, "defaults", None)
    if own is None and callable(defaults):
        own = getattr(defaults(), "instruction_schedule_map", None)
    return own


def meas_map_of(backend: Any) -> Any:
    """Return the groups of qubits that a backend measures together; None without."""
    return _found(backend, "meas_map")


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
    return _LINES[kind](qubit) if channel is None else adopted(channel)


def control_channels_of(backend: Any, qubits: tuple[int, ...]) -> list[ControlChannel]:
    """Return the control channels of a pair (control, target).

    Raises:
        PulseError: the backend has none for it.

    """
    own = getattr(backend, "control_channel", None)
    method = own if callable(own) else getattr(_configuration(backend), "control", None)
    try:
        found = list(map(adopted, method(qubits))) if callable(method) else []
    except (KeyError, LookupError, QiskitError) as error:
        raise PulseError("no control channel for this pair", value=qubits) from error
    if not found:
        raise PulseError("no control channel for this pair", value=qubits)
    return found


def qubit_channels_of(backend: Any, qubit: int) -> list[Channel]:
    """Return the drive, measure and acquire channel of a qubit, and the control channels of all pairs it is in."""
    stated = getattr(_configuration(backend), "get_qubit_channels", None)
    if callable(stated) and getattr(backend, "coupling_map", None) is None:
        return list(map(adopted, stated(qubit)))
    lines: dict[Channel, None] = dict.fromkeys(line_of(backend, kind, qubit) for kind in _LINES)
    for pair in _found(backend, "coupling_map") or ():
        if qubit in pair:
            try:
                lines.update(dict.fromkeys(control_channels_of(backend, tuple(pair))))
            except PulseError:
                # a pair may be driven in one direction only
                continue
    return list(lines)
