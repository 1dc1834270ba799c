"""The builder: instructions, contexts, offsets, calls and macros."""

import math
import threading

import numpy as np
import pytest
from qiskit.circuit import Parameter

from pulsed import pulse
from pulsed.pulse import (
    Acquire,
    AcquireChannel,
    Constant,
    Delay,
    DriveChannel,
    Gaussian,
    MemorySlot,
    NoActiveBuilder,
    Play,
    PulseError,
    RegisterSlot,
    Schedule,
    ScheduleBlock,
    SetFrequency,
    ShiftFrequency,
    ShiftPhase,
    Snapshot,
    builder,
    frames,
)
from pulsed.pulse.instructions import EndOffset, Reference, RelativeBarrier, TimeBlockade
from pulsed.pulse.serialize import dumps, loads
from pulsed.pulse.transforms import (
    AlignEquispaced,
    AlignFunc,
    AlignLeft,
    AlignRight,
    AlignSequential,
    block_to_schedule,
)

D = [DriveChannel(i) for i in range(3)]
C = Constant(10, 0.1)


def block(*parts, context=None):
    made = ScheduleBlock(alignment_context=context)
    for part in parts:
        made.append(part)
    return made


def test_every_instruction_has_its_function():
    with pulse.build(name="all") as program:
        pulse.play(C, D[0])
        pulse.play(np.array([0.1, 0.2]), D[0], name="samples")
        pulse.delay(5, D[1])
        pulse.acquire(7, 0, MemorySlot(1))
        pulse.acquire(7, AcquireChannel(1), RegisterSlot(1))
        pulse.set_frequency(5e9, D[0])
        pulse.shift_frequency(1e6, D[0])
        pulse.set_phase(0.5, D[0])
        pulse.shift_phase(0.25, D[0])
        pulse.snapshot("s")
        pulse.barrier(D[0], D[1])
        pulse.barrier(D[0])
        pulse.reference("sub", "q0")
        builder.append_instruction(Delay(1, D[2]))
        builder.append_schedule(block(Play(C, D[2])))
    assert program.name == "all"
    assert list(program.blocks) == [
        Play(C, D[0]),
        Play(pulse.Waveform([0.1, 0.2]), D[0]),
        Delay(5, D[1]),
        Acquire(7, AcquireChannel(0), MemorySlot(1)),
        Acquire(7, AcquireChannel(1), reg_slot=RegisterSlot(1)),
        SetFrequency(5e9, D[0]),
        ShiftFrequency(1e6, D[0]),
        pulse.SetPhase(0.5, D[0]),
        ShiftPhase(0.25, D[0]),
        Snapshot("s"),
        RelativeBarrier(D[0], D[1]),
        Reference("sub", "q0"),
        Delay(1, D[2]),
        block(Play(C, D[2])),
    ]


@pytest.mark.parametrize(
    ("function", "arguments", "context"),
    [
        (pulse.align_left, (), AlignLeft()),
        (pulse.align_right, (), AlignRight()),
        (pulse.align_sequential, (), AlignSequential()),
        (pulse.align_equispaced, (100,), AlignEquispaced(100)),
        (pulse.align_func, (100, abs), AlignFunc(100, abs)),
        (builder.general_transforms, (AlignRight(),), AlignRight()),
    ],
)
def test_contexts_become_nested_blocks(function, arguments, context):
    with pulse.build() as program:
        with function(*arguments):
            pulse.play(C, D[0])
            with pulse.align_left():
                pulse.play(C, D[1])
        pulse.play(C, D[2])
        with function(*arguments):
            # an empty context leaves no trace
            pass
    assert program.blocks == (block(Play(C, D[0]), block(Play(C, D[1])), context=context), Play(C, D[2]))


def test_default_alignment_and_continued_programs():
    with pulse.build(default_alignment="sequential") as program:
        pulse.play(C, D[0])
    assert program == block(Play(C, D[0]), context=AlignSequential())
    with pulse.build(schedule=program, name="new") as same:
        pulse.play(C, D[1])
    assert same is program
    assert program.name == "new"
    assert program.blocks == (Play(C, D[0]), block(Play(C, D[1])))
    for wrong in ({"default_alignment": "middle"}, {"default_alignment": 3}, {"schedule": Schedule()}):
        with pytest.raises(PulseError):
            pulse.build(**wrong)


def test_an_exception_leaves_a_continued_program_unchanged_and_no_builder():
    program = block(Play(C, D[0]))

    def failing():
        with pulse.build(schedule=program), pulse.align_right():
            pulse.play(C, D[1])
            pulse.delay(-1, D[0])

    with pytest.raises(PulseError, match="Delay"):
        failing()
    assert program == block(Play(C, D[0]))
    with pytest.raises(NoActiveBuilder):
        pulse.play(C, D[0])


def test_builders_nest_and_are_of_one_thread():
    seen = []

    def other_thread():
        try:
            pulse.play(C, D[0])
        except NoActiveBuilder as error:
            seen.append(error)

    with pulse.build() as outer:
        with pulse.build() as inner:
            pulse.play(C, D[1])
        pulse.play(C, D[0])
        thread = threading.Thread(target=other_thread)
        thread.start()
        thread.join()
    assert outer == block(Play(C, D[0]))
    assert inner == block(Play(C, D[1]))
    assert len(seen) == 1


def test_phase_offset_is_undone():
    with pulse.build() as program, pulse.phase_offset(0.5, D[0], D[1]):
        pulse.play(C, D[0])
    shifts = [ShiftPhase(0.5, D[0]), ShiftPhase(0.5, D[1])]
    back = [ShiftPhase(-0.5, D[0]), ShiftPhase(-0.5, D[1])]
    assert list(program.blocks) == [*shifts, Play(C, D[0]), *back]


@pytest.mark.parametrize("alignment", ["left", "right", "sequential", AlignEquispaced(9000)])
@pytest.mark.parametrize("late", [False, True])
def test_compensated_frequency_offset_continues_the_carrier(backend, alignment, late):
    """With the duration that it has in the end: what follows in a right-aligned block pulls its parts apart."""
    shift, given, length = 3.7e6, Parameter("shift"), Parameter("length")
    with pulse.build(backend, default_alignment=alignment) as program:
        pulse.play(Constant(333, 0.1), D[1])
        with pulse.frequency_offset(given if late else shift, D[0], compensate_phase=True):
            pulse.play(Constant(500, 0.1), D[0])
            with pulse.align_sequential():
                pulse.play(Constant(length if late else 700, 0.1), D[1])
                pulse.play(Constant(100, 0.1), D[0])
        pulse.play(Constant(1900, 0.1), D[1])
        pulse.play(Constant(200, 0.1), D[0])
    assert loads(dumps(program)) == program if not late else program.parameters == {given, length}
    program = program.assign_parameters({given: shift, length: 700}, inplace=False)
    found = [(t, i) for t, i in block_to_schedule(program).instructions if D[0] in i.channels]
    (opened, first), (at, phase), (closed, last) = [item for item in found if not isinstance(item[1], Play)]
    assert (first, last) == (ShiftFrequency(shift, D[0]), ShiftFrequency(-shift, D[0]))
    # an equispaced block puts a gap between the two, which nothing plays in: the turn is that at its own time
    assert at == closed or isinstance(alignment, AlignEquispaced)
    assert closed - opened > 500 + 100
    # what the field gained, e^{−i2πδT}, times the frame's e^{iφ} is one
    gained = frames.carrier(shift, (at - opened) * backend.dt)
    assert gained * np.exp(1j * phase.phase) == pytest.approx(1)


def test_offsets_nest_and_belong_to_their_block(backend):
    with (
        pulse.build(backend) as program,
        pulse.frequency_offset(1e6, D[0], D[1], compensate_phase=True),
        pulse.frequency_offset(2e6, D[0], compensate_phase=True),
    ):
        pulse.play(Constant(100, 0.1), D[0])
        pulse.play(Constant(300, 0.1), D[1])
    turns = [
        (time, part.channel, round(part.phase / (2 * np.pi * backend.dt)))
        for time, part in block_to_schedule(program).filter(instruction_types=ShiftPhase).instructions
    ]
    assert sorted(turns, key=str) == [(100, D[0], 100 * 1e6), (100, D[0], 100 * 2e6), (300, D[1], 300 * 1e6)]
    left = ScheduleBlock().append(EndOffset(1e6, D[0], 1e-9))
    with pytest.raises(PulseError, match="an offset ends that has not begun"):
        block_to_schedule(left)


def test_a_plain_frequency_offset_is_two_shifts():
    shift = 3.7e6
    with pulse.build() as plain, pulse.frequency_offset(shift, D[0]):
        pulse.play(C, D[0])
    assert list(plain.blocks) == [ShiftFrequency(shift, D[0]), Play(C, D[0]), ShiftFrequency(-shift, D[0])]


class TestCall:
    p = Parameter("p")

    def sub(self):
        return block(Play(Gaussian(10, self.p, 3), D[0]))

    def test_assigns_parameters(self):
        for arguments in ({"p": 0.5}, {"value_dict": {self.p: 0.5}}, {"value_dict": {"p": 0.5}}):
            with pulse.build() as program:
                pulse.call(self.sub(), **arguments)
            assert program == block(block(Play(Gaussian(10, 0.5, 3), D[0])))
        with pulse.build() as program:
            pulse.call(self.sub())
        assert program.parameters == {self.p}

    def test_with_a_name_makes_a_reference(self):
        with pulse.build() as program:
            pulse.call(self.sub(), name="x", p=0.5)
            pulse.call(self.sub(), name="x", p=0.5)
            with pytest.raises(PulseError, match="already assigned"):
                pulse.call(self.sub(), name="x", p=0.25)
        assert list(program.references) == [("x",)]
        assert len(program.blocks) == 2

    def test_takes_schedules_with_their_times(self):
        schedule = Schedule((3, Play(C, D[0])), (0, Play(C, D[1])))
        with pulse.build() as program:
            pulse.call(schedule)
            pulse.play(C, D[1])
        made = block_to_schedule(program).exclude(instruction_types=TimeBlockade)
        assert made == schedule.insert(13, Play(C, D[1]))

    def test_refuses_what_is_no_program_or_parameter(self):
        with pulse.build():
            for wrong in (lambda: pulse.call(3), lambda: pulse.call(self.sub(), nobody=1)):
                with pytest.raises(PulseError):
                    wrong()


def test_macro_is_one_block():
    @pulse.macro
    def twice(amplitude):
        """Doc."""
        for _ in range(2):
            pulse.play(Constant(10, amplitude), D[0])
        return amplitude

    with pulse.build() as program:
        assert twice(0.25) == 0.25
    (inner,) = program.blocks
    assert inner.name == twice.__name__ == "twice"
    assert inner == block(Play(Constant(10, 0.25), D[0]), Play(Constant(10, 0.25), D[0]))


def test_rz_by_the_builder_turns_the_axis_of_the_next_pulse():
    with pulse.build() as program:
        pulse.shift_phase(frames.rz_phase(math.pi / 2), D[0])
        pulse.play(C, D[0])
    (_, shift), _ = program.instructions
    # rz(π/2) followed by a drive along x equals a drive along −y: e^{−iπ/2} = −i
    assert np.exp(1j * shift.phase) == pytest.approx(-1j)
