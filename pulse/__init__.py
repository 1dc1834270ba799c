"""The pulse language, hardware-free: the names and semantics of ``qiskit.pulse`` 1.4, which Qiskit 2 dropped.

Sign conventions are in :mod:`pulsed.pulse.frames`. What differs from ``qiskit.pulse``, on purpose: envelopes are
functions of arrays, also those of users (:class:`SymbolicPulse`); values that it refused only when scheduling are
refused by the constructors; schedules are taken by value when they are inserted; ``ScheduleBlock.__add__`` does not
change its operand; instructions of no duration at one time keep their order in right-aligned blocks; a subroutine
called without a name is a plain part; ``frequency_offset(compensate_phase=True)`` follows the sign of the field.
"""

from typing import Any

from pulsed.pulse import (
    builder,
    calibration_entries,
    channels,
    configuration,
    exceptions,
    filters,
    frames,
    instruction_schedule_map,
    instructions,
    library,
    macros,
    parser,
    reference_manager,
    schedule,
    transforms,
    utils,
)
from pulsed.pulse.builder import (
    acquire,
    acquire_channel,
    active_backend,
    align_equispaced,
    align_func,
    align_left,
    align_right,
    align_sequential,
    append_instruction,
    append_schedule,
    barrier,
    build,
    call,
    control_channels,
    delay,
    delay_qubits,
    drive_channel,
    frequency_offset,
    inline,
    macro,
    measure,
    measure_all,
    measure_channel,
    num_qubits,
    phase_offset,
    play,
    qubit_channels,
    reference,
    samples_to_seconds,
    seconds_to_samples,
    set_frequency,
    set_phase,
    shift_frequency,
    shift_phase,
    snapshot,
)
from pulsed.pulse.channels import (
    AcquireChannel,
    ControlChannel,
    DriveChannel,
    MeasureChannel,
    MemorySlot,
    RegisterSlot,
    SnapshotChannel,
)
from pulsed.pulse.configuration import Discriminator, Kernel, LoConfig, LoRange
from pulsed.pulse.drawable import Drawable
from pulsed.pulse.exceptions import (
    BackendNotSet,
    NoActiveBuilder,
    PulseError,
    UnassignedDurationError,
    UnassignedParameterError,
    UnassignedReferenceError,
)
from pulsed.pulse.instruction_schedule_map import InstructionScheduleMap
from pulsed.pulse.instructions import (
    Acquire,
    Call,
    Delay,
    EnterFrame,
    Instruction,
    LeaveFrame,
    Play,
    Reference,
    SetFrequency,
    SetPhase,
    ShiftFrequency,
    ShiftPhase,
    Snapshot,
    TimeBlockade,
)
from pulsed.pulse.library import (
    Constant,
    Cos,
    Drag,
    Gaussian,
    GaussianDeriv,
    GaussianSquare,
    GaussianSquareDrag,
    Sawtooth,
    ScalableSymbolicPulse,
    Sech,
    SechDeriv,
    Sin,
    Square,
    SymbolicPulse,
    Triangle,
    Waveform,
    gaussian_square_echo,
)
from pulsed.pulse.library.pulse import Pulse
from pulsed.pulse.library.samplers import functional_pulse
from pulsed.pulse.schedule import Schedule, ScheduleBlock

__all__ = [
    "Acquire",
    "AcquireChannel",
    "BackendNotSet",
    "Call",
    "Constant",
    "ControlChannel",
    "Cos",
    "Delay",
    "Discriminator",
    "Drag",
    "DriveChannel",
    "EnterFrame",
    "Gaussian",
    "GaussianDeriv",
    "GaussianSquare",
    "GaussianSquareDrag",
    "Instruction",
    "InstructionScheduleMap",
    "Kernel",
    "LeaveFrame",
    "LoConfig",
    "LoRange",
    "MeasureChannel",
    "MemorySlot",
    "NoActiveBuilder",
    "Play",
    "PulseError",
    "Reference",
    "RegisterSlot",
    "Sawtooth",
    "ScalableSymbolicPulse",
    "Schedule",
    "ScheduleBlock",
    "Sech",
    "SechDeriv",
    "SetFrequency",
    "SetPhase",
    "ShiftFrequency",
    "ShiftPhase",
    "Sin",
    "Snapshot",
    "SnapshotChannel",
    "Square",
    "SymbolicPulse",
    "TimeBlockade",
    "Triangle",
    "UnassignedDurationError",
    "UnassignedParameterError",
    "UnassignedReferenceError",
    "Waveform",
    "acquire",
    "acquire_channel",
    "active_backend",
    "align_equispaced",
    "align_func",
    "align_left",
    "align_right",
    "align_sequential",
    "append_instruction",
    "append_schedule",
    "barrier",
    "build",
    "builder",
    "calibration_entries",
    "call",
    "channels",
    "configuration",
    "control_channels",
    "delay",
    "delay_qubits",
    "drive_channel",
    "exceptions",
    "filters",
    "frames",
    "frequency_offset",
    "functional_pulse",
    "gaussian_square_echo",
    "inline",
    "instruction_schedule_map",
    "instructions",
    "library",
    "macro",
    "macros",
    "measure",
    "measure_all",
    "measure_channel",
    "num_qubits",
    "parser",
    "phase_offset",
    "play",
    "qubit_channels",
    "reference",
    "reference_manager",
    "samples_to_seconds",
    "schedule",
    "seconds_to_samples",
    "set_frequency",
    "set_phase",
    "shift_frequency",
    "shift_phase",
    "snapshot",
    "transforms",
    "utils",
]


def _draw(thing: Any, **options: Any) -> Any:
    from pulsed.pulse.draw import draw, draw_pulse  # only once something is drawn

    return (draw_pulse if isinstance(thing, Pulse) else draw)(thing, **options)


Drawable.drawer = staticmethod(_draw)


OF_BOXES = (
    "QASM3_ANNOTATIONS",
    "QPY_ANNOTATIONS",
    "Calibration",
    "CalibrationSerializer",
    "calibrated_box",
    "content_of",
)
"""Names for boxes in circuits, which are not in ``__all__``: Qiskit 1.4 has no boxes."""


def __getattr__(name: str) -> Any:
    """Return what is for boxes in circuits, which Qiskit has from 2.1 on: loaded when it is first asked for."""
    if name not in OF_BOXES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import qiskit

    if not hasattr(qiskit.circuit, "Annotation"):
        raise ImportError(
            f"pulsed.pulse.{name} needs boxes with annotations, which Qiskit {qiskit.__version__} does not have: use "
            "Qiskit 2.3 or newer, or give run the argument calibrations"
        )
    from pulsed.pulse import annotations

    return getattr(annotations, name)
