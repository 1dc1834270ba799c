"""OpenPulse text to schedules."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from qiskit.circuit import Parameter, ParameterExpression

from pulsed.pulse.channels import (
    AcquireChannel,
    Channel,
    ControlChannel,
    DriveChannel,
    MeasureChannel,
    MemorySlot,
    PulseChannel,
)
from pulsed.pulse.configuration import Kernel
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import (
    Acquire,
    Delay,
    Instruction,
    Play,
    SetFrequency,
    SetPhase,
    ShiftFrequency,
    ShiftPhase,
)
from pulsed.pulse.library import Constant, Pulse
from pulsed.pulse.openpulse.functions import FUNCTIONS, OwnKernel
from pulsed.pulse.openpulse.values import Bit, Duration, Frame, Item, Port, Values, waveform
from pulsed.pulse.schedule import Schedule

MAX_TEXT = 1 << 20
"""Longest text that is read, in characters: about fifty thousand samples, which take half a minute."""

IDLE = "pulsed.idle"
"""Annotation of a delay that stands for no instruction."""

WAVEFORM_PREFIX = "wf_"
"""Before the name of a pulse, as the name of its waveform."""

GateKey = tuple[str, tuple[int, ...], tuple[Any, ...]]
CHANNELS: dict[str, type[Channel]] = {
    "d": DriveChannel, "u": ControlChannel, "m": MeasureChannel, "a": AcquireChannel,
}  # fmt: skip
FRAME_CHANGES = {
    "set_phase": SetPhase,
    "shift_phase": ShiftPhase,
    "set_frequency": SetFrequency,
    "shift_frequency": ShiftFrequency,
}
CAPTURES = ("capture_v1", "capture_v2", "capture_v3")
INSTRUCTIONS = ("play", "delay", "barrier", *FRAME_CHANGES, *CAPTURES)
SUPPORTED = f"{', '.join(INSTRUCTIONS)}, and declarations of ports, frames, bits, waveforms, numbers and durations"
OUTSIDE = "OPENQASM 3, defcalgrammar, include, const, cal and defcal; circuits are read by qiskit.qasm3"


@dataclass(frozen=True)
class OpenPulseProgram:
    """What OpenPulse text says.

    Attributes:
        gates: (gate, qubits, parameters) → Schedule, as ``backend.run(calibrations=)`` takes it. A parameter is a
            float, or a Qiskit Parameter that the schedule has.
        program: what the ``cal`` blocks themselves play, on clocks that begin with the first of them. A frame that
            does not begin at phase zero is a SetPhase there.
        frequencies: of the frames, Hz.

    """

    gates: dict[GateKey, Schedule]
    program: Schedule
    frequencies: dict[Channel, float]


def loads(text: str, dt: float | Fraction, ports: Mapping[str, Channel] | None = None) -> OpenPulseProgram:
    """Read OpenQASM 3 text with OpenPulse; see :mod:`pulsed.pulse.openpulse` for what maps.

    Args:
        text: the program.
        dt: of the backend, in s.
        ports: channels of ports that are not called as their channel.

    Raises:
        PulseError: text that is no OpenPulse, or uses what does not map: with the line and what is supported. Also when
            the package ``openpulse`` is not installed.

    """
    try:
        from pulsed.pulse.openpulse import syntax
    except ModuleNotFoundError as error:
        raise PulseError(
            "OpenPulse text needs a package that is not installed", subject="openpulse", value=error.name or "",
            legal="pip install 'pulsed[openqasm]'",
        ) from error  # fmt: skip
    if not isinstance(text, str):
        raise PulseError("not text", subject="openpulse.loads", value=type(text).__name__, legal="str")
    if len(text) > MAX_TEXT:
        raise PulseError("text is too long", subject="openpulse.loads", value=len(text), legal=f"at most {MAX_TEXT}")
    return _Reader(exact_dt(dt), dict(ports or {}), text.splitlines(), syntax.place).read(syntax.statements(text))


def exact_dt(dt: float | Fraction) -> Fraction:
    """Return dt in s as a fraction: a float means its decimal digits."""
    try:
        exact = dt if isinstance(dt, Fraction) else Fraction(repr(float(dt)))
    except (TypeError, ValueError):
        exact = Fraction(0)
    if exact <= 0:
        raise PulseError("not a sampling time", subject="dt", value=dt, legal="a positive number of seconds")
    return exact


@dataclass
class _Body:
    """One block as it is read: its names, the clocks of its frames in dt, and what it plays."""

    scope: ChainMap[str, Item]
    clocks: dict[Channel, int] = field(default_factory=dict)
    timed: list[tuple[int, Instruction]] = field(default_factory=list)

    def add(self, frame: Frame, instruction: Instruction) -> None:
        start = self.clocks.get(frame.channel, 0)
        self.timed.append((start, instruction))
        self.clocks[frame.channel] = start + instruction.duration


class _Reader:
    def __init__(
        self, dt: Fraction, ports: dict[str, Channel], lines: list[str], place: Callable[[list[str], int], str]
    ) -> None:
        self._values = Values(dt)
        self._ports = ports
        self._lines = lines
        self._place = place
        self._globals: dict[str, Item] = {}
        self._main = _Body(ChainMap(self._globals))
        self._gates: dict[GateKey, Schedule] = {}
        self._frequencies: dict[Channel, float] = {}
        self._known: set[Any] = set()

    def read(self, program: list[Any]) -> OpenPulseProgram:
        for node in program:
            kind = type(node).__name__
            if kind == "CalibrationStatement":
                for statement in node.body:
                    self._at(statement, self._statement, statement, self._main)
            elif kind == "CalibrationDefinition":
                key, body = self._at(node, self._head, node)
                for statement in node.body:
                    self._at(statement, self._statement, statement, body, True)
                self._gates[key] = self._at(node, Schedule.from_instructions, body.timed, key[0])
            else:
                self._at(node, self._outside, node, kind)
        played = Schedule.from_instructions(self._main.timed, name="cal")
        return OpenPulseProgram(self._gates, played, self._frequencies)

    def _at(self, node: Any, act: Callable[..., Any], *arguments: Any) -> Any:
        """Return what ``act`` returns; an error gets the line of ``node``."""
        try:
            return act(*arguments)
        except PulseError as error:
            what = f"{error.subject}: {error.message}" if error.subject else error.message
            where = self._place(self._lines, node.line)
            raise PulseError(what, subject=where, value=error.value, legal=error.legal) from error

    def _outside(self, node: Any, kind: str) -> None:
        if kind == "ConstantDeclaration":
            self._declare(node, self._main)
        elif kind == "CalibrationGrammarDeclaration":
            if node.name != "openpulse":
                raise PulseError("this grammar of calibrations is not read", value=node.name, legal="openpulse")
        elif kind != "Include" or node.filename != "stdgates.inc":
            raise PulseError("not read here", value=kind, legal=OUTSIDE)

    def _head(self, node: Any) -> tuple[GateKey, _Body]:
        """Return the gate that a defcal defines, and its empty body."""
        scope = self._main.scope.new_child()
        params: list[Any] = []
        for argument in node.arguments:
            if type(argument).__name__ == "ClassicalArgument":
                if type(argument.type).__name__ not in {"AngleType", "FloatType"}:
                    raise PulseError("a parameter of this type is not supported", legal="angle, float")
                params.append(Parameter(argument.name.name))
                scope[argument.name.name] = params[-1]
            else:
                params.append(self._values.number(argument, self._globals))
        key = (node.name.name, tuple(_qubit(qubit.name) for qubit in node.qubits), tuple(params))
        # parameters without value are equal whatever their names
        same = key[:2], tuple(None if isinstance(value, Parameter) else value for value in params)
        if same in self._known:
            raise PulseError("is defined twice", subject=node.name.name, value=key[1])
        self._known.add(same)
        return key, _Body(scope)

    def _statement(self, node: Any, body: _Body, in_defcal: bool = False) -> None:
        kind = type(node).__name__
        if kind in {"ClassicalDeclaration", "ConstantDeclaration"}:
            self._declare(node, body, in_defcal)
        elif kind == "ExpressionStatement":
            self._call(node.expression, body)
        elif kind == "DelayInstruction":
            self._delay(node, body)
        elif kind == "QuantumBarrier":
            channels = [self._frame(operand, body).channel for operand in node.qubits] or list(self._frequencies)
            latest = max((body.clocks.get(channel, 0) for channel in channels), default=0)
            body.clocks.update(dict.fromkeys(channels, latest))
        elif kind == "ClassicalAssignment":
            bit = self._values.value(node.lvalue, body.scope)
            if not isinstance(bit, Bit) or node.op.name != "=":
                raise PulseError("only bits are assigned, by a capture", legal=SUPPORTED)
            self._capture(node.rvalue, body, bit.slot)
        elif kind == "ReturnStatement":
            self._return(node.expression, body)
        elif kind == "ExternDeclaration":
            _check_extern(node)
        else:
            raise PulseError("this statement is not supported", value=kind, legal=SUPPORTED)

    def _return(self, expression: Any, body: _Body) -> None:
        if _is_capture(expression):
            self._capture(expression, body, None)
        elif expression is not None and not isinstance(self._values.value(expression, body.scope), Bit):
            raise PulseError("only the result of a capture is returned", legal="a bit, or a capture")

    def _declare(self, node: Any, body: _Body, in_defcal: bool = False) -> None:
        name, kind = node.identifier.name, type(node.type).__name__
        if name in body.scope.maps[0]:
            raise PulseError("is declared twice", subject=name)
        first = node.init_expression
        if kind in {"PortType", "FrameType"} and in_defcal:
            raise PulseError("ports and frames are declared in cal blocks, not in a defcal", subject=name)
        if kind == "PortType" and first is None:
            made: Item = Port(self._port(name))
        elif kind == "FrameType":
            made = self._new_frame(first)
        elif _is_capture(first):
            made = Bit(_slot(name) if kind == "BitType" else None)
            self._capture(first, body, made.slot)
        elif kind == "BitType" and first is None and node.type.size is None:
            made = Bit(_slot(name))
        elif kind == "WaveformType" and type(first).__name__ == "ArrayLiteral":
            made = self._values.samples(first, body.scope, _pulse_name(name))
        elif first is None or kind not in _VALUE_TYPES:
            raise PulseError("this declaration is not supported", subject=name, value=kind, legal=SUPPORTED)
        else:
            made = self._values.value(first, body.scope, _pulse_name(name))
            if not isinstance(made, _VALUE_TYPES[kind]):
                raise PulseError("value is of another type", subject=name, value=made, legal=kind)
        body.scope[name] = made

    def _port(self, name: str) -> Channel:
        if name in self._ports:
            return self._ports[name]
        found = re.fullmatch(r"([duma])(\d{1,6})", name)
        if found is None:
            legal = f"d0, u1, m2, a3, {', '.join(self._ports) or 'or those of the argument ports'}"
            raise PulseError("the port is not known", value=name, legal=legal)
        return CHANNELS[found[1]](int(found[2]))

    def _new_frame(self, call: Any) -> Frame:
        if type(call).__name__ != "FunctionCall" or call.name.name != "newframe" or len(call.arguments) != 3:
            raise PulseError("a frame is made in one way", legal="newframe(port, frequency in Hz, phase in rad)")
        port, frequency, phase = (self._values.value(argument, self._globals) for argument in call.arguments)
        if not isinstance(port, Port) or not isinstance(frequency, float) or not isinstance(phase, float):
            raise PulseError("wrong type of an argument", subject="newframe", legal="port, frequency, phase")
        if port.channel in self._frequencies:
            raise PulseError("a port has one frame", subject="newframe", value=port.channel, legal="one frame per port")
        self._frequencies[port.channel] = frequency
        frame = Frame(port.channel)
        if phase and isinstance(port.channel, PulseChannel):
            self._main.add(frame, SetPhase(phase, port.channel))
        elif phase:
            raise PulseError("this frame has no phase", subject="newframe", value=phase, legal=0)
        return frame

    def _frame(self, node: Any, body: _Body) -> Frame:
        found = body.scope.get(getattr(node, "name", None))  # type: ignore[arg-type]
        if not isinstance(found, Frame):
            known = ", ".join(name for name, item in body.scope.items() if isinstance(item, Frame))
            raise PulseError("not a frame", value=getattr(node, "name", type(node).__name__), legal=known)
        return found

    def _delay(self, node: Any, body: _Body) -> None:
        duration = self._values.duration(node.duration, body.scope)
        if not node.qubits:
            raise PulseError("a delay names its frames", legal="delay[duration] frame, frame")
        idle = any(f"{note.keyword}{note.command or ''}" == IDLE for note in node.annotations)
        for operand in node.qubits:
            frame = self._frame(operand, body)
            if idle:
                body.clocks[frame.channel] = body.clocks.get(frame.channel, 0) + duration
            else:
                body.add(frame, Delay(duration, frame.channel))

    def _call(self, call: Any, body: _Body) -> None:
        name = call.name.name if type(call).__name__ == "FunctionCall" else type(call).__name__
        if name in CAPTURES:
            self._capture(call, body, None)
            return
        if name != "play" and name not in FRAME_CHANGES:
            raise PulseError("not an instruction that is supported", value=name, legal=_listed(INSTRUCTIONS))
        if len(call.arguments) != 2:
            raise PulseError("wrong number of arguments", subject=name, value=len(call.arguments), legal="frame, value")
        frame = self._frame(call.arguments[0], body)
        channel: Any = frame.channel
        if name == "play":
            played = waveform(self._values.value(call.arguments[1], body.scope))
            body.add(frame, Play(played, channel))
        else:
            body.add(frame, FRAME_CHANGES[name](self._values.number(call.arguments[1], body.scope), channel))

    def _capture(self, call: Any, body: _Body, slot: MemorySlot | None) -> None:
        if not _is_capture(call) or len(call.arguments) != 2:
            raise PulseError("not a capture that is supported", legal=f"{_listed(CAPTURES)} of a frame and one more")
        frame = self._frame(call.arguments[0], body)
        channel = frame.channel
        if not isinstance(channel, AcquireChannel):
            raise PulseError("cannot capture on this frame", value=channel, legal="frames of ports a0, a1, ...")
        kernel = None
        if call.name.name == "capture_v3":
            duration = self._values.duration(call.arguments[1], body.scope)
        else:
            weights = self._values.value(call.arguments[1], body.scope)
            duration = weights.duration if isinstance(weights, OwnKernel) else waveform(weights).duration
            kernel = _kernel(weights)
        body.add(frame, Acquire(duration, channel, slot or MemorySlot(channel.index), kernel=kernel))


_NUMBER = (float, ParameterExpression)
_VALUE_TYPES: dict[str, tuple[type[Any], ...]] = {
    "WaveformType": (Pulse, OwnKernel),
    "DurationType": (Duration,),
    "ComplexType": (*_NUMBER, complex),
    **dict.fromkeys(("FloatType", "AngleType", "IntType", "UintType"), _NUMBER),
}


def _kernel(weights: Any) -> Kernel | None:
    """Return the kernel that a capture's filter stands for."""
    if isinstance(weights, OwnKernel):
        return None
    if weights == Constant(weights.duration, 1.0):
        return Kernel("boxcar")
    return Kernel(weights.name, weights=weights.envelope())


def _pulse_name(waveform_name: str) -> str | None:
    name = waveform_name.removeprefix(WAVEFORM_PREFIX)
    return None if name.isdigit() else name


def _slot(name: str) -> MemorySlot | None:
    found = re.fullmatch(r"slot(\d{1,6})", name)
    return None if found is None else MemorySlot(int(found[1]))


def _is_capture(node: Any) -> bool:
    return type(node).__name__ == "FunctionCall" and node.name.name in CAPTURES


def _qubit(name: str) -> int:
    found = re.fullmatch(r"\$(\d{1,6})", name)
    if found is None:
        raise PulseError("a defcal is read for physical qubits", value=name, legal="$0, $1, ...")
    return int(found[1])


def _check_extern(node: Any) -> None:
    name = node.name.name
    if name in INSTRUCTIONS:
        return
    function = FUNCTIONS.get(name)
    if function is None:
        raise PulseError("not a function that is known", value=name, legal=", ".join(FUNCTIONS))
    if len(node.arguments) != len(function.arguments):
        legal = ", ".join(argument for argument, _ in function.arguments)
        raise PulseError("is declared with another number of arguments", subject=name, legal=legal)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
