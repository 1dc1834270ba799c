"""What names and single nodes of OpenPulse text stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from qiskit.circuit import ParameterExpression

from pulsed.pulse.channels import (
    MemorySlot,
)
from pulsed.pulse.configuration import Kernel
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import (
    SetFrequency,
    SetPhase,
    ShiftFrequency,
    ShiftPhase,
)
from pulsed.pulse.library import Constant, Pulse
from pulsed.pulse.openpulse.functions import FUNCTIONS, OwnKernel
from pulsed.pulse.openpulse.values import Duration

IDLE = "pulsed.idle"
"""Annotation of a delay that stands for no instruction."""

WAVEFORM_PREFIX = "wf_"
"""Before the name of a pulse, as the name of its waveform."""


FRAME_CHANGES = {
    "set_phase": SetPhase,
    "shift_phase": ShiftPhase,
    "set_frequency": SetFrequency,
    "shift_frequency": ShiftFrequency,
}
CAPTURES = ("capture_v1", "capture_v2", "capture_v3")
INSTRUCTIONS = ("play", "delay", "barrier", *FRAME_CHANGES, *CAPTURES)
SUPPORTED = f"{', '.join(INSTRUCTIONS)}, and declarations of ports, frames, bits, waveforms, numbers and durations"

REAL_TYPES = frozenset({"AngleType", "FloatType"})
NUMBER = (float, ParameterExpression)
VALUE_TYPES: dict[str, tuple[type[Any], ...]] = {
    "WaveformType": (Pulse, OwnKernel),
    "DurationType": (Duration,),
    "ComplexType": (*NUMBER, complex),
    **dict.fromkeys(("FloatType", "AngleType", "IntType", "UintType"), NUMBER),
}


def kernel_of(weights: Any) -> Kernel | None:
    """Return the kernel that a capture's filter stands for."""
    if isinstance(weights, OwnKernel):
        return None
    if weights == Constant(weights.duration, 1.0):
        return Kernel("boxcar")
    return Kernel(weights.name, weights=weights.envelope())


def pulse_name(waveform_name: str) -> str | None:
    """Return the name of the pulse that a waveform is called after; None when it is only numbered."""
    name = waveform_name.removeprefix(WAVEFORM_PREFIX)
    return None if name.isdigit() else name


def slot_of(name: str) -> MemorySlot | None:
    """Return the memory slot that a bit of this name is: ``slot3`` is slot 3."""
    found = re.fullmatch(r"slot(\d{1,6})", name)
    return None if found is None else MemorySlot(int(found[1]))


def is_capture(node: Any) -> bool:
    """Whether a node calls one of the functions that acquire."""
    return type(node).__name__ == "FunctionCall" and node.name.name in CAPTURES


def qubit_of(name: str) -> int:
    """Return the number of a physical qubit, ``$3``. Raises :class:`PulseError` for another name."""
    found = re.fullmatch(r"\$(\d{1,6})", name)
    if found is None:
        raise PulseError("a defcal is read for physical qubits", value=name, legal="$0, $1, ...")
    return int(found[1])


def check_extern(node: Any) -> None:
    """Raise :class:`PulseError` for the declaration of a function that is unknown, or takes other arguments."""
    name = node.name.name
    if name in INSTRUCTIONS:
        return
    function = FUNCTIONS.get(name)
    if function is None:
        raise PulseError("not a function that is known", value=name, legal=", ".join(FUNCTIONS))
    if len(node.arguments) != len(function.arguments):
        legal = ", ".join(argument for argument, _ in function.arguments)
        raise PulseError("is declared with another number of arguments", subject=name, legal=legal)


def listed(names: Iterable[str]) -> str:
    """Return names with commas between."""
    return ", ".join(names)
