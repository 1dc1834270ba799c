"""Names that programs for Qiskit 1.4 and before import, beside the language itself."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.circuit import Parameter

from pulsed import pulse
from pulsed.pulse import Call, Constant, Delay, DriveChannel, Play, PulseError, Schedule, ScheduleBlock, Waveform
from pulsed.pulse.calibration_entries import CalibrationPublisher, CallableDef, ScheduleDef
from pulsed.pulse.parser import PulseExpression, parse_string_expr

LINE = DriveChannel(0)
P, Q = Parameter("p"), Parameter("q")


def test_a_call_is_its_subroutine_by_value():
    subroutine = Schedule(Play(Constant(16, P), LINE), name="sub")
    made = Schedule((8, Call(subroutine, {P: 0.1}, name="called")))
    assert made == Schedule((8, Play(Constant(16, 0.1), LINE)))
    assert made.children[0][1].name == "called"
    assert (subroutine.name, subroutine.parameters) == ("sub", {P})
    block = ScheduleBlock(name="b").append(Play(Constant(16, P), LINE))
    assert Call(block, {"p": 0.2}) == ScheduleBlock().append(Play(Constant(16, 0.2), LINE))
    assert Call(block, name="c").name == "c"
    assert block.name == "b"
    with pytest.raises(PulseError, match="Call: not a subroutine"):
        Call(Delay(8, LINE))


def test_functional_pulse_samples_its_function():
    @pulse.functional_pulse
    def ramp(duration, amp, power=1):
        return amp * (np.arange(duration) / duration) ** power

    made = ramp(16, 0.5, power=2, name="r")
    assert made == Waveform(0.5 * (np.arange(16) / 16) ** 2)
    assert made.name == "r"
    assert ramp.__name__ == "ramp"
    for wrong in ((16.5, 0.5), (-1, 0.5), (16, 1.5)):
        with pytest.raises(PulseError):
            ramp(*wrong)


def test_inline_makes_no_block():
    with pulse.build() as made, pulse.inline():
        pulse.append_instruction(Delay(8, LINE))
        pulse.play(Constant(16, 0.1), LINE)
    assert list(made.blocks) == [Delay(8, LINE), Play(Constant(16, 0.1), LINE)]
    with pytest.raises(PulseError), pulse.inline():
        pass


def test_definitions_of_gates():
    schedule = Schedule(Play(Constant(16, P, Q), LINE))
    entry = ScheduleDef(["q", "p"])
    entry.define(schedule, user_provided=False)
    assert list(entry.get_signature().parameters) == ["q", "p"]
    assert entry.get_schedule(0.5, p=0.1) == schedule.assign_parameters({P: 0.1, Q: 0.5}, inplace=False)
    assert not entry.user_provided
    other = ScheduleDef(["q", "p"])
    other.define(schedule)
    assert entry == other
    function = CallableDef()
    function.define(lambda amp, angle: Schedule(Play(Constant(16, amp, angle), LINE)))
    assert function.get_signature() == inspect.signature(lambda amp, angle: None)
    assert function.get_schedule(0.1, angle=0.5) == entry.get_schedule(p=0.1, q=0.5)
    for kind, wrong in ((ScheduleDef, len), (ScheduleDef, 5), (CallableDef, schedule)):
        with pytest.raises(PulseError):
            kind().define(wrong)
    assert [one.name for one in CalibrationPublisher] == ["BACKEND_PROVIDER", "QISKIT", "EXPERIMENT_SERVICE"]


def test_expressions_in_text():
    made = parse_string_expr("P1*exp(1j*pi/3) + 2**P2")
    assert made.params == ["P1", "P2"]
    assert made(1, 2) == pytest.approx(np.exp(1j * np.pi / 3) + 4)
    assert made(P2=2, P1=1) == made(1, P2=2) == made(1, 2)
    part = parse_string_expr("P1 - P2", partial_binding=True)(3)
    assert isinstance(part, PulseExpression)
    assert (part.params, part(1)) == (["P2"], 2)
    assert parse_string_expr("cos(-e)")() == math.cos(math.e)
    for arguments, named in (((1,), {}), ((1, 2, 3), {}), ((1, 2), {"P2": 2}), ((1,), {"P3": 2}), (("x", 2), {})):
        with pytest.raises(PulseError):
            made(*arguments, **named)


@pytest.mark.parametrize(
    "text",
    ["a.b", "__import__('os')", "[1]", "1 if a else 2", "P1 P2", "f(x)", "abs(P)", "True", "'x'", "a[0]", "a := 1",
     "lambda: 1", "sin(a, b)", "sin(x=1)", "1 < 2", "", "-" * 3000 + "1", "(" * 400 + "1" + ")" * 400, "x" * 5000, 7],
)  # fmt: skip
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(PulseError):
        parse_string_expr(text)


def test_numbers_in_text_do_not_grow_without_bound():
    for text in ("9**9**9**9", "2**-(10**6)", "1/0", "log(0)"):
        try:
            value = parse_string_expr(text)()
        except PulseError:
            continue
        assert abs(value) < 1e300


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab1.+-*/() ,e", max_size=30))
def test_any_text_is_an_expression_or_an_error(text):
    try:
        made = parse_string_expr(text)
        assert all(name in text for name in made.params)
        made(*[0.5] * len(made.params))
    except PulseError:
        return
