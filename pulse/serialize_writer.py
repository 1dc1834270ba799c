"""A pulse program as the plain values that its bytes hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
from qiskit.circuit import ParameterExpression

from pulsed.model.errors import PulsedError
from pulsed.pulse import alignments as al
from pulsed.pulse import channels as ch
from pulsed.pulse import instructions as ins
from pulsed.pulse.configuration import Discriminator, Kernel
from pulsed.pulse.exceptions import SerialisationError
from pulsed.pulse.expressions import tree_of
from pulsed.pulse.library.pulse import Pulse
from pulsed.pulse.library.symbolic import SymbolicPulse
from pulsed.pulse.schedule.block import ScheduleBlock, Subroutine
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
    LEAVE,
    MAX_DEPTH,
    PLAIN,
    PLAY,
    REFERENCE,
    SCHEDULE,
    SNAPSHOT,
    SUBROUTINE,
)


class ProgramWriter:
    """One program into msgpack; distinct pulses and kernels are numbered in the order of their first use."""

    def __init__(self, late: bool = False) -> None:
        self._late = late
        self._pulses: list[Any] = []
        self._pulse_ids: dict[Any, int] = {}
        self._objects: dict[int, tuple[Any, int]] = {}
        self._kernels: list[Any] = []
        self._named = True

    def program(self, program: Any, *, named: bool) -> bytes:
        """Return the bytes of ``program``; without its names and metadata when not ``named``."""
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
            return [SCHEDULE, *self._label(program), children]
        if isinstance(program, ScheduleBlock):
            parts = [self._part(part, depth) for part in program.parts]
            return [BLOCK, *self._label(program), self._context(program), parts]
        raise SerialisationError("not a pulse program", value=type(program).__name__, legal="Schedule or ScheduleBlock")

    def _label(self, program: Schedule | ScheduleBlock) -> tuple[Any, Any]:
        return (program.name, program.metadata) if self._named else (None, None)

    def _context(self, block: ScheduleBlock) -> list[Any]:
        context = block.alignment_context
        if type(context) in PLAIN:
            return [PLAIN.index(type(context))]
        if type(context) is al.AlignEquispaced:
            return [3, self._number(context.duration, context)]
        if type(context) is al.AlignFunc:
            return [4, self._number(context.duration, context), _positions(block, context)]
        raise SerialisationError("this alignment context has no form as bytes", subject=repr(context))

    def _part(self, part: Any, depth: int) -> list[Any]:
        if isinstance(part, (Schedule, ScheduleBlock)):
            return self._program(part, depth + 1)
        if isinstance(part, Subroutine):
            return [SUBROUTINE, list(part.reference.ref_keys), self._program(part.block, depth + 1)]
        found = self._FORMS.get(type(part))
        if found is None:
            raise SerialisationError("this instruction has no form as bytes", subject=repr(part))
        tag, operands = found
        return [tag, *operands(self, part), part.name if self._named else None]

    def _play(self, part: ins.Play) -> list[Any]:
        return [self._pulse(part.pulse), *self._channel(part.channel)]

    def _value(self, part: ins.FrameChange) -> list[Any]:
        return [self._number(part.operands[0], part), *self._channel(part.channel)]

    def _end(self, part: ins.EndOffset) -> list[Any]:
        return [*self._value(part), part.dt]

    def _use(self, part: ins.FrameUse) -> list[Any]:
        return [part.frequency, part.phase, *self._channel(part.channel)]

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
        ins.Play: (PLAY, _play),
        ins.Delay: (DELAY, _idle),
        ins.TimeBlockade: (BLOCKADE, _idle),
        ins.Acquire: (ACQUIRE, _acquire),
        ins.RelativeBarrier: (BARRIER, _barrier),
        ins.Snapshot: (SNAPSHOT, _snapshot),
        ins.Reference: (REFERENCE, _reference),
        ins.EnterFrame: (ENTER, _use),
        ins.LeaveFrame: (LEAVE, _use),
        ins.BeginOffset: (BEGIN, _value),
        ins.EndOffset: (END, _end),
    }

    def _number(self, value: Any, owner: Any) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, (int, float)):
            # equal programs have equal hashes, whether a number was written 1 or 1.0
            return value if self._named else float(value)
        if self._late and isinstance(value, ParameterExpression):
            return [EXPRESSION, tree_of(value)]
        raise SerialisationError("a parameter has no value", subject=repr(owner), value=str(value))

    def _channel(self, channel: ch.Channel) -> tuple[int, Any]:
        return CHANNELS.index(type(channel)), self._number(channel.index, channel)

    def _kernel(self, tool: Kernel | Discriminator | None) -> int | None:
        if tool is None:
            return None
        params = {key: _form(value, exact=self._named) for key, value in tool.params.items()}
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
        known = isinstance(pulse, SymbolicPulse) and pulse.shape.builtin
        if pulse.is_parameterized() and not (known and self._late):
            names = ", ".join(sorted(parameter.name for parameter in pulse.free_parameters))
            raise SerialisationError("a parameter has no value", subject=repr(pulse), value=names)
        if isinstance(pulse, SymbolicPulse) and known:
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


def _form(value: Any, *, exact: bool) -> Any:
    """Return a parameter of a kernel as plain values. Numbers of numpy and complex ones travel as arrays.

    Not ``exact``: what is equal has one form, whether list or array, whole or not.
    """
    if isinstance(value, Mapping):
        return {key: _form(inner, exact=exact) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        numbers = bool(value) and all(isinstance(item, (int, float, complex, np.number)) for item in value)
        plain = all(type(item) in (int, float, bool) for item in value)
        if not numbers or (plain and exact):
            return [_form(item, exact=exact) for item in value]
        value = np.array(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (int, float)) and not exact:
        return float(value)
    if not isinstance(value, (np.ndarray, complex)):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise SerialisationError("this array has no form as bytes", value=str(array.dtype), legal="numbers")
    if not exact:
        array = array.astype(np.complex128)
        if not array.ndim and not array.imag:
            return float(array.real)
    return ["array", array.dtype.str, list(array.shape), array.tobytes()]
