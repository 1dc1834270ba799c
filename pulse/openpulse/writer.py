"""Schedules to OpenPulse text."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from qiskit.circuit import Parameter, ParameterExpression

from pulsed.pulse import instructions as ins
from pulsed.pulse.channels import Channel
from pulsed.pulse.configuration import Kernel
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instruction_schedule_map import InstructionScheduleMap
from pulsed.pulse.library import SymbolicPulse, Waveform
from pulsed.pulse.library.pulse import Pulse
from pulsed.pulse.openpulse.frames import IN_A_FRAME, FrameState, own_frequency
from pulsed.pulse.openpulse.functions import FUNCTIONS, KERNEL, function_name, written_parameters
from pulsed.pulse.openpulse.names import FRAME_CHANGES, IDLE, WAVEFORM_PREFIX
from pulsed.pulse.openpulse.reader import CHANNELS, exact_dt
from pulsed.pulse.openpulse.values import CONSTANTS
from pulsed.pulse.schedule import Schedule, ScheduleBlock
from pulsed.pulse.transforms import block_to_schedule

_CHANGES = {kind: name for name, kind in FRAME_CHANGES.items()}
_KINDS = {kind: letter for letter, kind in CHANNELS.items()}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LETTERS = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Nl"))
_WORDS = (
    "OPENQASM include defcalgrammar def cal defcal gate extern box let break continue if else end return for while in "
    "switch case default pragma input output const readonly mutable qreg qubit creg bool bit int uint float angle "
    "complex array void duration stretch gphase inv pow ctrl negctrl dim durationof delay reset measure barrier true "
    "false im port frame waveform pi tau euler sin cos exp sqrt play sizeof nop"
)
RESERVED = frozenset(_WORDS.split())
"""Words of OpenQASM 3 and OpenPulse that are no names."""
_TYPES = {"time": "duration", "length": "duration", "number": "float[64]", "amplitude": "complex[float[64]]"}


def dumps(
    gates: Mapping[tuple[Any, ...], Schedule | ScheduleBlock] | InstructionScheduleMap,
    dt: float | Fraction,
    frequencies: Mapping[Channel, float],
    program: Schedule | None = None,
    samples: bool = False,
) -> str:
    """Return gates as OpenQASM 3 text with one ``defcal`` each; :func:`loads` gives equal schedules back.

    Names of instructions, and metadata, are not kept; names of pulses are, as far as they are identifiers. Parameters
    of a schedule that are not the gate's own are declared as ``input float[64]``.

    Args:
        gates: (gate, qubits) or (gate, qubits, parameters) → Schedule, as ``backend.run(calibrations=)`` takes it, or a
            map of gates, of which those that follow from others are left out. A parameter is a number, or a Qiskit
            Parameter of the schedule.
        dt: of the backend, in s; for the reader, in a comment. All times are in dt.
        frequencies: of the backend's own frame of every channel that is used, Hz. An acquire channel without one has
            that of the measure channel of the same index. A channel that plays in another frame (``EnterFrame``) has
            that one.
        program: what a last ``cal`` block plays.
        samples: write every pulse as its samples, for readers that do not know the functions ``pulsed_...``.

    Raises:
        PulseError: what does not map: named, with the gate it is in.

    """
    return _Writer(exact_dt(dt), frequencies, samples).text(gates, program)


class _Writer:
    def __init__(self, dt: Fraction, frequencies: Mapping[Channel, float], samples: bool) -> None:
        self._dt = dt
        self._frequencies = frequencies
        self._samples = samples
        self._channels: set[Channel] = set()
        self._frames: dict[Channel, FrameState] = {}
        self._inputs: dict[str, Parameter] = {}
        self._slots: set[int] = set()
        self._functions: set[str] = set()
        self._waveforms: dict[str, str] = {}
        self._names: set[str] = set()
        self._arguments: Mapping[str, Parameter] = {}

    def text(self, gates: Any, program: Schedule | None) -> str:
        given = _from_map(gates) if isinstance(gates, InstructionScheduleMap) else gates
        parts = []
        for key, schedule in given.items():
            head, name, own = _head(key)
            try:
                parts.append(f"defcal {head} {self._block(_schedule(schedule), name == 'measure', own)}")
            except PulseError as error:
                what = f"{error.subject}: {error.message}" if error.subject else error.message
                raise PulseError(what, subject=f"defcal {head}", value=error.value, legal=error.legal) from error
        if program is not None and program.instructions:
            parts.append(f"cal {self._block(program, False, {})}")
        return "\n\n".join(["\n".join(self._preamble()), *parts]) + "\n"

    def _preamble(self) -> Iterator[str]:
        yield "OPENQASM 3.0;"
        yield 'defcalgrammar "openpulse";'
        yield f"// 1 dt = {float(self._dt):.12g} s; functions pulsed_...: pulses of pulsed.pulse.library"
        yield from (f"input float[64] {name};" for name in sorted(self._inputs))
        yield "cal {"
        for name in sorted(self._functions):
            kinds = ", ".join(_TYPES[kind] for _, kind in FUNCTIONS[name].arguments)
            yield f"    extern {name}({kinds}) -> waveform;"
        channels = sorted(self._channels, key=lambda channel: (_KINDS[type(channel)], channel.index))
        yield from (f"    port {channel.name};" for channel in channels)
        for channel in channels:
            frequency, phase = self._frames.get(channel) or self._own(channel)
            yield f"    frame {channel.name}_frame = newframe({channel.name}, {_float(frequency)}, {_float(phase)});"
        yield from (f"    bit slot{index};" for index in sorted(self._slots))
        yield from (f"    waveform {name} = {text};" for text, name in self._waveforms.items())
        yield "}"

    def _own(self, channel: Channel) -> FrameState:
        found = own_frequency(self._frequencies, channel)
        if math.isnan(found):
            raise PulseError("no frequency is given for this channel", subject="frequencies", value=channel.name)
        return FrameState(found, 0.0)

    def _block(self, schedule: Schedule, measures: bool, own: Mapping[str, Parameter]) -> str:
        """Return the statements of a schedule in braces: in order of time, each frame with its own clock."""
        self._arguments = own
        clocks: dict[Channel, int] = {}
        inside: dict[Channel, FrameState] = {}
        lines, slots = [], []
        for time, instruction in schedule.instructions:
            channel = instruction.channels[0]
            frame = self._frame(instruction, channel)
            if isinstance(instruction, ins.FrameUse):
                _change(inside, instruction)
                continue
            if isinstance(instruction, IN_A_FRAME):
                self._play_in(channel, inside.get(channel) or self._own(channel))
            gap = time - clocks.get(channel, 0)
            if gap:
                lines += [f"@{IDLE}", f"delay[{gap}dt] {frame};"]
            lines.append(self._statement(instruction, frame))
            if isinstance(instruction, ins.Acquire):
                slots.append(instruction.mem_slot.index)  # type: ignore[union-attr]
            clocks[channel] = time + instruction.duration
        if inside:
            left = ", ".join(channel.name for channel in inside)
            raise PulseError("a frame is not left again", subject="EnterFrame", value=left, legal="LeaveFrame")
        returns = ""
        if measures and len(slots) == 1:
            lines.append(f"return slot{slots[0]};")
            returns = "-> bit "
        return returns + "".join(["{\n", *(f"    {line}\n" for line in lines), "}"])

    def _play_in(self, channel: Channel, frame: FrameState) -> None:
        if self._frames.setdefault(channel, frame) != frame:
            raise PulseError(
                "a port has one frame in text", subject=channel.name, value=f"{frame.frequency} Hz, {frame.phase} rad",
                legal=f"{self._frames[channel].frequency} Hz, {self._frames[channel].phase} rad, as elsewhere",
            )  # fmt: skip

    def _frame(self, instruction: ins.Instruction, channel: Channel) -> str:
        if type(channel) not in _KINDS or not isinstance(channel.index, int):
            raise PulseError("has no counterpart in OpenPulse", subject=type(instruction).__name__, value=channel)
        self._channels.add(channel)
        return f"{channel.name}_frame"

    def _statement(self, instruction: Any, frame: str) -> str:
        kind = type(instruction)
        if kind is ins.Play:
            return f"play({frame}, {self._waveform(instruction.pulse)});"
        if kind is ins.Delay:
            return f"delay[{instruction.duration}dt] {frame};"
        if kind in _CHANGES:
            return f"{_CHANGES[kind]}({frame}, {self._number(instruction.operands[0])});"
        if kind is ins.Acquire:
            return self._capture(instruction, frame)
        raise PulseError("has no counterpart in OpenPulse", subject=kind.__name__, value=str(instruction))

    def _capture(self, acquire: ins.Acquire, frame: str) -> str:
        if acquire.mem_slot is None or acquire.reg_slot is not None or acquire.discriminator is not None:
            raise PulseError(
                "has no counterpart in OpenPulse", subject="Acquire", value=str(acquire),
                legal="with a memory slot, without a register slot and a discriminator of its own",
            )  # fmt: skip
        self._slots.add(acquire.mem_slot.index)
        return f"slot{acquire.mem_slot.index} = capture_v2({frame}, {self._filter(acquire.kernel, acquire.duration)});"

    def _filter(self, kernel: Kernel | None, duration: int) -> str:
        if kernel is None:
            self._functions.add(KERNEL)
            return f"{KERNEL}({duration}dt)"
        if kernel == Kernel("boxcar"):
            self._functions.add("constant")
            return f"constant(1.0, {duration}dt)"
        weights = Waveform(np.asarray(kernel.params.get("weights", ()), np.complex128), kernel.name)
        if set(kernel.params) != {"weights"} or weights.duration != duration:
            legal = 'Kernel("boxcar"), or Kernel(name, weights=[...]) with one number per dt'
            raise PulseError("this kernel cannot be written", subject="Acquire", value=str(kernel)[:200], legal=legal)
        return self._named(_array(weights), weights.name)

    def _waveform(self, pulse: Pulse) -> str:
        if not pulse.limit_amplitude and np.abs(pulse.envelope()).max(initial=0.0) > 1.0:
            raise PulseError("amplitudes above one are not written", subject=repr(pulse)[:200])
        if not isinstance(pulse, SymbolicPulse) or not pulse.shape.builtin or self._samples:
            return self._named(_array(pulse), pulse.name)
        name = function_name(pulse.shape)
        self._functions.add(name)
        values, default = pulse.parameters, {"amp": 1.0, "angle": 0.0}
        items = [f"{pulse.duration}dt"]
        for key, kind in written_parameters(pulse.shape):
            items.append(self._number(values.get(key, default.get(key)), "dt" if kind == "length" else ""))
        call = f"{name}({', '.join(items)})"
        return call if pulse.is_parameterized() else self._named(call, pulse.name)

    def _named(self, text: str, name: str | None) -> str:
        """Return the name of a waveform, which the first ``cal`` block defines; equal ones are defined once."""
        if text not in self._waveforms:
            base = WAVEFORM_PREFIX + (re.sub(r"[^A-Za-z0-9_]", "_", name) if name else str(len(self._waveforms)))
            unique, count = base, 0
            while unique in self._names:
                count += 1
                unique = f"{base}_{count}"
            self._names.add(unique)
            self._waveforms[text] = unique
        return self._waveforms[text]

    def _number(self, value: Any, unit: str = "") -> str:
        if not isinstance(value, ParameterExpression):
            return _float(value) + unit
        if unit:
            raise PulseError("a length cannot be a parameter in OpenPulse", value=str(value))
        for parameter in value.parameters:
            self._declared(parameter)
        return _linear(value)

    def _declared(self, parameter: Parameter) -> None:
        """Declare a parameter that is not one of the gate's arguments; refuse a name that another one has."""
        name = _parameter_name(parameter)
        known = self._arguments.get(name)
        if known is None:
            known = self._inputs.setdefault(name, parameter)
        if known != parameter:
            raise PulseError("two parameters have one name", value=name, legal="one name for each")


def _change(inside: dict[Channel, FrameState], use: ins.FrameUse) -> None:
    """Enter or leave a frame. Frames are not nested in text."""
    channel, state = use.channel, FrameState(use.frequency, use.phase)
    if isinstance(use, ins.EnterFrame) and channel not in inside:
        inside[channel] = state
    elif isinstance(use, ins.LeaveFrame) and inside.get(channel) == state:
        del inside[channel]
    else:
        now = "its own" if channel not in inside else f"one at {inside[channel].frequency} Hz"
        legal = f"the channel is in {now}; frames are entered from its own, and left as they were entered"
        raise PulseError("frames are not nested in text", subject=type(use).__name__, value=str(use), legal=legal)


def _float(value: Any) -> str:
    """Return a number with all its digits, in a form that has a decimal point."""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise PulseError("is not a number", value=str(value), legal="a real number, or a Parameter") from error
    if not math.isfinite(number):
        raise PulseError("is not a finite number", value=value)
    return repr(number)


def _linear(expression: ParameterExpression) -> str:
    """Return a·p + b·q + c for an expression that is linear in its parameters."""
    terms, constant = [], expression
    for parameter in sorted(expression.parameters, key=lambda p: p.name):
        slope = expression.gradient(parameter)
        if isinstance(slope, (ParameterExpression, complex)):
            raise PulseError("an expression that is not linear cannot be written", value=str(expression))
        name = _parameter_name(parameter)
        terms.append({1.0: name, -1.0: f"-{name}"}.get(float(slope), f"{_float(slope)} * {name}"))
    constant = float(expression.bind(dict.fromkeys(expression.parameters, 0.0)).numeric())
    return " + ".join([*terms, _float(constant)] if constant else terms)


def _is_identifier(name: str) -> bool:
    """Return whether OpenQASM 3 takes ``name`` for an identifier."""
    return name not in ("", *CONSTANTS) and all(
        c == "_" or unicodedata.category(c) in _LETTERS or (i > 0 and c in "0123456789") for i, c in enumerate(name)
    )


def _parameter_name(parameter: Parameter) -> str:
    name = str(parameter.name)
    own = re.fullmatch(r"[duma]\d+(_frame)?|slot\d+|wf_\w*", name)
    if not _is_identifier(name) or name in RESERVED or own or name in FUNCTIONS:
        raise PulseError("this name of a parameter cannot be written in OpenPulse", value=name, legal="an identifier")
    return name


def _array(pulse: Pulse) -> str:
    if not pulse.duration:
        raise PulseError("a pulse without samples cannot be written", subject=repr(pulse)[:200])
    samples = pulse.envelope()
    parts = (f"{_float(z.real)} {'-' if z.imag < 0 else '+'} {_float(abs(z.imag))}im" if z.imag else _float(z.real)
             for z in samples.tolist())  # fmt: skip
    return f"{{{', '.join(parts)}}}"


def _head(key: tuple[Any, ...]) -> tuple[str, str, dict[str, Parameter]]:
    """Return ``rz(float[64] λ) $0``, the gate's name and its parameters by name, for a key of gates."""
    try:
        gate, qubits, *rest = key
        name = gate if isinstance(gate, str) else gate.name
        places = (qubits,) if isinstance(qubits, int) else tuple(int(qubit) for qubit in qubits)
        params = tuple(rest[0]) if rest else ()
    except (TypeError, ValueError, AttributeError):
        raise PulseError("not the key of a gate", value=key, legal="(gate, qubits, parameters)") from None
    if not _IDENTIFIER.fullmatch(name) or name in RESERVED - {"measure", "reset"} or not places or min(places) < 0:
        raise PulseError("this gate cannot be written in OpenPulse", value=key, legal="an identifier, and its qubits")
    own: dict[str, Parameter] = {}
    shown = []
    for value in params:
        if not isinstance(value, Parameter):
            shown.append(_float(value))
            continue
        if own.setdefault(_parameter_name(value), value) is not value:
            raise PulseError("two parameters of a gate have one name", subject=name, value=str(value))
        shown.append(f"float[64] {value.name}")
    head = f"{name}({', '.join(shown)})" if params else name
    return f"{head} {', '.join(f'${qubit}' for qubit in places)}", name, own


def _schedule(program: Schedule | ScheduleBlock) -> Schedule:
    if isinstance(program, ScheduleBlock):
        return block_to_schedule(program)
    if not isinstance(program, Schedule):
        raise PulseError("not a schedule", value=type(program).__name__, legal="Schedule or ScheduleBlock")
    return program


def _from_map(gates: InstructionScheduleMap) -> dict[tuple[Any, ...], Any]:
    """Return the entries of a map of gates by (gate, qubits, parameters), without those that follow from others."""
    result = {}
    for name in gates.instructions:
        for found in gates.qubits_with_instruction(name):
            qubits = found if isinstance(found, tuple) else (found,)
            if gates.is_derived(name, qubits):
                continue
            params = tuple(Parameter(argument) for argument in gates.get_parameters(name, qubits))
            result[name, qubits, params] = gates.get(name, qubits, *params)
    return result
