"""Programs of ``qiskit.pulse`` (Qiskit 1.4) as ours and back.

What is kept: instructions, channels, pulses with their parameters, alignment contexts, nesting, references with their
subroutines, Qiskit parameters, names and metadata. ``qiskit.pulse`` is imported only inside of these functions.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pulsed.pulse import alignments as al
from pulsed.pulse import channels as ch
from pulsed.pulse import instructions as ins
from pulsed.pulse.configuration import Discriminator, Kernel
from pulsed.pulse.exceptions import NoQiskitPulseError, PulseError
from pulsed.pulse.foreign import add_reader
from pulsed.pulse.interop_pulses import pulse_from_qiskit, pulse_to_qiskit
from pulsed.pulse.schedule import Schedule, ScheduleBlock
from pulsed.pulse.schedule.block import Subroutine

_CHANNELS = (
    ch.DriveChannel, ch.MeasureChannel, ch.ControlChannel, ch.AcquireChannel, ch.MemorySlot, ch.RegisterSlot,
    ch.SnapshotChannel,
)  # fmt: skip
_FRAME = (ins.SetFrequency, ins.ShiftFrequency, ins.SetPhase, ins.ShiftPhase)
_CONTEXTS = (al.AlignLeft, al.AlignRight, al.AlignSequential, al.AlignEquispaced, al.AlignFunc)
_CHANNEL_NAMES = {kind.__name__: kind for kind in _CHANNELS}
_FRAME_NAMES = {kind.__name__: kind for kind in _FRAME}
_CONTEXT_NAMES = {kind.__name__: kind for kind in _CONTEXTS}


def is_qiskit_program(program: object) -> bool:
    """Return whether ``program`` is a Schedule or ScheduleBlock of ``qiskit.pulse``, without importing that."""
    theirs = sys.modules.get("qiskit.pulse")
    return theirs is not None and isinstance(program, (theirs.Schedule, theirs.ScheduleBlock))


def from_qiskit(program: Any) -> Schedule | ScheduleBlock:
    """Return a Schedule of ``qiskit.pulse`` as :class:`Schedule`, a ScheduleBlock as :class:`ScheduleBlock`.

    A symbolic pulse with a formula of the user becomes a :class:`SymbolicPulse` with that formula.

    Raises:
        NoQiskitPulseError: this Qiskit has no ``qiskit.pulse``.
        PulseError: not such a program, or a part of it that has no counterpart: classes of the user.

    """
    with _qiskit_pulse() as theirs:
        if isinstance(program, theirs.Schedule):
            return _schedule_from(program)
        if isinstance(program, theirs.ScheduleBlock):
            return _block_from(program)
        raise PulseError(
            "not a program of qiskit.pulse", subject="from_qiskit", value=type(program).__name__,
            legal="qiskit.pulse.Schedule or ScheduleBlock",
        )  # fmt: skip


def to_qiskit(program: Schedule | ScheduleBlock) -> Any:
    """Return a Schedule as one of ``qiskit.pulse``, a ScheduleBlock as a ScheduleBlock.

    An envelope that is a Python function becomes its samples.

    Raises:
        NoQiskitPulseError: this Qiskit has no ``qiskit.pulse``.
        PulseError: not a pulse program, or a part of it that has no counterpart: classes of the user, and functions
            with parameters that have no value.

    """
    with _qiskit_pulse() as theirs:
        if isinstance(program, Schedule):
            return _schedule_to(program, theirs)
        if isinstance(program, ScheduleBlock):
            return _block_to(program, theirs)
        raise PulseError(
            "not a pulse program", subject="to_qiskit", value=type(program).__name__, legal="Schedule or ScheduleBlock"
        )


@contextmanager
def _qiskit_pulse() -> Iterator[Any]:
    """Import ``qiskit.pulse``; within, its announcements that it will be removed are not shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            import qiskit.pulse as theirs
        except ModuleNotFoundError as error:
            import qiskit

            raise NoQiskitPulseError(
                "this Qiskit has no qiskit.pulse", subject="qiskit", value=qiskit.__version__, legal="1.4"
            ) from error
        yield theirs


# from qiskit.pulse


def _schedule_from(theirs: Any) -> Schedule:
    parts = []
    for time, child in theirs.children:
        nested = hasattr(child, "children")
        parts.append((time, _schedule_from(child) if nested else _instruction_from(child)))
    return Schedule(*parts, name=theirs.name, metadata=dict(theirs.metadata or {}))


def _block_from(theirs: Any, root: bool = True) -> ScheduleBlock:
    context = theirs.alignment_context
    make = _CONTEXT_NAMES.get(type(context).__name__)
    if make is None:
        raise _no_counterpart(context)
    ours = ScheduleBlock(theirs.name, dict(theirs.metadata or {}), make(*context._context_params))
    # A block shows its subroutines in place of the references to them; those of nested blocks are their root's.
    assigned = {keys: block for keys, block in theirs.references.items() if block is not None}
    keys_of = {id(block): keys for keys, block in assigned.items()}
    for part in theirs.blocks:
        if id(part) in keys_of:
            ours.append(ins.Reference(*keys_of[id(part)]))
        elif hasattr(part, "alignment_context"):
            ours.append(_block_from(part, root=False))
        else:
            ours.append(_instruction_from(part))
    if root and assigned:
        used = ours.references
        ours.assign_references({keys: _block_from(block) for keys, block in assigned.items() if keys in used})
    return ours


def _channel_from(theirs: Any) -> Any:
    kind = _CHANNEL_NAMES.get(type(theirs).__name__)
    if kind is None:
        raise _no_counterpart(theirs)
    return kind(theirs.index)


def _instruction_from(theirs: Any) -> ins.Instruction:
    name = type(theirs).__name__
    if name in _FRAME_NAMES:
        return _FRAME_NAMES[name](theirs.operands[0], _channel_from(theirs.channel), theirs.name)
    build = _INSTRUCTIONS.get(name)
    if build is None:
        raise _no_counterpart(theirs)
    return build(theirs)


def _acquire_from(theirs: Any) -> ins.Acquire:
    kernel, discriminator = theirs.kernel, theirs.discriminator
    return ins.Acquire(
        theirs.duration,
        _channel_from(theirs.channel),
        None if theirs.mem_slot is None else _channel_from(theirs.mem_slot),
        None if theirs.reg_slot is None else _channel_from(theirs.reg_slot),
        kernel=None if kernel is None else Kernel(kernel.name, **kernel.params),
        discriminator=None if discriminator is None else Discriminator(discriminator.name, **discriminator.params),
        name=theirs.name,
    )


_INSTRUCTIONS: dict[str, Callable[[Any], ins.Instruction]] = {
    "Play": lambda it: ins.Play(pulse_from_qiskit(it.pulse), _channel_from(it.channel), it.name),
    "Delay": lambda it: ins.Delay(it.duration, _channel_from(it.channel), it.name),
    "Acquire": _acquire_from,
    "Snapshot": lambda it: ins.Snapshot(it.label, it.type, it.name),
    "Reference": lambda it: ins.Reference(*it.ref_keys),
    "RelativeBarrier": lambda it: ins.RelativeBarrier(*map(_channel_from, it.channels), name=it.name),
    "TimeBlockade": lambda it: ins.TimeBlockade(it.duration, _channel_from(it.channel), it.name),
}


def _no_counterpart(thing: Any) -> PulseError:
    return PulseError("has no counterpart in the other pulse language", subject=type(thing).__name__, value=str(thing))


# to qiskit.pulse


def _schedule_to(ours: Schedule, theirs: Any) -> Any:
    parts = [
        (time, _schedule_to(child, theirs) if isinstance(child, Schedule) else _instruction_to(child, theirs))
        for time, child in ours.children
    ]
    return theirs.Schedule(*parts, name=ours.name, metadata=dict(ours.metadata))


def _block_to(ours: ScheduleBlock, theirs: Any, root: bool = True) -> Any:
    from qiskit.pulse.transforms import alignments

    context = ours.alignment_context
    if type(context) not in _CONTEXTS:
        raise _no_counterpart(context)
    make = getattr(alignments, type(context).__name__)
    block = theirs.ScheduleBlock(ours.name, dict(ours.metadata), make(*context.context_params))
    for part in ours.parts:
        if isinstance(part, ScheduleBlock):
            block.append(_block_to(part, theirs, root=False))
        else:
            block.append(_instruction_to(part.reference if isinstance(part, Subroutine) else part, theirs))
    if root:
        known = {keys: sub for keys, sub in ours.references.items() if sub is not None}
        block.assign_references({keys: _block_to(subroutine, theirs) for keys, subroutine in known.items()})
    return block


def _channel_to(ours: ch.Channel, theirs: Any) -> Any:
    if type(ours) not in _CHANNELS:
        raise _no_counterpart(ours)
    kind = getattr(theirs.channels, type(ours).__name__)
    return kind() if isinstance(ours, ch.SnapshotChannel) else kind(ours.index)


def _instruction_to(ours: Any, theirs: Any) -> Any:
    kind = type(ours)
    make = getattr(theirs.instructions, kind.__name__, None)
    if make is None or getattr(ins, kind.__name__, None) is not kind:
        raise _no_counterpart(ours)
    if kind is ins.Reference:
        return make(*ours.ref_keys)
    if kind is ins.Snapshot:
        return make(ours.label, ours.type, ours.name)
    if kind is ins.RelativeBarrier:
        return make(*(_channel_to(channel, theirs) for channel in ours.channels), name=ours.name)
    if kind is ins.Acquire:
        return _acquire_to(ours, theirs)
    value = pulse_to_qiskit(ours.pulse) if kind is ins.Play else ours.operands[0]
    return make(value, _channel_to(ours.channel, theirs), name=ours.name)


def _acquire_to(ours: ins.Acquire, theirs: Any) -> Any:
    kernel, discriminator = ours.kernel, ours.discriminator
    return theirs.Acquire(
        ours.duration,
        _channel_to(ours.channel, theirs),
        None if ours.mem_slot is None else _channel_to(ours.mem_slot, theirs),
        None if ours.reg_slot is None else _channel_to(ours.reg_slot, theirs),
        kernel=None if kernel is None else theirs.Kernel(kernel.name, **kernel.params),
        discriminator=(
            None if discriminator is None else theirs.Discriminator(discriminator.name, **discriminator.params)
        ),
        name=ours.name,
    )


def _adopted(program: Any) -> Any:
    return from_qiskit(program) if is_qiskit_program(program) else program


add_reader(_adopted)
