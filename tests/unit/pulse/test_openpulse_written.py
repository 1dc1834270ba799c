"""OpenPulse text that is written: it is read back exactly, with any schedule and any pulse, or refused by name."""

import inspect
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.circuit import Parameter

from pulsed import pulse
from pulsed.compiler.gates import gate_schedules
from pulsed.model.calibration import load_calibration
from pulsed.model.device import load_device
from pulsed.pulse import library
from pulsed.pulse.channels import AcquireChannel, ControlChannel, DriveChannel, MeasureChannel, MemorySlot
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import (
    Acquire,
    Delay,
    EnterFrame,
    FrameUse,
    LeaveFrame,
    Play,
    SetFrequency,
    SetPhase,
    ShiftFrequency,
    ShiftPhase,
)
from pulsed.pulse.openpulse import dumps, loads
from pulsed.pulse.openpulse.frames import FrameState, framed
from pulsed.pulse.openpulse.values import CONSTANTS
from pulsed.pulse.openpulse.writer import RESERVED
from pulsed.pulse.schedule import Schedule

CONFIGS = Path(__file__).parents[3] / "configs"
LINES = [*map(DriveChannel, range(3)), ControlChannel(0), MeasureChannel(1)]
FREQUENCIES = {channel: 5e9 + 1e7 * i for i, channel in enumerate(LINES)} | {MeasureChannel(0): 7e9}


def test_the_shipped_gates_come_back_exactly():
    device = load_device(CONFIGS / "sim5.toml")
    gates = gate_schedules(device, load_calibration(CONFIGS / "calibrations" / "sim5.json"))
    keys = [(name, q if isinstance(q, tuple) else (q,)) for name in gates.instructions
            for q in gates.qubits_with_instruction(name) if not gates.is_derived(name, q)]  # fmt: skip
    frequencies = {c: 5e9 + c.index for key in keys for c in gates.get(*key).channels if not isinstance(c, MemorySlot)}
    read = loads(dumps(gates, device.dt, frequencies), device.dt, frequencies=frequencies)
    assert {key[:2] for key in read.gates} == set(keys)
    assert len(keys) > 20
    for (name, qubits, params), schedule in read.gates.items():
        assert schedule == gates.get(name, qubits, *params), (name, qubits)
    assert read.frequencies == frequencies
    assert read.program.instructions == ()


amplitudes = st.floats(-0.45, 0.45)
angles = st.floats(-7, 7)


@st.composite
def pulses(draw):
    kind = draw(st.sampled_from([name for name in library.__all__ if name not in {"Pulse", "SymbolicPulse"}]))
    duration, amp, angle = draw(st.integers(4, 80)), draw(amplitudes), draw(angles)
    sigma, beta = draw(st.floats(1.0, 40)), draw(st.floats(-1, 1))
    if kind == "Waveform":
        parts = st.complex_numbers(max_magnitude=1, allow_subnormal=True)
        return library.Waveform(draw(st.lists(parts, min_size=1, max_size=20)))
    if kind == "ScalableSymbolicPulse":
        return library.ScalableSymbolicPulse("ramp", duration, amp, angle, envelope=lambda t, duration: t / duration)
    if kind == "Constant":
        return library.Constant(duration, amp, angle)
    if kind in {"Sin", "Cos", "Sawtooth", "Triangle", "Square"}:
        return getattr(library, kind)(duration, amp, draw(angles), draw(st.floats(1e-3, 0.499)), angle)
    if kind == "Sech":
        return library.Sech(duration, amp, sigma, angle, zero_ends=draw(st.booleans()))
    if kind == "Drag":
        return library.Drag(duration, amp, sigma, beta, angle)
    width = draw(st.floats(0, duration))
    if kind == "GaussianSquare":
        return library.GaussianSquare(duration, amp, sigma, width, angle)
    if kind == "GaussianSquareDrag":
        return library.GaussianSquareDrag(duration, amp, sigma, beta, width, angle)
    if kind == "gaussian_square_echo":
        width = draw(st.floats(duration / 2, duration))
        return library.gaussian_square_echo(duration, amp, sigma, width, angle, draw(amplitudes), draw(angles))
    return getattr(library, kind)(duration, amp, sigma, angle)


@st.composite
def schedules(draw):
    schedule = Schedule()
    for _ in range(draw(st.integers(1, 8))):
        line = draw(st.sampled_from(LINES))
        time = schedule.ch_stop_time(line) + draw(st.integers(0, 50))
        value = draw(st.floats(-1e10, 1e10))
        part = draw(
            st.one_of(
                pulses().map(lambda pulse, line=line: Play(pulse, line)),
                st.integers(0, 100).map(lambda n, line=line: Delay(n, line)),
                st.sampled_from([kind(value, line) for kind in (SetFrequency, ShiftFrequency, SetPhase, ShiftPhase)]),
            )
        )
        schedule = schedule.insert(time, part)
    if draw(st.booleans()):
        kernel = draw(st.sampled_from([None, pulse.Kernel("boxcar"), pulse.Kernel("ours", weights=np.arange(40) / 40)]))
        schedule = schedule.insert(
            draw(st.integers(0, 50)), Acquire(40, AcquireChannel(1), MemorySlot(7), kernel=kernel)
        )
    return schedule


@settings(max_examples=150, deadline=None)
@given(schedules())
def test_any_schedule_comes_back_with_equal_samples_at_equal_times(schedule):
    text = dumps({("probe", (0, 3), (0.5,)): schedule}, 1e-9, FREQUENCIES)
    ((key, read),) = loads(text, 1e-9, frequencies=FREQUENCIES).gates.items()
    assert key == ("probe", (0, 3), (0.5,))
    assert len(read.instructions) == len(schedule.instructions)
    for (time, ours), (read_time, theirs) in zip(schedule.instructions, read.instructions, strict=True):
        assert (time, type(ours), ours.channels) == (read_time, type(theirs), theirs.channels)
        if isinstance(ours, Play):
            assert np.array_equal(ours.pulse.envelope(), theirs.pulse.envelope())
        else:
            assert ours == theirs


@settings(max_examples=40, deadline=None)
@given(pulses())
def test_pulses_as_samples_need_no_function(pulse):
    text = dumps({("probe", 0): Schedule(Play(pulse, LINES[0]))}, 1e-9, FREQUENCIES, samples=True)
    assert "extern" not in text
    ((_, play),) = loads(text, 1e-9, frequencies=FREQUENCIES).gates["probe", (0,), ()].instructions
    assert np.array_equal(play.pulse.envelope(), pulse.envelope())


def test_a_program_and_names_of_pulses_come_back():
    program = Schedule((3, Play(library.Gaussian(16, 0.1, 4, name="bump"), LINES[0])), (40, ShiftPhase(0.5, LINES[0])))
    read = loads(dumps({}, 1e-9, FREQUENCIES, program), 1e-9, frequencies=FREQUENCIES)
    assert read.gates == {}
    assert read.program == program
    assert read.program.instructions[0][1].name == "bump"


def test_the_functions_that_are_written_keep_their_signatures():
    """Others may have implemented them: a change breaks text that was written before."""
    lengths = {"Constant": 0, "GaussianSquare": 2, "Drag": 2, "GaussianSquareDrag": 3, "gaussian_square_echo": 2}
    lengths |= dict.fromkeys(["Gaussian", "GaussianDeriv", "Sech", "SechDeriv"], 1)
    numbers = {"gaussian_square_echo": 4} | dict.fromkeys(["Sin", "Cos", "Sawtooth", "Triangle", "Square"], 4)
    for name, kind in {name: getattr(library, name) for name in library.__all__}.items():
        if name in {"Pulse", "Waveform", "SymbolicPulse", "ScalableSymbolicPulse"}:
            continue
        needed = {"sigma": 4, "width": 8, "beta": 0.1, "freq": 0.1, "phase": 0.2}
        made = kind(16, 0.1, **{key: needed[key] for key in inspect.signature(kind).parameters if key in needed})
        text = dumps({("probe", 0): Schedule(Play(made, LINES[0]))}, 1e-9, FREQUENCIES)
        spelled = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        kinds = ["duration"] * (1 + lengths.get(name, 0)) + ["float[64]"] * numbers.get(name, 2)
        found = re.search(r"extern (\w+)\((.*)\) -> waveform;", text)
        assert found[1] == f"pulsed_{spelled}"
        assert sorted(found[2].split(", ")) == kinds, text
        assert found[2].startswith("duration")


def test_parameters_stay_parameters():
    theta, amp = Parameter("θ"), Parameter("amp")
    schedule = Schedule(ShiftPhase(-theta, LINES[0]), Play(library.Constant(16, 0.5 * amp + 0.25), LINES[0]))
    text = dumps({("probe", (0,), (theta, amp)): schedule}, 1e-9, FREQUENCIES)
    assert "defcal probe(float[64] θ, float[64] amp) $0" in text
    (((_, _, params), read),) = loads(text, 1e-9, frequencies=FREQUENCIES).gates.items()
    assert [parameter.name for parameter in params] == ["θ", "amp"]
    for angle, size in [(0.1, 0.5), (-3.0, -0.75)]:
        assigned = schedule.assign_parameters({theta: angle, amp: size}, inplace=False)
        assert read.assign_parameters(dict(zip(params, (angle, size), strict=True)), inplace=False) == assigned


names = st.text(min_size=1, max_size=6) | st.sampled_from([*RESERVED, *CONSTANTS, "d0", "slot1", "wf_a", "a[0]", "²"])


@settings(max_examples=200, deadline=None)
@given(names)
def test_every_name_of_a_parameter_comes_back_or_is_refused(name):
    free, own = Parameter(name), Parameter("own")
    gates = {
        ("probe", (0,), (own,)): Schedule(ShiftPhase(own - 2 * free, LINES[0])),
        ("other", (0,), (free,)): Schedule(SetPhase(free, LINES[0])),
    }
    try:
        text = dumps(gates, 1e-9, FREQUENCIES)
    except PulseError as error:
        assert "name" in str(error)  # noqa: PT017 - what comes back otherwise is below
        assert not re.fullmatch(r"[a-ce-ln-tv-z][0-9]", name)
        return
    read = loads(text, 1e-9, frequencies=FREQUENCIES)
    assert read.inputs.keys() == {name}
    for (_, _, params), schedule in read.gates.items():
        values = {params[0]: 0.5, read.inputs[name]: 0.25}
        (original,) = (gates[key] for key in gates if key[2][0].name == params[0].name)
        expected = {own: 0.5, free: 0.5 if params[0].name == name else 0.25}
        assert schedule.assign_parameters(values, inplace=False) == original.assign_parameters(expected, inplace=False)


def test_two_parameters_of_one_name_are_refused():
    for key, part in (
        (("probe", 0), Parameter("a") + Parameter("b")),
        (("probe", 0, (Parameter("a"),)), Parameter("a")),
        (("probe", 0, (Parameter("b"), Parameter("b"))), 0.5),
    ):
        gates = {
            ("first", 0): Schedule(ShiftPhase(Parameter("b"), LINES[0])),
            key: Schedule(ShiftPhase(part, LINES[0])),
        }
        with pytest.raises(PulseError, match="have one name"):
            dumps(gates, 1e-9, FREQUENCIES)


@settings(max_examples=60, deadline=None)
@given(schedules(), st.floats(1e9, 9e9), st.sampled_from([0.0, 1.0, -0.25]))
def test_frames_come_back_by_value(schedule, frequency, phase):
    """What plays in another frame is read in that frame, whatever the reader knows of the backend's own."""
    frames = {channel: FrameState(frequency + 1e6 * i, phase) for i, channel in enumerate(LINES)}
    acquire = AcquireChannel(1)
    frames[acquire] = FrameState(frequency, 0.0)
    inside = Schedule.from_instructions(framed(schedule.instructions, frames))
    text = dumps({("probe", 0): inside}, 1e-9, FREQUENCIES)
    for own in ({}, FREQUENCIES):
        read = loads(text, 1e-9, frequencies=own).gates["probe", (0,), ()]
        changes = [instruction.operands for _, instruction in inside.filter(instruction_types=FrameUse).instructions]
        found = [instruction.operands for _, instruction in read.filter(instruction_types=FrameUse).instructions]
        assert found == changes
        assert len(read) == len(inside)
    own = {channel: state.frequency for channel, state in frames.items()}
    if phase == 0:
        assert not loads(text, 1e-9, frequencies=own).gates["probe", (0,), ()].filter(instruction_types=FrameUse)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([EnterFrame(5e9, 0, LINES[0])], "a frame is not left again; got d0"),
        ([LeaveFrame(5e9, 0, LINES[0])], "frames are not nested"),
        ([EnterFrame(5e9, 0, LINES[0]), EnterFrame(6e9, 0, LINES[0])], "frames are not nested"),
        ([EnterFrame(5e9, 0, LINES[0]), LeaveFrame(5e9, 1, LINES[0])], "frames are not nested"),
        ([SetPhase(0, LINES[0]), EnterFrame(6e9, 0, LINES[0]), SetPhase(0, LINES[0])], "a port has one frame in text"),
    ],
)
def test_frames_that_text_cannot_say_are_refused(parts, message):
    with pytest.raises(PulseError, match=message):
        dumps({("probe", 0): Schedule(*parts)}, 1e-9, FREQUENCIES)


def test_an_acquire_channel_has_the_frequency_of_its_measure_channel():
    schedule = Schedule(Acquire(8, AcquireChannel(0), MemorySlot(0)))
    assert loads(dumps({("measure", 0): schedule}, 1e-9, FREQUENCIES), 1e-9).frequencies == {AcquireChannel(0): 7e9}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (pulse.Snapshot("state"), "Snapshot"),
        (Play(library.Constant(8, 1.5, limit_amplitude=False), LINES[0]), "amplitudes above one"),
        (Play(library.Constant(8, 0.1), DriveChannel(9)), "no frequency is given for this channel; got d9"),
        (Acquire(8, AcquireChannel(0), None, pulse.RegisterSlot(0)), "no counterpart in OpenPulse"),
        (Acquire(8, AcquireChannel(0), MemorySlot(0), kernel=pulse.Kernel("mine")), "this kernel cannot be written"),
        (ShiftPhase(Parameter("a") ** 2, LINES[0]), "not linear"),
        (ShiftPhase(Parameter("cal"), LINES[0]), "name of a parameter"),
        (ShiftPhase(Parameter("a[0]"), LINES[0]), "name of a parameter"),
        (Play(library.Gaussian(8, 0.1, Parameter("s")), LINES[0]), "a length cannot be a parameter"),
    ],
)
def test_what_cannot_be_written_is_named(part, message):
    with pytest.raises(PulseError, match=message):
        dumps({("probe", 0): Schedule(part)}, 1e-9, FREQUENCIES)


@pytest.mark.parametrize(
    "key", [("for", 0), ("x; cal {", 0), ("x", ()), ("x", (-1,)), ("x",), 7, ("x", 0, (math.inf,))]
)
def test_gates_that_cannot_be_written_are_named(key):
    with pytest.raises(PulseError):
        dumps({key: Schedule()}, 1e-9, {})
