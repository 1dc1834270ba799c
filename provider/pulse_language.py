"""The pulse language in which a backend hands out its channels and schedules.

It is ``qiskit.pulse`` on Qiskit 1.4, so that Qiskit's own builder, scheduler and transpiler work with the backend, and
ours since Qiskit 2 dropped that. Ours takes channels and programs of either.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from pulsed.pulse import channels

_KINDS = {
    "drive": channels.DriveChannel, "measure": channels.MeasureChannel, "acquire": channels.AcquireChannel,
    "control": channels.ControlChannel,
}  # fmt: skip


def has_qiskit_pulse() -> bool:
    """Return whether this Qiskit has ``qiskit.pulse``, which it then has imported by itself."""
    return "qiskit.pulse" in sys.modules


def _qiskit14() -> Any:
    """Return the module that makes objects of ``qiskit.pulse``; elsewhere it cannot be imported."""
    return importlib.import_module("pulsed.provider.qiskit14")


def channel(kind: str, index: int) -> Any:
    """Return the channel ``index`` of a ``kind``: drive, measure, acquire or control."""
    ours = _KINDS[kind](index)
    return _qiskit14().channel(ours) if has_qiskit_pulse() else ours


def gate_map(schedules: Any) -> Any:
    """Return the InstructionScheduleMap of ``schedules``, which is one of ours."""
    return _qiskit14().gate_map(schedules) if has_qiskit_pulse() else schedules


def gate_entry(schedule: Any) -> Any:
    """Return what a Target of Qiskit 1.4 keeps of a gate's schedule, None for a gate without pulses or on Qiskit 2."""
    return _qiskit14().GateEntry(schedule) if schedule is not None and has_qiskit_pulse() else None
