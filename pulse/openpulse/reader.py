"""OpenPulse text to schedules."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from qiskit.circuit import Parameter

from pulsed import old_names
from pulsed.pulse.channels import (
    AcquireChannel,
    Channel,
    ControlChannel,
    DriveChannel,
    MeasureChannel,
    MemorySlot,
)
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import (
    Acquire,
    Delay,
    EnterFrame,
    Instruction,
    Play,
)
from pulsed.pulse.openpulse.frames import FrameState, framed, own_frequency, shifted
from pulsed.pulse.openpulse.functions import OwnKernel
from pulsed.pulse.openpulse.names import (
    CAPTURES,
    FRAME_CHANGES,
    IDLE,
    INSTRUCTIONS,
    REAL_TYPES,
    SUPPORTED,
    VALUE_TYPES,
    check_extern,
    is_capture,
    kernel_of,
    listed,
    pulse_name,
    qubit_of,
    slot_of,
)
from pulsed.pulse.openpulse.values import BitVariable, Frame, Item, Port, Values, waveform
from pulsed.pulse.schedule import Schedule
from pulsed.pulse.schedule.timeline import TimedInstruction

__getattr__ = old_names(__name__)

MAX_TEXT = 1 << 20
"""Longest text that is read, in characters: about fifty thousand samples, which take half a minute."""

GateKey = tuple[str, tuple[int, ...], tuple[Any, ...]]
CHANNELS: dict[str, type[Channel]] = {
    "d": DriveChannel, "u": ControlChannel, "m": MeasureChannel, "a": AcquireChannel,
}  # fmt: skip
OUTSIDE = (
    "OPENQASM 3, defcalgrammar, include, const, input float or angle, cal and defcal; circuits are read by qiskit.qasm3"
)


@dataclass(frozen=True)
class OpenPulseProgram:
    """What OpenPulse text says.

    Attributes:
        gates: (gate, qubits, parameters) → Schedule, as ``backend.run(calibrations=)`` takes it. A parameter is a
            float, or a Qiskit Parameter that the schedule has.
        program: what the ``cal`` blocks themselves play, on clocks that begin with the first of them.
        frequencies: of the frames as ``newframe`` makes them, Hz.
        inputs: the parameters that the text declares by ``input``, by name; schedules above may have them.

    Each schedule enters the frames of the text before it plays on them, and leaves them after. For gates these are the
    frames as the ``cal`` blocks before the ``defcal`` leave them at the start of the shot.

    """

    gates: dict[GateKey, Schedule]
    program: Schedule
    frequencies: dict[Channel, float]
    inputs: dict[str, Parameter] = field(default_factory=dict)


def loads(
    text: str,
    dt: float | Fraction,
    ports: Mapping[str, Channel] | None = None,
    frequencies: Mapping[Channel, float] | None = None,
) -> OpenPulseProgram:
    """Read OpenQASM 3 text with OpenPulse; see :mod:`pulsed.pulse.openpulse` for what maps.

    Args:
        text: the program.
        dt: of the backend, in s.
        ports: channels of ports that are not called as their channel.
        frequencies: of the backend's own frames, Hz, as for ``dumps``. What the text plays in a frame that is equal to
            one of these needs no change of frame, so that schedules that ``dumps`` wrote come back as they were.

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
    reader = _ProgramReader(exact_dt(dt), dict(ports or {}), text.splitlines(), syntax.place, dict(frequencies or {}))
    return reader.read(syntax.statements(text))


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


class _ProgramReader:
    def __init__(
        self,
        dt: Fraction,
        ports: dict[str, Channel],
        lines: list[str],
        place: Callable[[list[str], int], str],
        own: dict[Channel, float],
    ) -> None:
        self._values = Values(dt)
        self._ports = ports
        self._lines = lines
        self._place = place
        self._globals: dict[str, Item] = {}
        self._main = _Body(ChainMap(self._globals))
        self._gates: dict[GateKey, Schedule] = {}
        self._declared: dict[Channel, FrameState] = {}
        self._first: dict[Channel, FrameState | None] = {}
        self._own = own
        self._inputs: dict[str, Parameter] = {}
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
                self._gates[key] = self._at(node, self._schedule, body.timed, self._first, key[0])
            else:
                self._at(node, self._outside, node, kind)
        played = self._schedule(self._main.timed, self._declared, "cal")
        frequencies = {channel: state.frequency for channel, state in self._declared.items()}
        return OpenPulseProgram(self._gates, played, frequencies, self._inputs)

    def _schedule(
        self, timed: list[TimedInstruction], frames: Mapping[Channel, FrameState | None], name: str
    ) -> Schedule:
        other = {c: state for c, state in frames.items() if state != FrameState(own_frequency(self._own, c), 0.0)}
        return Schedule.from_instructions(framed(timed, other), name)

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
        elif kind == "IODeclaration":
            name = node.identifier.name
            if node.io_identifier.name != "input" or type(node.type).__name__ not in REAL_TYPES:
                raise PulseError("this declaration is not supported", subject=name, legal="input float, input angle")
            if name in self._globals:
                raise PulseError("is declared twice", subject=name)
            self._globals[name] = self._inputs[name] = Parameter(name)
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
                if type(argument.type).__name__ not in REAL_TYPES:
                    raise PulseError("a parameter of this type is not supported", legal="angle, float")
                params.append(Parameter(argument.name.name))
                scope[argument.name.name] = params[-1]
            else:
                params.append(self._values.number(argument, self._globals))
        key = (node.name.name, tuple(qubit_of(qubit.name) for qubit in node.qubits), tuple(params))
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
            channels = [self._frame(operand, body).channel for operand in node.qubits] or list(self._declared)
            latest = max((body.clocks.get(channel, 0) for channel in channels), default=0)
            body.clocks.update(dict.fromkeys(channels, latest))
        elif kind == "ClassicalAssignment":
            bit = self._values.value(node.lvalue, body.scope)
            if not isinstance(bit, BitVariable) or node.op.name != "=":
                raise PulseError("only bits are assigned, by a capture", legal=SUPPORTED)
            self._capture(node.rvalue, body, bit.slot)
        elif kind == "ReturnStatement":
            self._return(node.expression, body)
        elif kind == "ExternDeclaration":
            check_extern(node)
        else:
            raise PulseError("this statement is not supported", value=kind, legal=SUPPORTED)

    def _return(self, expression: Any, body: _Body) -> None:
        if is_capture(expression):
            self._capture(expression, body, None)
        elif expression is not None and not isinstance(self._values.value(expression, body.scope), BitVariable):
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
        elif is_capture(first):
            made = BitVariable(slot_of(name) if kind == "BitType" else None)
            self._capture(first, body, made.slot)
        elif kind == "BitType" and first is None and node.type.size is None:
            made = BitVariable(slot_of(name))
        elif kind == "WaveformType" and type(first).__name__ == "ArrayLiteral":
            made = self._values.samples(first, body.scope, pulse_name(name))
        elif first is None or kind not in VALUE_TYPES:
            raise PulseError("this declaration is not supported", subject=name, value=kind, legal=SUPPORTED)
        else:
            made = self._values.value(first, body.scope, pulse_name(name))
            if not isinstance(made, VALUE_TYPES[kind]):
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
        if port.channel in self._declared:
            raise PulseError("a port has one frame", subject="newframe", value=port.channel, legal="one frame per port")
        state = FrameState(float(frequency), float(phase))
        EnterFrame(*state, port.channel)  # refuses what is no frame
        self._declared[port.channel] = self._first[port.channel] = state
        return Frame(port.channel)

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
            raise PulseError("not an instruction that is supported", value=name, legal=listed(INSTRUCTIONS))
        if len(call.arguments) != 2:
            raise PulseError("wrong number of arguments", subject=name, value=len(call.arguments), legal="frame, value")
        frame = self._frame(call.arguments[0], body)
        channel: Any = frame.channel
        if name == "play":
            played = waveform(self._values.value(call.arguments[1], body.scope))
            body.add(frame, Play(played, channel))
            return
        change = FRAME_CHANGES[name](self._values.number(call.arguments[1], body.scope), channel)
        if body is self._main and not body.clocks.get(channel):
            self._first[channel] = shifted(self._first[channel], change)
        body.add(frame, change)

    def _capture(self, call: Any, body: _Body, slot: MemorySlot | None) -> None:
        if not is_capture(call) or len(call.arguments) != 2:
            raise PulseError("not a capture that is supported", legal=f"{listed(CAPTURES)} of a frame and one more")
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
            kernel = kernel_of(weights)
        body.add(frame, Acquire(duration, channel, slot or MemorySlot(channel.index), kernel=kernel))
