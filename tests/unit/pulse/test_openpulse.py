"""OpenPulse text by hand: programs mean what they say, the rest is refused with its line."""

import contextlib
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed import pulse
from pulsed.pulse import library
from pulsed.pulse.channels import AcquireChannel, DriveChannel, MeasureChannel, MemorySlot
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import (
    Acquire,
    Delay,
    EnterFrame,
    LeaveFrame,
    Play,
    SetFrequency,
    SetPhase,
    ShiftFrequency,
    ShiftPhase,
)
from pulsed.pulse.openpulse import loads
from pulsed.pulse.schedule import Schedule

HEAD = """OPENQASM 3.0;
defcalgrammar "openpulse";
cal {
  extern port d0; extern port d1; extern port m0; extern port a0;
  frame drive = newframe(d0, 5.0e9, 0.0);
  frame other = newframe(d1, 5.1e9, 0.0);
  frame stimulus = newframe(m0, 7.0e9, 0.0);
  frame capture = newframe(a0, 7.0e9, 0.0);
}
"""
HEAD_LINES = HEAD.count("\n")
OWN = {DriveChannel(0): 5.0e9, DriveChannel(1): 5.1e9, MeasureChannel(0): 7.0e9}
"""The frames of HEAD, as a backend has them."""


def body(*statements: str, dt: float = 1e-9) -> Schedule:
    """The schedule of a defcal of these statements, one per line."""
    text = HEAD + "defcal probe $0 {\n" + "\n".join(statements) + "\n}\n"
    return loads(text, dt, frequencies=OWN).gates["probe", (0,), ()]


def played(*statements: str) -> np.ndarray:
    """The samples of the only pulse."""
    ((_, instruction),) = body(*statements).filter(instruction_types=Play).instructions
    return instruction.pulse.envelope()


def test_a_program_in_the_manner_of_the_specification():
    text = (
        HEAD
        + """
const float turn = pi / 2;
cal {
  extern constant(complex[float[64]], duration) -> waveform;
  extern gaussian(complex[float[64]], duration, duration) -> waveform;
  const duration length = 2 * 80ns;
  waveform flip = gaussian(0.2 + 0.1im, length, length / 4);  // comment; with play(nothing);
  set_frequency(drive, 5.2e9);
}
defcal rx(turn) $0 { play(drive, flip); }
defcal rz(angle[32] theta) $0 { shift_phase(drive, -theta / 2); }
defcal xx $0, $1 {
  play(drive, flip);
  delay[40dt] other;
  shift_frequency(other, -1e6);
  barrier drive, other;
  play(other, constant(0.3, 0.1us));
  barrier;
  set_phase(drive, turn);
}
defcal measure $0 -> bit {
  play(stimulus, constant(0.1, 1us));
  delay[100ns] capture;
  return capture_v2(capture, constant(1, 1us));
}
"""
    )
    read = loads(text, 1e-9, frequencies=OWN)
    drive, other = DriveChannel(0), DriveChannel(1)
    assert read.program == Schedule(SetFrequency(5.2e9, drive))
    ((_, enter), (_, flip), (end, leave)) = read.gates["rx", (0,), (math.pi / 2,)].instructions
    assert (enter, leave, end) == (EnterFrame(5.2e9, 0, drive), LeaveFrame(5.2e9, 0, drive), 160)
    assert isinstance(flip, Play)
    assert read.frequencies[other] == 5.1e9
    assert read.gates["rx", (0,), (math.pi / 2,)].duration == 160
    (theta,) = next(params for name, _, params in read.gates if name == "rz")
    assert read.gates["rz", (0,), (theta,)].instructions == ((0, ShiftPhase(-theta / 2, drive)),)
    xx = [(time, type(part), part.channels[0]) for time, part in read.gates["xx", (0, 1), ()].instructions]
    assert xx == [
        (0, EnterFrame, drive),
        (0, Delay, other),
        (0, Play, drive),
        (40, ShiftFrequency, other),
        (160, Play, other),
        (260, SetPhase, drive),
        (260, LeaveFrame, drive),
    ]
    assert read.gates["measure", (0,), ()] == Schedule(
        Play(library.Constant(1000, 0.1), MeasureChannel(0)),
        Delay(100, AcquireChannel(0)),
        (100, Acquire(1000, AcquireChannel(0), MemorySlot(0), kernel=pulse.Kernel("boxcar"))),
    )


def test_the_functions_of_the_specification_are_its_formulas():
    x = np.arange(40) + 0.5 - 20
    bell = np.exp(-(x**2) / (2 * 64))
    flanks = np.where(abs(x) < 6, 1.0, np.exp(-((abs(x) - 6) ** 2) / 128))
    a = 0.2 - 0.3j
    cases = {
        "constant(0.2 - 0.3im, 40dt)": a * np.ones(40),
        "gaussian(0.2 - 0.3im, 40ns, 8ns)": a * bell,
        "sech(0.2 - 0.3im, 40ns, 8ns)": a / np.cosh(x / 8),
        "gaussian_square(0.2 - 0.3im, 40ns, 12ns, 8ns)": a * flanks,
        "drag(0.2 - 0.3im, 40ns, 8ns, 1.5)": a * bell * (1 - 1.5j * x / 64),
        "sine(0.2 - 0.3im, 40ns, 50e6, pi / 3)": a * np.sin(2 * np.pi * 0.05 * (x + 20) + np.pi / 3),
    }
    for call, expected in cases.items():
        # one rounding for the amplitude's polar form, one or two per factor
        np.testing.assert_allclose(played(f"play(drive, {call});"), expected, rtol=0, atol=1e-14, err_msg=call)


def test_samples_in_braces():
    assert played("waveform w = {0.5, 1im, -sqrt(0.25) + 0.1im};", "play(drive, w);").tolist() == [0.5, 1j, -0.5 + 0.1j]


@pytest.mark.parametrize(
    ("duration", "dt", "expected"),
    [
        ("100ns", 1e-9, 100),
        ("0.3us", 1e-9, 300),
        ("1ms", 1e-9, 10**6),
        ("1s", 1e-9, 10**9),
        ("10ns", 0.5e-9, 20),
        ("20ns", Fraction(2, 9) * Fraction(1, 10**9), 90),
        ("7dt", 2.2e-10, 7),
        ("2.2ns", 2.2e-10, 10),
        ("-5dt + 3 * 4dt", 1e-9, 7),
        ("10dt * (20ns / 10ns)", 1e-9, 20),
        ("0.57*1600ns", 1e-9, 912),
        ("1200ns * (1 / 3)", 1e-9, 400),
        ("(0.1 + 0.2) * 10ns", 1e-9, 3),
        ("0dt", 1e-9, 0),
    ],
)
def test_durations_convert_exactly(duration, dt, expected):
    assert body(f"delay[{duration}] drive;", dt=dt).instructions == ((0, Delay(expected, DriveChannel(0))),)


@pytest.mark.parametrize("duration", ["1.5dt", "0.5ns", "100.1ns", "-4ns", "3", "1e300s", "5e9s", "1dt / 3"])
def test_durations_that_do_not_convert_are_refused(duration):
    with pytest.raises(
        PulseError, match=rf"line {HEAD_LINES + 2}, 'delay.*(whole number of dt|not a duration|too long)"
    ):
        body(f"delay[{duration}] drive;")


def test_ports_of_other_names_are_given():
    text = "cal { port q0_drive; frame f = newframe(q0_drive, 4e9, 0.25); play(f, constant(0.5, 8dt)); }"
    read = loads(text, 1e-9, {"q0_drive": DriveChannel(4)})
    line = DriveChannel(4)
    frame = (4e9, 0.25, line)
    assert read.program == Schedule(
        EnterFrame(*frame), (0, Play(library.Constant(8, 0.5), line)), (8, LeaveFrame(*frame))
    )
    with pytest.raises(PulseError, match=r"line 1, .*port is not known; got q0_drive; legal: d0, u1, m2, a3"):
        loads(text, 1e-9)


@pytest.mark.parametrize("text", ["", " \n", "// nothing\n", "OPENQASM 3.0;", "\ufeffOPENQASM 3.0;"])
def test_text_without_statements_is_an_empty_program(text):
    read = loads(text, 1e-9)
    assert (read.gates, read.program.instructions, read.frequencies) == ({}, (), {})


def test_a_gate_plays_in_the_frames_as_the_blocks_before_it_leave_them():
    text = (
        HEAD
        + """
defcal before $0 { play(drive, constant(0.1, 8dt)); }
cal { shift_frequency(drive, 3e6); shift_phase(drive, 0.5); set_phase(other, 0.25); delay[8dt] other; }
defcal after $0 { play(drive, constant(0.1, 8dt)); play(other, constant(0.1, 8dt)); }
defcal turn $0 { shift_phase(drive, 0.5); delay[8dt] drive; }
cal { set_frequency(other, 4e9); }
"""
    )
    read = loads(text, 1e-9, frequencies=OWN)

    def frames(name):
        found = read.gates[name, (0,), ()].filter(instruction_types=EnterFrame).instructions
        return {part.channel.name: (part.frequency, part.phase) for _, part in found}

    assert frames("before") == frames("turn") == {}
    assert frames("after") == {"d0": (5.003e9, 0.5), "d1": (5.1e9, 0.25)}
    assert [part.channel for _, part in read.program.filter(instruction_types=EnterFrame).instructions] == []


def test_captures_of_all_kinds():
    schedule = body(
        "bit slot5;",
        "slot5 = capture_v2(capture, pulsed_kernel(16dt));",
        "complex[float[64]] point = capture_v1(capture, constant(0.5, 8dt));",
        "waveform raw = capture_v3(capture, 32dt);",
        "return slot5;",
    )
    (first, second, third) = [part for _, part in schedule.instructions]
    assert [time for time, _ in schedule.instructions] == [0, 16, 24]
    assert (first.duration, first.mem_slot, first.kernel) == (16, MemorySlot(5), None)
    assert second.mem_slot == MemorySlot(0)
    assert second.kernel.params["weights"].tolist() == [0.5] * 8
    assert (third.duration, third.kernel) == (32, None)


# What is refused


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("play(drive, gausian(0.1, 16dt, 4dt));", "not a function that is known; got gausian; legal: .*gaussian"),
        ("play(nothing, constant(0.1, 16dt));", "not a frame; got nothing; legal: drive, other, stimulus, capture"),
        ("play(drive, 0.5);", "not a waveform"),
        ("play(drive, pulsed_kernel(16dt));", "not a waveform"),
        ("play(drive, missing);", "not declared; got missing"),
        ("play(drive);", "wrong number of arguments"),
        ("play(drive, constant(0.1));", "wrong number of arguments"),
        ("play(drive, constant(0.1, 16));", "not a duration"),
        ("play(drive, constant(1.1, 16dt));", "exceeds 1"),
        ("play(drive, gaussian(0.1, 16dt, 0dt));", "sigma"),
        ("play(drive, gaussian(0.1, 5000000dt, 9dt));", "too long; got 5000000"),
        ("play(drive, constant(2 * exp(1im), 16dt));", "exceeds 1"),
        ("play(capture, constant(0.1, 16dt));", "channel is of the wrong kind"),
        ("capture_v2(drive, constant(1, 16dt));", "cannot capture on this frame"),
        ("capture_v4(capture, 16dt);", "not an instruction that is supported; got capture_v4; legal: play"),
        ("shift_phase(drive, 1im);", "not a real number"),
        ("shift_phase(drive, 1 / 0);", "cannot be computed"),
        ("shift_phase(drive, 1e200 * 1e200);", "not a finite number"),
        ("shift_phase(drive, 2 ** 3);", r"operator is not supported; got \*\*"),
        ("shift_phase(drive, 10ns);", "not a number"),
        ("shift_phase(drive, 1 / 10ns);", "not combined"),
        ("shift_phase(drive, sin(drive));", "needs a number"),
        ("shift_phase(drive, get_phase(drive));", "not a function that is known; got get_phase"),
        ("float x = 0.5; x = 0.6;", "only bits are assigned"),
        ("float x = 0.5; float x = 0.5;", "declared twice"),
        ("duration x = 0.5;", "value is of another type"),
        ("float x;", "this declaration is not supported"),
        ("float pi_2 = true;", "this expression is not supported; got BooleanLiteral"),
        ("frame f = newframe(d0, 5e9, 0);", "declared in cal blocks"),
        (
            "for int i in [0:3] { play(drive, constant(0.1, 16dt)); }",
            "not supported; got ForInLoop; legal: play, delay",
        ),
        ("if (1 == 1) { play(drive, constant(0.1, 16dt)); }", "not supported; got BranchingStatement"),
        ("x $0;", "not supported; got QuantumGate"),
        ("delay[16dt];", "a delay names its frames"),
        ("return 5;", "only the result of a capture"),
        ("extern evil(duration) -> waveform;", "not a function that is known; got evil"),
        ("extern gaussian(duration) -> waveform;", "declared with another number of arguments"),
        ("waveform w = {0.5, 1.5};", "sample is larger than full scale"),
        ("waveform w = {0.5, drive};", "not a number"),
        ("play(drive, constant(0.1, 16dt))", "is not OpenPulse"),
        ("play(drive, ☃constant(0.1, 16dt));", "is not OpenPulse: token recognition error"),
        (") play(drive, constant(0.1, 16dt));", r"is not OpenPulse: .*'\)'"),
        ("play(drive, constant(0.1, 16dt));)", r"is not OpenPulse: .*'\)'"),
    ],
)
def test_what_does_not_map_is_refused_with_its_line(statement, message, capfd):
    with pytest.raises(PulseError, match=message) as caught:
        body("shift_phase(drive, 0.5);", "// the line before", statement)
    line = HEAD_LINES + 4
    # a statement that does not end is noticed where the next begins
    assert f"line {line}, " in str(caught.value) or f"line {line + 1}, " in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("qubit q;", "line 1, 'qubit q;': not read here; got QubitDeclaration; legal: .*qiskit.qasm3"),
        ("x $0;", "not read here; got QuantumGate"),
        ('include "/etc/passwd";', "not read here; got Include"),
        ('defcalgrammar "other";', "grammar of calibrations is not read; got other; legal: openpulse"),
        ("defcal x q { }", r"physical qubits; got q; legal: \$0"),
        ("defcal x $0 { }\ndefcal x $0 { }", "line 2, .*defined twice"),
        ("defcal x(angle a) $0 { }\ndefcal x(angle b) $0 { }", "line 2, .*defined twice"),
        ("defcal x(bit a) $0 { }", "a parameter of this type is not supported"),
        ("cal { port d0; frame f = newframe(d0, 5e9, 0); frame g = newframe(d0, 5e9, 0); }", "a port has one frame"),
        ("cal { port d0; frame f = newframe(d0, 5e9); }", "a frame is made in one way"),
        ("cal { port d0; frame f = newframe(5e9, d0, 0); }", "wrong type of an argument"),
        ("cal { port a0; frame f = newframe(a0, 5e9, 1.0); }", "an acquire channel has no phase"),
        ("input bit b;", "this declaration is not supported; legal: input float, input angle"),
        ("input float a; input float a;", "declared twice"),
        ("output float a;", "this declaration is not supported"),
        ("cal {", "is not OpenQASM 3"),
        ("\x00", "is not OpenQASM 3"),
        ("cal { float x = " + "(" * 5000 + "1" + ")" * 5000 + "; }", "nested too deep"),
        ("cal { float x = " + "-" * 5000 + "1; }", "nested too deep"),
        ("const float x = " + "9" * 5000 + ";", "is not OpenQASM 3|cannot be computed"),
        ("x" * ((1 << 20) + 1), "text is too long"),
    ],
)
def test_text_that_is_no_calibration_is_refused(text, message, capfd):
    with pytest.raises(PulseError, match=message):
        loads(text, 1e-9)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("dt", [0, -1e-9, math.nan, math.inf, "fast", None])
def test_dt_is_checked(dt):
    with pytest.raises(PulseError, match="not a sampling time"):
        loads("", dt)


def test_numbers_do_not_grow_without_bound():
    chain = "".join(f"const float a{i + 1} = a{i} * a{i};" for i in range(80))
    with pytest.raises(PulseError, match="not a finite number"):
        loads(f"cal {{ const float a0 = 3; {chain} }}", 1e-9)


GOOD = (
    HEAD
    + """defcal probe(pi / 2) $0 {
  waveform w = {0.5, 1im}; play(drive, w); delay[16dt] drive, other; barrier drive, other;
  shift_phase(drive, -0.5 * pi); slot0 = capture_v2(capture, constant(1.0, 1us)); }
"""
)
GOOD = GOOD.replace("defcal", "cal { bit slot0; }\ndefcal", 1).replace(
    "cal { bit slot0; }\ndefcalgrammar", "defcalgrammar"
)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_damaged_text_gives_a_program_or_one_error(data):
    text = GOOD
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        junk = data.draw(
            st.sampled_from([*'(){}[];,$@"\\*/-+1.\x00☃ \n', "im", "dt", "cal", "port", "//", "/*", "1e999", ""])
        )
        text = text[:at] + junk + text[at + data.draw(st.integers(0, 3)) :]
    with contextlib.suppress(PulseError):
        assert set(loads(text, 1e-9).frequencies) <= {
            *map(DriveChannel, range(2)),
            MeasureChannel(0),
            AcquireChannel(0),
        }


def test_without_the_package_the_extra_is_named():
    code = """
import sys
for name in ("openpulse", "openqasm3", "antlr4"):
    sys.modules[name] = None
from pulsed.pulse.openpulse import loads
from pulsed.pulse.exceptions import PulseError
try:
    loads("", 1e-9)
except PulseError as error:
    print(error)
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install 'pulsed[openqasm]'" in shown
