"""A pulse program from the plain values that its bytes hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from qiskit.circuit import Parameter, ParameterExpression

from pulsed.pulse import alignments as al
from pulsed.pulse import channels as ch
from pulsed.pulse import instructions as ins
from pulsed.pulse.configuration import Discriminator, Kernel
from pulsed.pulse.exceptions import SerialisationError
from pulsed.pulse.expressions import expression_of
from pulsed.pulse.library import shapes
from pulsed.pulse.library.pulse import Pulse
from pulsed.pulse.library.symbolic import SymbolicPulse
from pulsed.pulse.library.waveform import Waveform
from pulsed.pulse.schedule.block import ScheduleBlock
from pulsed.pulse.schedule.timeline import Schedule
from pulsed.pulse.serialize_form import (
    ACQUIRE,
    BARRIER,
    BEGIN,
    BLOCK,
    BLOCKADE,
    CHANNELS,
    DELAY,
    END,
    ENTER,
    EXPRESSION,
    FRAME,
    LEAVE,
    MAX_DEPTH,
    MAX_SAMPLES,
    PLAIN,
    PLAY,
    PULSES,
    REFERENCE,
    SCHEDULE,
    SNAPSHOT,
    SUBROUTINE,
)


class ProgramReader:
    """A program from the values in the bytes. Whatever is wrong raises; :func:`loads` gives it one type."""

    def __init__(self, pulses: list[Any], kernels: list[Any]) -> None:
        self._parameters: dict[str, Parameter] = {}
        self._pulses = [_read_pulse(self._value, *form) for form in pulses]
        self._kernels = [_read_kernel(*form) for form in kernels]

    def program(self, form: Any, depth: int = 0) -> Schedule | ScheduleBlock:
        """Return the program that ``form`` stands for, nested ``depth`` deep in another."""
        if depth > MAX_DEPTH:
            raise SerialisationError("nested too deep", value=depth, legal=f"at most {MAX_DEPTH}")
        if form[0] == SCHEDULE:
            _, name, metadata, children = form
            timed = [(_typed(time, int), self._part(child, depth)) for time, child in children]
            return Schedule(*timed, name=_typed(name, str), metadata=metadata)
        if form[0] == BLOCK:
            _, name, metadata, context, parts = form
            block = ScheduleBlock(_typed(name, str), metadata, _read_context(self._value, *context))
            for part in parts:
                if part[0] == SUBROUTINE:
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
        if tag in (SCHEDULE, BLOCK):
            return self.program(form, depth + 1)
        build = self._BUILD.get(tag)
        if build is None:
            raise SerialisationError("unknown instruction", value=tag)
        *operands, name = form[1:]
        if name is not None:
            _typed(name, str)
        return build(self, *operands, name) if tag >= PLAY else build(self, FRAME[tag], *operands, name)

    def _value(self, value: Any) -> Any:
        """Return a number as it is, and the expression that stands in place of one."""
        if type(value) is list and len(value) == 2 and value[0] == EXPRESSION:
            return expression_of(value[1], self._parameters)
        return value

    def _frame(self, kind: type[Any], value: float, channel: int, index: int, name: str | None) -> Any:
        return kind(self._value(value), _read_channel(channel, index), name=name)

    def _begin(self, value: float, channel: int, index: int, name: str | None) -> ins.BeginOffset:
        return ins.BeginOffset(self._value(value), _read_channel(channel, index), name)

    def _end(self, value: float, channel: int, index: int, dt: float, name: str | None) -> ins.EndOffset:
        return ins.EndOffset(self._value(value), _read_channel(channel, index), dt, name)

    def _enter(self, frequency: float, phase: float, channel: int, index: int, name: str | None) -> ins.EnterFrame:
        return ins.EnterFrame(frequency, phase, _read_channel(channel, index), name)

    def _leave(self, frequency: float, phase: float, channel: int, index: int, name: str | None) -> ins.LeaveFrame:
        return ins.LeaveFrame(frequency, phase, _read_channel(channel, index), name)

    def _play(self, pulse: int, channel: int, index: int, name: str | None) -> ins.Play:
        return ins.Play(self._pulses[_typed(pulse, int)], _read_channel(channel, index), name=name)

    def _delay(self, duration: int, channel: int, index: int, name: str | None) -> ins.Delay:
        return ins.Delay(self._value(duration), _read_channel(channel, index), name=name)

    def _blockade(self, duration: int, channel: int, index: int, name: str | None) -> ins.TimeBlockade:
        return ins.TimeBlockade(self._value(duration), _read_channel(channel, index), name=name)

    def _acquire(
        self, duration: int, index: int, mem: int | None, reg: int | None, kernel: Any, discriminator: Any, name: Any
    ) -> ins.Acquire:
        return ins.Acquire(
            self._value(duration),
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
        **dict.fromkeys(range(len(FRAME)), _frame),
        PLAY: _play,
        DELAY: _delay,
        ACQUIRE: _acquire,
        BARRIER: _barrier,
        SNAPSHOT: _snapshot,
        BLOCKADE: _blockade,
        REFERENCE: _reference,
        ENTER: _enter,
        LEAVE: _leave,
        BEGIN: _begin,
        END: _end,
    }


def _typed(value: Any, kind: type[Any]) -> Any:
    if type(value) is not kind:
        raise SerialisationError("a value is of the wrong type", value=value, legal=kind.__name__)
    return value


def _read_channel(kind: int, index: int) -> Any:
    if not 0 <= kind < len(CHANNELS):
        raise SerialisationError("unknown kind of channel", value=kind)
    return CHANNELS[kind](_typed(index, int))


def _read_context(read: Callable[[Any], Any], kind: int, *operands: Any) -> al.AlignmentKind:
    if kind == 3:
        return al.AlignEquispaced(*map(read, operands))
    if kind == 4:
        duration, positions = operands
        return al.AlignFunc(read(duration), al.Positions(tuple(_typed(value, float) for value in positions)))
    if not 0 <= kind < len(PLAIN) or operands:
        raise SerialisationError("unknown alignment context", value=kind)
    return PLAIN[kind]()


def _read_kernel(is_kernel: bool, name: str | None, params: dict[str, Any]) -> Kernel | Discriminator:
    if name is not None:
        _typed(name, str)
    values = {key: _read_form(value) for key, value in _typed(params, dict).items()}
    return (Kernel if _typed(is_kernel, bool) else Discriminator)(name, **values)


def _read_form(value: Any) -> Any:
    if _is_array(value):
        array = _read_array(*value[1:])
        return array if array.ndim else array.item()
    if isinstance(value, dict):
        return {key: _read_form(inner) for key, inner in value.items()}
    return [_read_form(item) for item in value] if isinstance(value, list) else value


def _is_array(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and value[0] == "array" and isinstance(value[3], bytes)


def _read_array(dtype: str, shape: list[int], data: bytes) -> np.ndarray[Any, Any]:
    if not re.fullmatch(r"[<>|][biufc]\d{1,2}", dtype):
        raise SerialisationError("an array of this type is not read", value=dtype)
    return np.frombuffer(data, dtype=dtype).reshape(shape).copy()


def _read_pulse(read: Callable[[Any], Any], shape: str, limit: bool, values: Any, name: str | None) -> Pulse:
    _typed(limit, bool)
    if name is not None:
        _typed(name, str)
    if shape == "":
        return Waveform(np.frombuffer(_typed(values, bytes), dtype="<c16"), name, limit_amplitude=limit)
    known = shapes.SHAPES.get(shape)
    if known is None:
        raise SerialisationError("unknown shape of pulse", value=shape, legal=", ".join(shapes.SHAPES))
    duration, *rest = map(read, values)
    if not isinstance(duration, ParameterExpression) and not 0 <= _typed(duration, int) <= MAX_SAMPLES:
        raise SerialisationError("duration of a pulse out of range", subject=shape, value=duration, legal=MAX_SAMPLES)
    for value in rest:
        if type(value) not in (int, float) and not isinstance(value, ParameterExpression):
            raise SerialisationError("a pulse parameter is no number", subject=shape, value=value)
    kind = PULSES.get(shape.partition(".")[0], SymbolicPulse)
    return kind.restored(known, duration, rest, name, limit)
