"""The builder: ``with pulse.build(backend) as program:`` and functions that add to the program under construction.

Each function acts on the innermost alignment context of the builder that is active in this thread or task. A program is
complete when its ``with`` statement ends; one that ends with an exception leaves a given schedule unchanged.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import numpy as np

from pulsed.pulse import alignments, foreign, instructions, macros
from pulsed.pulse import channels as chans
from pulsed.pulse.active_builder import Builder, active_builder
from pulsed.pulse.alignments import AlignmentKind
from pulsed.pulse.backends import control_channels_of, dt_of, line_of, num_qubits_of, qubit_channels_of
from pulsed.pulse.exceptions import BackendNotSet, PulseError
from pulsed.pulse.library.pulse import Pulse
from pulsed.pulse.schedule.block import ScheduleBlock
from pulsed.pulse.schedule.timeline import Schedule
from pulsed.pulse.transforms.canonicalization import schedule_to_block
from pulsed.pulse.utils import Value

StorageLocation = chans.MemorySlot | chans.RegisterSlot
_P = ParamSpec("_P")
_T = TypeVar("_T")


def build(
    backend: Any = None,
    schedule: ScheduleBlock | None = None,
    name: str | None = None,
    default_alignment: str | AlignmentKind | None = "left",
) -> Builder:
    """Return a context in which the functions of this module add to a program, which it yields.

    Args:
        backend: for channels, macros and dt; needed by the functions that say so.
        schedule: a block to continue; by default a new one.
        name: of a new block.
        default_alignment: "left", "right", "sequential" or an alignment context.

    """
    return Builder(backend, schedule, name, default_alignment)


def active_backend() -> Any:
    """Return the backend of the active builder; raise :class:`BackendNotSet` if it has none."""
    backend = active_builder().backend
    if backend is None:
        raise BackendNotSet('this function requires the active builder to have a "backend" set')
    return backend


def append_schedule(schedule: Schedule | ScheduleBlock) -> None:
    """Append a program as a block of its own."""
    schedule = foreign.adopted(schedule)
    if isinstance(schedule, Schedule):
        schedule = schedule_to_block(schedule)
    active_builder().block.append(schedule)


def append_instruction(instruction: instructions.Instruction) -> None:
    """Append an instruction."""
    active_builder().block.append(instruction)


def num_qubits() -> int:
    """Return the number of qubits of the backend."""
    return num_qubits_of(active_backend())


def seconds_to_samples(seconds: Any) -> Any:
    """Return the whole number of dt in ``seconds`` (a number or an array), rounded down but for rounding errors."""
    count = np.asarray(seconds, dtype=float) / dt_of(active_backend())
    nearest = np.rint(count)
    whole = np.where(np.abs(count - nearest) < 1e-6, nearest, np.floor(count)).astype(np.int64)
    return whole if isinstance(seconds, np.ndarray) else int(whole)


def samples_to_seconds(samples: Any) -> Any:
    """Return the duration of ``samples`` dt (a number or an array) in s."""
    return samples * dt_of(active_backend())


def qubit_channels(qubit: int) -> set[chans.Channel]:
    """Return the channels of a qubit: drive, measure, acquire, and the control channels of its pairs."""
    return set(qubit_channels_of(active_backend(), qubit))


def drive_channel(qubit: int) -> chans.DriveChannel:
    """Return the drive channel of a qubit."""
    return line_of(active_backend(), "drive", qubit)  # type: ignore[no-any-return]


def measure_channel(qubit: int) -> chans.MeasureChannel:
    """Return the measure channel of a qubit."""
    return line_of(active_backend(), "measure", qubit)  # type: ignore[no-any-return]


def acquire_channel(qubit: int) -> chans.AcquireChannel:
    """Return the acquire channel of a qubit."""
    return line_of(active_backend(), "acquire", qubit)  # type: ignore[no-any-return]


def control_channels(*qubits: int) -> list[chans.ControlChannel]:
    """Return the control channels of a pair, (control, target)."""
    return control_channels_of(active_backend(), tuple(qubits))


def general_transforms(alignment_context: AlignmentKind) -> Any:
    """Return a context whose contents are a block with ``alignment_context``."""
    if not isinstance(alignment_context, AlignmentKind):
        raise PulseError("not an alignment context", value=alignment_context)
    return active_builder().aligned(alignment_context)


def align_left() -> Any:
    """Return a context whose parts are as early as their channels allow."""
    return active_builder().aligned(alignments.AlignLeft())


def align_right() -> Any:
    """Return a context whose parts are as late as their channels allow."""
    return active_builder().aligned(alignments.AlignRight())


def align_sequential() -> Any:
    """Return a context whose parts follow one another."""
    return active_builder().aligned(alignments.AlignSequential())


def align_equispaced(duration: Value) -> Any:
    """Return a context whose parts have equal gaps within ``duration`` dt."""
    return active_builder().aligned(alignments.AlignEquispaced(duration))


def align_func(duration: Value, func: Callable[[int], float]) -> Any:
    """Return a context whose part j = 1, 2, … is centred at ``func(j)·duration``."""
    return active_builder().aligned(alignments.AlignFunc(duration, func))


@contextmanager
def inline() -> Generator[None, None, None]:
    """Within this context instructions are parts of the block around it: a context without a block."""
    active_builder()
    yield


@contextmanager
def phase_offset(phase: Value, *channels: chans.PulseChannel) -> Generator[None, None, None]:
    """Within this context the phase of ``channels`` is larger by ``phase`` (rad)."""
    for channel in channels:
        shift_phase(phase, channel)
    yield
    for channel in channels:
        shift_phase(-phase, channel)


@contextmanager
def frequency_offset(
    frequency: Value, *channels: chans.PulseChannel, compensate_phase: bool = False
) -> Generator[None, None, None]:
    """Within this context the frequency of ``channels`` is larger by ``frequency``.

    Args:
        frequency: Hz.
        *channels: the channels.
        compensate_phase: at the end turn each frame back by the phase that it has gained, so that it continues as if
            its frequency had not changed. With the field e^{−i2πft} of :mod:`pulsed.pulse.frames` that is
            +2π·frequency·duration, with the duration that it has when the program is scheduled. Needs a backend.

    """
    dt = dt_of(active_backend()) if compensate_phase else 0.0
    begin = instructions.BeginOffset if compensate_phase else instructions.ShiftFrequency
    for channel in channels:
        append_instruction(begin(frequency, channel))
    yield
    for channel in channels:
        if compensate_phase:
            append_instruction(instructions.EndOffset(frequency, channel, dt))
        append_instruction(instructions.ShiftFrequency(-frequency, channel))


def delay(duration: Value, channel: chans.Channel, name: str | None = None) -> None:
    """Leave ``channel`` idle for ``duration`` dt."""
    append_instruction(instructions.Delay(duration, channel, name=name))


def play(pulse: Pulse | np.ndarray[Any, Any], channel: chans.PulseChannel, name: str | None = None) -> None:
    """Play a pulse, or samples, on ``channel``."""
    append_instruction(instructions.Play(pulse, channel, name=name))


def acquire(
    duration: Value, qubit_or_channel: int | chans.AcquireChannel, register: StorageLocation, **metadata: Any
) -> None:
    """Acquire for ``duration`` dt into a memory or register slot; ``metadata``: kernel, discriminator, name."""
    channel = qubit_or_channel
    if not isinstance(channel := chans.adopted(channel), chans.Channel):
        channel = chans.AcquireChannel(channel)
    register = chans.adopted(register)
    if isinstance(register, chans.MemorySlot):
        metadata["mem_slot"] = register
    elif isinstance(register, chans.RegisterSlot):
        metadata["reg_slot"] = register
    else:
        legal = "MemorySlot or RegisterSlot"
        raise PulseError("not a storage location", subject="acquire", value=register, legal=legal)
    append_instruction(instructions.Acquire(duration, channel, **metadata))


def set_frequency(frequency: Value, channel: chans.PulseChannel, name: str | None = None) -> None:
    """Set the frequency of ``channel`` (Hz)."""
    append_instruction(instructions.SetFrequency(frequency, channel, name=name))


def shift_frequency(frequency: Value, channel: chans.PulseChannel, name: str | None = None) -> None:
    """Add to the frequency of ``channel`` (Hz)."""
    append_instruction(instructions.ShiftFrequency(frequency, channel, name=name))


def set_phase(phase: Value, channel: chans.PulseChannel, name: str | None = None) -> None:
    """Set the phase of ``channel`` (rad)."""
    append_instruction(instructions.SetPhase(phase, channel, name=name))


def shift_phase(phase: Value, channel: chans.PulseChannel, name: str | None = None) -> None:
    """Add to the phase of ``channel`` (rad)."""
    append_instruction(instructions.ShiftPhase(phase, channel, name=name))


def snapshot(label: str, snapshot_type: str = "statevector") -> None:
    """Ask a simulator to record its state."""
    append_instruction(instructions.Snapshot(label, snapshot_type=snapshot_type))


def barrier(*channels_or_qubits: chans.Channel | int, name: str | None = None) -> None:
    """What follows on these channels, or on any channel of these qubits, starts after all that precedes."""
    lines: dict[chans.Channel, None] = {}
    for item in channels_or_qubits:
        own: Any = chans.adopted(item)
        found = (own,) if isinstance(own, chans.Channel) else qubit_channels_of(active_backend(), own)
        lines.update(dict.fromkeys(found))
    if len(lines) > 1:
        append_instruction(instructions.RelativeBarrier(*lines, name=name))


def call(
    target: Schedule | ScheduleBlock,
    name: str | None = None,
    value_dict: Mapping[Any, Value] | None = None,
    **kw_params: Value,
) -> None:
    """Append a subroutine.

    Args:
        target: the subroutine.
        name: name of the reference under which it is found in the program's ``references``, with one subroutine to a
            name; by default it becomes a plain part.
        value_dict: values for parameters of ``target``.
        **kw_params: values by the parameters' names.

    """
    target = foreign.adopted(target)
    if not isinstance(target, (Schedule, ScheduleBlock)):
        raise PulseError("not a subroutine", subject="call", value=target, legal="Schedule or ScheduleBlock")
    values = {**(value_dict or {}), **kw_params}
    if values:
        target = target.assign_parameters(values, inplace=False)
    block = schedule_to_block(target) if isinstance(target, Schedule) else target
    if name is None:
        active_builder().block.append(block)
    else:
        active_builder().block.append_subroutine(instructions.Reference(name), block)


def reference(name: str, *extra_keys: str) -> None:
    """Refer to a subroutine that is assigned later."""
    append_instruction(instructions.Reference(name, *extra_keys))


def macro(func: Callable[_P, _T]) -> Callable[_P, _T]:
    """Return ``func`` such that what it builds is appended as one block with its name."""

    @functools.wraps(func)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with build(backend=active_builder().backend, name=func.__name__) as built:
            output = func(*args, **kwargs)
        append_schedule(built)
        return output

    return wrapper


def measure(
    qubits: list[int] | int, registers: list[StorageLocation] | StorageLocation | None = None
) -> list[StorageLocation] | StorageLocation:
    """Measure qubits with the backend's own measurement.

    Args:
        qubits: one or several.
        registers: where their results go; by default the memory slot of each qubit's index.

    Returns:
        The registers, a list if ``qubits`` is one.

    """
    backend = active_backend()
    several = not isinstance(qubits, (int, np.integer))
    wanted = list(qubits) if isinstance(qubits, (list, tuple, range, set, np.ndarray)) else [int(qubits)]
    if registers is None:
        slots: list[StorageLocation] = [chans.MemorySlot(qubit) for qubit in wanted]
    else:
        slots = list(registers) if isinstance(registers, (list, tuple)) else [registers]
    if len(slots) != len(wanted) or not all(isinstance(slot, chans.MemorySlot) for slot in slots):
        raise PulseError("one memory slot is needed for each qubit", subject="measure", value=slots)
    mapping: dict[int, Any] = {qubit: slot.index for qubit, slot in zip(wanted, slots, strict=True)}
    append_schedule(macros.measure(wanted, backend, qubit_mem_slots=mapping))
    return slots if several else slots[0]


def measure_all() -> list[chans.MemorySlot]:
    """Measure all qubits of the backend into the memory slots of their indices, which are returned."""
    append_schedule(macros.measure_all(active_backend()))
    return [chans.MemorySlot(qubit) for qubit in range(num_qubits())]


def delay_qubits(duration: Value, *qubits: int) -> None:
    """Leave all channels of ``qubits`` idle for ``duration`` dt."""
    lines: dict[chans.Channel, None] = {}
    for qubit in qubits:
        lines.update(dict.fromkeys(qubit_channels_of(active_backend(), qubit)))
    with align_left():
        for line in lines:
            delay(duration, line)
