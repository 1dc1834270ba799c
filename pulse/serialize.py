"""Pulse programs as bytes and back, exactly: msgpack of plain values, without pickle and without names of classes.

The form is a magic word and a version, then one msgpack array. Samples travel as raw little-endian complex128, each
distinct pulse once. A user's own envelope function travels as its samples, an :class:`AlignFunc` as the positions it
gives. Parameters must be assigned. Nothing that bytes can say leads to more than a typed error: the reader builds the
program with the checks of every constructor, and bounds depth, lengths and samples before it allocates them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from pulsed.model.errors import PulsedError
from pulsed.pulse import channels as ch
from pulsed.pulse import instructions as ins
from pulsed.pulse.configuration import Discriminator, Kernel
from pulsed.pulse.exceptions import SerialisationError
from pulsed.pulse.library import shapes, symbolic_pulses
from pulsed.pulse.library.pulse import Pulse
from pulsed.pulse.library.symbolic import ScalableSymbolicPulse, SymbolicPulse
from pulsed.pulse.library.waveform import Waveform
from pulsed.pulse.schedule.block import ScheduleBlock
from pulsed.pulse.schedule.references import Subroutine
from pulsed.pulse.schedule.timeline import Schedule
from pulsed.pulse.transforms import alignments as al

MAGIC = b"pulsed.pulse\x01"
"""First bytes of every program; the last is the version of the form."""

MAX_DEPTH = 64
"""Deepest nesting of schedules and blocks that is written or read."""

MAX_SAMPLES = 1 << 32
"""Longest pulse given by a formula that is read, in samples; reading does not sample it."""

_CHANNELS: tuple[type[ch.Channel], ...] = (
    ch.DriveChannel,
    ch.MeasureChannel,
    ch.ControlChannel,
    ch.AcquireChannel,
    ch.MemorySlot,
    ch.RegisterSlot,
    ch.SnapshotChannel,
)
_FRAME: tuple[type[ins.FrameChange], ...] = (ins.SetFrequency, ins.ShiftFrequency, ins.SetPhase, ins.ShiftPhase)
_PLAIN: tuple[type[al.AlignmentKind], ...] = (al.AlignLeft, al.AlignRight, al.AlignSequential)
_PULSES: dict[str, type[ScalableSymbolicPulse]] = {
    name: getattr(symbolic_pulses, name)
    for name in (key.partition(".")[0] for key in shapes.SHAPES)
    if name != "gaussian_square_echo"
}
# tags of the instructions that are not frame changes, which have 0 to 3
_PLAY, _DELAY, _ACQUIRE, _BARRIER, _SNAPSHOT, _BLOCKADE, _REFERENCE, _SUBROUTINE, _SCHEDULE, _BLOCK = range(10, 20)


def dumps(program: Schedule | ScheduleBlock) -> bytes:
    """Return ``program`` as bytes.

    Raises:
        SerialisationError: a parameter without value, or something that has no form as bytes.

    """
    return MAGIC + _Writer().program(program, named=True)


def loads(data: bytes) -> Schedule | ScheduleBlock:
    """Return the program that :func:`dumps` wrote.

    Raises:
        SerialisationError: any other bytes.

    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise SerialisationError("not bytes", value=type(data).__name__)
    if bytes(data[: len(MAGIC)]) != MAGIC:
        raise SerialisationError("not a pulse program, or of another version", value=bytes(data[:16]), legal=MAGIC)
    try:
        pulses, kernels, root = msgspec.msgpack.decode(memoryview(data)[len(MAGIC) :])
        return _Reader(pulses, kernels).program(root)
    except SerialisationError:
        raise
    except PulsedError as error:
        raise SerialisationError(f"the bytes describe an illegal program: {error}") from error
    except (msgspec.DecodeError, TypeError, ValueError, KeyError, IndexError, OverflowError, RecursionError) as error:
        raise SerialisationError(f"the bytes are no pulse program: {error}") from error


def content_hash(program: Schedule | ScheduleBlock) -> str:
    """Return a hash (64 hex digits) of what the program plays, not of its names and metadata.

    Equal schedules have equal hashes however they are nested; a block's hash depends on the order of its parts.

    Raises:
        SerialisationError: as :func:`dumps`.

    """
    return hashlib.blake2b(_Writer().program(program, named=False), digest_size=32).hexdigest()


class _Writer:
    """One program into msgpack; distinct pulses and kernels are numbered in the order of their first use."""

    def __init__(self) -> None:
        self._pulses: list[Any] = []
        self._pulse_ids: dict[Any, int] = {}
        self._objects: dict[int, tuple[Any, int]] = {}
        self._kernels: list[Any] = []
        self._named = True

    def program(self, program: Any, *, named: bool) -> bytes:
        self._named = named
        root = self._program(program, 0)
        try:
            return msgspec.msgpack.encode([self._pulses, self._kernels, root])
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise SerialisationError(f"the program holds what has no form as bytes: {error}") from error

    def _program(self, program: Any, depth: int) -> list[Any]:
        if depth > MAX_DEPTH:
            raise SerialisationError("nested too deep", value=depth, legal=f"at most {MAX_DEPTH}")
        if isinstance(program, Schedule):
            timed = program.children if self._named else program.instructions
            children = [[time, self._part(child, depth)] for time, child in timed]
            return [_SCHEDULE, *self._label(program), children]
        if isinstance(program, ScheduleBlock):
            parts = [self._part(part, depth) for part in program.parts]
            return [_BLOCK, *self._label(program), self._context(program), parts]
        raise SerialisationError("not a pulse program", value=type(program).__name__, legal="Schedule or ScheduleBlock")

    def _label(self, program: Schedule | ScheduleBlock) -> tuple[Any, Any]:
        return (program.name, program.metadata) if self._named else (None, None)

    def _context(self, block: ScheduleBlock) -> list[Any]:
        context = block.alignment_context
        if type(context) in _PLAIN:
            return [_PLAIN.index(type(context))]
        if type(context) is al.AlignEquispaced:
            return [3, self._number(context.duration, context)]
        if type(context) is al.AlignFunc:
            return [4, self._number(context.duration, context), _positions(block, context)]
        raise SerialisationError("this alignment context has no form as bytes", subject=repr(context))

    def _part(self, part: Any, depth: int) -> list[Any]:
        if isinstance(part, (Schedule, ScheduleBlock)):
            return self._program(part, depth + 1)
        if isinstance(part, Subroutine):
            return [_SUBROUTINE, list(part.reference.ref_keys), self._program(part.block, depth + 1)]
        found = self._FORMS.get(type(part))
        if found is None:
            raise SerialisationError("this instruction has no form as bytes", subject=repr(part))
        tag, operands = found
        return [tag, *operands(self, part), part.name if self._named else None]

    def _play(self, part: ins.Play) -> list[Any]:
        return [self._pulse(part.pulse), *self._channel(part.channel)]

    def _value(self, part: ins.FrameChange) -> list[Any]:
        return [self._number(part.operands[0], part), *self._channel(part.channel)]

    def _idle(self, part: ins.Delay | ins.TimeBlockade) -> list[Any]:
        return [self._number(part.duration, part), *self._channel(part.channel)]

    def _acquire(self, part: ins.Acquire) -> list[Any]:
        lines = [None if line is None else self._channel(line)[1] for line in part.operands[1:4]]
        return [self._number(part.duration, part), *lines, self._kernel(part.kernel), self._kernel(part.discriminator)]

    def _barrier(self, part: ins.RelativeBarrier) -> list[Any]:
        return [[self._channel(channel) for channel in part.channels]]

    def _snapshot(self, part: ins.Snapshot) -> list[Any]:
        return [part.label, part.type]

    def _reference(self, part: ins.Reference) -> list[Any]:
        return [list(part.ref_keys)]

    _FORMS: dict[type[Any], tuple[int, Callable[..., list[Any]]]] = {  # noqa: RUF012 - a table, never changed
        ins.SetFrequency: (0, _value),
        ins.ShiftFrequency: (1, _value),
        ins.SetPhase: (2, _value),
        ins.ShiftPhase: (3, _value),
        ins.Play: (_PLAY, _play),
        ins.Delay: (_DELAY, _idle),
        ins.TimeBlockade: (_BLOCKADE, _idle),
        ins.Acquire: (_ACQUIRE, _acquire),
        ins.RelativeBarrier: (_BARRIER, _barrier),
        ins.Snapshot: (_SNAPSHOT, _snapshot),
        ins.Reference: (_REFERENCE, _reference),
    }

    def _number(self, value: Any, owner: Any) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, (int, float)):
            # equal programs have equal hashes, whether a number was written 1 or 1.0
            return value if self._named else float(value)
        raise SerialisationError("a parameter has no value", subject=repr(owner), value=str(value))

    def _channel(self, channel: ch.Channel) -> tuple[int, Any]:
        return _CHANNELS.index(type(channel)), self._number(channel.index, channel)

    def _kernel(self, tool: Kernel | Discriminator | None) -> int | None:
        if tool is None:
            return None
        params = {key: _array_form(v) if isinstance(v, np.ndarray) else v for key, v in tool.params.items()}
        self._kernels.append([isinstance(tool, Kernel), tool.name, params])
        return len(self._kernels) - 1

    def _pulse(self, pulse: Pulse) -> int:
        seen = self._objects.get(id(pulse))
        if seen is None:
            form = self._pulse_form(pulse)
            key = msgspec.msgpack.encode(form)
            number = self._pulse_ids.setdefault(key, len(self._pulses))
            if number == len(self._pulses):
                self._pulses.append(form)
            # the pulse is kept, so that its id stays its own
            seen = self._objects[id(pulse)] = (pulse, number)
        return seen[1]

    def _pulse_form(self, pulse: Pulse) -> list[Any]:
        name = pulse.name if self._named else None
        if pulse.is_parameterized():
            names = ", ".join(sorted(parameter.name for parameter in pulse.free_parameters))
            raise SerialisationError("a parameter has no value", subject=repr(pulse), value=names)
        if isinstance(pulse, SymbolicPulse) and pulse.shape.builtin:
            values = [self._number(value, pulse) for value in pulse.parameters.values()]
            return [pulse.shape.key, pulse.limit_amplitude, values, name]
        samples = np.ascontiguousarray(pulse.envelope(), dtype="<c16").tobytes()
        return ["", pulse.limit_amplitude, samples, name]


def _positions(block: ScheduleBlock, context: al.AlignFunc) -> list[float]:
    """Return the positions of all parts; a nested context with a duration of its own may count as two."""
    most = len(block) + sum(
        isinstance(part, ScheduleBlock) and hasattr(part.alignment_context, "duration") for part in block.blocks
    )
    positions: list[float] = []
    for j in range(1, most + 1):
        try:
            positions.append(float(context.func(j)))
        except (LookupError, ValueError, ArithmeticError, PulsedError) as error:
            if j <= len(block):
                raise SerialisationError(f"the function has no position for part {j}", subject=repr(context)) from error
            break
    return positions


def _array_form(array: np.ndarray[Any, Any]) -> list[Any]:
    return ["array", array.dtype.str, list(array.shape), array.tobytes()]


class _Reader:
    """A program from the values in the bytes. Whatever is wrong raises; :func:`loads` gives it one type."""

    def __init__(self, pulses: list[Any], kernels: list[Any]) -> None:
        self._pulses = [_read_pulse(*form) for form in pulses]
        self._kernels = [_read_kernel(*form) for form in kernels]

    def program(self, form: Any, depth: int = 0) -> Schedule | ScheduleBlock:
        if depth > MAX_DEPTH:
            raise SerialisationError("nested too deep", value=depth, legal=f"at most {MAX_DEPTH}")
        if form[0] == _SCHEDULE:
            _, name, metadata, children = form
            timed = [(_typed(time, int), self._part(child, depth)) for time, child in children]
            return Schedule(*timed, name=_typed(name, str), metadata=metadata)
        if form[0] == _BLOCK:
            _, name, metadata, context, parts = form
            block = ScheduleBlock(_typed(name, str), metadata, _read_context(*context))
            for part in parts:
                if part[0] == _SUBROUTINE:
                    block.append_subroutine(ins.Reference(*part[1]), self._block(part[2], depth + 1))
                else:
                    block.append(self._part(part, depth))
            return block
        raise SerialisationError("not a program", value=form[0])

    def _block(self, form: Any, depth: int) -> ScheduleBlock:
        block = self.program(form, depth)
        if not isinstance(block, ScheduleBlock):
            raise SerialisationError("a subroutine must be a ScheduleBlock", value=form[0])
        return block

    def _part(self, form: Any, depth: int) -> Any:
        tag = form[0]
        if tag in (_SCHEDULE, _BLOCK):
            return self.program(form, depth + 1)
        build = self._BUILD.get(tag)
        if build is None:
            raise SerialisationError("unknown instruction", value=tag)
        *operands, name = form[1:]
        if name is not None:
            _typed(name, str)
        return build(self, *operands, name) if tag >= _PLAY else build(self, _FRAME[tag], *operands, name)

    def _frame(self, kind: type[Any], value: float, channel: int, index: int, name: str | None) -> Any:
        return kind(value, _read_channel(channel, index), name=name)

    def _play(self, pulse: int, channel: int, index: int, name: str | None) -> ins.Play:
        return ins.Play(self._pulses[_typed(pulse, int)], _read_channel(channel, index), name=name)

    def _delay(self, duration: int, channel: int, index: int, name: str | None) -> ins.Delay:
        return ins.Delay(duration, _read_channel(channel, index), name=name)

    def _blockade(self, duration: int, channel: int, index: int, name: str | None) -> ins.TimeBlockade:
        return ins.TimeBlockade(duration, _read_channel(channel, index), name=name)

    def _acquire(
        self, duration: int, index: int, mem: int | None, reg: int | None, kernel: Any, discriminator: Any, name: Any
    ) -> ins.Acquire:
        return ins.Acquire(
            duration,
            ch.AcquireChannel(index),
            None if mem is None else ch.MemorySlot(mem),
            None if reg is None else ch.RegisterSlot(reg),
            None if kernel is None else _typed(self._kernels[kernel], Kernel),
            None if discriminator is None else _typed(self._kernels[discriminator], Discriminator),
            name,
        )

    def _barrier(self, lines: list[Any], name: str | None) -> ins.RelativeBarrier:
        return ins.RelativeBarrier(*(_read_channel(*line) for line in lines), name=name)

    def _snapshot(self, label: str, kind: str, name: str | None) -> ins.Snapshot:
        return ins.Snapshot(label, _typed(kind, str), name)

    def _reference(self, keys: list[str], name: None) -> ins.Reference:
        return ins.Reference(*keys)

    _BUILD: dict[int, Callable[..., Any]] = {  # noqa: RUF012 - a table, never changed
        **dict.fromkeys(range(len(_FRAME)), _frame),
        _PLAY: _play,
        _DELAY: _delay,
        _ACQUIRE: _acquire,
        _BARRIER: _barrier,
        _SNAPSHOT: _snapshot,
        _BLOCKADE: _blockade,
        _REFERENCE: _reference,
    }


def _typed(value: Any, kind: type[Any]) -> Any:
    if type(value) is not kind:
        raise SerialisationError("a value is of the wrong type", value=value, legal=kind.__name__)
    return value


def _read_channel(kind: int, index: int) -> Any:
    if not 0 <= kind < len(_CHANNELS):
        raise SerialisationError("unknown kind of channel", value=kind)
    return _CHANNELS[kind](_typed(index, int))


def _read_context(kind: int, *operands: Any) -> al.AlignmentKind:
    if kind == 3:
        return al.AlignEquispaced(*operands)
    if kind == 4:
        duration, positions = operands
        return al.AlignFunc(duration, al.Positions(tuple(_typed(value, float) for value in positions)))
    if not 0 <= kind < len(_PLAIN) or operands:
        raise SerialisationError("unknown alignment context", value=kind)
    return _PLAIN[kind]()


def _read_kernel(is_kernel: bool, name: str | None, params: dict[str, Any]) -> Kernel | Discriminator:
    if name is not None:
        _typed(name, str)
    values = {
        key: _read_array(*value[1:]) if _is_array(value) else value for key, value in _typed(params, dict).items()
    }
    return (Kernel if _typed(is_kernel, bool) else Discriminator)(name, **values)


def _is_array(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and value[0] == "array" and isinstance(value[3], bytes)


def _read_array(dtype: str, shape: list[int], data: bytes) -> np.ndarray[Any, Any]:
    if not re.fullmatch(r"[<>|][biufc]\d{1,2}", dtype):
        raise SerialisationError("an array of this type is not read", value=dtype)
    return np.frombuffer(data, dtype=dtype).reshape(shape).copy()


def _read_pulse(shape: str, limit: bool, values: Any, name: str | None) -> Pulse:
    _typed(limit, bool)
    if name is not None:
        _typed(name, str)
    if shape == "":
        return Waveform(np.frombuffer(_typed(values, bytes), dtype="<c16"), name, limit_amplitude=limit)
    known = shapes.SHAPES.get(shape)
    if known is None:
        raise SerialisationError("unknown shape of pulse", value=shape, legal=", ".join(shapes.SHAPES))
    duration, *rest = values
    if not 0 <= _typed(duration, int) <= MAX_SAMPLES:
        raise SerialisationError("duration of a pulse out of range", subject=shape, value=duration, legal=MAX_SAMPLES)
    for value in rest:
        if type(value) not in (int, float):
            raise SerialisationError("a pulse parameter is no number", subject=shape, value=value)
    kind = _PULSES.get(shape.partition(".")[0], SymbolicPulse)
    return kind.restored(known, duration, rest, name, limit)
